"""The networks of the publication and one of ours, by name, as the arguments of their backbones.

``MODELS.build(VARIANTS['tiedresnet50-s'])`` builds one; docs/architecture.md says which arguments are published.
"""

S = dict(base_width=18, blocks=(1, 1, 3, 6), mixer_blocks=1)
# Ours, not published: the widths of -S, 18, 36, 72 and 144 channels, fill the lanes of a processor's vectors badly.
S16 = dict(base_width=16, mixer_blocks=1)
RESNEXT_S = dict(base_width=36, blocks=(1, 1, 3, 6), groups=6, mixer_blocks=2)

VARIANTS: dict[str, dict] = {
    'tiedresnet50': dict(type='TiedResNet', depth=50),
    'tiedresnet50-s': dict(type='TiedResNet', depth=50, **S),
    'tiedresnet101': dict(type='TiedResNet', depth=101),
    'tiedresnet101-s': dict(type='TiedResNet', depth=101, **S),
    'tiedresnet50-s16': dict(type='TiedResNet', depth=50, **S16),
    'tiedresnet101-s16': dict(type='TiedResNet', depth=101, **S16),
    # Table 5: splits and base width; Table 6: mixer.
    'tiedresnet50-2s48w': dict(type='TiedResNet', depth=50, splits=2, base_width=48, blocks=(1, 8)),
    'tiedresnet50-6s24w': dict(type='TiedResNet', depth=50, splits=6, base_width=24, blocks=(1, 1, 2, 2, 4, 4)),
    'tiedresnet50-8s18w': dict(
        type='TiedResNet',
        depth=50,
        splits=8,
        base_width=18,
        mixer_blocks=1,
        blocks=(1, 1, 1, 1, 1, 2, 3, 3),
    ),
    'tiedresnet50-concat': dict(type='TiedResNet', depth=50, mixer='concat'),
    'tiedresnet50-nomixer': dict(type='TiedResNet', depth=50, mixer='none'),
    'tiedresnext50': dict(type='TiedResNeXt', depth=50),
    'tiedresnext50-s': dict(type='TiedResNeXt', depth=50, **RESNEXT_S),
    'tiedresnext101': dict(type='TiedResNeXt', depth=101),
    'tiedresnext101-s': dict(type='TiedResNeXt', depth=101, **RESNEXT_S),
    'tiedsenet101': dict(type='TiedSENet', depth=101),
    'tiedsenet101-s': dict(type='TiedSENet', depth=101, **S),
    'tiedresnest50-s': dict(type='TiedResNeSt', depth=50),
}
