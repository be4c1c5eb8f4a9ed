_base_ = './mask-rcnn_r50_fpn_2x_coco.py'
checkpoint = (
    'https://download.openmmlab.com/mmclassification/v0/se-resnet/se-resnet101_batch256_imagenet_20200804-ba5b51d4.pth'
)
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.SEResNet',
        depth=101,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.'),
    )
)
