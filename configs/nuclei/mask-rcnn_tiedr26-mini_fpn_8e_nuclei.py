_base_ = [
    '../_base_/models/mask-rcnn_tiedr26-mini_fpn.py',
    '../_base_/datasets/nuclei_instance.py',
    '../_base_/schedules/small.py',
    'mmdet::_base_/default_runtime.py',
    '../_base_/mmtied.py',
]
# Up to a hundred nuclei in an image, most of 10 to 18 pixels.
proposals = dict(nms_pre=1000, max_per_img=400)
model = dict(
    rpn_head=dict(anchor_generator=dict(scales=[3])),
    roi_head=dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)),
    train_cfg=dict(rpn_proposal=proposals, rcnn=dict(sampler=dict(num=128))),
    test_cfg=dict(rpn=proposals),
)
