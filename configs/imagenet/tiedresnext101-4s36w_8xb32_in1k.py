_base_ = './tiedresnext50-4s36w_8xb32_in1k.py'
model = dict(backbone=dict(depth=101))
