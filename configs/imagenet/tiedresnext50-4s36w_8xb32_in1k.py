_base_ = './tiedresnext50-4s64w_8xb32_in1k.py'
model = dict(backbone=dict(base_width=36, blocks=(1, 1, 3, 6), groups=6, mixer_blocks=2))
