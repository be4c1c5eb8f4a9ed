_base_ = ['mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', '../_base_/mmtied.py']
val_evaluator = [
    _base_.val_evaluator,
    dict(type='mmtied.OcclusionMetric', ann_file=_base_.val_evaluator.ann_file, metric='bbox'),
]
test_evaluator = val_evaluator
