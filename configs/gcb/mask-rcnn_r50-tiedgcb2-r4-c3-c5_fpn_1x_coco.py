_base_ = './mask-rcnn_r50_fpn_1x_coco.py'
plugin = dict(cfg=dict(type='TiedGCB', blocks=2, ratio=1 / 4), stages=(False, True, True, True), position='after_conv3')
model = dict(backbone=dict(plugins=[plugin]))
