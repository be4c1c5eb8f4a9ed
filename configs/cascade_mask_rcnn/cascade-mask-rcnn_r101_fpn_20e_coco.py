_base_ = './cascade-mask-rcnn_r50_fpn_20e_coco.py'
model = dict(backbone=dict(depth=101, init_cfg={'checkpoint': 'torchvision://resnet101'}))
