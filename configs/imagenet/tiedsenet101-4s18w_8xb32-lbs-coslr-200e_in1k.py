# The publication's longer recipe: "larger epochs, label smoothing, cosine schedule and heavier data augmentation".
# How many epochs and which augmentation it does not say: 200 and AutoAugment are our choice.
_base_ = './tiedsenet101-4s18w_8xb32_in1k.py'
model = dict(head=dict(loss=dict(_delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1)))
train_pipeline = _base_.train_pipeline
train_pipeline.insert(-1, dict(type='AutoAugment', policies='imagenet'))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=200)
param_scheduler = dict(_delete_=True, type='CosineAnnealingLR', T_max=200, by_epoch=True)
