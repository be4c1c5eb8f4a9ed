"""mmtied: tied block convolution for OpenMMLab.

``import mmtied.models`` registers the layers and backbones; in a config that is
``custom_imports = dict(imports=['mmtied.models'])``, or ``type='mmtied.TiedResNet'`` without it. ``mmtied.evaluation``
needs no torch. So this file imports neither.
"""

__version__ = '0.1.0'
