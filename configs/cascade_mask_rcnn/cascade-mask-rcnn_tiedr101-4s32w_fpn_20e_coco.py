_base_ = './cascade-mask-rcnn_tiedr50-4s32w_fpn_20e_coco.py'
model = dict(backbone=dict(depth=101))
