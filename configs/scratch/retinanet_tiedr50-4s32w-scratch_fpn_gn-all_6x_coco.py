_base_ = './retinanet_r50-scratch_fpn_gn-all_6x_coco.py'
# As in Mask R-CNN's recipe beside this one.
norm_cfg = dict(type='mmtied.FittedGroupNorm', num_groups=16)
model = dict(backbone=dict(_delete_=True, type='TiedResNet', depth=50, zero_init_residual=False, norm_cfg=norm_cfg))
