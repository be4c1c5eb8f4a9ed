_base_ = './seresnet50_8xb32-100e_in1k.py'
model = dict(backbone=dict(type='TiedBackbone', network='SEResNet', se_blocks=8))
