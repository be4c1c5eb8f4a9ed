"""Errors that are the user's to mend."""


class InputError(ValueError):
    """The user's input is wrong. The message is one sentence that names the file and the offending entry."""
