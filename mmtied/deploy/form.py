"""The form of a trained network that costs least to run: ordinary grouped layers, norms folded into convolutions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mmcv.cnn import ConvModule
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..tying import untie
from ..tying.policy import PLAIN


def deploy(model: nn.Module) -> nn.Module:
    """Bring a trained network into the form that costs least to run, in place, and return it.

    Tied layers become ordinary ones with their multiply-adds (:func:`~mmtied.tying.untie`), every batch norm behind a
    convolution is folded into it, and the network is set to evaluation. Its outputs stay, up to rounding; its state
    dict does not, so load the checkpoint before, and save the trained network rather than this one. A network that
    is deployed stays as it is.

    A norm counts as behind a convolution if it follows it in an mmcv ``ConvModule`` or among the children of one
    module, as in the networks of mmdet, mmpretrain, torchvision and timm and in mmcv's ``fuse_conv_bn``. Layers in
    several places, such as the heads that share convolutions but not norms, are not folded.

    Args:
        model: A backbone, a detector, a classifier, or any network with tied layers.

    Returns:
        The network itself; for a tied layer, the ordinary one.

    Raises:
        ValueError: If the weight of a tied layer is computed from others, as by pruning.

    Example:
        >>> import torch
        >>> from mmtied.deploy import deploy
        >>> from mmtied.models import TiedResNet
        >>> backbone = TiedResNet(depth=26, base_channels=16).eval()
        >>> image = torch.randn(1, 3, 64, 64)
        >>> trained = backbone(image)[-1]
        >>> difference = deploy(backbone)(image)[-1] - trained
        >>> bool(difference.abs().max() < 1e-5 * trained.abs().max())
        True
    """
    model.eval()  # Not chained: mmdet's backbones return None.
    model = untie(model)
    # By parameter, as two layers may share them.
    uses = Counter(
        parameter
        for _, module in model.named_modules(remove_duplicate=False)
        for parameter in module.parameters(recurse=False)
    )
    for parent in [*model.modules()]:
        for conv_name, norm_name in followed_by_norm(parent):
            conv, norm = parent._modules[conv_name], parent._modules[norm_name]
            if all(uses[parameter] == 1 for module in (conv, norm) for parameter in module.parameters()):
                trained = conv.weight.requires_grad
                parent._modules[conv_name] = fuse_conv_bn_eval(conv, norm).requires_grad_(trained)
                parent._modules[norm_name] = nn.Identity()
                if isinstance(parent, ConvModule):
                    parent.turn_on_efficient_conv_bn_eval(False)
    return model


def followed_by_norm(parent: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the names of a module's convolutions that a batch norm follows, and of the norms."""
    if isinstance(parent, ConvModule) and parent.order.index('norm') != parent.order.index('conv') + 1:
        return
    before = None
    for name, child in [*parent.named_children()]:
        plain = type(child) in PLAIN and 'weight' in child._parameters
        # Subclasses that do more, such as timm's norms with an activation, have a forward of their own.
        norm = type(child).forward in (_BatchNorm.forward, nn.SyncBatchNorm.forward)
        known = norm and child.running_mean is not None
        if before is not None and known and parent._modules[before].out_channels == child.num_features:
            yield before, name
        before = name if plain and isinstance(child, nn.Conv2d) else None
