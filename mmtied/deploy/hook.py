"""The deployed form in a config: ``custom_hooks=[dict(type='mmtied.DeployHook')]``."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from .form import deploy


@HOOKS.register_module()
class DeployHook(Hook):
    """Test the network in its deployed form, as :func:`~mmtied.deploy.deploy` makes it of what was loaded."""

    # After hooks that swap weights in, such as EMAHook's.
    priority = 'VERY_LOW'

    def before_test(self, runner: Runner) -> None:
        """Deploy the runner's network.

        Args:
            runner: With its checkpoint loaded.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        deploy(model)
        print_log(f'{type(model).__name__} is tested in its deployed form', 'current')
