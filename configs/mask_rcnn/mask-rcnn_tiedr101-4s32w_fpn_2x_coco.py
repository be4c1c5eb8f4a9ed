_base_ = './mask-rcnn_tiedr50-4s32w_fpn_2x_coco.py'
model = dict(backbone=dict(depth=101))
