_base_ = './seresnet50-tiedse2_8xb32_in1k.py'
model = dict(backbone=dict(se_blocks=8))
