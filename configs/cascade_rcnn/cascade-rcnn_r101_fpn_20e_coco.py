_base_ = ['mmdet::cascade_rcnn/cascade-rcnn_r101_fpn_20e_coco.py', '../_base_/mmtied.py']
val_evaluator = [
    _base_.val_evaluator,
    dict(type='mmtied.OcclusionMetric', ann_file=_base_.val_evaluator.ann_file, metric='bbox'),
]
test_evaluator = val_evaluator
