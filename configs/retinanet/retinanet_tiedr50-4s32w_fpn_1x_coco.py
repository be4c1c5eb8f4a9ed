_base_ = './retinanet_r50_fpn_1x_coco.py'
model = dict(backbone=dict(_delete_=True, type='TiedResNet', depth=50))
