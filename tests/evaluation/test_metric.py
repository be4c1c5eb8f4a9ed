"""The metric in mmdet's loop: mmdet's own numbers on the whole set, and those of the command in every bin."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from mmengine.registry import METRICS
from mmengine.runner import Runner

from mmtied.evaluation import InputError, OcclusionBins, evaluate_occlusion
from mmtied.evaluation.metric import OcclusionMetric, plain_names

CLASSES = ('a', 'b')


def data(images: int = 30) -> tuple[dict, list[dict]]:
    """A ground truth, and mmdet's data samples of jittered detections with masks."""
    generator = torch.Generator().manual_seed(0)
    truth = {'images': [], 'annotations': [], 'categories': [{'id': 4, 'name': 'a'}, {'id': 7, 'name': 'b'}]}
    samples = []
    for i in range(images):
        truth['images'].append({'id': i, 'width': 64, 'height': 64, 'file_name': f'{i}.jpg'})
        count = i % 5
        corners = torch.randint(0, 32, (count, 2), generator=generator).float()
        boxes = torch.cat([corners, corners + torch.randint(8, 32, (count, 2), generator=generator)], 1)
        labels = torch.randint(0, 2, (count,), generator=generator)
        instances = []
        for box, label in zip(boxes.tolist(), labels.tolist()):
            x0, y0, x1, y1 = box
            polygon = [[x0, y0, x1, y0, x1, y1, x0, y1]]
            instances.append({'bbox': box, 'bbox_label': label, 'mask': polygon, 'ignore_flag': 0})
            entry = {'bbox': [x0, y0, x1 - x0, y1 - y0], 'area': (x1 - x0) * (y1 - y0), 'iscrowd': 0}
            entry |= {'image_id': i, 'category_id': (4, 7)[label], 'segmentation': polygon}
            truth['annotations'].append(entry | {'id': len(truth['annotations']) + 1})
        found = boxes + 2 * torch.randn(boxes.shape, generator=generator)
        masks = torch.zeros(count, 64, 64, dtype=torch.bool)
        for mask, (x0, y0, x1, y1) in zip(masks, found.round().int().tolist()):
            mask[max(y0, 0) : y1, max(x0, 0) : x1] = True
        scores = torch.rand(count, generator=generator)
        prediction = {'bboxes': found, 'scores': scores, 'labels': labels, 'masks': masks}
        samples.append({'img_id': i, 'ori_shape': (64, 64), 'pred_instances': prediction, 'instances': instances})
    return truth, samples


def run(metric, samples) -> dict[str, float]:
    metric.dataset_meta = {'classes': CLASSES}
    metric.process({}, samples)
    return metric.evaluate(size=len(samples))


@pytest.fixture
def ann_file(tmp_path):
    path = tmp_path / 'gt.json'
    path.write_text(json.dumps(data()[0]))
    return str(path)


def test_whole_set_equals_mmdets_metric(ann_file):
    samples = data()[1]
    ours = run(OcclusionMetric(ann_file=ann_file, metric=['bbox', 'segm']), samples)
    theirs = run(CocoMetric(ann_file=ann_file, metric=['bbox', 'segm']), samples)
    for iou_type in ('bbox', 'segm'):
        for score in ('mAP', 'mAP_50', 'mAP_75'):
            # mmdet rounds to three decimals.
            wanted = pytest.approx(theirs[f'coco/{iou_type}_{score}'], abs=5.1e-4)
            assert ours[f'occlusion/{iou_type}_{score}'] == wanted


def test_bins_equal_the_command_on_the_written_results(ann_file, tmp_path):
    prefix = str(tmp_path / 'results')
    scores = run(OcclusionMetric(ann_file=ann_file, metric=['bbox', 'segm'], outfile_prefix=prefix), data()[1])
    for iou_type in ('bbox', 'segm'):
        result = evaluate_occlusion(ann_file, f'{prefix}.{iou_type}.json', iou_type)
        names = ['', '_r0', '_r0-0.2', '_r0.2-0.4', '_r0.4-0.6', '_r0.6-0.8', '_r0.8-1']
        for name, row in zip(names, (result.all, *result.bins)):
            wanted = (row.AP, row.AP75) if row.images else (-1, -1)
            found = (scores[f'occlusion/{iou_type}_{score}{name}'] for score in ('mAP', 'mAP_75'))
            assert tuple(found) == wanted


def test_ground_truth_from_the_dataset(ann_file):
    samples = data()[1]
    lazy = run(OcclusionMetric(metric=['bbox', 'segm']), samples)
    assert lazy == pytest.approx(run(OcclusionMetric(ann_file=ann_file, metric=['bbox', 'segm']), samples))


def test_only_the_classes_of_the_dataset_count(ann_file):
    samples = data()[1]
    for sample in samples:
        found = sample['pred_instances']
        keep = found['labels'] == 0
        sample['pred_instances'] = {key: value[keep] for key, value in found.items()}
    metrics = OcclusionMetric(ann_file=ann_file), CocoMetric(ann_file=ann_file)
    results = []
    for metric in metrics:
        metric.dataset_meta = {'classes': ('a',)}
        metric.process({}, samples)
        results.append(metric.evaluate(size=len(samples)))
    assert results[0]['occlusion/bbox_mAP'] == pytest.approx(results[1]['coco/bbox_mAP'], abs=5.1e-4)


def test_format_only_writes_and_scores_nothing(ann_file, tmp_path):
    metric = OcclusionMetric(ann_file=ann_file, format_only=True, outfile_prefix=str(tmp_path / 'only'))
    assert run(metric, data()[1]) == {}
    assert (tmp_path / 'only.bbox.json').exists()


def test_nothing_found_scores_zero(ann_file):
    samples = data()[1]
    for sample in samples:
        sample['pred_instances'] = {key: value[:0] for key, value in sample['pred_instances'].items()}
    assert run(OcclusionMetric(ann_file=ann_file), samples)['occlusion/bbox_mAP'] == 0


def test_own_edges_and_registered_name(ann_file):
    metric = METRICS.build(dict(type='mmtied.OcclusionMetric', ann_file=ann_file, edges=[0, 0.5, 1], zero_bin=False))
    keys = [key for key in run(metric, data()[1]) if 'mAP_75' in key]
    assert keys == ['occlusion/bbox_mAP_75', 'occlusion/bbox_mAP_75_r0-0.5', 'occlusion/bbox_mAP_75_r0.5-1']


def test_classes_equal_mmdets(ann_file):
    samples = data()[1]
    ours = run(OcclusionMetric(ann_file=ann_file, classwise=True), samples)
    theirs = run(CocoMetric(ann_file=ann_file, classwise=True), samples)
    for name in CLASSES:
        assert ours[f'occlusion/bbox_{name}_precision'] == pytest.approx(theirs[f'coco/{name}_precision'], abs=5.1e-4)


def test_cumulative_rows_have_names_of_their_own(ann_file):
    metric = OcclusionMetric(ann_file=ann_file, edges=[0, 0.5, 1], cumulative=True)
    keys = [key for key in run(metric, data()[1]) if 'mAP_75' in key]
    names = ['', '_from0', '_above0', '_from0.5']
    assert keys == [f'occlusion/bbox_mAP_75{name}' for name in names]


def test_any_option_of_the_evaluation(ann_file):
    samples = data()[1]
    plain = run(OcclusionMetric(ann_file=ann_file), samples)
    binned = run(OcclusionMetric(ann_file=ann_file, definition='hybrid', bootstrap=5), samples)
    assert binned.keys() == plain.keys()
    assert binned['occlusion/bbox_mAP'] == plain['occlusion/bbox_mAP']


def test_miss_rates_have_keys_for_every_row(ann_file, tmp_path):
    prefix = str(tmp_path / 'results')
    options = dict(per_instance=True, miss_rate=True, min_height=10.0)
    metric = OcclusionMetric(ann_file=ann_file, citypersons=True, outfile_prefix=prefix, **options)
    scores = run(metric, data()[1])
    bins = OcclusionBins(citypersons=True)
    result = evaluate_occlusion(ann_file, f'{prefix}.bbox.json', bins=bins, **options)
    names = ['', '_reasonable', '_bare', '_partial', '_heavy']
    for name, row in zip(names, (result.all, *result.bins)):
        wanted = (row.pedestrians.MR2, row.pedestrians.JI)
        assert (scores[f'occlusion/bbox_MR2{name}'], scores[f'occlusion/bbox_JI{name}']) == wanted


def test_bad_ground_truth_is_found_before_training(tmp_path):
    path = tmp_path / 'gt.json'
    path.write_text(json.dumps(data()[0] | {'categories': []}))
    with pytest.raises(InputError, match=r"gt\.json: 'categories' is empty"):
        OcclusionMetric(ann_file=str(path))


def test_options_of_cocometric_that_change_nothing_are_refused():
    with pytest.raises(TypeError, match='iou_thrs'):
        OcclusionMetric(iou_thrs=[0.5])


def test_what_two_ranks_collect_is_evaluated_as_one(ann_file):
    samples = data()[1]
    metric = OcclusionMetric(ann_file=ann_file)
    metric.dataset_meta = {'classes': CLASSES}
    metric.process({}, samples[::2])
    first, metric.results = metric.results, []
    metric.process({}, samples[1::2])
    # mmengine interleaves what the ranks send.
    metric.results = [sample for pair in zip(first, metric.results) for sample in pair]
    assert metric.evaluate(size=len(samples)) == run(OcclusionMetric(ann_file=ann_file), samples)


@pytest.mark.parametrize(
    'argument, instead',
    [(dict(iou_type='bbox'), 'use metric'), (dict(per_class=True), 'use classwise'), (dict(bins=3), 'use edges')],
)
def test_what_mmdet_calls_otherwise_is_named(argument, instead):
    with pytest.raises(TypeError, match=instead):
        OcclusionMetric(**argument)


@pytest.mark.parametrize('argument', [dict(metric='proposal'), dict(edges=[0, 0.5]), dict(definition='iou')])
def test_bad_arguments(argument):
    with pytest.raises(ValueError, match='must'):
        OcclusionMetric(**argument)


@pytest.mark.parametrize(
    'given, limit', [((100, 1, 10), 100), ([300], 300), ((1, 10), 10), ((100, 300, 1000), 100), (None, 100)]
)
def test_limits_of_mmdets_evaluators(given, limit):
    """RTMDet's configs and V3Det's, with the type changed."""
    metric = METRICS.build({'type': 'mmtied.OcclusionMetric', 'proposal_nums': given, 'use_mp_eval': True})
    assert metric.options.get('max_dets', 100) == limit
    assert METRICS.build({'type': 'mmtied.OcclusionMetric', 'proposal_nums': given, 'max_dets': 7}).options == {
        **metric.options,
        'max_dets': 7,
    }


def test_categories_that_are_not_sorted(tmp_path):
    """As Objects365's, whose files differ in the order."""
    truth, samples = data()
    path = tmp_path / 'gt.json'
    path.write_text(json.dumps(truth | {'categories': truth['categories'][::-1]}))
    wanted = run(CocoMetric(ann_file=str(path), sort_categories=True), samples)
    ours = run(OcclusionMetric(ann_file=str(path), sort_categories=True), samples)
    assert ours['occlusion/bbox_mAP'] == pytest.approx(wanted['coco/bbox_mAP'], abs=6e-4)
    assert ours['occlusion/bbox_mAP'] > 0.2


def test_some_of_the_classes(ann_file):
    samples = data()[1]
    for sample in samples:
        chosen = sample['pred_instances']['labels'] == 1
        sample['pred_instances'] = {key: value[chosen] for key, value in sample['pred_instances'].items()}
        sample['pred_instances']['labels'] = torch.zeros(int(chosen.sum()), dtype=torch.long)
    values = []
    for metric in (CocoMetric(ann_file=ann_file), OcclusionMetric(ann_file=ann_file)):
        metric.dataset_meta = {'classes': ('b',)}
        metric.process({}, samples)
        values.append(metric.evaluate(size=len(samples)))
    assert values[1]['occlusion/bbox_mAP'] == pytest.approx(values[0]['coco/bbox_mAP'], abs=6e-4)


def test_no_ground_truth_at_all():
    samples = data()[1]
    for sample in samples:
        sample['instances'] = []
    wanted = run(CocoMetric(), samples)
    ours = run(OcclusionMetric(), samples)
    assert wanted['coco/bbox_mAP'] == ours['occlusion/bbox_mAP'] == -1


@pytest.mark.parametrize('dataset_type, AP', [('VOC2007', 1), ('Other', 1)])
def test_difficult_objects_are_forgiven(dataset_type, AP):
    """The detection that fits the difficult one has the better score, and is no false positive; nor is missing it."""
    boxes = [[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]]
    instances = [{'bbox': box, 'bbox_label': 0, 'ignore_flag': flag} for box, flag in zip(boxes, (0, 1))]
    for found in ([0, 1], [0]):
        prediction = {
            'bboxes': torch.tensor(boxes)[found],
            'scores': torch.tensor([0.5, 0.9])[found],
            'labels': torch.zeros(len(found), dtype=torch.long),
        }
        sample = {'img_id': 0, 'ori_shape': (64, 64), 'pred_instances': prediction, 'instances': instances}
        metric = OcclusionMetric()
        metric.dataset_meta = {'classes': ('a',), 'dataset_type': dataset_type}
        metric.process({}, [sample])
        assert metric.evaluate(size=1)['occlusion/bbox_mAP'] == pytest.approx(AP)


def test_a_part_of_a_difficult_object_is_wrong_and_a_part_of_a_crowd_is_not():
    """Half of it has an IoU of .45; of a crowd region any detection inside is forgiven."""
    instances = [
        {'bbox': [0.0, 0.0, 10.0, 10.0], 'bbox_label': 0, 'ignore_flag': 0},
        {'bbox': [20.0, 20.0, 30.0, 30.0], 'bbox_label': 0, 'ignore_flag': 1},
    ]
    prediction = {
        'bboxes': torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 24.5]]),
        'scores': torch.tensor([0.5, 0.9]),
        'labels': torch.zeros(2, dtype=torch.long),
    }
    scores = {}
    for dataset_type in ('VOC2012', 'Other'):
        metric = OcclusionMetric()
        metric.dataset_meta = {'classes': ('a',), 'dataset_type': dataset_type}
        sample = {'img_id': 0, 'ori_shape': (64, 64), 'pred_instances': prediction, 'instances': instances}
        metric.process({}, [sample])
        scores[dataset_type] = metric.evaluate(size=1)['occlusion/bbox_mAP']
    assert scores == {'VOC2012': pytest.approx(0.5), 'Other': pytest.approx(1)}


class Set(list):
    metainfo = {'classes': CLASSES}


class Oracle(BaseModel):
    """It is trained for nothing, and finds what the samples say."""

    def __init__(self, samples: list[dict]) -> None:
        super().__init__()
        self.samples, self.weight = samples, torch.nn.Parameter(torch.zeros(1))

    def forward(self, index: list[int], mode: str) -> list[dict] | dict:
        return {'loss': self.weight.sum()} if mode == 'loss' else [self.samples[i] for i in index]


class Heard(OcclusionMetric):
    """It keeps what it said last."""

    def evaluate(self, size: int) -> dict[str, float]:
        self.said = super().evaluate(size)
        return self.said


def trained(backends: list[dict], ann_file: str, folder) -> dict[str, float]:
    """Train for two epochs of two iterations in mmengine's loop, and return what the metric said last."""
    samples = data()[1]
    indices = Set({'index': i} for i in range(len(samples)))
    loader = dict(dataset=indices, batch_size=15, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))
    metric = Heard(ann_file=ann_file, metric=['bbox', 'segm'], classwise=True, edges=(0, 0.5, 1))
    runner = Runner(
        model=Oracle(samples),
        work_dir=str(folder),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        val_dataloader=loader,
        val_cfg=dict(),
        val_evaluator=Evaluator([metric]),
        default_hooks=dict(checkpoint=None),
        visualizer=dict(type='mmdet.DetLocalVisualizer', vis_backends=backends, name='here'),
        experiment_name='here',
        cfg=Config(dict(work_dir=str(folder))),
    )
    runner.train()
    return metric.said


def of_each_kind(said: dict[str, float]) -> bool:
    """Whether there are values of the set, a bin, a class, and a class in a bin."""
    names = ('segm_mAP', 'bbox_mAP_75_r0-0.5', 'bbox_a_precision', 'bbox_b_precision_r0-0.5')
    return all(0 < said[f'occlusion/{name}'] < 1 for name in names)


def test_tensorboard_and_a_folder_get_values_and_the_curve(ann_file, tmp_path):
    pytest.importorskip('tensorboard', reason='needs tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    said = trained([dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')], ann_file, tmp_path)
    assert of_each_kind(said)
    (file,) = tmp_path.rglob('*tfevents*')
    events = EventAccumulator(str(file))
    events.Reload()
    for key, value in said.items():
        assert [(event.step, event.value) for event in events.Scalars(key)][-1] == (2, pytest.approx(value))
    assert events.Tags()['images'] == ['occlusion_bbox.png', 'occlusion_segm.png']
    pictures = events.Images('occlusion_bbox.png')
    assert [picture.step for picture in pictures] == [2, 4]  # iterations
    drawn = cv2.imdecode(np.frombuffer(pictures[-1].encoded_image_string, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert drawn.shape == (440, 900, 3)
    assert (np.abs(drawn.astype(int) - (180, 111, 31)).max(2) < 40).any()  # the blue of the first detector, in BGR
    files = sorted(path.name for path in tmp_path.rglob('vis_image/*.png'))
    assert files == [f'occlusion_{kind}.png_{step}.png' for kind in ('bbox', 'segm') for step in (2, 4)]


def test_wandb_gets_values_and_the_curve(ann_file, tmp_path, monkeypatch):
    wandb = pytest.importorskip('wandb', reason='needs wandb')
    monkeypatch.setenv('WANDB_MODE', 'offline')
    monkeypatch.setenv('WANDB_SILENT', 'true')
    backend = dict(type='WandbVisBackend', init_kwargs=dict(mode='offline', project='here'))
    summaries = []
    finish = wandb.Run.finish
    monkeypatch.setattr(wandb.Run, 'finish', lambda run, *_, **__: summaries.append(dict(run.summary)) or finish(run))
    said = trained([backend], ann_file, tmp_path)
    wandb.finish()
    assert of_each_kind(said)
    assert {key: summaries[0][key] for key in said} == pytest.approx(said)
    pictures = [path.name for path in tmp_path.rglob('media/images/*.png')]
    assert sum('occlusion_bbox' in name for name in pictures) == sum('occlusion_segm' in name for name in pictures) == 2


def test_mlflow_gets_values_and_the_curve(ann_file, tmp_path, monkeypatch):
    mlflow = pytest.importorskip('mlflow', reason='needs mlflow')
    uri = f'sqlite:///{tmp_path}/runs.db'
    place = str(tmp_path / 'artifacts')
    backend = dict(type='MLflowVisBackend', tracking_uri=uri, artifact_location=place, exp_name='here')
    try:
        said = trained([backend], ann_file, tmp_path)
    finally:
        mlflow.end_run()
    assert of_each_kind(said)
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name('here').experiment_id])
    assert {key: run.data.metrics[key] for key in said} == pytest.approx(said)
    assert [entry.step for entry in client.get_metric_history(run.info.run_id, 'occlusion/bbox_mAP')] == [1, 2]
    pictures = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    assert {'occlusion_bbox.png', 'occlusion_segm.png'} <= pictures


def test_no_curve_is_drawn_outside_a_run(ann_file, monkeypatch):
    monkeypatch.setattr('mmtied.evaluation.metric.pixels', lambda _: pytest.fail('drawn'))
    run(OcclusionMetric(ann_file=ann_file), data()[1])


def test_classes_of_bins_equal_the_evaluation(ann_file, tmp_path):
    prefix = str(tmp_path / 'results')
    scores = run(OcclusionMetric(ann_file=ann_file, classwise=True, outfile_prefix=prefix), data()[1])
    result = evaluate_occlusion(ann_file, f'{prefix}.bbox.json', 'bbox', per_class=True)
    for name, row in zip(('', '_r0', '_r0-0.2', '_r0.2-0.4', '_r0.4-0.6'), (result.all, *result.bins)):
        assert row.per_class or not row.instances
        for of_class, found in row.per_class.items():
            assert scores[f'occlusion/bbox_{of_class}_precision{name}'] == found.AP


def test_names_that_every_logger_takes():
    names = ['traffic light', 'bow_(ribbons)', 'bow_[ribbons]', 'naïve', 'a/b', 'x,y: 1', 'c++']
    plain = ['traffic light', 'bow__ribbons_', 'bow__ribbons__', 'naïve', 'a_b', 'x_y_ 1', 'c__']
    assert plain_names(names) == plain


def test_keys_and_sizes(tmp_path):
    content, samples = data()
    for i, image in enumerate(content['images']):
        image['level'] = ('low', 'high/most')[i % 2]
    for i, entry in enumerate(content['annotations']):
        entry |= {'vis_ratio': i % 5 / 5} if i % 4 else {}
    path = tmp_path / 'gt.json'
    path.write_text(json.dumps(content))
    prefix = str(tmp_path / 'results')
    scores = run(OcclusionMetric(ann_file=str(path), by='image.level', sizes=(0, 20), outfile_prefix=prefix), samples)
    result = evaluate_occlusion(str(path), f'{prefix}.bbox.json', by='image.level', sizes=(0, 20))
    high, low = result.bins
    assert (high.label, low.label) == ('high/most', 'low')
    for name, row in (('', result.all), ('_is_low', low), ('_is_high_most', high)):
        assert scores[f'occlusion/bbox_mAP_75{name}'] == row.AP75
        for cell, size in zip(row.sizes, ('_s0-20', '_s20-100000')):
            assert scores[f'occlusion/bbox_mAP{name}{size}'] == (cell.AP if cell.AP == cell.AP else -1)
    scores = run(OcclusionMetric(ann_file=str(path), by='vis_ratio', visible=True, outfile_prefix=prefix), samples)
    result = evaluate_occlusion(str(path), f'{prefix}.bbox.json', by='vis_ratio', visible=True)
    assert scores['occlusion/bbox_mAP_r0.2-0.4'] == result.bins[2].AP
    with pytest.raises(InputError, match=r'gt\.json: no annotation has the key vis'):
        OcclusionMetric(ann_file=str(path), by='vis')
    for options in (dict(by='vis_ratio'), dict(by_file='levels.csv'), dict(definition='amodal')):
        with pytest.raises(ValueError, match='need an ann_file'):
            OcclusionMetric(**options)
