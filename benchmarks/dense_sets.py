#!/usr/bin/env python3
"""Time the evaluation on dense images, as shelves have them, and on one image of very many boxes.

Whole processes, once each, beside plain hotcoco and, where it is asked for, one evaluation by the reference API.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import sys
from pathlib import Path

import numpy as np
from occlusion_eval import PLAIN, ROOT, run

REFERENCE = """
import sys
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
truth = COCO(sys.argv[1])
evaluation = COCOeval(truth, truth.loadRes(sys.argv[2]), 'bbox')
evaluation.evaluate()
evaluation.accumulate()
evaluation.summarize()
"""
WIDTH, HEIGHT = 2448, 3264  # of SKU-110K's photographs


def write(folder: Path, images: int, boxes: int, classes: int) -> list[str]:
    """Write rows of boxes that overlap their neighbours, and a detection near each; return both files."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(boxes)))
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:boxes]
    cell = np.array([WIDTH, HEIGHT]) / side
    annotations, found = [], []
    for image in range(1, images + 1):
        size = cell * rng.uniform(0.9, 1.3, (boxes, 2))
        corner = ((places + rng.normal(0, 0.05, (boxes, 2))) * cell).clip(0)
        truth = np.concatenate([corner, size], axis=1)
        near = (truth + rng.normal(0, 0.06, truth.shape) * np.tile(size, 2)).clip(0)
        for box, other, score in zip(truth.round(1).tolist(), near.round(2).tolist(), rng.uniform(0.05, 1, boxes)):
            entry = {'image_id': image, 'category_id': 1 + len(annotations) % classes}
            area = box[2] * box[3]
            annotations.append(entry | {'id': len(annotations) + 1, 'bbox': box, 'area': area, 'iscrowd': 0})
            found.append(entry | {'bbox': other, 'score': round(float(score), 4)})
    content = {
        'images': [{'id': i, 'width': WIDTH, 'height': HEIGHT, 'file_name': f'{i}.jpg'} for i in range(1, images + 1)],
        'categories': [{'id': i, 'name': f'class {i}'} for i in range(1, classes + 1)],
        'annotations': annotations,
    }
    files = [folder / f'{name}_{images}x{boxes}_{classes}.json' for name in ('truth', 'found')]
    folder.mkdir(parents=True, exist_ok=True)
    for file, part in zip(files, (content, found)):
        file.write_text(json.dumps(part))
    return [str(file) for file in files]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', type=Path, default=Path('work_dirs/benchmark'), help='for the data')
    parser.add_argument('--images', type=int, default=3000, help='default: 3000, as SKU-110K has to test on')
    parser.add_argument('--boxes', type=int, default=147, help='in an image; default: 147')
    parser.add_argument('--classes', type=int, default=80)
    parser.add_argument('--largest', type=int, default=20_000, help='boxes of the one large image; default: 20000')
    parser.add_argument('--reference', action='store_true', help='also the reference API on the dense images, minutes')
    args = parser.parse_args()
    # The data are made in a process of their own: the memory of this one would count for those that it starts.
    child = os.fork()
    if child == 0:
        write(args.folder, args.images, args.boxes, args.classes)
        write(args.folder, 1, args.largest, 1)
        os._exit(0)
    os.waitpid(child, 0)
    tool = [sys.executable, str(ROOT / 'tools' / 'occlusion_eval.py'), '--quiet']
    dense, large = (
        [str(args.folder / f'{name}_{shape}.json') for name in ('truth', 'found')]
        for shape in (f'{args.images}x{args.boxes}_{args.classes}', f'1x{args.largest}_1')
    )
    commands = {
        'dense: plain hotcoco': [sys.executable, '-c', PLAIN, *dense],
        'dense: occlusion_eval': [*tool, *dense],
        'large image: plain hotcoco': [sys.executable, '-c', PLAIN, *large],
        'large image: occlusion_eval': [*tool, *large],
        'large image: occlusion_eval, all detections': [*tool, *large, '--max-dets', str(args.largest)],
    }
    if args.reference:
        commands['dense: reference API'] = [sys.executable, '-c', REFERENCE, *dense]
    print(f'# {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}')
    table = csv.writer(sys.stdout, lineterminator='\n')
    table.writerow(['command', 'seconds', 'peak MB'])
    for name, command in commands.items():
        seconds, memory = run(command)
        table.writerow([name, f'{seconds:.1f}', f'{memory:.0f}'])
        sys.stdout.flush()


if __name__ == '__main__':
    main()
