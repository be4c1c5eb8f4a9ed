"""How property tests choose their examples: the same ones on every machine, or with `make fuzz` many more at random."""

import torch
from hypothesis import HealthCheck, register_random, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants


class TorchRandom:
    """torch's random numbers, in the form that Hypothesis takes."""

    seed = staticmethod(torch.manual_seed)
    getstate = staticmethod(torch.get_rng_state)
    setstate = staticmethod(torch.set_rng_state)


def register() -> None:
    """Register the profiles `default`, which is loaded, and `fuzz`.

    No verdict depends on time. A test sets no number of examples of its own, which would bind `make fuzz` as well.
    """
    both = dict(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile('default', derandomize=True, max_examples=100, **both)
    settings.register_profile('fuzz', derandomize=False, max_examples=5000, print_blob=True, **both)
    settings.load_profile('default')
    # Hypothesis would also try the constants in the modules that are loaded by then, which the order of the tests
    # decides, and leave a list of them in the checkout.
    providers._get_local_constants = Constants
    # Seeded alike for an example whenever it is tried, so that what is found repeats.
    register_random(TorchRandom)
