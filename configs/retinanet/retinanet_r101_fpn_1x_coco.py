_base_ = './retinanet_r50_fpn_1x_coco.py'
model = dict(backbone=dict(depth=101, init_cfg={'checkpoint': 'torchvision://resnet101'}))
