_base_ = './seresnet50_8xb32-100e_in1k.py'
model = dict(backbone=dict(depth=101))
