_base_ = './mask-rcnn_tiedr50-4s32w-scratch_fpn_gn-all_6x_coco.py'
model = dict(backbone=dict(depth=101))
