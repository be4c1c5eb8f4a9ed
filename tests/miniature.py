"""Miniatures of the public data sets, in their own folders and formats, with made-up scenes of overlapping shapes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from mmtied.datasets.occluded_scenes import Scene, boxes_of, make_scene

COCO_CLASSES = ('person', 'bicycle', 'car', 'motorcycle', 'airplane')
VOC_CLASSES = ('person', 'bicycle', 'car', 'dog', 'cat')
# Cityscapes' label ids of person, rider, car, truck and bus.
CITYSCAPES_IDS = (24, 25, 26, 27, 28)


def scenes(count: int, size: int, seed: int) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [make_scene(rng, size, ratio) for ratio in np.linspace(0, 0.6, count)]


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def coco(root: Path, size: int = 96) -> None:
    """data/coco: {train,val}2017, annotations/instances_{train,val}2017.json."""
    from mmdet.datasets import CocoDataset

    categories = [{'id': i, 'name': name} for i, name in enumerate(CocoDataset.METAINFO['classes'], 1)]
    ids = {category['name']: category['id'] for category in categories}
    for seed, (split, count) in enumerate((('train', 6), ('val', 4))):
        content = {'images': [], 'annotations': [], 'categories': categories}
        for i, scene in enumerate(scenes(count, size, seed), 1):
            content['images'].append({'id': i, 'file_name': f'{i:012}.jpg', 'width': size, 'height': size})
            write_image(root / f'data/coco/{split}2017/{i:012}.jpg', scene.image)
            for box, label, mask in zip(boxes_of(scene.masks), scene.labels, scene.masks):
                contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
                content['annotations'].append(
                    {
                        'id': len(content['annotations']) + 1,
                        'image_id': i,
                        'category_id': ids[COCO_CLASSES[label]],
                        'bbox': box.tolist(),
                        'area': int(mask.sum()),
                        'iscrowd': 0,
                        'segmentation': [c.flatten().tolist() for c in contours if len(c) >= 3],
                    }
                )
        path = root / f'data/coco/annotations/instances_{split}2017.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))


def cityscapes(root: Path, size: int = 96) -> None:
    """data/cityscapes: leftImg8bit and gtFine with instanceIds and labelIds, as the download has them."""
    for seed, (split, count) in enumerate((('train', 3), ('val', 3), ('test', 1))):
        for i, scene in enumerate(scenes(count, size, seed)):
            stem = f'ulm/ulm_{i:06}_000019'
            write_image(root / f'data/cityscapes/leftImg8bit/{split}/{stem}_leftImg8bit.png', scene.image)
            instances, labels = np.full((size, size), 7, np.uint16), np.full((size, size), 7, np.uint8)  # road
            for k, (mask, label) in enumerate(zip(scene.masks, scene.labels)):
                instances[mask] = CITYSCAPES_IDS[label] * 1000 + k
                labels[mask] = CITYSCAPES_IDS[label]
            write_image(root / f'data/cityscapes/gtFine/{split}/{stem}_gtFine_instanceIds.png', instances)
            write_image(root / f'data/cityscapes/gtFine/{split}/{stem}_gtFine_labelIds.png', labels)


def voc(root: Path, size: int = 96) -> None:
    """data/VOCdevkit: VOC2007 and VOC2012."""
    for seed, (year, split, count) in enumerate(((2007, 'trainval', 3), (2012, 'trainval', 3), (2007, 'test', 4))):
        folder = root / f'data/VOCdevkit/VOC{year}'
        names = []
        for i, scene in enumerate(scenes(count, size, seed)):
            names.append(f'{100 * seed + i:06}')
            write_image(folder / f'JPEGImages/{names[-1]}.jpg', scene.image)
            tree = ElementTree.Element('annotation')
            for side, value in (('width', size), ('height', size), ('depth', 3)):
                entry = tree.find('size') if tree.find('size') is not None else ElementTree.SubElement(tree, 'size')
                ElementTree.SubElement(entry, side).text = str(value)
            for k, (x, y, w, h) in enumerate(boxes_of(scene.masks)):
                thing = ElementTree.SubElement(tree, 'object')
                ElementTree.SubElement(thing, 'name').text = VOC_CLASSES[scene.labels[k]]
                ElementTree.SubElement(thing, 'difficult').text = '1' if (i, k) == (0, 0) else '0'
                corners = ElementTree.SubElement(thing, 'bndbox')
                for name, value in (('xmin', x + 1), ('ymin', y + 1), ('xmax', x + w), ('ymax', y + h)):
                    ElementTree.SubElement(corners, name).text = str(int(value))
            (folder / 'Annotations').mkdir(exist_ok=True)
            ElementTree.ElementTree(tree).write(folder / f'Annotations/{names[-1]}.xml')
        (folder / 'ImageSets/Main').mkdir(parents=True, exist_ok=True)
        (folder / f'ImageSets/Main/{split}.txt').write_text('\n'.join(names))


def imagenet(root: Path, size: int = 80) -> None:
    """data/imagenet: train and val with their lists in meta."""
    for seed, split in enumerate(('train', 'val')):
        lines = []
        for i, scene in enumerate(scenes(4, size, seed)):
            write_image(root / f'data/imagenet/{split}/n01440764/{i}.JPEG', scene.image)
            lines.append(f'n01440764/{i}.JPEG {i}')
        (root / 'data/imagenet/meta').mkdir(exist_ok=True)
        (root / f'data/imagenet/meta/{split}.txt').write_text('\n'.join(lines))
