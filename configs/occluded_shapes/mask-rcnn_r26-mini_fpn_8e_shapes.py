# The same network untied, an ordinary ResNet: one split, B = 1 everywhere, no mixer. (mmdet has no ResNet-26.)
_base_ = './mask-rcnn_tiedr26-mini_fpn_8e_shapes.py'
model = dict(
    backbone=dict(splits=1, base_width=64, blocks=(1,), entry_blocks=1, shortcut_blocks=1, mixer='none'),
)
