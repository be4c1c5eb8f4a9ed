_base_ = './efficientnet-b0-tiedse2_8xb32_in1k.py'
model = dict(backbone=dict(se_blocks=4))
