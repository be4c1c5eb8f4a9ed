# mmdet's recipe of Mask R-CNN from scratch, for RetinaNet: group norm wherever there are convolutions, six times the
# schedule, no weight decay of norms.
_base_ = '../retinanet/retinanet_r50_fpn_1x_coco.py'
norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)
model = dict(
    backbone=dict(frozen_stages=-1, norm_eval=False, zero_init_residual=False, norm_cfg=norm_cfg, init_cfg=None),
    neck=dict(norm_cfg=norm_cfg),
    bbox_head=dict(norm_cfg=norm_cfg),
)
optim_wrapper = dict(paramwise_cfg=dict(norm_decay_mult=0.0))
train_cfg = dict(max_epochs=73)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=73, milestones=[65, 71])
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3))
