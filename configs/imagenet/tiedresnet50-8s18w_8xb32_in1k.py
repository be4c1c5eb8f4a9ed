_base_ = './tiedresnet50-4s32w_8xb32_in1k.py'
model = dict(backbone=dict(splits=8, base_width=18, blocks=(1, 1, 1, 1, 1, 2, 3, 3), mixer_blocks=1))
