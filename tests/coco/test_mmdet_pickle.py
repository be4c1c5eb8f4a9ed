"""The pickle of mmdet's test.py --out: the json's numbers, and nothing of what a pickle may ask for."""

import json
import os
import pickle

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric, DumpDetResults
from mmengine.structures import InstanceData

from mmtied.coco.sets import read_sets
from mmtied.evaluation import InputError, evaluate_occlusion

# The categories are not in the order of their ids: a label is a index in the file.
TRUTH = {
    'images': [{'id': i, 'width': 64, 'height': 64, 'file_name': f'{i}.jpg'} for i in range(12)],
    'categories': [{'id': 7, 'name': 'b'}, {'id': 4, 'name': 'a'}],
    'annotations': [],
}


@pytest.fixture
def written(tmp_path):
    """Ground truth, and one set of predictions as mmdet writes it: a pickle, and json of boxes and masks."""
    generator = torch.Generator().manual_seed(0)
    truth = json.loads(json.dumps(TRUTH))
    samples = []
    for i in range(12):
        corners = torch.randint(0, 30, (i % 4, 2), generator=generator).float()
        boxes = torch.cat([corners, corners + torch.randint(8, 30, (i % 4, 2), generator=generator)], 1)
        labels = torch.randint(0, 2, (i % 4,), generator=generator)
        masks = torch.zeros(i % 4, 64, 64, dtype=torch.bool)
        for mask, (x0, y0, x1, y1), label in zip(masks, boxes.int().tolist(), labels.tolist()):
            mask[y0 : y1 - 1, x0:x1] = True
            entry = {'image_id': i, 'category_id': (7, 4)[label], 'bbox': [x0, y0, x1 - x0, y1 - y0]}
            entry['segmentation'] = [[x0, y0, x1, y0, x1, y1, x0, y1]]
            truth['annotations'].append(entry | {'id': len(truth['annotations']) + 1, 'iscrowd': 0, 'area': 1})
        found = InstanceData(
            bboxes=boxes + torch.randn(boxes.shape, generator=generator),
            scores=torch.rand(i % 4, generator=generator),
            labels=labels,
            masks=masks,
        )
        sample = {'img_id': i, 'ori_shape': (64, 64), 'scale_factor': (np.float64(2), 2.0)}
        samples.append(sample | {'pred_instances': dict(found.all_items())})
    (tmp_path / 'gt.json').write_text(json.dumps(truth))
    to_json = CocoMetric(
        str(tmp_path / 'gt.json'), ['bbox', 'segm'], format_only=True, outfile_prefix=str(tmp_path / 'results')
    )
    to_pickle = DumpDetResults(str(tmp_path / 'results.pkl'))
    for metric in (to_json, to_pickle):
        metric.dataset_meta = {'classes': ('b', 'a')}
        metric.process({}, [sample | {'pred_instances': dict(sample['pred_instances'])} for sample in samples])
        metric.evaluate(len(samples))
    return tmp_path


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_equals_the_json(written, iou_type):
    truth = written / 'gt.json'
    wanted = evaluate_occlusion(truth, written / f'results.{iou_type}.json', iou_type)
    found = evaluate_occlusion(truth, written / 'results.pkl', iou_type, classes=CLASSES)
    # Exactly: mmdet's writer of json and the reader of the pickle subtract the same corners.
    assert [row.to_dict() for row in found.rows()] == [row.to_dict() for row in wanted.rows()]
    assert found.all.AP > 0.3


CLASSES = ('b', 'a')  # in the order of the config


def read(path):
    return read_sets(TRUTH, [path], 'bbox', classes=CLASSES)


class Evil:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_nothing_is_run(tmp_path):
    path = tmp_path / 'evil.pkl'
    path.write_bytes(pickle.dumps([Evil(tmp_path / 'run')]))
    with pytest.raises(InputError, match=r'evil\.pkl: not a pickle of mmdet.*mkdir is not allowed'):
        read(path)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    'content, sentence',
    [
        (b'no pickle', 'not a pickle of mmdet'),
        (pickle.dumps({'a': 1}), 'are a list of images, found dict'),
        (pickle.dumps([{'img_id': 1}]), r'\[0\] must hold img_id and pred_instances'),
        (
            pickle.dumps([{'img_id': 1, 'pred_instances': {'labels': [5], 'scores': [0.5], 'bboxes': [[0, 0, 1, 1]]}}]),
            r'\[0\]: label 5 has no category, the given classes are 2',
        ),
        (
            pickle.dumps(
                [{'img_id': 99, 'pred_instances': {'labels': [1], 'scores': [0.5], 'bboxes': [[0, 0, 1, 1]]}}]
            ),
            'image_id=99 is not among the images',
        ),
        (
            pickle.dumps(
                [{'img_id': 1, 'pred_instances': {'labels': [0, 1], 'scores': [0.5], 'bboxes': [[0, 0, 1, 1]]}}]
            ),
            r'\[0\] must hold img_id and pred_instances',
        ),
        (pickle.dumps([]), 'contains no detections'),
    ],
)
def test_bad_pickles(tmp_path, content, sentence):
    path = tmp_path / 'results.pkl'
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as error:
        read(path)
    assert str(path) in str(error.value)


def test_missing_pickle(tmp_path):
    with pytest.raises(InputError, match='cannot be read: No such file'):
        read(tmp_path / 'none.pkl')


def one_label(label: int) -> bytes:
    found = {'labels': [label], 'scores': [0.5], 'bboxes': [[0, 0, 9, 9]]}
    return pickle.dumps([{'img_id': 1, 'pred_instances': found}])


def test_labels_that_cannot_be_meant_are_refused(tmp_path):
    path = tmp_path / 'results.pkl'
    path.write_bytes(one_label(0))
    with pytest.raises(InputError, match=r'not in the order of their ids.*give the classes of the config with --cl'):
        read_sets(TRUTH, [path], 'bbox')
    ordered = TRUTH | {'categories': TRUTH['categories'][::-1]}
    path.write_bytes(one_label(2))
    with pytest.raises(InputError, match=r'label 2 has no category, the ground truth has 2; give the classes'):
        read_sets(ordered, [path], 'bbox')


@pytest.mark.parametrize('classes, category', [(('a', 'b'), 4), (('b',), 7), (None, 4)])
def test_labels_are_those_of_the_given_classes(tmp_path, classes, category):
    path = tmp_path / 'results.pkl'
    path.write_bytes(one_label(0))
    ordered = TRUTH | {'categories': TRUTH['categories'][::-1]}
    truth, (found,), _ = read_sets(ordered, [path], 'bbox', classes=classes)
    assert [truth.categories[index]['id'] for index in found.category] == [category]
    assert [note.kind for note in found.notes] == ([] if classes else ['labels'])
