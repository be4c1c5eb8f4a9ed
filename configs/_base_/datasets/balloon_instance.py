_base_ = './small_instance.py'
data_root = '{{$MMTIED_BALLOON:data/balloon}}/'
metainfo = dict(classes=('balloon',))
train_dataloader = dict(
    dataset=dict(
        data_root=data_root, metainfo=metainfo, ann_file='instances_train.json', data_prefix=dict(img='train/')
    )
)
val_dataloader = dict(
    dataset=dict(data_root=data_root, metainfo=metainfo, ann_file='instances_val.json', data_prefix=dict(img='val/'))
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'instances_val.json')
test_evaluator = val_evaluator
