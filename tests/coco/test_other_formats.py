"""Pascal VOC, YOLO, KITTI and Open Images as ground truth: COCO's numbers, and one sentence for what is wrong.

The real sample is 100 photos of VOC, whose labels hotcoco writes in the formats that it knows.
"""

import json
import re
import shutil
from pathlib import Path

import hotcoco
import numpy as np
import pytest
from PIL import Image

from mmtied.coco.other_formats import read_other_format
from mmtied.evaluation import InputError, evaluate_occlusion

XML = """<annotation><filename>{name}.jpg</filename>
<size><width>100</width><height>80</height><depth>3</depth></size>{objects}</annotation>"""
OBJECT = """<object><name>{name}</name><pose>Left</pose><truncated>{truncated}</truncated><occluded>1</occluded>
<difficult>{difficult}</difficult><bndbox><xmin>11</xmin><ymin>11</ymin><xmax>30</xmax><ymax>{ymax}</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part></object>"""
KITTI = '{name} 0.25 {occluded} -0.20 10.00 10.00 30.00 30.00 1.89 0.48 1.20 1.84 1.47 8.41 0.01\n'
DONT_CARE = 'DontCare -1 -1 -10 50.00 50.00 90.00 70.00 -1 -1 -1 -1000 -1000 -1000 -10\n'
CSV = 'ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n'
# What all the folders below hold: one instance, found.
BOX = [10, 10, 20, 20]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def picture(path: Path, size: tuple[int, int] = (100, 80), **details) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size).save(path, **details)


def voc(root: Path, *, difficult: str = '0', truncated: str = '0', name: str = 'dog', ymax: str = '30') -> Path:
    objects = OBJECT.format(name=name, difficult=difficult, truncated=truncated, ymax=ymax)
    write(root / 'Annotations/2007_01.xml', XML.format(name='2007_01', objects=objects))
    write(root / 'Annotations/2007_02.xml', XML.format(name='2007_02', objects=''))
    return root


def yolo(root: Path, label: str = '1 .2 .25 .2 .25\n') -> Path:
    write(root / 'data.yaml', 'path: .\nval: images\nnames:\n  0: cat\n  1: dog\n')
    write(root / 'labels/2007_01.txt', label)
    for stem in ('2007_01', '2007_02'):
        picture(root / f'images/{stem}.jpg')
    return root


def kitti(root: Path, lines: str = KITTI.format(name='dog', occluded=2) + DONT_CARE) -> Path:
    write(root / 'training/label_2/2007_01.txt', lines)
    write(root / 'training/label_2/2007_02.txt', '')
    return root


def open_images(root: Path, row: str = '2007_01,x,/m/0bt9lr,1,.1,.3,.125,.375,1,-1,0,0,0\n') -> Path:
    for stem in ('2007_01', '2007_02'):
        picture(root / f'images/{stem}.jpg')
    write(root / 'class-descriptions-boxable.csv', '/m/01yrx,cat\n/m/0bt9lr,dog\n')
    return write(root / 'boxes.csv', CSV + row)


def found(**changes) -> list[dict]:
    return [{'image_id': '2007_01', 'category_id': 'dog', 'bbox': BOX, 'score': 0.9} | changes]


MAKERS = {'voc': voc, 'yolo': yolo, 'kitti': kitti, 'open_images': open_images}


def evaluate(kind: str, root: Path, results: list[dict], **options):
    given = {'image_dir': root / 'images'} if kind == 'open_images' else {}
    return evaluate_occlusion(MAKERS[kind](root), results, **given, **options)


@pytest.mark.parametrize('kind', MAKERS)
def test_one_found_instance_is_found(kind, tmp_path):
    result = evaluate(kind, tmp_path, found())
    assert (result.all.instances, result.all.images) == (1, 1 if kind == 'open_images' else 2)
    assert result.ground_truth.bbox[0] == pytest.approx(BOX)
    assert pytest.approx(1) == result.all.AP
    assert result.all.errors.false_positives == 0


def test_flags_of_voc_are_kept(tmp_path):
    truth = read_other_format(voc(tmp_path, difficult='1', truncated='1'))
    (entry,) = truth.data['annotations']
    kept = {key: entry[key] for key in ('ignore', 'iscrowd', 'truncated', 'occluded', 'pose')}
    assert kept == {'ignore': 1, 'iscrowd': 0, 'truncated': True, 'occluded': True, 'pose': 'Left'}
    result = evaluate_occlusion(tmp_path, found())
    assert (result.all.instances, result.all.errors.false_positives) == (0, 0)


def test_attributes_of_voc_files_are_kept_by_their_names(tmp_path):
    attribute = '<attributes><attribute><name>{}</name><value>{}</value></attribute></attributes>'
    box = '<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>'
    objects = ''.join(
        f'<object><name>dog</name>{box}{attribute.format(*pair)}</object>'
        for pair in (('visible', 'half'), ('occluded', 'true'))
    )
    write(tmp_path / 'a.xml', XML.format(name='a', objects=objects))
    entries = read_other_format(tmp_path).data['annotations']
    assert [entry['attributes'] for entry in entries] == [{'visible': 'half'}, {'occluded': True}]
    assert all('truncated' not in entry and entry['ignore'] == 0 for entry in entries)


def test_flags_of_kitti_are_kept_and_dont_care_forgives_any_class(tmp_path):
    lines = [KITTI.format(name='Car', occluded=level) for level in range(4)]
    truth = read_other_format(kitti(tmp_path, ''.join(lines) + DONT_CARE))
    entries = [entry for entry in truth.data['annotations'] if not entry['iscrowd']]
    levels = [entry.get('occluded') for entry in entries]
    assert levels == ['0 fully visible', '1 partly occluded', '2 largely occluded', None]
    assert {entry['truncated'] for entry in entries} == {0.25}
    inside = [found(category_id=name, bbox=[52, 52, 10, 10])[0] for name in ('Car', 'Car', 'Tram')]
    result = evaluate_occlusion(tmp_path, [*found(category_id='Car'), *inside])
    assert result.all.errors.false_positives == 0
    assert 'DontCare regions, in which nothing is wrong, are crowd regions of each of the 8 classes: 1.' in str(result)


def test_flags_of_open_images_are_kept_and_groups_are_crowd_regions(tmp_path):
    rows = '2007_01,x,/m/0bt9lr,1,.1,.3,.125,.375,1,-1,0,0,1\n2007_02,x,/m/01yrx,1,0,1,0,1,0,0,1,0,0\n'
    csv = open_images(tmp_path, rows)
    truth = read_other_format(csv, tmp_path / 'images')
    kept = ('iscrowd', 'occluded', 'truncated', 'depiction', 'inside')
    assert [[entry.get(key) for key in kept] for entry in truth.data['annotations']] == [
        [0, True, None, False, True],
        [1, False, False, False, False],
    ]
    in_group = [found(image_id='2007_02', category_id='cat', bbox=[x, 0, 20, 20])[0] for x in (0, 30)]
    by_label = found(category_id='/m/0bt9lr')
    result = evaluate_occlusion(csv, [*by_label, *in_group], image_dir=tmp_path / 'images')
    assert (result.all.AP, result.all.errors.false_positives) == (pytest.approx(1), 0)


def test_yolo_reads_polygons_and_leaves_out_doubles(tmp_path):
    polygon = '0 .1 .125 .3 .125 .3 .375 .1 .375\n'
    truth = read_other_format(yolo(tmp_path, polygon + '1 .5 .5 .2 .2\n' + polygon))
    first, second = truth.data['annotations']
    assert first['bbox'] == pytest.approx(BOX) and second['bbox'] == pytest.approx([40, 32, 20, 16])
    assert first['segmentation'] == [pytest.approx([10, 10, 30, 10, 30, 30, 10, 30])]
    assert [note.count for note in truth.notes] == [1]


def test_yolo_reads_masks_from_polygons(tmp_path):
    root = yolo(tmp_path, '1 .1 .125 .3 .125 .3 .375 .1 .375\n')
    results = found(segmentation=[[10, 10, 30, 10, 30, 30, 10, 30]])
    assert pytest.approx(1) == evaluate_occlusion(root, results, 'segm').all.AP


def test_yolo_takes_the_box_before_keypoints(tmp_path):
    root = yolo(tmp_path, '0 .2 .25 .2 .25 .1 .1 2 .3 .3 2\n')
    write(root / 'data.yaml', 'val: images\nnames: [dog]\nkpt_shape: [2, 3]\n')
    assert read_other_format(root).data['annotations'][0]['bbox'] == pytest.approx(BOX)


def test_yolo_takes_pictures_turned_as_their_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    root = yolo(tmp_path)
    picture(root / 'images/2007_01.jpg', (80, 100), exif=exif)
    assert read_other_format(root).data['images'][0] | {'file_name': None} == {
        'id': '2007_01', 'file_name': None, 'width': 100, 'height': 80
    }  # fmt: skip
    assert pytest.approx(1) == evaluate_occlusion(root, found()).all.AP


@pytest.mark.parametrize('given', ['', 'labels', 'data.yaml'])
def test_yolo_says_which_labels_have_no_image(given, tmp_path):
    root = yolo(tmp_path)
    write(root / 'labels/2007_03.txt', '0 .5 .5 .1 .1\n')
    result = evaluate_occlusion(root / given, found())
    assert result.all.instances == 1
    assert 'label files without an image (such as 2007_03.txt) are left out, as Ultralytics does: 1.' in str(result)
    shutil.rmtree(root / 'images')
    picture(root / 'images/other.jpg')
    with pytest.raises(InputError, match=r'2007_01\.txt: has no image in .*--image-dir'):
        evaluate_occlusion(root / given, found())


@pytest.mark.parametrize('given', ['', 'labels', 'data.yaml'])
def test_yolo_is_a_folder_its_labels_or_its_yaml(given, tmp_path):
    assert evaluate_occlusion(yolo(tmp_path) / given, found()).all.images == 2


@pytest.mark.parametrize(
    'val', ['val: ../images\n', 'val: list.txt\n', 'val: [images, more/images]\n', 'test: images\n']
)
def test_yolo_finds_the_images_that_its_yaml_means(val, tmp_path):
    root = yolo(tmp_path)
    write(root / 'data.yaml', val + 'names: [cat, dog]\n')
    write(root / 'list.txt', './images/2007_01.jpg\n./images/2007_02.jpg\n')
    (root / 'more/images').mkdir(parents=True)
    result = evaluate_occlusion(root / 'data.yaml', found())
    assert (result.all.images, result.all.instances, result.all.AP) == (2, 1, pytest.approx(1))
    assert {Path(image['file_name']).name for image in result.ground_truth.images} == {'2007_01.jpg', '2007_02.jpg'}


def test_yolo_without_names_has_those_that_are_given(tmp_path):
    root = yolo(tmp_path)
    (root / 'data.yaml').unlink()
    assert pytest.approx(1) == evaluate_occlusion(root / 'labels', found(), classes=('cat', 'dog')).all.AP
    assert pytest.approx(1) == evaluate_occlusion(root / 'labels', found(category_id='1')).all.AP
    write(root / 'labels/classes.txt', 'cat\ndog\n')
    assert pytest.approx(1) == evaluate_occlusion(root / 'labels', found()).all.AP


@pytest.mark.parametrize('kind, listing', [('voc', 'ImageSets/Main/val.txt'), ('kitti', 'ImageSets/val.txt')])
def test_a_list_of_images_is_a_part_of_them(kind, listing, tmp_path):
    MAKERS[kind](tmp_path)
    path = write(tmp_path / listing, '2007_01  1\n')
    assert evaluate_occlusion(path, found()).all.images == 1


@pytest.mark.parametrize('kind', ['voc', 'kitti', 'open_images'])
def test_images_may_lie_in_folders(kind, tmp_path):
    path = MAKERS[kind](tmp_path / 'set')
    picture(tmp_path / 'pictures/first/2007_01.jpg')
    picture(tmp_path / 'pictures/second/2007_02.jpg')
    result = evaluate_occlusion(path, found(), image_dir=tmp_path / 'pictures')
    assert result.ground_truth.images[0]['file_name'] == 'first/2007_01.jpg'
    assert pytest.approx(1) == result.all.AP


def test_sizes_of_voc_and_kitti_are_read_from_images_where_labels_have_none(tmp_path):
    root = voc(tmp_path / 'voc')
    file = root / 'Annotations/2007_01.xml'
    file.write_text(file.read_text().replace('<width>100<', '<width>0<'))
    assert 'width' not in read_other_format(root).data['images'][0]
    picture(root / 'JPEGImages/2007_01.jpg')
    picture(kitti(tmp_path / 'kitti') / 'training/image_2/2007_01.png')
    for folder, name in (('voc', '2007_01.jpg'), ('kitti', '2007_01.png')):
        image = read_other_format(tmp_path / folder).data['images'][0]
        assert image == {'id': '2007_01', 'file_name': name, 'width': 100, 'height': 80}


def polluted(kind: str, root: Path, file: str, text: str) -> Path:
    path = MAKERS[kind](root)
    write(root / file, text)
    return path


LABEL, XML_FILE, KITTI_FILE = 'labels/2007_01.txt', 'Annotations/2007_01.xml', 'training/label_2/2007_01.txt'
WRONG = {
    'voc not xml': ('voc', XML_FILE, 'nonsense', r'2007_01\.xml: is not xml: syntax error'),
    'voc empty': ('voc', XML_FILE, '', r'2007_01\.xml: is not xml: no element found'),
    'voc other xml': ('voc', XML_FILE, '<html/>', 'hold an <annotation>, found <html>'),
    'voc no name': ('voc', XML_FILE, '<annotation><object/></annotation>', 'object 1: has no <name>'),
    'voc no box': ('voc', XML_FILE, '<annotation><object><name>a</name></object></annotation>', 'has no <bndbox>'),
    'voc odd size': ('voc', XML_FILE, '<annotation><size><width>x</width></size></annotation>', '<size>: width and'),
    'yolo few': ('yolo', LABEL, '0 .5 .5 .5\n', r'2007_01\.txt:1: a line is a class and .*, found 4 values$'),
    'yolo score': ('yolo', LABEL, '0 .5 .5 .5 .5 .9\n', 'found 6 values: with a score it is a detection'),
    'yolo word': ('yolo', LABEL, '0 .5 .5 .5 .5\ndog .5 .5 .5 .5\n', r':2: .*, all numbers, found dog$'),
    'yolo nan': ('yolo', LABEL, '0 nan .5 .5 .5\n', r':1: .* found nan$'),
    'yolo class': ('yolo', LABEL, '2 .5 .5 .5 .5\n', ':1: class 2 is not among the 2 classes, counted from 0'),
    'yolo half class': ('yolo', LABEL, '.5 .5 .5 .5 .5\n', r':1: the class is \.5, it must be a whole number'),
    'yolo pixels': ('yolo', LABEL, '0 50 40 20 20\n', 'shares of the image.s sides from 0 to 1, found 20 to 50'),
    'yolo picture': ('yolo', 'images/2007_01.jpg', 'x', r'2007_01\.jpg: not a readable image, so its size is not'),
    'yolo yaml': ('yolo', 'data.yaml', 'names: [a', r'data\.yaml: not valid yaml'),
    'yolo no names': ('yolo', 'data.yaml', 'val: images\nnames: 3', r'data\.yaml: has no names of classes'),
    'yolo empty name': ('yolo', 'data.yaml', "val: images\nnames: [a, '']", 'class 1 has no name'),
    'yolo odd gap': ('yolo', 'data.yaml', 'val: images\nnames: {0: a, b: b}', 'names must number the classes 0, 1, 2'),
    'yolo names': ('yolo', LABEL, 'dog .5 .5 .5 .5\n', r':1: .*, all numbers, found dog$'),
    'yolo gap': ('yolo', 'data.yaml', 'val: images\nnames: {0: a, 2: b}', 'names must number the classes 0, 1, 2'),
    'yolo twice': ('yolo', 'data.yaml', 'val: images\nnames: [a, a]', 'the class a is named twice'),
    'yolo nowhere': ('yolo', 'data.yaml', 'val: nowhere\nnames: [a]', 'there is no .*nowhere; give the folder of the'),
    'yolo no split': ('yolo', 'data.yaml', 'names: [a]', 'names no images, under val, test or train'),
    'kitti few': ('kitti', KITTI_FILE, 'Car 0 0\n', r'2007_01\.txt:1: a label has 15 values, found 3$'),
    'kitti score': ('kitti', KITTI_FILE, KITTI.format(name='Car', occluded=0).strip() + ' .9', 'they are detections'),
    'kitti number': ('kitti', KITTI_FILE, DONT_CARE.replace('90.00', 'x'), 'the box must be four numbers of pixels'),
    'kitti level': ('kitti', KITTI_FILE, KITTI.format(name='Car', occluded=7), 'occluded is 7, it must be 0, 1,'),
    'kitti backwards': ('kitti', KITTI_FILE, DONT_CARE.replace('90.00', '9'), 'ends before it begins'),
    'oid columns': ('open_images', 'boxes.csv', 'a,b\n', 'has no column ImageID'),
    'oid image': ('open_images', 'boxes.csv', CSV + 'q,x,/m/01yrx,1,0,1,0,1,0,0,0,0,0\n', ':2: there is no image q in'),
    'oid class': ('open_images', 'boxes.csv', CSV + '2007_01,x,q,1,0,1,0,1,0,0,0,0,0\n', ':2: q is not among the'),
    'oid pixels': ('open_images', 'boxes.csv', CSV + '2007_01,x,/m/01yrx,1,0,9,0,1,0,0,0,0,0\n', 'must lie from 0 to'),
    'oid short': ('open_images', 'boxes.csv', CSV + '2007_01,x,/m/01yrx,1,0\n', 'must be numbers .*, found nothing'),
    'oid flag': ('open_images', 'boxes.csv', CSV + '2007_01,x,/m/01yrx,1,0,1,0,1,2,0,0,0,0\n', 'IsOccluded is 2, it'),
    'oid empty': ('open_images', 'boxes.csv', CSV, 'holds no image, so there is nothing to evaluate'),
}  # fmt: skip


@pytest.mark.parametrize('case', WRONG)
def test_what_is_wrong_is_one_sentence(case, tmp_path):
    kind, file, text, sentence = WRONG[case]
    path = polluted(kind, tmp_path, file, text)
    given = {'image_dir': tmp_path / 'images'} if kind == 'open_images' else {}
    with pytest.raises(InputError, match=sentence) as error:
        evaluate_occlusion(path, found(), **given)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('changes, sentence', [
    ({'difficult': '2'}, '<difficult> is 2, it must be 0 or 1'),
    ({'ymax': 'x'}, 'object 1: <ymax> must be a number of pixels, found x'),
    ({'ymax': 'inf'}, '<ymax> must be a number of pixels, found inf'),
    ({'ymax': '5'}, r'the box from \(10, 10\) to \(30, 5\) ends before it begins'),
    ({'ymax': '5e6'}, 'must lie within 1,000,000 pixels'),
    ({'name': ''}, 'object 1: has no <name>'),
])  # fmt: skip
def test_a_wrong_object_of_voc_is_one_sentence(changes, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        evaluate_occlusion(voc(tmp_path, **changes), found())


def test_what_has_no_labels_is_told_what_could_be_read(tmp_path):
    (tmp_path / 'empty').mkdir()
    for path, sentence in (
        (tmp_path / 'empty', "holds no labels; a ground truth is COCO's json, a folder of Pascal VOC"),
        (tmp_path / 'nowhere.csv', 'cannot be read: No such file or directory'),
        (write(tmp_path / 'one.xml', '<annotation/>'), "one.xml: a ground truth is COCO's json"),
        (write(tmp_path / 'val.txt', 'a\n'), 'no folder above it has Annotations or training/label_2'),
    ):
        with pytest.raises(InputError, match=sentence):
            evaluate_occlusion(path, found())


def test_open_images_need_their_images(tmp_path):
    with pytest.raises(InputError, match=r'give the folder of the images with --image-dir \(image_dir=...\)'):
        evaluate_occlusion(open_images(tmp_path), found())
    with pytest.raises(InputError, match=r'image_dir: .* is not a folder'):
        evaluate_occlusion(open_images(tmp_path), found(), image_dir=tmp_path / 'nowhere')


def test_boxes_alone_have_no_masks(tmp_path):
    with pytest.raises(InputError, match='holds boxes and no masks'):
        evaluate_occlusion(voc(tmp_path), found(segmentation=[[0, 0, 1, 0, 1, 1]]), 'segm')


def test_labels_of_no_instance_need_a_list_of_classes(tmp_path):
    root = yolo(tmp_path, '')
    assert evaluate_occlusion(root, found()).all.instances == 0
    (root / 'data.yaml').unlink()
    with pytest.raises(InputError, match='holds no instance, and no list of classes'):
        evaluate_occlusion(root / 'labels', found())


@pytest.fixture
def photos(real_data, tmp_path):
    """100 photos of VOC: their ground truth in json, a folder to write others in, and real results by stem and name."""
    data = json.loads(real_data('voc100_pair/gt.json').read_text())
    results = json.loads(real_data('voc100_two_detectors/centernet.json').read_text())
    stems = {image['id']: Path(image['file_name']).stem for image in data['images']}
    names = {category['id']: category['name'] for category in data['categories']}
    by_name = [
        entry | {'image_id': stems[entry['image_id']], 'category_id': names[entry['category_id']]} for entry in results
    ]
    images = real_data('voc100_pair/images')
    return data, results, by_name, images, tmp_path


def as_kitti(coco: hotcoco.COCO, folder: str) -> None:
    names = {category['id']: category['name'] for category in coco.dataset['categories']}
    for image in coco.dataset['images']:
        lines = []
        for entry in coco.load_anns(coco.get_ann_ids(img_ids=[image['id']])):
            x, y, w, h = entry['bbox']
            name = names[entry['category_id']]
            lines.append(f'{name} 0.00 0 0 {x:.2f} {y:.2f} {x + w:.2f} {y + h:.2f} 0 0 0 0 0 0 0\n')
        write(Path(folder) / 'label_2' / f'{Path(image["file_name"]).stem}.txt', ''.join(lines))


WRITERS = {
    'voc': lambda coco, folder: coco.to_voc(folder),
    'yolo': lambda coco, folder: coco.to_yolo(folder),
    'open_images': lambda coco, folder: coco.to_oid(f'{folder}/boxes.csv'),
    'kitti': as_kitti,
}


@pytest.mark.parametrize('kind', WRITERS)
def test_real_photos_have_the_scores_of_the_json(kind, photos):
    data, results, by_name, images, folder = photos
    expected = evaluate_occlusion(data, results)
    WRITERS[kind](hotcoco.COCO(data), str(folder))
    path = folder / 'boxes.csv' if kind == 'open_images' else folder
    result = evaluate_occlusion(path, by_name, image_dir=images)
    for row, one in zip([expected.all, *expected.bins], [result.all, *result.bins]):
        assert (row.label, row.images, row.instances) == (one.label, one.images, one.instances)
        assert list(one.scores) == pytest.approx(list(row.scores), abs=1e-6, nan_ok=True)
    truth, other = expected.ground_truth, result.ground_truth
    order = [{image['file_name']: i for i, image in enumerate(one.images)} for one in (truth, other)]
    assert order[0].keys() == order[1].keys()
    sizes = [{image['file_name']: (image['width'], image['height']) for image in one.images} for one in (truth, other)]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize('kind', ['voc', 'yolo', 'open_images'])
def test_boxes_are_those_of_hotcoco(kind, photos):
    data, _, _, images, folder = photos
    WRITERS[kind](hotcoco.COCO(data), str(folder))
    if kind == 'voc':
        coco, truth = hotcoco.COCO.from_voc(str(folder)), read_other_format(folder)
    elif kind == 'yolo':
        coco, truth = hotcoco.COCO.from_yolo(str(folder), str(images)), read_other_format(folder, images)
    else:
        path = folder / 'boxes.csv'
        coco, truth = hotcoco.COCO.from_oid(str(path), images_dir=str(images)), read_other_format(path, images)
    theirs = coco.dataset
    names = {category['id']: category['name'] for category in theirs['categories']}
    stems = {image['id']: Path(image['file_name']).stem for image in theirs['images']}

    def table(rows):
        return sorted((image, name, *np.round(box, 6).tolist()) for image, name, box in rows)

    own = table((entry['image_id'], entry['category_id'], entry['bbox']) for entry in truth.data['annotations'])
    expected = table((stems[e['image_id']], names[e['category_id']], e['bbox']) for e in theirs['annotations'])
    assert own == expected and len(own) == len(data['annotations'])


def test_the_command_takes_a_folder(run_tool, tmp_path):
    results = write(tmp_path / 'results.json', json.dumps(found()))
    status, output, _ = run_tool('occlusion_eval.py', yolo(tmp_path / 'set'), results)
    assert status == 0 and re.search(r'^all +2 +1 +1 +100.0 ', output, re.MULTILINE)
    shutil.copytree(tmp_path / 'set/images', tmp_path / 'pictures')
    csv = open_images(tmp_path / 'oid')
    shutil.rmtree(tmp_path / 'oid/images')
    status, output, _ = run_tool('occlusion_eval.py', csv, results, '--image-dir', tmp_path / 'pictures')
    assert status == 0 and re.search(r'^all +1 +1 +1 +100.0 ', output, re.MULTILINE)
    status, _, errors = run_tool('occlusion_eval.py', csv, results)
    assert status == 2 and errors.startswith('error: ') and errors.count('\n') == 1
