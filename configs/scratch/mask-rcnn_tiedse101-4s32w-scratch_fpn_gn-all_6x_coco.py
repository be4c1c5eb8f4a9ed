_base_ = './mask-rcnn_tiedr101-4s32w-scratch_fpn_gn-all_6x_coco.py'
model = dict(backbone=dict(type='TiedSENet'))
