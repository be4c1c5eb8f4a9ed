"""A results file read block by block: the same columns as in one piece, whatever the blocks cut."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmtied.coco import result_blocks
from mmtied.coco.coco_json import check_ground_truth, check_results
from mmtied.coco.result_blocks import read_clean_results

TRUTH = {
    'images': [{'id': i, 'width': 40, 'height': 40} for i in (3, 5, 8)],
    'categories': [{'id': i, 'name': f'{{"a": [}}, {{{i}'} for i in (1, 2)],
    'annotations': [{'image_id': 3, 'category_id': 1, 'bbox': [0, 0, 4, 4], 'segmentation': [[0, 0, 4, 0, 4, 4]]}],
}
DETECTIONS = st.lists(
    st.fixed_dictionaries(
        {
            'image_id': st.sampled_from([3, 5, 8]),
            'category_id': st.sampled_from([1, 2]),
            'score': st.integers(0, 9).map(lambda score: score / 9),
            'bbox': st.lists(st.integers(1, 9), min_size=4, max_size=4),
            'segmentation': st.just({'size': [40, 40], 'counts': [800, 800]}),
        },
        # What looks like the end of a detection, within one.
        optional={'more': st.sampled_from(['},{', [{'a': 1}, {'b': 2}], {'c': {}}, ']', '\\'])},
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=DETECTIONS, block=st.integers(20, 900), indent=st.sampled_from([None, 1]))
def test_blocks_make_no_difference(iou_type, found, block, indent, tmp_path, monkeypatch):
    monkeypatch.setattr(result_blocks, 'BLOCK', block)
    truth = check_ground_truth(TRUTH, 'truth', masks=iou_type == 'segm')
    path = tmp_path / 'found.json'
    path.write_text(json.dumps(found, indent=indent))
    wanted, read = check_results(found, 'found', truth, iou_type), read_clean_results(path, truth, iou_type)
    if read is None:  # A detection that is cut, or longer than a block: then the file is read as a whole.
        assert block < max(len(json.dumps(entry, indent=indent)) for entry in found) * 3 or 'more' in str(found)
        return
    for name in ('image', 'category', 'score', 'bbox'):
        one, other = getattr(wanted, name), getattr(read, name)
        assert (one is other is None) or np.array_equal(one, other)
    assert wanted.segmentation == read.segmentation


@pytest.mark.parametrize('block', [30, 100, 1 << 22])
@pytest.mark.parametrize(
    'text',
    ['[{},]', '[{},{}', '{},{}]', '[{},,{}]', '[{} {}]', '[]', '', '[{},{"a": 1}]', '[{},{}]]', '[{}],[{}]', '{}'],
)
def test_what_is_not_a_list_of_detections_is_left_to_the_whole_file(text, block, tmp_path, monkeypatch):
    monkeypatch.setattr(result_blocks, 'BLOCK', block)
    detection = '{"image_id": 3, "category_id": 1, "score": 0.5, "bbox": [0, 0, 4, 4]}'
    (tmp_path / 'found.json').write_text(text.replace('{}', detection))
    truth = check_ground_truth(TRUTH, 'truth')
    assert read_clean_results(tmp_path / 'found.json', truth, 'bbox') is None
    (tmp_path / 'found.json').write_text(f'[{detection}]')
    assert block == 30 or len(read_clean_results(tmp_path / 'found.json', truth, 'bbox').score) == 1


def test_a_file_that_is_not_there_is_none(tmp_path):
    assert read_clean_results(tmp_path / 'none.json', check_ground_truth(TRUTH, 'truth'), 'bbox') is None
