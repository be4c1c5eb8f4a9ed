_base_ = './mask-rcnn_r50-scratch_fpn_gn-all_6x_coco.py'
# 16 groups where the base has 32: a split of the first stage has 32 channels, or 18, and no group is one channel alone.
norm_cfg = dict(type='mmtied.FittedGroupNorm', num_groups=16)
model = dict(backbone=dict(_delete_=True, type='TiedResNet', depth=50, zero_init_residual=False, norm_cfg=norm_cfg))
