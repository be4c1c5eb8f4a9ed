_base_ = './small_instance.py'
data_root = '{{$MMTIED_BALLOON:data/balloon}}/'
metainfo = dict(classes=('balloon',))
# The photos are 640 pixels long.
train_pipeline = _base_.train_pipeline
train_pipeline[2].scale_factor = 0.5
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale_factor = 0.5
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        # 61 photos: four rounds make an epoch.
        type='RepeatDataset',
        times=4,
        dataset=dict(
            type='CocoDataset',
            data_root=data_root,
            metainfo=metainfo,
            ann_file='instances_train.json',
            data_prefix=dict(img='train/'),
            pipeline=train_pipeline,
        ),
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='instances_val.json',
        data_prefix=dict(img='val/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'instances_val.json')
test_evaluator = val_evaluator
