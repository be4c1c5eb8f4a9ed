"""Bins of what the data knows: scores of each equal the reference API on its images, or on its instances alone."""

import csv
import json

import numpy as np
import pytest
from made_up import SCORES, by_area_ranges, made_up, reference

from mmtied.coco.coco_json import read_json
from mmtied.evaluation import InputError, OcclusionBins, OcclusionSettings, compare_occlusion, evaluate_occlusion
from mmtied.evaluation.engine import ENGINES

LEVELS = ('low', 'mid', 'high')


@pytest.fixture(scope='module')
def sets():
    """Annotations and images with keys of every kind, which some lack, and an ignored annotation."""
    truth, found = made_up(images=40)
    rng = np.random.default_rng(1)
    for i, entry in enumerate(truth['annotations']):
        x, y, w, h = entry['bbox']
        if i % 7:
            entry['vis_ratio'] = round(float(rng.random()), 1)
            entry['attributes'] = {'occluded': bool(rng.random() < 0.4), 'level': str(rng.choice(LEVELS))}
            entry['vis_bbox'] = [x, y, w, h * float(rng.integers(0, 11)) / 10]
    truth['annotations'][5]['ignore'] = 1
    for i, image in enumerate(truth['images']):
        image |= {'crowdIndex': round(float(rng.random()), 2)} if i % 5 else {}
        image['level'] = LEVELS[i % 3]
    return truth, found


def indices_of(truth: dict, value, bins: list) -> np.ndarray:
    """The bin of each instance by its place in a list of what the bins accept; -1 for none."""
    found = []
    for entry in truth['annotations']:
        given = None if entry['iscrowd'] or entry.get('ignore') else value(entry)
        found.append(next((i for i, accepts in enumerate(bins) if given is not None and accepts(given)), -1))
    return np.array(found)


EDGES = [
    lambda r: r == 0,
    *(lambda r, low=low: (r > 0 if low == 0 else low <= r) and r < low + 0.2 - 1e-9 for low in (0, 0.2, 0.4, 0.6)),
    lambda r: r >= 0.8,
]


def boxes_hidden(entry):
    if 'vis_bbox' not in entry:
        return None
    return round(1 - entry['vis_bbox'][3] / entry['bbox'][3], 9)


CASES = [
    (dict(by='vis_ratio'), lambda entry: entry.get('vis_ratio'), EDGES),
    (
        dict(by='vis_ratio', visible=True),
        lambda entry: round(1 - entry['vis_ratio'], 9) if 'vis_ratio' in entry else None,
        EDGES,
    ),
    (dict(by='vis_bbox'), boxes_hidden, EDGES),
    (
        dict(by='attributes.occluded'),
        lambda entry: entry.get('attributes', {}).get('occluded'),
        [lambda value: value is False, lambda value: value is True],
    ),
    (
        dict(by='attributes.level'),
        lambda entry: entry.get('attributes', {}).get('level'),
        [lambda value, level=level: value == level for level in LEVELS],
    ),
]


@pytest.mark.parametrize('engine', ENGINES)
@pytest.mark.parametrize('options, value, bins', CASES, ids=['number', 'visible', 'box', 'truth value', 'word'])
def test_instances_equal_the_reference_with_the_others_ignored(sets, options, value, bins, engine):
    truth, found = sets
    result = evaluate_occlusion(truth, found, engine=engine, **options)
    indices = indices_of(truth, value, bins)
    lacking = np.array([not e['iscrowd'] and not e.get('ignore') and value(e) is None for e in truth['annotations']])
    indices[lacking] = len(bins)
    wanted = by_area_ranges(truth, found, indices, len(bins) + 1)
    assert len(result.bins) == len(bins)
    for i, row in enumerate([*result.bins, result.unassigned]):
        assert {key: row.scores[key] for key in SCORES} == pytest.approx(wanted[i], abs=1e-6, nan_ok=True), row.label
        assert row.instances == (indices == i).sum()
    assert result.unassigned.label == f'no {options["by"]}'
    assert result.settings.per_instance
    everything = evaluate_occlusion(truth, found)
    assert result.all.scores == everything.all.scores


@pytest.mark.parametrize('engine', ENGINES)
def test_images_equal_the_reference_on_them(sets, engine):
    truth, found = sets
    # An ignored annotation is none of the reference API's: its own flag is overwritten there.
    truth = truth | {'annotations': [entry for entry in truth['annotations'] if not entry.get('ignore')]}
    for path, accepts in (
        ('image.level', [lambda image, level=level: image['level'] == level for level in LEVELS]),
        (
            'image.crowdIndex',
            [lambda image, inside=inside: 'crowdIndex' in image and inside(image['crowdIndex']) for inside in EDGES],
        ),
    ):
        result = evaluate_occlusion(truth, found, by=path, engine=engine)
        assert not result.settings.per_instance
        for row, inside in zip(result.bins, accepts, strict=True):
            ids = [image['id'] for image in truth['images'] if inside(image)]
            assert row.images == len(ids)
            if ids:
                wanted = reference(truth, found, 'bbox', ids)
                assert {key: row.scores[key] for key in SCORES} == pytest.approx(wanted, abs=1e-6)
        assert result.unassigned.images == sum(
            not any(inside(image) for inside in accepts) for image in truth['images']
        )


def test_a_file_says_the_same_as_the_keys(sets, tmp_path):
    truth, found = sets
    for name, what, entries, path in (
        ('image_id', 'crowdIndex', truth['images'], 'image.crowdIndex'),
        ('annotation_id', 'vis_ratio', truth['annotations'], 'vis_ratio'),
    ):
        file = tmp_path / f'{what}.csv'
        with file.open('w', newline='') as out:
            table = csv.writer(out)
            table.writerow([name, what])
            table.writerows([entry['id'], entry.get(what)] for entry in entries)
        wanted = evaluate_occlusion(truth, found, by=path)
        result = evaluate_occlusion(truth, found, by_file=file)
        assert [row.to_dict() for row in result.bins] == [row.to_dict() for row in wanted.bins]
        assert result.unassigned.instances == wanted.unassigned.instances
        assert (result.settings.by, result.settings.by_file) == (what, str(file))
        assert file.name in str(result)


def test_what_is_said(sets):
    truth, found = sets
    result = evaluate_occlusion(truth, found, by='vis_ratio', visible=True)
    said = str(result)
    lacking = result.unassigned.instances
    assert lacking > 1
    assert f'{lacking} instances have no vis_ratio: a row of their own, in no bin.' in said
    assert 'The ratio is 1 less vis_ratio, which is the visible share.' in said
    assert 'by 1 less vis_ratio of the instance' in said
    content = result.to_dict()
    assert content['settings'] | {'by': 'vis_ratio', 'visible': True, 'per_instance': True} == content['settings']
    assert (content['settings']['definition'], content['settings']['region']) == (None, None)
    assert content['unassigned']['label'] == 'no vis_ratio'
    assert 'an edge above 1' not in said
    words = evaluate_occlusion(truth, found, by='image.level')
    assert [(row.label, row.lower, row.upper) for row in words.bins] == [(level, None, None) for level in LEVELS]
    assert 'no level' not in str(words)
    assert words.unassigned not in words.rows()
    boxes = evaluate_occlusion(truth, found, by='vis_bbox')
    assert "The ratio is the share of an instance's box that lies outside its vis_bbox." in boxes.remarks()


def test_edges_beyond_1(sets):
    truth, found = sets
    truth = json.loads(json.dumps(truth))
    for i, entry in enumerate(truth['annotations']):
        entry['occluded'] = i % 4
    result = evaluate_occlusion(truth, found, by='occluded', bins=OcclusionBins((0, 2, 3, 4)))
    counts = np.bincount([e['occluded'] for e in truth['annotations'] if not e['iscrowd'] and not e.get('ignore')])
    assert [row.instances for row in result.bins] == counts.tolist()
    assert not any('reach an edge' in remark for remark in result.remarks())


def test_random_subsets_of_words_of_images(sets):
    truth, found = sets
    result = evaluate_occlusion(truth, found, by='image.level', random_subsets=5, bootstrap=5, per_class=True)
    assert all(row.random and row.interval and row.per_class for row in result.bins)


@pytest.mark.parametrize(
    'options, sentence',
    [
        (dict(by=''), "by='' must be a key"),
        (dict(by='image.'), "by='image.' must be a key"),
        (dict(by=5), 'by=5 must be a key'),
        (dict(visible=True), 'visible=True needs by or by_file'),
        (dict(by='a', definition='union'), "definition='union' and by='a' both say what occlusion is"),
        (dict(by='a', region='segm'), "region='segm' and by='a' both say"),
        (dict(by_file='a.csv', same_class=True), "same_class=True and by_file='a.csv' both say"),
        (dict(by='a', ignored_occlude=True), 'ignored_occlude=True and by='),
        (dict(by='image.a', per_instance=True), "per_instance bins instances, but by='image.a' is of images"),
        (
            dict(by='a', random_subsets=5),
            "random_subsets are of images, but per_instance bins instances, as by='a' does",
        ),
        (dict(definition='amodal', region='bbox'), 'region and same_class must be left out'),
        (dict(definition='amodal', same_class=True), 'region and same_class must be left out'),
        (dict(definition='amodal', ignored_occlude=True), "must be 'covered' or 'hybrid' where ignored ones occlude"),
    ],
)
def test_options_that_do_not_go_together(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        OcclusionSettings(**options)


def test_values_that_do_not_go_with_an_option(sets, tmp_path):
    truth, found = sets
    for bins in (OcclusionBins((0, 0.5, 1)), OcclusionBins(cumulative=True)):
        with pytest.raises(InputError, match=r'must be left out where the values of image.level are words \(low, mid'):
            evaluate_occlusion(truth, found, by='image.level', bins=bins)
    images, instances = tmp_path / 'images.csv', tmp_path / 'instances.csv'
    images.write_text('image_id,a\n100,1\n')
    instances.write_text('annotation_id,a\n2,1\n')
    with pytest.raises(InputError, match=r'images\.csv has values of images'):
        evaluate_occlusion(truth, found, by_file=images, per_instance=True)
    with pytest.raises(InputError, match='random_subsets are of images'):
        evaluate_occlusion(truth, found, by_file=instances, random_subsets=5)


@pytest.mark.parametrize(
    'options', [dict(by='vis_ratio', visible=True), dict(by='attributes.level'), dict(by='image.level')]
)
def test_manifest(sets, options):
    truth, found = sets
    result = compare_occlusion(truth, found, found[::2], **options)
    first = result.first
    rows = [dict(zip(first.manifest_columns, row, strict=True)) for row in result.manifest()]
    of_images = options['by'].startswith('image.')
    for row in (*first.bins, first.unassigned):
        assert sum(entry['bin'] == row.label for entry in rows) == (row.images if of_images else row.instances)
    if of_images:
        assert [entry['value'] for entry in rows] == [image['level'] for image in truth['images']]
        return
    assert list(rows[0]) == ['image_id', 'annotation_id', 'value', 'ratio', 'bin']
    given = {entry['id']: entry for entry in truth['annotations']}
    for entry in rows:
        one = given[entry['annotation_id']]
        assert entry['image_id'] == one['image_id']
        value = one.get('vis_ratio') if 'visible' in options else one.get('attributes', {}).get('level')
        assert entry['value'] == value
        assert entry['ratio'] == (pytest.approx(1 - value, abs=1e-9) if isinstance(value, float) else None)


def test_amodal_masks_bin_images_and_instances():
    truth, found = made_up(images=40)
    for i, entry in enumerate(truth['annotations']):
        if i % 6:
            x, y, w, h = entry['bbox']
            hidden = (i % 5) * h // 5
            entry['i_segm'] = [[x, y + hidden, x + w, y + hidden, x + w, y + h, x, y + h]]
    result = evaluate_occlusion(truth, found, definition='amodal', per_instance=True)
    assert result.unassigned.label == 'no amodal mask'
    counted = [not entry['iscrowd'] for entry in truth['annotations']]
    lacking = [counts and 'i_segm' not in entry for entry, counts in zip(truth['annotations'], counted)]
    assert result.unassigned.instances == sum(lacking)
    assert sum(row.instances for row in result.bins) == sum(counted) - sum(lacking)
    wanted = OcclusionBins().assign(np.where(np.isnan(result.instance_ratios), np.nan, result.instance_ratios))
    scores = by_area_ranges(truth, found, wanted, len(result.bins))
    for row, one in zip(result.bins, scores):
        assert {key: row.scores[key] for key in SCORES} == pytest.approx(one, abs=1e-6, nan_ok=True)
    images = evaluate_occlusion(truth, found, definition='amodal')
    assert 'of annotated masks' in images.settings.title
    assert sum(row.images for row in images.bins) == (~np.isnan(images.ratios)).sum()


def test_human_labels_of_real_images(real_data, tmp_path):
    truth, _ = read_json(real_data('coco_val2017_boxes/instances_val2017_boxes.json'), '')
    labels, _ = read_json(real_data('coco_olac/occlusion_label_val.json'), '')
    file = tmp_path / 'olac.csv'
    file.write_text('image_id,level\n' + ''.join(f'{stem},{level}\n' for stem, level in labels.items()))
    found = [
        {key: entry[key] for key in ('image_id', 'category_id', 'bbox')} | {'score': 0.5 + i % 40 / 100}
        for i, entry in enumerate(truth['annotations'])
        if i % 3
    ]
    result = evaluate_occlusion(truth, found, by_file=file)
    assert [row.label for row in result.bins] == ['low', 'mid', 'high']
    assert [row.images for row in result.bins] == [1086, 2075, 1791]
    assert [row.instances for row in result.bins] == [2123, 11857, 22801]
    known = {image['id'] for image in truth['images']}
    for row in result.bins:
        ids = {int(stem) for stem, level in labels.items() if level == row.label}
        assert row.images == len(ids & known)
        assert row.instances == sum(entry['image_id'] in ids for entry in truth['annotations'])
    (note,) = (note for note in result.ground_truth.notes if note.kind == 'unknown_row')
    assert note.count == len(labels) - len(known) == 48
    ids = [int(stem) for stem, level in labels.items() if level == 'high'][:40]
    part = truth | {'images': [image for image in truth['images'] if image['id'] in set(ids)]}
    part['annotations'] = [entry for entry in truth['annotations'] if entry['image_id'] in set(ids)]
    few = [entry for entry in found if entry['image_id'] in set(ids)]
    small = evaluate_occlusion(part, few, by_file=file)
    wanted = reference(part, few, 'bbox', [image['id'] for image in part['images']])
    (row,) = small.bins
    assert (row.label, row.AP) == ('high', pytest.approx(wanted['AP'], abs=1e-6))
