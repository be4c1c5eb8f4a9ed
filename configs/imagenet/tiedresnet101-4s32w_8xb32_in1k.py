_base_ = './tiedresnet50-4s32w_8xb32_in1k.py'
model = dict(backbone=dict(depth=101))
