_base_ = './tiedresnet50-4s32w_8xb32_in1k.py'
model = dict(backbone=dict(splits=2, base_width=48, blocks=(1, 8)))
