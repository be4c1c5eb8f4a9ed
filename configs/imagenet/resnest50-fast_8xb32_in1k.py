# The baseline of TiedResNeSt, which pools before the 3x3 convolution; timm has it.
_base_ = './tiedresnet50-4s32w_8xb32_in1k.py'
block_args = dict(radix=2, avd=True, avd_first=True)
model = dict(backbone=dict(_delete_=True, type='TIMMBackbone', model_name='resnest50d', block_args=block_args))
