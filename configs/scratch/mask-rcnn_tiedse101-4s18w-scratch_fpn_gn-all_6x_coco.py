_base_ = './mask-rcnn_tiedse101-4s32w-scratch_fpn_gn-all_6x_coco.py'
model = dict(backbone=dict(base_width=18, blocks=(1, 1, 3, 6), mixer_blocks=1))
