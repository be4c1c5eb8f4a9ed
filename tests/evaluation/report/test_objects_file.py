"""The table of objects as a file."""

import builtins
import csv

import pytest
from made_up import made_up

from mmtied.evaluation import InputError, evaluate_occlusion, object_table
from mmtied.evaluation.report.objects_file import save_objects


@pytest.fixture(scope='module')
def result():
    truth, found = made_up(images=12)
    truth['categories'][0]['name'] = 'naïve, "quoted"\nclass'
    return evaluate_occlusion(truth, found)


def test_csv(result, tmp_path):
    path = save_objects(result, tmp_path / 'new' / 'objects.csv')
    with path.open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    table = object_table(result)
    assert list(rows[0]) == list(table)
    for name, values in table.items():
        assert [row[name] for row in rows] == ['' if value is None else str(value) for value in values]
    assert [one.name for one in path.parent.iterdir()] == ['objects.csv']


def test_pandas_takes_the_table(result):
    pandas = pytest.importorskip('pandas')
    frame = pandas.DataFrame(object_table(result))
    instances = frame[frame.kind == 'instance']
    assert len(instances) == result.all.instances
    assert instances.matched_50.mean() > 0


@pytest.mark.parametrize('text_ids', [False, True])
def test_parquet(tmp_path, text_ids):
    pandas = pytest.importorskip('pandas')
    pytest.importorskip('pyarrow')
    truth, found = made_up(images=12)
    if text_ids:
        for entry in (*truth['images'], *truth['annotations']):
            entry['id'] = f'id {entry["id"]}' if entry['id'] % 2 else entry['id']
        for entry in (*truth['annotations'], *found):
            entry['image_id'] = f'id {entry["image_id"]}' if entry['image_id'] % 2 else entry['image_id']
    result = evaluate_occlusion(truth, found)
    frame = pandas.read_parquet(save_objects(result, tmp_path / 'objects.parquet'))
    for name, values in object_table(result).items():
        read = [None if pandas.isna(value) else value for value in frame[name]]
        ids = text_ids and name in ('image_id', 'annotation_id')
        assert read == [None if value is None else str(value) if ids else value for value in values]


def test_what_cannot_be_written_is_a_sentence(result, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r'objects\.txt: must end in \.csv or \.parquet'):
        save_objects(result, tmp_path / 'objects.txt')
    (tmp_path / 'objects.csv').mkdir()
    with pytest.raises(InputError, match='cannot be written'):
        save_objects(result, tmp_path / 'objects.csv')
    imported = builtins.__import__

    def without_pandas(name, *arguments, **others):
        if name.startswith('pandas'):
            raise ModuleNotFoundError(name)
        return imported(name, *arguments, **others)

    monkeypatch.setattr(builtins, '__import__', without_pandas)
    with pytest.raises(InputError, match='parquet needs pandas and pyarrow'):
        save_objects(result, tmp_path / 'objects.parquet')
    assert [one.name for one in tmp_path.iterdir()] == ['objects.csv']
