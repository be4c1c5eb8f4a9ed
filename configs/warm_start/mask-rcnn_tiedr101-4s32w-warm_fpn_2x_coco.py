_base_ = '../mask_rcnn/mask-rcnn_tiedr101-4s32w_fpn_2x_coco.py'
# Made by: mmtied convert tiedresnet101 resnext101_32x4d.pth work_dirs/tiedresnet101_warm.pth
checkpoint = 'work_dirs/tiedresnet101_warm.pth'
# Projected layers have other features than the norms' statistics are of: no stage is frozen, and all norms learn.
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.')))
