_base_ = './mask-rcnn_r50_fpn_1x_cityscapes.py'
model = dict(backbone=dict(_delete_=True, type='TiedResNet', depth=50))
