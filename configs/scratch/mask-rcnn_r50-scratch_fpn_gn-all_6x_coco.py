_base_ = ['mmdet::scratch/mask-rcnn_r50-scratch_fpn_gn-all_6x_coco.py', '../_base_/mmtied.py']
val_evaluator = [
    _base_.val_evaluator,
    dict(type='mmtied.OcclusionMetric', ann_file=_base_.val_evaluator.ann_file, metric=['bbox', 'segm']),
]
test_evaluator = val_evaluator
