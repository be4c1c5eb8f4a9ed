_base_ = './faster-rcnn_r50_fpn_1x_voc0712.py'
model = dict(backbone=dict(_delete_=True, type='TiedResNet', depth=50))
