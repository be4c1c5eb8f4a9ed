"""The curve is a picture, whatever there is to draw."""

import io

import cv2

from mmtied.evaluation import compare_occlusion, evaluate_occlusion
from mmtied.evaluation.curve import COLOURS, MARKERS
from mmtied.evaluation.occlusion import MOST

TRUTH = {
    'images': [{'id': i, 'width': 9, 'height': 9} for i in (1, 2)],
    'categories': [{'id': 1}],
    'annotations': [
        {'image_id': i, 'category_id': 1, 'bbox': [0, 0, 4, 4 + i], 'segmentation': [[0, 0, 4, 0, 4, 4, 0, 4]]}
        for i in (1, 2, 2)
    ],
}
FOUND = [annotation | {'score': 0.5} for annotation in TRUTH['annotations']]


def test_picture(tmp_path):
    evaluate_occlusion(TRUTH, FOUND).plot().savefig(tmp_path / 'curve.png', dpi=150)
    picture = cv2.imread(str(tmp_path / 'curve.png'))
    assert picture.shape == (660, 1350, 3)
    assert picture.std() > 10
    assert [file.name for file in tmp_path.iterdir()] == ['curve.png']


def test_nothing_to_draw_is_still_a_picture(tmp_path):
    result = evaluate_occlusion(TRUTH | {'annotations': []}, FOUND)
    result.plot().savefig(tmp_path / 'curve.pdf')
    assert (tmp_path / 'curve.pdf').read_bytes().startswith(b'%PDF')


def test_two_detectors_with_intervals_and_bands():
    comparison = compare_occlusion(TRUTH, FOUND, FOUND[:1], names=['$a_{$', '_two'], bootstrap=5, random_subsets=5)
    curves, _ = comparison.plot().axes[:2]
    names = [text.get_text() for text in comparison.plot().axes[1].get_legend().get_texts()]
    assert names == ['random subsets', r'\$a_{\$', ' _two']
    for line, result in zip(curves.lines[1:], comparison.models):
        assert [None if value != value else value for value in line.get_ydata()] == [
            None if row.AP != row.AP else 100 * row.AP for row in result.bins
        ]
    assert len(curves.collections) == 3  # a band and two intervals
    comparison.plot().savefig(io.BytesIO())


def test_eight_detectors_are_told_apart():
    assert len(set(COLOURS)) == len(set(MARKERS)) == len(COLOURS) == MOST
    names = [f'{i} {"long name of a detector " * 2}end' for i in range(MOST)]
    comparison = compare_occlusion(TRUTH, FOUND, FOUND[:1], more=[FOUND] * 6, names=names, bootstrap=5)
    figure = comparison.plot()
    curves = figure.axes[0]
    assert [line.get_color() for line in curves.lines] == [*COLOURS]
    assert len({line.get_marker() for line in curves.lines}) == MOST
    places = [line.get_xdata()[0] for line in curves.lines]
    assert sorted(places) == places and len(set(places)) == MOST  # beside each other
    assert len(curves.collections) == MOST  # an interval each
    (legend,) = figure.legends
    assert [text.get_text().replace('\n', '') for text in legend.get_texts()] == names
    figure.savefig(io.BytesIO())
