_base_ = './mask-rcnn_r50_fpn_2x_coco.py'
model = dict(backbone=dict(_delete_=True, type='TiedSENet', depth=101))
