_base_ = ['mmdet::cityscapes/mask-rcnn_r50_fpn_1x_cityscapes.py', '../_base_/mmtied.py']
# From ImageNet, as published; from COCO, as the base has it, gains five points of mask AP.
load_from = None
# The base's learning rate is for 8 images, its number here for 16.
auto_scale_lr = dict(base_batch_size=8)
model = dict(backbone=dict(init_cfg=dict(_delete_=True, type='Pretrained', checkpoint='torchvision://resnet50')))
val_evaluator = [
    *_base_.val_evaluator,
    dict(type='mmtied.OcclusionMetric', ann_file=_base_.val_evaluator[0].ann_file, metric=['bbox', 'segm']),
]
test_evaluator = val_evaluator
