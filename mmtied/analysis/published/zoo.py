"""The configs as a list and in Markdown, and the published AP on COCO over the backbone's parameters (Fig. 6)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import yaml
from matplotlib.figure import Figure

from ...utils.text_table import align

HEADER = """# The configs

Made by `tools/zoo.py --out docs/zoo.md`. Every experiment of the publication is a config, beside its baseline of the
same recipe; on ImageNet, ResNet, ResNeXt and EfficientNet are mmpretrain's own configs of that name. In names, 4s32w is
4 splits of base width 32, the publication's TiedResNet, and 4s18w its -S.

Parameters are those of the backbone without a head, in millions. Results are quoted as the publication prints them;
none is reproduced by us, and no weights are linked, since none were published. "-" is what it has no number for.

The commands are those for one GPU; the recipes are for 8, and `--auto-scale-lr` scales the learning rate. On several,
`tools/dist_train.sh CONFIG GPUS`. Baselines start from ImageNet weights, tied detectors from scratch unless they are
given a classifier's checkpoint, as published, by `--backbone-checkpoint`; [training.md](training.md) says when to take
the recipes from scratch, with group norm, or from a warm start. `mmtied zoo PATTERN` lists configs by their names.
"""

PANELS = [
    ('RetinaNet, 2x', 'retinanet', '_2x_coco', 'box AP'),
    ('Cascade R-CNN, 20e', 'cascade_rcnn', '_20e_coco', 'box AP'),
    ('Mask R-CNN, 2x', 'mask_rcnn', '_2x_coco', 'box AP'),
    ('Mask R-CNN, 2x', 'mask_rcnn', '_2x_coco', 'mask AP'),
]


def size_and_metrics(model: dict) -> tuple[float, dict[str, float]]:
    """Return the millions of parameters of the backbone of a metafile's model, and its published results by name."""
    metrics = {name: value for result in model.get('Results', []) for name, value in result['Metrics'].items()}
    return model['Metadata']['Backbone Parameters'] / 1e6, metrics


def as_text(metrics: dict[str, float]) -> str:
    """Return published results in words."""
    return ', '.join(f'{name} {value}' for name, value in metrics.items()) or '-'


def metafiles(root: Path) -> Iterator[dict]:
    """Yield the content of the metafiles, in the order of the index."""
    for metafile in yaml.safe_load((root / 'model-index.yml').read_text())['Import']:
        yield yaml.safe_load((root / metafile).read_text())


def listing(root: Path, names: Collection[str]) -> str:
    """Return configs as a table of text, with the published results and what trains them.

    Args:
        root: The folder of ``model-index.yml``.
        names: Of the configs.
    """
    models = [model for content in metafiles(root) for model in content['Models'] if model['Name'] in names]
    rows, remarks = [('config', 'published', 'backbone M')], []
    for model in models:
        size, metrics = size_and_metrics(model)
        rows.append((model['Name'], as_text(metrics), f'{size:.2f}'))
        if 'Remark' in model['Metadata']:
            remarks.append(f'{model["Name"]}: {model["Metadata"]["Remark"]}')
    train, test = ('mmtied train', 'mmtied test')
    if root.name != '.mim':
        train, test = (f'.venv/bin/python tools/{name}.py' for name in ('train', 'test'))
    config = models[0]['Name'] if len(models) == 1 else 'CONFIG'
    commands = (f'train: {train} {config} --auto-scale-lr', f'test:  {test} {config} CHECKPOINT')
    return '\n'.join([align(rows, left=2), *remarks, '', *commands])


def row(model: dict) -> str:
    """Return a model of a metafile as a row in Markdown."""
    size, metrics = size_and_metrics(model)
    published = as_text(metrics)
    if 'Remark' in model['Metadata']:
        published += f' ({model["Metadata"]["Remark"]})'
    name = model['Name']
    command = f'.venv/bin/python tools/train.py {model["Config"]} --auto-scale-lr'
    return f'| [{name}](../{model["Config"]}) | {size:.2f} | {published} | `{command}` |'


def page(root: Path) -> str:
    """Return the page: a section for each folder of configs."""
    lines = [HEADER]
    for content in metafiles(root):
        lines += [f'## {content["Collections"][0]["Name"]}', '']
        lines += ['| config | backbone M | published | command |', '| --- | ---: | --- | --- |']
        lines += [*(row(model) for model in content['Models']), '']
    return '\n'.join(lines)


def draw_published(root: Path) -> Figure:
    """Draw the published AP over the parameters of the backbone, ordinary ones beside tied ones."""
    figure = Figure(figsize=(16, 4), layout='constrained')
    for axes, (title, folder, end, metric) in zip(figure.subplots(1, len(PANELS)), PANELS):
        models = yaml.safe_load((root / 'configs' / folder / 'metafile.yml').read_text())['Models']
        for model in (model for model in models if model['Name'].endswith(end)):
            size, metrics = size_and_metrics(model)
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
