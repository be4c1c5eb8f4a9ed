"""The command: one sentence and exit code 2 for bad input, no half-written output."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mmtied.commands import occlusion_eval
from mmtied.commands.command import make_parser
from mmtied.evaluation import OcclusionSettings

TOOL = Path(__file__).parents[2] / 'tools' / 'occlusion_eval.py'
TRUTH = {
    'images': [{'id': 1, 'width': 9, 'height': 9}],
    'categories': [{'id': 1, 'name': 'thing'}],
    'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 4, 4]}],
}
FOUND = [{'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 4, 4], 'score': 0.9}]


@pytest.fixture
def files(tmp_path):
    truth, found = tmp_path / 'gt.json', tmp_path / 'results.json'
    truth.write_text(json.dumps(TRUTH))
    found.write_text(json.dumps(FOUND))
    return truth, found


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True)


def test_table_and_files(files, tmp_path):
    done = run(*files, '--out-dir', tmp_path / 'out', '--edges', 0, 0.5, 1)
    assert done.returncode == 0, done.stderr
    assert 'all             1          1        1  100.0  100.0  100.0  100.0' in done.stdout
    content = json.loads((tmp_path / 'out' / 'occlusion.json').read_text())
    assert content['settings']['edges'] == [0, 0.5, 1]
    assert [(row['lower'], row['upper'], row['images']) for row in content['bins']] == [
        (0, 0, 1),
        (0, 0.5, 0),
        (0.5, 1, 0),
    ]
    assert content['bins'][1]['AP'] is None
    assert (tmp_path / 'out' / 'manifest.csv').read_text().splitlines() == ['image_id,ratio,bin', '1,0.0,0']
    names = ['curve.pdf', 'curve.png', 'manifest.csv', 'occlusion.csv', 'occlusion.json', 'report.html']
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == names


def test_two_detectors_in_one_call(files, tmp_path):
    truth, found = files
    other = tmp_path / 'other.json'
    other.write_text(json.dumps([FOUND[0] | {'bbox': [0, 0, 4, 3]}]))
    options = ['--names', 'A', 'B', '--bootstrap', 5, '--random-subsets', 5, '--per-class', '--quiet']
    done = run(truth, found, other, *options, '--out-dir', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    assert 'B less A, on the same images' in done.stdout
    assert done.stderr == ''
    content = json.loads((tmp_path / 'out' / 'occlusion.json').read_text())
    assert (content['all']['AP'], content['second']['all']['AP']) == (pytest.approx(1), pytest.approx(0.6))
    assert content['difference']['all']['AP'] == pytest.approx(-0.4)


def test_three_detectors_are_compared_with_the_first(files, tmp_path):
    truth, found = files
    others = [tmp_path / 'b.json', tmp_path / 'c.json']
    for other, height in zip(others, (3, 2)):
        other.write_text(json.dumps([FOUND[0] | {'bbox': [0, 0, 4, height]}]))
    done = run(truth, found, *others, '--out-dir', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / 'out' / 'occlusion.json').read_text())
    assert [(one['name'], one['all']['AP']) for one in content['others']] == [
        ('b', pytest.approx(0.6)),
        ('c', pytest.approx(0.1)),
    ]
    assert [one['difference']['all']['AP'] for one in content['others']] == pytest.approx([-0.4, -0.9])
    assert {'name', 'all', 'bins', 'difference'} <= set(content['others'][0])
    assert (content['second']['name'], content['difference']) == ('b', content['others'][0]['difference'])
    done = run(truth, found, *others, others[0])
    assert (done.returncode, done.stdout) == (2, '')
    assert 'b.json: given twice, as second results and as fourth results' in done.stderr


@pytest.mark.parametrize(
    'options, label',
    [
        (['--centres', 0, 0.2, 0.4], '[0, .1)'),
        (['--cumulative'], '≥ .2'),
        (['--no-zero-bin'], '[0, .2)'),
        (['--definition', 'pairwise'], '(pairwise, of boxes)'),
        (['--same-class'], '(covered, of boxes of one class)'),
        (['--per-instance'], 'by the occlusion ratio of the instance'),
        (['--per-instance', '--miss-rate', '--min-height', 2], '  MR2     JI'),
        (['--per-instance', '--citypersons'], 'reasonable'),
        (['--engine', 'pycocotools'], '100.0'),
    ],
)
def test_options(files, options, label):
    done = run(*files, *options)
    assert done.returncode == 0, done.stderr
    assert label in done.stdout


BOX = FOUND[0]
BAD_INPUT = [
    (lambda truth, found: found.write_text('{"a":'), 'results.json: not valid json'),
    (lambda truth, found: found.write_text('[' * 100_000), 'results.json: not valid json'),
    (lambda truth, found: found.write_bytes(b'\xff\xfe'), 'results.json: not valid json'),
    (lambda truth, found: found.unlink(), 'results.json: cannot be read: No such file'),
    (lambda truth, found: truth.write_text('[]'), 'gt.json: a ground truth is a json object, found list'),
    (lambda truth, found: found.write_text('{}'), 'results.json: results are a json list of detections, found dict'),
    (lambda truth, found: found.write_text('[]'), 'results.json: contains no detections'),
    (lambda truth, found: found.write_text(json.dumps([BOX | {'image_id': 2}])), '[0]: image_id=2 is not among'),
    (lambda truth, found: found.write_text(json.dumps([BOX, BOX | {'category_id': 9}])), '[1]: category_id=9 is not'),
    (lambda truth, found: found.write_text(json.dumps([BOX, {'image_id': 1}])), "[1] has no 'category_id'"),
    (lambda truth, found: found.write_text(json.dumps([BOX | {'score': float('nan')}])), "[0]: 'score' is nan"),
    (lambda truth, found: found.write_text(json.dumps([BOX | {'score': 2}])), '[0]: score=2 must lie in [0, 1]'),
    (lambda truth, found: found.write_text(json.dumps([BOX | {'bbox': [0, 0, -1, 4]}])), 'must not be negative'),
    (
        lambda truth, found: found.write_text(json.dumps([BOX | {'bbox': [0, 0, 4]}])),
        "'bbox' is [0, 0, 4], it must be four",
    ),
    (lambda truth, found: truth.write_text(json.dumps(TRUTH | {'categories': []})), "gt.json: 'categories' is empty"),
    (lambda truth, found: truth.write_text(json.dumps(TRUTH | {'images': TRUTH['images'] * 2})), 'id 1 is given twice'),
    (lambda truth, found: (found.unlink(), found.symlink_to(truth)), 'given twice, as ground truth and as results'),
]


@pytest.mark.parametrize('spoil, sentence', BAD_INPUT)
def test_bad_input(files, tmp_path, spoil, sentence):
    spoil(*files)
    done = run(*files, '--out-dir', tmp_path / 'out')
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ''
    assert not (tmp_path / 'out').exists()


def test_bad_masks(files, tmp_path):
    truth, found = files
    polygon = [[0, 0, 4, 0, 4, 4]]
    truth.write_text(json.dumps(TRUTH | {'annotations': [TRUTH['annotations'][0] | {'segmentation': polygon}]}))
    for code, sentence in (
        ({'size': [4, 4], 'counts': [16]}, "[0]: 'segmentation' has size [4, 4], but the image has height and width"),
        ({'size': [9, 9], 'counts': 'zzz'}, "[0]: 'segmentation' has counts that do not add up"),
    ):
        found.write_text(json.dumps([BOX | {'segmentation': code}]))
        done = run(truth, found, '--iou-type', 'segm')
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert sentence in done.stderr


@pytest.mark.parametrize(
    'options, sentence',
    [
        (['--edges', 0, 0.5], 'edges=(0.0, 0.5) must ascend from 0 to 1'),
        (['--centres', 0.5], 'centres=[0.5] must be two or more'),
        (['--definition', 'hybrid', '--region', 'bbox'], "region='bbox' must be left out for hybrid"),
        (['--miss-rate'], 'miss_rate is of instances: it needs per_instance (--per-instance)'),
        (['--per-instance', '--citypersons', '--centres', 0, 0.5], 'not allowed with argument'),
        (['--bootstrap', -1], 'bootstrap=-1 must be 0 or more'),
        (['--names', 'a', 'b'], '--names: 2 names for 1 files'),
        (['--results', 'b', '--gate', 'AP75:1', '--bootstrap', 5], "gate='AP75:1': the margin must be a share"),
        (['--results', 'b', '--gate', 'AP75:.01'], 'goes by intervals, and bootstrap=0 gives none'),
        (['--gate', 'AP75:.01', '--bootstrap', 5], 'give the results of two detectors or more, found one'),
        (['--image-dir', '.'], '--image-dir: pictures need an --out-dir'),
        (['--image-dir', 'none', '--out-dir', 'none'], '--image-dir: none is not a folder'),
        (['--results', *'abcdefgh'], 'give the files of one to 8 detectors, found 9'),
        (['--results', 'b', 'c', '--names', 'a', 'b', 'b'], '--names: b is given twice'),
        (['--results', 'b', '--names', 'a', ' '], "names=['a', ''] must be two different names, none of them empty"),
    ],
)
def test_bad_options(files, options, sentence):
    done = run(*files, *options)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert 'Traceback' not in done.stderr


def test_a_missing_picture_does_not_cost_the_scores(files, tmp_path):
    truth, _ = files
    truth.write_text(json.dumps(TRUTH | {'images': [TRUTH['images'][0] | {'file_name': 'a.jpg'}]}))
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images' / 'a.jpg').write_bytes(b'\xff\xd8\xff cut off')
    for images, sentence in ((tmp_path, 'a.jpg: no such image'), (tmp_path / 'images', 'a.jpg: not a readable image')):
        done = run(*files, '--out-dir', tmp_path / 'out', '--image-dir', images)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert sentence in done.stderr
        assert (tmp_path / 'out' / 'report.html').exists()


def test_the_page_of_two_real_detectors_is_what_is_printed(run_tool, real_data):
    truth, folder = real_data('voc100_pair/gt.json'), real_data('voc100_two_detectors')
    files = [folder / f'{name}.json' for name in ('centernet', 'nanodet')]
    status, printed, errors = run_tool(TOOL, truth, *files, '--bootstrap', 1000, '--quiet')
    assert status == 0, errors
    page = (Path(__file__).parents[2] / 'docs' / 'comparison.md').read_text(encoding='utf-8')
    assert printed.strip() in page


def test_the_page_begins_with_three_real_detectors_as_they_are_printed(run_tool, real_data):
    truth, folder = real_data('voc100_pair/gt.json'), real_data('voc100_two_detectors')
    files = [*(folder / f'{name}.json' for name in ('centernet', 'nanodet')), real_data('voc100_pair/results.json')]
    status, printed, errors = run_tool(TOOL, truth, *files, '--names', 'centernet', 'nanodet', 'third', '--quiet')
    assert status == 0, errors
    page = (Path(__file__).parents[2] / 'docs' / 'comparison.md').read_text(encoding='utf-8')
    overview, differences = printed.split('\n\nnanodet less centernet, on the same images')
    assert overview in page
    assert 'third less centernet, on the same images' in differences


def test_the_gate_of_two_real_detectors(run_tool, real_data, tmp_path):
    """NanoDet may lose AP75 where nothing overlaps; CenterNet surely loses AP in [.2, .4)."""
    truth, folder = real_data('voc100_pair/gt.json'), real_data('voc100_two_detectors')
    files = [folder / f'{name}.json' for name in ('centernet', 'nanodet')]
    options = ['--bootstrap', 1000, '--quiet']
    status, printed, errors = run_tool(TOOL, '--gate', 'AP75:.01', truth, *files, *options)
    assert (status, errors) == (0, '')
    assert printed.splitlines()[-1].startswith('gate passed: in no bin is nanodet worse than centernet by more than 1')
    assert 'The gate lets pass what has no interval: [.6, .8) and [.8, 1].' in printed
    status, printed, errors = run_tool(
        TOOL, truth, *files[::-1], *options, '--gate', 'AP75:.01', '--gate', 'AP:.01', '--out-dir', tmp_path
    )
    assert status == 1
    (sentence,) = errors.splitlines()
    lost = 'centernet is worse than nanodet by more than 1 point of AP in [.2, .4) ('
    assert sentence.startswith(f'gate failed: with 95% confidence, {lost}')
    assert 'wrote' in printed
    assert not json.loads((tmp_path / 'occlusion.json').read_text())['gate']['passed']
    assert sentence in (tmp_path / 'report.html').read_text(encoding='utf-8')
    page = (Path(__file__).parents[2] / 'docs' / 'comparison.md').read_text(encoding='utf-8')
    assert sentence in page


def test_the_lines_for_a_github_action():
    page = (Path(__file__).parents[2] / 'docs' / 'occlusion.md').read_text(encoding='utf-8')
    lines = page.split('```yaml\n')[1].split('```')[0]
    steps = yaml.safe_load(lines)
    assert len(lines.splitlines()) == 5
    assert steps[-1]['if'] == 'always()'  # the report of a gate that failed
    program, verb, *arguments = steps[2]['run'].split()
    assert (program, verb) == ('mmtied', 'occlusion')
    options = occlusion_eval.checked(make_parser(occlusion_eval).parse_args(arguments))
    assert OcclusionSettings(**options).gate == ('AP75:.01',)


KEYED = {'vis_ratio': 0.3, 'attributes': {'occluded': True}, 'level': 'low'}


@pytest.mark.parametrize(
    'options, label',
    [
        (['--by', 'vis_ratio'], 'by vis_ratio of the instance'),
        (['--by', 'vis_ratio', '--visible'], '[.6, .8) 1 1 1'),
        (['--by', 'attributes.occluded'], 'true 1 1 1'),
        (['--by', 'image.scene'], 'street 1 1 1'),
        (['--by-file', 'FILE'], 'by level of the image (in levels.csv)'),
        (['--sizes', 0, 3, 20], '100.0 (1)*'),
    ],
)
def test_keys_files_and_sizes(run_tool, files, tmp_path, options, label):
    truth, _ = files
    content = TRUTH | {'annotations': [TRUTH['annotations'][0] | KEYED]}
    content['images'] = [TRUTH['images'][0] | {'scene': 'street'}]
    truth.write_text(json.dumps(content))
    (tmp_path / 'levels.csv').write_text('image_id,level\n1,low\n')
    options = [tmp_path / 'levels.csv' if one == 'FILE' else one for one in options]
    status, printed, errors = run_tool(TOOL, *files, *options, '--quiet')
    assert status == 0, errors
    assert label in ' '.join(printed.split())


def test_a_table_of_objects(run_tool, files, tmp_path):
    status, printed, errors = run_tool(TOOL, *files, '--per-object', tmp_path / 'new' / 'objects.csv')
    assert status == 0, errors
    assert 'objects.csv' in printed
    header, row = (tmp_path / 'new' / 'objects.csv').read_text().splitlines()
    assert header.startswith('detector,kind,image_id,file_name,annotation_id,class')
    assert row.startswith('results,instance,1,,1,thing,0.0,0.0,4.0,4.0,16.0,4.0,0.0,0.0,0,0,1.0,0.9,True,0.9,True,0.9,')


@pytest.mark.parametrize(
    'options, sentence',
    [
        (['--by', 'vis'], 'gt.json: no annotation has the key vis; others are'),
        (['--by-file', 'none.csv'], 'none.csv: cannot be read: No such file'),
        (['--by', 'image.width', '--per-instance'], "but by='image.width' is of images"),
        (['--visible'], 'visible=True needs by or by_file'),
        (['--sizes', 32, 96], "sizes=['32', '96'] must be two or more sides in pixels that ascend from 0"),
        (['--per-object', 'objects.txt'], 'objects.txt must end in .csv or .parquet'),
        (['--definition', 'amodal'], 'gt.json: annotations: no instance has an amodal mask'),
    ],
)
def test_bad_keys_and_sizes(run_tool, files, options, sentence):
    status, printed, errors = run_tool(TOOL, *files, *options)
    assert (status, printed) == (2, '')
    assert sentence in errors
    assert 'Traceback' not in errors
