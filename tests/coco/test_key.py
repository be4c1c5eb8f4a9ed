"""Values under a key or in a csv file: every kind, what is missing, and a sentence for what makes no sense."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtied.coco.coco_json import check_ground_truth
from mmtied.coco.key import Key
from mmtied.coco.key_file import from_text
from mmtied.coco.key_values import hidden_shares
from mmtied.utils.errors import InputError

MISSING = 'missing'


def ground_truth(values=(), image_values=(), ids=None) -> dict:
    """Annotations of these values, each in an image of its own; MISSING leaves the key out."""
    count = max(len(values), len(image_values))
    ids = ids or list(range(count, 0, -1))  # not in their order
    images = [{'id': id, 'file_name': f'folder/{id}.jpg', 'width': 20, 'height': 20} for id in ids]
    entries = [
        {'id': 50 + i, 'image_id': image['id'], 'category_id': 1, 'bbox': [0, 0, 10, 10]}
        for i, image in enumerate(images)
    ]
    for listed, wanted in ((entries, values), (images, image_values)):
        for entry, value in zip(listed, wanted):
            if value is not MISSING:
                entry['key'] = value
    return {'images': images, 'annotations': entries, 'categories': [{'id': 1, 'name': 'one'}]}


def read(truth: dict, path='key', **options):
    return check_ground_truth(truth, 'gt.json', by=Key(path, **options)).values


NONE = np.nan


@pytest.mark.parametrize(
    'given, numbers, words',
    [
        ([0.5, 1, 0, 3], [0.5, 1, 0, 3], ()),
        ([np.float32(0.5), np.int64(2)], [0.5, 2], ()),
        ([0.5, None, MISSING, float('nan')], [0.5, NONE, NONE, NONE], ()),
        ([True, False, None], [1, 0, NONE], ('false', 'true')),
        ([True, True], [0, 0], ('true',)),
        ([np.bool_(True), False], [1, 0], ('false', 'true')),
        (['high', 'low', 'mid', '', ' '], [2, 0, 1, NONE, NONE], ('low', 'mid', 'high')),
        (['hard', 'easy', 'moderate'], [2, 0, 1], ('easy', 'moderate', 'hard')),
        (['b', 'a', 'level 10', 'level 9', 'low'], [1, 0, 3, 2, 4], ('a', 'b', 'level 9', 'level 10', 'low')),
        (['0', '1', '0'], [0, 1, 0], ('0', '1')),
        (['two\n words', 'two words'], [0, 0], ('two words',)),
        ([[0, 0, 10, 5], [5, 5, 50, 50], [0, 0, 0, 0], None], [0.5, 0.75, 1, NONE], ()),
        ([(0, 0, 10, 8)], [0.2], ()),
    ],
)
def test_kinds(given, numbers, words):
    values = read(ground_truth(given))
    np.testing.assert_array_equal(values.numbers, numbers)
    assert values.words == words
    assert not values.of_images
    assert [value is None for value in values.given] == np.isnan(numbers).tolist()


def test_values_of_images_stand_in_the_order_of_the_ids():
    values = read(ground_truth(image_values=['low', 'high', MISSING]), 'image.key')
    np.testing.assert_array_equal(values.numbers, [NONE, 1, 0])  # ids 1, 2, 3
    assert (values.of_images, values.words, values.given) == (True, ('low', 'high'), [None, 'high', 'low'])


def test_visible_shares():
    values = read(ground_truth([0.8, 1, 0, 1 + 1e-9, -1e-9]), visible=True)
    # 1 - .8 is below .2, the edge of a bin.
    assert values.numbers.tolist() == [0.2, 0, 1, 0, 1]
    assert values.given == [0.8, 1, 0, 1 + 1e-9, -1e-9]


def test_dots_lead_into_an_entry():
    truth = ground_truth([{'inner': {'deep': i}} for i in range(3)])
    assert read(truth, 'key.inner.deep').numbers.tolist() == [0, 1, 2]
    for entry in truth['annotations']:
        entry['key.inner'] = 7  # a key with a dot in it goes first
    assert read(truth, 'key.inner').numbers.tolist() == [7, 7, 7]


def test_crowds_and_ignored_annotations_are_not_looked_at():
    truth = ground_truth([0.5, 'crowd', -1, [1], 0.25])
    for i, flag in ((1, 'iscrowd'), (2, 'ignore'), (3, 'ignore')):
        truth['annotations'][i][flag] = 1
    values = read(truth)
    np.testing.assert_array_equal(values.numbers, [0.5, NONE, NONE, NONE, 0.25])
    assert values.given == [0.5, None, None, None, 0.25]


def test_annotations_of_unlisted_images_keep_the_places_of_the_others():
    truth = ground_truth([0.5, 0.5, -1])
    truth['annotations'][0]['image_id'] = 99
    with pytest.raises(InputError, match=r'annotations\[2\]: key is -1, it must be 0 or more'):
        read(truth)


def test_no_instances_need_no_key():
    truth = ground_truth([0.5])
    truth['annotations'] = []
    assert read(truth).numbers.shape == (0,)


@pytest.mark.parametrize(
    'given, options, sentence',
    [
        ([0.5, -0.1], {}, r'gt.json: annotations\[1\]: key is -0.1, it must be 0 or more'),
        ([0.5, 1.2], {'visible': True}, r'annotations\[1\]: key is 1.2, it must be a share from 0 to 1'),
        ([float('inf')], {}, r'annotations\[0\]: key is inf, it must be a finite number'),
        ([10**400], {}, r'annotations\[0\]: key is 10+, it must be a finite number'),
        ([0.5, 'low'], {}, r'key is a number \(0.5\), but a word \(low\) at gt.json: annotations\[1\]; --lenient'),
        ([True, 1], {}, r'key is a truth value \(True\), but a number \(1\)'),
        ([[0, 0, 1, 1], 1], {}, r'key is a box \(\[0, 0, 1, 1\]\), but a number \(1\)'),
        (['low'], {'visible': True}, r'key is a word \(low\), but only a number can be a visible share'),
        ([True], {'visible': True}, r'key is a truth value \(True\), but only a number'),
        ([{'a': 1}], {}, r"key is {'a': 1}, it must be a number, .*one of its keys may be meant, such as key.a"),
        ([[1, 2]], {}, r'key is \[1, 2\], it must be a number, a word, true or false, or a box of four'),
        ([[0, 0, -1, 1]], {}, r'key is \[0, 0, -1, 1\], it must be a box'),
        ([[0, 0, True, 1]], {}, r'key is \[0, 0, True, 1\], it must be a number'),
        ([[0, 0, float('nan'), 1]], {}, 'it must be a box x, y, width, height of finite numbers'),
        ([None, ''], {}, 'gt.json: no instance has a value of key'),
        ([f'word {i}' for i in range(51)], {}, 'key has 51 different words, such as word 0: a bin each is too many'),
        ([f'{i}' for i in range(51)], {}, 'too many, at most 50; --lenient'),
    ],
)
def test_what_makes_no_sense_is_a_sentence(given, options, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        read(ground_truth(given), **options)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'path, sentence',
    [
        ('kye', 'no annotation has the key kye; others are key'),
        ('deep', 'no annotation has the key deep; others are other.deep'),
        ('image.kye', 'no image has the key image.kye; others are image.key'),
        ('level', 'no annotation has the key level; others are image.level'),
    ],
)
def test_a_missing_key_comes_with_those_that_are_there(path, sentence):
    truth = ground_truth([1, 2], image_values=[1, 2])
    truth['annotations'][0]['other'] = {'deep': 1}
    truth['images'][0]['level'] = 1
    with pytest.raises(InputError, match=sentence):
        read(truth, path)


def test_boxes_of_images_are_refused():
    with pytest.raises(InputError, match=r'images\[0\]: image.key is \[0, 0, 1, 1\].*are of annotations'):
        read(ground_truth(image_values=[[0, 0, 1, 1]]), 'image.key')


@pytest.mark.parametrize(
    'given, numbers, words, kind',
    [
        (['0.5', '1e-1', '2'], [0.5, 0.1, 2], (), 'text_number'),
        (['0.5', 0.25, None], [0.5, 0.25, NONE], (), 'text_number'),
        ([True, 0, '1', 'FALSE'], [1, 0, 1, 0], ('false', 'true'), 'truth_value'),
        ([1, 'low', True], [0, 1, 2], ('1', 'low', 'true'), 'word'),
        ([0.5, 1], [0.5, 1], (), None),
        (['low', 'high'], [0, 1], ('low', 'high'), None),
    ],
)
def test_lenient(given, numbers, words, kind):
    values = read(ground_truth(given), lenient=True)
    np.testing.assert_array_equal(values.numbers, numbers)
    assert values.words == words
    assert [note.kind for note in values.notes] == [kind] * (kind is not None)


def test_lenient_takes_no_box_for_a_word_and_clips_no_share():
    with pytest.raises(InputError, match='but a number'):
        read(ground_truth([[0, 0, 1, 1], 1]), lenient=True)
    with pytest.raises(InputError, match='it must be a share from 0 to 1'):
        read(ground_truth([65, 100]), lenient=True, visible=True)


def test_hidden_shares_by_pixels():
    rng = np.random.default_rng(0)
    for _ in range(50):
        whole, visible = np.concatenate([rng.integers(0, 8, (2, 2)), rng.integers(0, 8, (2, 2))], axis=1)
        grids = []
        for x, y, width, height in (whole, visible):
            grids.append(np.zeros((20, 20), dtype=bool))
            grids[-1][y : y + height, x : x + width] = True
        area = grids[0].sum()
        wanted = (grids[0] & ~grids[1]).sum() / area if area else 0
        assert hidden_shares(whole[None], visible[None]) == pytest.approx([wanted], abs=1e-12)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = SCALARS | st.lists(SCALARS, max_size=5) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)


@given(given=st.lists(VALUES, min_size=1, max_size=6), lenient=st.booleans(), visible=st.booleans())
def test_whatever_stands_there_is_a_column_or_a_sentence(given, lenient, visible):
    try:
        values = read(ground_truth(given), lenient=lenient, visible=visible)
    except InputError as error:
        assert '\n' not in str(error)
        return
    assert values.numbers.shape == (len(given),)
    known = values.numbers[~np.isnan(values.numbers)]
    assert ((known >= 0) & (known < (len(values.words) or np.inf))).all()
    assert not visible or (known <= 1).all()
    assert [one is None for one in values.given] == np.isnan(values.numbers).tolist()


CELLS = st.text(alphabet='019.-eyn ,"\n', max_size=6) | st.sampled_from(['true', 'low', 'nan', '1', '2', '.5'])


@given(rows=st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=5), lenient=st.booleans())
def test_whatever_a_file_holds_is_a_column_or_a_sentence(tmp_path_factory, rows, lenient):
    path = tmp_path_factory.getbasetemp() / 'any.csv'
    path.write_text('image_id,level\n' + '\n'.join(map(','.join, rows)), encoding='utf-8')
    try:
        values = read(ground_truth([0, 0]), None, file=str(path), lenient=lenient)
    except InputError as error:
        assert '\n' not in str(error)
    else:
        assert values.of_images
        assert values.numbers.shape == (2,)


@pytest.fixture
def csv_file(tmp_path):
    def write(text, name='values.csv', encoding='utf-8') -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return str(path)

    return write


def test_cells():
    cells = ['7', '-1', '1.5e1', 'true', 'FALSE', 'low', 'nan', '', '1_0', 'inf', '٣']
    assert [from_text(cell) for cell in cells] == [7, -1, 15.0, True, False, 'low', None, None, '1_0', 'inf', '٣']


@pytest.mark.parametrize(
    'text',
    [
        'image_id,level\n1,low\n3,high\n',
        'level,image_id\nlow,1\nhigh,3\n',
        '\ufeff image_id , level \r\n001, low\r\n\r\n3.0,high\r\n2,\r\n',
        '"image_id","level"\n"1","low"\n"3","high"\n',
        'image_id,level\n3,high\n1,low\n77,mid\n',
    ],
)
def test_files_of_images(csv_file, text):
    values = read(ground_truth([0, 0, 0]), None, file=csv_file(text))
    np.testing.assert_array_equal(values.numbers, [0, NONE, 1])
    assert (values.name, values.words, values.of_images) == ('level', ('low', 'high'), True)
    assert [note.kind for note in values.notes] == ['unknown_row'] * ('77' in text)


def test_files_of_annotations(csv_file):
    file = csv_file('image_id,annotation_id,level,other\n9,50,.5,a\n9,52,1,b\n')
    values = read(ground_truth([0, 0, 0]), 'level', file=file, visible=True)
    np.testing.assert_array_equal(values.numbers, [0.5, NONE, 0])
    assert (values.name, values.of_images, values.given) == ('level', False, [0.5, None, 1])


def test_text_ids(csv_file):
    file = csv_file('image_id,level\n007,low\nb,high\n')
    values = read(ground_truth([0, 0], ids=['b', '007']), None, file=file)
    assert values.words == ('low', 'high')
    assert values.numbers.tolist() == [0, 1]  # in the order of the ids
    with pytest.raises(InputError, match='for instance 7 in line 2, where the ground truth has the text "007"'):
        read(ground_truth([0], ids=['007']), None, file=csv_file('image_id,level\n7,low\n'))


@pytest.mark.parametrize('name', ['folder/5.jpg', '5.jpg', '5', '0005'])
def test_lenient_finds_images_by_their_files(csv_file, name):
    truth = ground_truth([0, 0], ids=['a', 'b'])
    truth['images'][1]['file_name'] = 'folder/5.jpg' if name != '0005' else '0005.jpg'
    file = csv_file(f'image_id,level\n{name},low\n')
    with pytest.raises(InputError, match='--lenient'):
        read(truth, None, file=file)
    values = read(truth, None, file=file, lenient=True)
    np.testing.assert_array_equal(values.numbers, [NONE, 0])
    assert [note.kind for note in values.notes] == ['row_by_name']


@pytest.mark.parametrize(
    'text, column, sentence',
    [
        ('', None, 'is empty; its first line must be the names of the columns'),
        ('image_id,level\n', None, 'has no rows below'),
        ('image,level\n1,low\n', None, 'has no column image_id or annotation_id, found image, level'),
        ('image_id;level\n1;low\n', None, 'has no column image_id or annotation_id, found image_id;level'),
        ('{"a": 1, "b": 2}\n', None, r'has no column image_id or annotation_id, found {"a": 1, "b": 2}$'),
        (','.join('abcdefghij'), None, 'found a, b, c, d, e, f, g, h, …$'),
        ('image_id\n1\n', None, 'has no column of values beside image_id'),
        ('image_id,a,b\n1,2,3\n', None, r'has several columns of values \(image_id, a, b\); --by COLUMN'),
        ('image_id,a,b\n1,2,3\n', 'c', 'has no column of values c, found image_id, a, b'),
        ('image_id,a\n1,2\n', 'image_id', 'has no column of values image_id'),
        ('image_id,a,a\n1,2,3\n', 'a', 'the column a is there twice'),
        ('image_id,image_id,a\n1,2,3\n', 'a', 'the column image_id is there twice'),
        ('image_id,a\n1,2\n1,3\n', None, 'image_id 1 is given twice, in lines 2 and 3'),
        ('image_id,a\n1,2\n01,2\n', None, 'image_id 01 is given twice, in lines 2 and 3'),
        ('image_id,a\n1\n', None, 'line 2 has 1 cells, but the first line has 2'),
        ('image_id,a\n1,2,3\n', None, 'line 2 has 3 cells'),
        ('image_id,a\n,2\n', None, 'line 2 has no image_id'),
        ('image_id,a\nx,2\n', None, 'no image_id is among those of the ground truth, for instance x in line 2'),
        ('image_id,a\n1,-2\n', None, 'values.csv: line 2: a is -2, it must be 0 or more'),
        ('image_id,a\n1,2\n2,low\n', None, r'line 2: a is a number \(2\), but a word \(low\) at .*values.csv: line 3'),
        ('image_id,a\n1,\n2,nan\n', None, 'values.csv: no image has a value of a'),
        ('image_id,a\n1,"2\n', None, 'not a csv file in UTF-8'),
        (b'image_id,a\n1,\xff\n', None, 'not a csv file in UTF-8'),
    ],
)
def test_bad_files_are_a_sentence(csv_file, text, column, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        read(ground_truth([0, 0]), column, file=csv_file(text))
    assert '\n' not in str(error.value)


def test_files_that_are_not_there(tmp_path):
    for path in (tmp_path / 'none.csv', tmp_path):
        with pytest.raises(InputError, match='cannot be read'):
            read(ground_truth([0]), None, file=str(path))


def test_annotations_without_ids_cannot_be_found(csv_file):
    truth = ground_truth([0])
    del truth['annotations'][0]['id']
    with pytest.raises(InputError, match="the annotations have no 'id'"):
        read(truth, None, file=csv_file('annotation_id,a\n1,2\n'))
