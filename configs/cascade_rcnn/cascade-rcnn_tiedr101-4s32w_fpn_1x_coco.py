_base_ = './cascade-rcnn_r101_fpn_1x_coco.py'
model = dict(backbone=dict(_delete_=True, type='TiedResNet', depth=101))
