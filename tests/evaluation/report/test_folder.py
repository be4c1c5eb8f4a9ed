"""All files of an evaluation, or none."""

import csv
import json
import pathlib
import tempfile

import pytest
from made_up import made_up

from mmtied.evaluation import InputError, compare_occlusion, evaluate_occlusion
from mmtied.evaluation.report.folder import save_all

NAMES = ['curve.pdf', 'curve.png', 'manifest.csv', 'occlusion.csv', 'occlusion.json', 'report.html']


def rows(path) -> list[dict]:
    with path.open(encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def test_files(tmp_path):
    truth, found = made_up()
    truth['categories'][0]['name'] = 'naïve, "quoted"\nclass'
    result = compare_occlusion(truth, found, found[::2], names=['a', 'b'], bootstrap=5, per_class=True)
    folder = tmp_path / 'new' / 'folder'
    assert [path.name for path in save_all(result, folder)] == NAMES
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert [path.name for path in folder.parent.iterdir()] == ['folder']
    assert json.loads((folder / 'occlusion.json').read_text(encoding='utf-8')) == json.loads(
        json.dumps(result.to_dict())
    )
    assert (folder / 'curve.png').read_bytes().startswith(b'\x89PNG')
    assert (folder / 'curve.pdf').read_bytes().startswith(b'%PDF')

    table = rows(folder / 'occlusion.csv')
    assert {row['model'] for row in table} == {'a', 'b', 'b less a'}
    (record,) = (row for row in table if (row['model'], row['bin'], row['class']) == ('a', '(0, .2)', ''))
    assert float(record['AP']) == result.first.bins[1].AP
    assert float(record['AP_low']) == result.first.bins[1].interval['AP'][0]
    assert {row['class'] for row in table} >= {'naïve, "quoted"\nclass', 'class 3'}

    manifest = rows(folder / 'manifest.csv')
    assert [int(row['image_id']) for row in manifest] == [image['id'] for image in truth['images']]
    for i, row in enumerate(result.first.bins):
        assert (
            sum(entry['bin'] == row.label for entry in manifest) == row.images == (result.first.image_bins == i).sum()
        )
    assert {row['ratio'] for row in manifest if row['bin'] == 'no instances'} == {''}


def test_files_of_an_earlier_evaluation_are_replaced_and_others_stay(tmp_path):
    truth, found = made_up()
    for name in ('occlusion.json', 'notes.txt'):
        (tmp_path / name).write_text('mine')
    save_all(evaluate_occlusion(truth, found), tmp_path)
    assert (tmp_path / 'notes.txt').read_text() == 'mine'
    assert json.loads((tmp_path / 'occlusion.json').read_text())['all']['images'] == 40


def test_nothing_is_written_when_a_picture_is_missing(tmp_path):
    truth, found = made_up()
    for image in truth['images']:
        image['file_name'] = 'none.jpg'
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'occlusion.json').write_text('mine')
    with pytest.raises(InputError, match=r'none\.jpg: no such image'):
        save_all(evaluate_occlusion(truth, found), tmp_path / 'out', tmp_path)
    assert (tmp_path / 'out' / 'occlusion.json').read_text() == 'mine'
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['occlusion.json']


def test_no_file_is_moved_when_one_cannot_be(tmp_path):
    (tmp_path / 'report.html').mkdir()
    with pytest.raises(InputError, match=r'report\.html: cannot be written: it is a folder'):
        save_all(evaluate_occlusion(*made_up()), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['report.html']


@pytest.mark.parametrize('name', ['file/sub', 'x' * 300])
def test_a_folder_that_cannot_be_made_is_named(tmp_path, name):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='cannot be written: '):
        save_all(evaluate_occlusion(*made_up()), tmp_path / name)


def test_a_folder_on_another_file_system(tmp_path):
    shm = pathlib.Path('/dev/shm')
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip('needs a second file system, /dev/shm')
    with tempfile.TemporaryDirectory(dir=shm) as other:
        (tmp_path / 'link').symlink_to(other)
        assert len(save_all(evaluate_occlusion(*made_up()), tmp_path / 'link')) == len(NAMES)
