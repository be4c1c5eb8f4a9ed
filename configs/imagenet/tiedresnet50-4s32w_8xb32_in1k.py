_base_ = ['mmpretrain::resnet/resnet50_8xb32_in1k.py', '../_base_/mmtied.py']
model = dict(backbone=dict(_delete_=True, type='TiedResNet', depth=50, out_indices=(3,)))
# mmpretrain's own train.py sets these, others do not.
loader = dict(pin_memory=True, persistent_workers=True, collate_fn=dict(type='default_collate'))
train_dataloader = val_dataloader = test_dataloader = loader
