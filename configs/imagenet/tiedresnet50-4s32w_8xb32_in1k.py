_base_ = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
custom_imports = dict(imports=['mmtied.models'])
model = dict(backbone=dict(_delete_=True, type='TiedResNet', depth=50, out_indices=(3,)))
