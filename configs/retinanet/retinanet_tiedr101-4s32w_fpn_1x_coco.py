_base_ = './retinanet_tiedr50-4s32w_fpn_1x_coco.py'
model = dict(backbone=dict(depth=101))
