_base_ = ['mmdet::mask_rcnn/mask-rcnn_x101-32x8d_fpn_1x_coco.py', '../_base_/mmtied.py']
# The 2x schedule, which mmdet does not have for this backbone.
train_cfg = dict(max_epochs=24)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=24, milestones=[16, 22])
val_evaluator = [
    _base_.val_evaluator,
    dict(type='mmtied.OcclusionMetric', ann_file=_base_.val_evaluator.ann_file, metric=['bbox', 'segm']),
]
test_evaluator = val_evaluator
