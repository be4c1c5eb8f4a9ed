_base_ = ['mmpretrain::efficientnet/efficientnet-b0_8xb32_in1k.py', '../_base_/mmtied.py']
model = dict(backbone=dict(type='TiedBackbone', network='EfficientNet', se_blocks=2))
loader = dict(pin_memory=True, persistent_workers=True, collate_fn=dict(type='default_collate'))
train_dataloader = val_dataloader = test_dataloader = loader
