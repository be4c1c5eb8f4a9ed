"""All configs in Markdown, and the published AP on COCO over the backbone's parameters (Fig. 6)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import yaml
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from tqdm import tqdm

HEADER = """# The configs

Made by `tools/zoo.py --out docs/zoo.md`. Every experiment of the publication is a config, beside its baseline of the
same recipe; on ImageNet, ResNet, ResNeXt and EfficientNet are mmpretrain's own configs of that name. In names, 4s32w is
4 splits of base width 32, the publication's TiedResNet, and 4s18w its -S.

Parameters are those of the backbone without a head, in millions. Results are quoted as the publication prints them;
none is reproduced by us, and no weights are linked, since none were published. "-" is what it has no number for.

The commands are those for one GPU; the recipes are for 8, and `--auto-scale-lr` scales the learning rate. On several,
`tools/dist_train.sh CONFIG GPUS`. Baselines start from ImageNet weights, tied detectors from scratch unless they are
given a classifier's checkpoint, as published, by `--backbone-checkpoint` ([training.md](training.md)).
"""

PANELS = [
    ('RetinaNet, 2x', 'retinanet', '_2x_coco', 'box AP'),
    ('Cascade R-CNN, 20e', 'cascade_rcnn', '_20e_coco', 'box AP'),
    ('Mask R-CNN, 2x', 'mask_rcnn', '_2x_coco', 'box AP'),
    ('Mask R-CNN, 2x', 'mask_rcnn', '_2x_coco', 'mask AP'),
]


@cache
def parameters(scope: str, backbone: str) -> float:
    """Return the millions of parameters of a backbone, given as json."""
    init_default_scope(scope)
    return sum(p.numel() for p in MODELS.build(json.loads(backbone)).parameters()) / 1e6


def size_and_metrics(model: dict, root: Path) -> tuple[float, dict[str, float]]:
    """Return the millions of parameters of a metafile's model, and its published results by name."""
    config = Config.fromfile(root / model['Config'])
    backbone = {key: value for key, value in config.model.backbone.to_dict().items() if key != 'init_cfg'}
    metrics = {name: value for result in model.get('Results', []) for name, value in result['Metrics'].items()}
    return parameters(config.default_scope, json.dumps(backbone)), metrics


def row(model: dict, root: Path) -> str:
    """Return a model of a metafile as a row."""
    size, metrics = size_and_metrics(model, root)
    published = ', '.join(f'{name} {value}' for name, value in metrics.items()) or '-'
    if 'Remark' in model.get('Metadata', {}):
        published += f' ({model["Metadata"]["Remark"]})'
    name = model['Name']
    command = f'.venv/bin/python tools/train.py {model["Config"]} --auto-scale-lr'
    return f'| [{name}](../{model["Config"]}) | {size:.2f} | {published} | `{command}` |'


def page(root: Path) -> str:
    """Return the page: a section for each folder of configs."""
    lines = [HEADER]
    for metafile in tqdm(yaml.safe_load((root / 'model-index.yml').read_text())['Import']):
        content = yaml.safe_load((root / metafile).read_text())
        lines += [f'## {content["Collections"][0]["Name"]}', '']
        lines += ['| config | backbone M | published | command |', '| --- | ---: | --- | --- |']
        lines += [*(row(model, root) for model in content['Models']), '']
    return '\n'.join(lines)


def draw_published(root: Path) -> Figure:
    """Draw the published AP over the parameters of the backbone, ordinary ones beside tied ones."""
    figure = Figure(figsize=(16, 4), layout='constrained')
    for axes, (title, folder, end, metric) in zip(figure.subplots(1, len(PANELS)), PANELS):
        models = yaml.safe_load((root / 'configs' / folder / 'metafile.yml').read_text())['Models']
        for model in (model for model in models if model['Name'].endswith(end)):
            size, metrics = size_and_metrics(model, root)
            backbone = model['Name'].split('_')[1]
            tied = backbone.startswith('tied')
            colour, marker = ('#d1495b', 'o') if tied else ('#1f6fb4', 's')
            axes.plot(size, metrics[metric], marker, color=colour, label='tied' if tied else 'ordinary')
            place = dict(xytext=(-5, 3), ha='right') if tied else dict(xytext=(5, -9))
            axes.annotate(backbone, (size, metrics[metric]), textcoords='offset points', fontsize=7, **place)
        axes.set_title(f'{title}: published {metric}', fontsize=10)
        axes.set_ylabel(metric, fontsize=9)
        axes.set_xlabel('parameters of the backbone, M', fontsize=9)
        axes.margins(0.5, 0.1)
        axes.set_xticks([tick for tick in axes.get_xticks() if tick >= 0])
        axes.grid(color='#e3e6ea')
    handles = dict(zip(*reversed(axes.get_legend_handles_labels())))
    figure.legend(handles.values(), handles, frameon=False, fontsize=9, loc='outside upper center', ncols=2)
    return figure
