"""The commands, one a file: its docstring is the help, ``add_arguments`` says what it takes, ``main`` makes the call.

``command`` and ``command_line`` are what they share; the scripts in ``tools`` start them.
"""
