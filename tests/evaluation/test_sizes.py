"""Cells of size and occlusion: COCO's area ranges in image mode, and single instances, equal to the reference API."""

import contextlib
import copy
import io

import numpy as np
import pytest
from made_up import SCORES, made_up
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmtied.coco.coco_json import check_ground_truth, read_json
from mmtied.evaluation import OcclusionBins, OcclusionSettings, evaluate_occlusion, instance_ratios
from mmtied.evaluation.accumulator import Accumulator
from mmtied.evaluation.engine import ENGINES
from mmtied.evaluation.sizes import LARGEST, ranges

EDGES = (0, 15, 22)
OCCLUSION = OcclusionBins((0, 0.3, 1))


def reference(
    truth: dict, found: list, iou_type: str, ids: list, chosen: np.ndarray | None = None, edges=EDGES
) -> list:
    """The reference API on some images, at ranges of areas; instances that are not chosen are out of every range."""
    truth = copy.deepcopy(truth)
    for i, entry in enumerate(truth['annotations']):
        if entry.get('ignore') or (chosen is not None and not chosen[i]):
            entry['area'] = 1e11
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = truth
        gt.createIndex()
        evaluation = COCOeval(gt, gt.loadRes(copy.deepcopy(found)), iou_type)
        evaluation.params.imgIds = ids
        sizes = [[low**2, high**2] for low, high in zip(edges, (*edges[1:], 1e5))]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = sizes, [str(size) for size in sizes]
        evaluation.evaluate()
        evaluation.accumulate()
    scores = []
    for i in range(len(sizes)):
        precision, recall = evaluation.eval['precision'][..., i, -1], evaluation.eval['recall'][..., i, -1]
        parts = precision, precision[0], precision[5], recall
        scores.append(
            {key: part[part > -1].mean() if (part > -1).any() else np.nan for key, part in zip(SCORES, parts)}
        )
    return scores


@pytest.fixture(scope='module')
def sets():
    """Areas of annotations that are not those of their boxes; some lie on an edge, and one instance is ignored."""
    truth, found = made_up(images=50)
    for i, entry in enumerate(truth['annotations']):
        entry['area'] = (225, 484, round(0.8 * entry['area']))[min(i % 9, 2)]
    truth['annotations'][8]['ignore'] = 1
    return truth, found


def as_masks(found: list) -> list:
    masks = []
    for entry in found:
        x, y, w, h = entry['bbox']
        encoded = mask.merge(mask.frPyObjects([[x, y, x + w, y, x + w, y + h, x, y + h]], 100, 100))
        masks.append({key: value for key, value in entry.items() if key != 'bbox'} | {'segmentation': encoded})
    return masks


@pytest.mark.parametrize('engine', ENGINES)
@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_cells_of_images_equal_the_reference(sets, iou_type, engine):
    truth, found = sets
    found = found if iou_type == 'bbox' else as_masks(found)
    result = evaluate_occlusion(truth, found, iou_type, OCCLUSION, sizes=EDGES, engine=engine)
    ids = {row.label: [] for row in result.rows()}
    for image_id, _, label in result.manifest():
        ids['all'].append(image_id)
        ids[label].append(image_id)
    areas = np.array([entry['area'] for entry in truth['annotations']])
    counted = np.array([not entry['iscrowd'] and not entry.get('ignore') for entry in truth['annotations']])
    for row in (result.all, *result.bins):
        assert len(row.sizes) == len(EDGES)
        inside = counted & np.isin([entry['image_id'] for entry in truth['annotations']], ids[row.label])
        wanted = reference(truth, found, iou_type, ids[row.label])
        for cell, size, scores in zip(row.sizes, ranges(EDGES), wanted):
            assert (cell.size_lower, cell.size_upper) == (size.lower, size.upper)
            assert (cell.lower, cell.upper) == (row.lower, row.upper)
            assert cell.instances == (inside & size.holds(areas)).sum() > 0
            assert {key: cell.scores[key] for key in SCORES} == pytest.approx(scores, abs=1e-6, nan_ok=True), cell.label
    whole = evaluate_occlusion(truth, found, iou_type, OCCLUSION, engine=engine)
    assert [row.scores for row in (result.all, *result.bins)] == [row.scores for row in (whole.all, *whole.bins)]


@pytest.mark.parametrize('engine', ENGINES)
def test_cells_of_instances_equal_the_reference_with_the_others_ignored(sets, engine):
    truth, found = sets
    result = evaluate_occlusion(truth, found, bins=OCCLUSION, per_instance=True, sizes=EDGES, engine=engine)
    members = OCCLUSION.members(instance_ratios(check_ground_truth(truth, '')))
    ids = [image['id'] for image in truth['images']]
    for row, inside in zip(result.bins, members):
        for cell, scores in zip(row.sizes, reference(truth, found, 'bbox', ids, inside)):
            assert {key: cell.scores[key] for key in SCORES} == pytest.approx(scores, abs=1e-6, nan_ok=True), cell.label


def test_real_images(real_data):
    folder = real_data('cocoapi_val2014_100')
    truth, _ = read_json(folder / 'instances_val2014_100.json', '')
    for iou_type in ('bbox', 'segm'):
        found, _ = read_json(folder / f'instances_val2014_fake{iou_type}100_results.json', '')
        result = evaluate_occlusion(truth, found, iou_type, sizes=(0, 32, 96))
        every = [image['id'] for image in truth['images']]
        for cell, wanted in zip(result.all.sizes, reference(truth, found, iou_type, every, edges=(0, 32, 96))):
            assert {key: cell.scores[key] for key in SCORES} == pytest.approx(wanted, abs=1e-6)


def test_where_there_is_no_area_the_box_has_one(sets):
    truth, found = sets
    wanted, without = copy.deepcopy(truth), copy.deepcopy(truth)
    for i, (known, unknown) in enumerate(zip(wanted['annotations'], without['annotations'])):
        known['area'] = known['bbox'][2] * known['bbox'][3]
        unknown['area'] = (None, 'large', float('nan'))[i % 3]
        if i % 4 == 0:
            del unknown['area']
    results = [evaluate_occlusion(content, found, sizes=EDGES) for content in (wanted, without)]
    first, second = ([row.to_dict() for row in result.rows()] for result in results)
    assert first == second
    count = sum(not entry['iscrowd'] and not entry.get('ignore') for entry in truth['annotations'])
    assert f"{count} instances have no 'area': their size is that of the box." in results[1].remarks()
    assert not any("no 'area'" in remark for remark in results[0].remarks())


def test_resampling_scores_what_the_engine_scores(sets):
    truth, found = sets
    result = evaluate_occlusion(truth, found, bins=OCCLUSION, sizes=EDGES, bootstrap=20, per_class=True)
    weights = np.ones((1, len(truth['images'])), dtype=np.int32)
    for cell, size in zip(result.all.sizes, ranges(EDGES)):
        matches = Accumulator.of(result.ground_truth, result.detections, 'bbox', size=size)
        assert matches.scores(weights)[0] == pytest.approx([*cell.scores], abs=1e-9)
        assert cell.interval['AP'][0] < cell.AP < cell.interval['AP'][1]
        assert cell.per_class
        assert cell.random == {}
    plain = evaluate_occlusion(truth, found, bins=OCCLUSION, bootstrap=20)
    assert [row.interval for row in plain.bins] == [row.interval for row in result.bins]


def test_content(sets):
    truth, found = sets
    plain, result = (evaluate_occlusion(truth, found, bins=OCCLUSION, **how) for how in ({}, {'sizes': EDGES}))
    assert not {'sizes', 'size_lower', 'size_upper'} & set(plain.to_dict()['all'])
    content = result.to_dict()
    assert content['settings']['sizes'] == EDGES
    for row in (content['all'], *content['bins']):
        assert [(cell['size_lower'], cell['size_upper']) for cell in row['sizes']] == [(0, 15), (15, 22), (22, LARGEST)]
        assert all({'AP', 'AP75', 'instances', 'lower', 'interval'} <= set(cell) for cell in row['sizes'])
        assert not any('sizes' in cell for cell in row['sizes'])
    (table,) = (table for table in result.tables() if 'size' in table.title)
    assert table.columns['AP 15 to 22'][0].startswith(f'{100 * result.all.sizes[1].AP:.1f} (')
    assert table.columns['AP75 22 and up'][1].rstrip('*').endswith(f'({result.bins[0].sizes[2].instances})')
    few = sum(0 < cell.instances < 50 for row in (result.all, *result.bins) for cell in row.sizes)
    shown = [cell for name, column in table.columns.items() if name.startswith('AP ') for cell in column]
    assert sum(cell.endswith('*') for cell in shown) == few > 0
    assert any(f'{few} of ' in remark and 'fewer than 50 instances' in remark for remark in result.remarks())
    records = [record for record in result.records() if record['size_lower'] is not None]
    assert len(records) == len(EDGES) * len(result.rows())
    assert records[1]['AP'] == result.all.sizes[1].AP
    assert records[1]['bin'] == 'all'


@pytest.mark.parametrize(
    'sizes', [(), (0,), (5, 32), (0, 32, 32), (0, 96, 32), (0, 'large'), (0, float('nan')), (0, 1e6), 5]
)
def test_sizes_that_make_no_sense(sizes):
    with pytest.raises(ValueError, match='must be two or more sides in pixels that ascend from 0'):
        OcclusionSettings(sizes=sizes)


def test_sizes_as_text_are_numbers():
    assert OcclusionSettings(sizes=['0', '32', '96']).sizes == (0, 32, 96)
