_base_ = './tiedresnext50-4s64w_8xb32_in1k.py'
model = dict(backbone=dict(depth=101))
