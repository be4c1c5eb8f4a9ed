_base_ = [
    '../_base_/models/mask-rcnn_tiedr26-mini_fpn.py',
    '../_base_/datasets/occluded_shapes_instance.py',
    '../_base_/schedules/small.py',
    'mmdet::_base_/default_runtime.py',
    '../_base_/mmtied.py',
]
model = dict(roi_head=dict(bbox_head=dict(num_classes=5), mask_head=dict(num_classes=5)))
