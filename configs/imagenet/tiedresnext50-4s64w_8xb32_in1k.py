_base_ = './tiedresnet50-4s32w_8xb32_in1k.py'
model = dict(backbone=dict(_delete_=True, type='TiedResNeXt', depth=50, out_indices=(3,)))
