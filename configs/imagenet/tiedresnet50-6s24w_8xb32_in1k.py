_base_ = './tiedresnet50-4s32w_8xb32_in1k.py'
model = dict(backbone=dict(splits=6, base_width=24, blocks=(1, 1, 2, 2, 4, 4)))
