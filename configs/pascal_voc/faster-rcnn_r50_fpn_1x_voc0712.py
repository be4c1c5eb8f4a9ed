_base_ = ['mmdet::pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py', '../_base_/mmtied.py']
# The occlusion metric takes its ground truth from the samples, where this pipeline leaves it.
test_pipeline = _base_.test_pipeline
test_pipeline[-1].meta_keys = (*test_pipeline[-1].meta_keys, 'instances')
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [_base_.val_evaluator, dict(type='mmtied.OcclusionMetric', metric='bbox')]
test_evaluator = val_evaluator
