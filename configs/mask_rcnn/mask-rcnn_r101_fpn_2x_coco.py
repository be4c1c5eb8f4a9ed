_base_ = './mask-rcnn_r50_fpn_2x_coco.py'
model = dict(backbone=dict(depth=101, init_cfg={'checkpoint': 'torchvision://resnet101'}))
