"""Scope `mmtied`: `type='mmtied.TiedResNet'` resolves in any OpenMMLab config without `custom_imports`.

mmengine imports this file when it meets the scope, and the locations when it looks a name up. The classes register
themselves in mmengine's root registries, where mmdet and mmpretrain find them by their bare names too. A run that names
anything of this scope can load its own checkpoints.
"""

from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import Registry

from .utils.checkpoints import allow_runner_checkpoints

MODELS = Registry('model', parent=ROOT_MODELS, scope='mmtied', locations=['mmtied.layers', 'mmtied.models'])
HOOKS = Registry('hook', parent=ROOT_HOOKS, scope='mmtied', locations=['mmtied.deploy'])
METRICS = Registry('metric', parent=ROOT_METRICS, scope='mmtied', locations=['mmtied.evaluation.metric'])

allow_runner_checkpoints()
