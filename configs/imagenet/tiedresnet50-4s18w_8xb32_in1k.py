_base_ = './tiedresnet50-4s32w_8xb32_in1k.py'
model = dict(backbone=dict(base_width=18, blocks=(1, 1, 3, 6), mixer_blocks=1))
