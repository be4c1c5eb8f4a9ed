# What every config of the zoo adds to the one of mmdet or mmpretrain that it inherits.
custom_imports = dict(imports=['mmtied.models'])
# Trainable batch norms have statistics of their own in every process: without this each would validate by its own.
custom_hooks = [dict(type='SyncBuffersHook')]
