_base_ = './cascade-rcnn_tiedr101-4s32w_fpn_1x_coco.py'
model = dict(backbone=dict(depth=50))
