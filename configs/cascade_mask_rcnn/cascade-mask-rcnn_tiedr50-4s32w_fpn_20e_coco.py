_base_ = './cascade-mask-rcnn_r50_fpn_20e_coco.py'
model = dict(backbone=dict(_delete_=True, type='TiedResNet', depth=50))
