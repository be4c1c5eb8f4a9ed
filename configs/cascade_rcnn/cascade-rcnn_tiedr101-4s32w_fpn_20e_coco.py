_base_ = './cascade-rcnn_r101_fpn_20e_coco.py'
model = dict(backbone=dict(_delete_=True, type='TiedResNet', depth=101))
