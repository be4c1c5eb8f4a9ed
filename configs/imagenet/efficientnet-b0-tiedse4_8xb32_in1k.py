_base_ = 'mmpretrain::efficientnet/efficientnet-b0_8xb32_in1k.py'
custom_imports = dict(imports=['mmtied.models'])
model = dict(backbone=dict(type='TiedBackbone', network='EfficientNet', se_blocks=4))
