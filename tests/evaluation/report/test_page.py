"""The report in a real browser: no error on the console, curves and pictures there, controls that work."""

import json
import shutil

import numpy as np
import pytest
from made_up import made_up
from pages import opened

from mmtied.coco.coco_json import read_json
from mmtied.datasets import write_scenes
from mmtied.evaluation import InputError, compare_occlusion, evaluate_occlusion
from mmtied.evaluation.report.page import save_report

WIDTHS = (1400, 400)
NASTY = '</script><script>window.broken=1</script>"\'<img src=x onerror="window.broken=1">'


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    """Ground truth, detections of two detectors and the folder of pictures."""
    folder = tmp_path_factory.mktemp('scenes')
    truth, _ = read_json(write_scenes(folder, 'val', 60, size=96), '')
    found = [entry | {'score': 0.35 + 0.6 * (i % 9) / 9} for i, entry in enumerate(truth['annotations'])]
    return truth, found, found[::2], folder / 'val'


def with_curves(browser, path, width: int):
    """The page once its curves are drawn, and what its console says."""
    page, said = opened(browser, path, width)
    page.wait_for_function('[...document.querySelectorAll(".figure")].every(e => e.querySelector(".trace"))')
    return page, said


def visible(page, selector: str, value: str = '1') -> list:
    """A value of each element that is drawn; `e` is the element."""
    drawn = 'e.getClientRects().length && e.checkVisibility()'
    elements = f'[...document.querySelectorAll({json.dumps(selector)})].filter(e => {drawn})'
    return page.evaluate(f'{elements}.map(e => {value})')


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@pytest.mark.parametrize('width', WIDTHS)
def test_page_of_two_detectors(browser, scenes, tmp_path, width, iou_type):
    truth, found, half, images = scenes
    result = compare_occlusion(
        truth, found, half, iou_type, names=['whole', 'half'], bootstrap=5, random_subsets=5, per_class=True
    )
    page, said = with_curves(browser, save_report(result, tmp_path / 'report.html', images), width)
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    assert page.locator('.figure').count() == 5
    for figure in page.locator('.figure').all():
        outer, inner = figure.bounding_box(), figure.locator('.main-svg').first.bounding_box()
        assert inner['width'] > 250
        assert inner['x'] + inner['width'] <= outer['x'] + outer['width']
    # Each detector's curve has a point for each bin; behind them lie the band and two intervals.
    curve = page.locator('.figure').first.locator('.scatterlayer')
    assert curve.locator('.points path').count() == 2 * len(result.first.bins)
    assert curve.locator('.js-fill').count() == 3
    assert page.locator('h3').all_text_contents() == [table.title for table in result.tables()]
    cells = page.locator('table').nth(1).locator('tbody tr').first.locator('td').all_text_contents()
    assert f'{100 * result.first.all.AP:.1f}' in cells

    assert len(visible(page, '.card')) == min(12, sum(row.images for row in result.first.bins))
    sizes = page.evaluate("""Promise.all([...document.querySelectorAll('.card image')].map(async e => {
        const image = new Image(); image.src = e.href.baseVal; await image.decode(); return image.naturalWidth}))""")
    assert set(sizes) == {96}
    ratios = visible(page, '.card', r'+e.innerText.match(/r = ([\d.]+)/)[1]')
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] == pytest.approx(np.nanmax(result.first.ratios), abs=0.0051)  # two decimals

    before = len(visible(page, '.layer1 .shape'))
    assert before > len(visible(page, '.layer2 .shape')) > 0
    page.locator('.toggle').nth(1).uncheck()
    assert not visible(page, '.layer1 .shape')
    assert visible(page, '.layer0 .shape')
    page.locator('.toggle').nth(1).check()
    page.locator('#score').fill('0.8')
    assert 0 < len(visible(page, '.layer1 .shape')) < before
    assert page.locator('#least').text_content() == '0.8'
    page.locator('#order').select_option(label='half loses most')
    f1 = visible(page, '.card', r'[...e.innerText.matchAll(/F1 ([\d.]+)/g)].map(m => +m[1])')
    losses = [first - second for first, second in f1]
    # A loss is of two rounded numbers, which puts it off by .01 at most; likewise the one that takes its place.
    assert losses == pytest.approx(sorted(losses, reverse=True), abs=0.0201)
    assert said == []
    page.close()


def test_page_of_eight_detectors_on_a_phone_and_printed(browser, scenes, tmp_path):
    truth, found, half, images = scenes
    more = [found[k::7] for k in range(6)]
    names = [f'detector-{i}_with_a_name_as_long_as_a_config' for i in range(8)]
    options = dict(bootstrap=5, random_subsets=5, per_class=True, gate=['AP:.01'])
    result = compare_occlusion(truth, found, half, more=more, names=names, **options)
    page, said = with_curves(browser, save_report(result, tmp_path / 'report.html', images), 400)
    assert page.evaluate('document.documentElement.scrollWidth') <= 400
    assert page.locator('.gate.failed').text_content() == f'{result.gate}.'
    curve = page.locator('.figure').first
    assert curve.locator('.scatterlayer .trace').count() == 8 + 3  # and the band, which is three
    assert curve.locator('.legendtext').all_text_contents() == ['random subsets', *names]
    # The legend lies below the axis' title.
    title, legend = curve.locator('.xtitle').bounding_box(), curve.locator('.legend').bounding_box()
    assert title['y'] + title['height'] <= legend['y']
    fills = page.evaluate("[...document.querySelectorAll('[class^=key]')].map(e => getComputedStyle(e).fill)")
    assert len(set(fills)) == 1 + 8
    # The tables of each are folded, the comparisons are not.
    assert visible(page, 'h3', 'e.innerText') == [table.title for table in result.comparisons()]
    page.locator('summary').nth(2).click()
    assert visible(page, 'details h3', 'e.innerText') == [table.title for table in result.results[2].tables()]
    page.locator('summary').nth(2).click()
    # An order draws the detectors that it is about.
    assert visible(page, '.toggle', 'e.checked') == [True] * 3 + [False] * 6
    page.locator('#order').select_option(label=f'{names[4]} loses most to {names[0]}')
    assert [i for i, checked in enumerate(visible(page, '.toggle', 'e.checked')) if checked] == [0, 1, 5]
    assert visible(page, '.layer1 .shape') and not visible(page, '.layer2 .shape')
    page.locator('#order').select_option(label=f'lowest F1 of {names[7]}')
    assert [i for i, checked in enumerate(visible(page, '.toggle', 'e.checked')) if checked] == [0, 8]
    assert page.locator('.card').count() <= 120

    # On A4 across, 1,032 pixels of 1/96 inch inside the margins, nothing is cut off, and what is clicked is away.
    page.evaluate("addEventListener('beforeprint', () => window.printed = true)")
    assert page.pdf(prefer_css_page_size=True).startswith(b'%PDF')
    assert page.evaluate('window.printed')
    assert max(visible(page, '.main-svg', 'e.getBoundingClientRect().right')) <= 400  # as it was
    assert visible(page, 'h3', 'e.innerText') == [table.title for table in result.comparisons()]
    page.set_viewport_size({'width': 1032, 'height': 700})
    page.emulate_media(media='print')
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate('document.documentElement.scrollWidth') <= 1032
    assert set(visible(page, '.main-svg', 'e.getBoundingClientRect().width')) == {500}
    assert len(set(visible(page, '.figure', 'e.getBoundingClientRect().left'))) == 2  # two beside each other
    assert len(visible(page, 'table')) == len(result.tables())
    assert max(visible(page, 'table', 'e.getBoundingClientRect().right')) <= 1032
    assert not visible(page, 'button, input')
    assert visible(page, '.controls label', 'e.innerText.trim()')[1:3] == ['ground truth', names[7]]
    assert said == []
    page.close()


def test_page_without_pictures_or_resampling_has_tables_to_copy(browser, tmp_path):
    result = evaluate_occlusion(*made_up(), name='a_b | 50%', per_class=True)
    page, said = with_curves(browser, save_report(result, tmp_path / 'report.html'), 400)
    assert page.locator('.figure').count() == 3
    assert page.locator('.card, .controls, details').count() == 0
    page.context.grant_permissions(['clipboard-read', 'clipboard-write'])
    buttons = page.locator('.copy button')
    assert buttons.count() == 2 * len(result.tables())
    for k, table in enumerate(result.tables()):
        for button, text in ((buttons.nth(2 * k), table.to_markdown()), (buttons.nth(2 * k + 1), table.to_latex())):
            button.click()
            assert page.evaluate('navigator.clipboard.readText()') == text
            assert button.text_content() == 'copied'
    page.evaluate("navigator.clipboard.writeText('')")
    page.evaluate('() => { navigator.clipboard.writeText = () => Promise.reject(new Error("not allowed")) }')
    buttons.first.click()
    page.wait_for_function('navigator.clipboard.readText().then(text => text != "")')
    assert page.evaluate('navigator.clipboard.readText()') == result.tables()[0].to_markdown()
    page.wait_for_function("[...document.querySelectorAll('.copy button')].every(e => e.textContent != 'copied')")
    assert set(buttons.all_text_contents()) == {'Markdown', 'LaTeX'}
    assert page.evaluate('document.documentElement.scrollWidth') <= 400
    assert said == []
    page.close()


def test_strings_from_data_are_text(browser, scenes, tmp_path):
    truth, found, half, images = scenes
    categories = [category | {'name': f'{category["name"]} {NASTY}'} for category in truth['categories']]
    truth = truth | {'categories': categories}
    options = dict(bootstrap=5, gate=['AP:0'])
    result = compare_occlusion(truth, found, half, names=[NASTY, f'other {NASTY}'], per_class=True, **options)
    page, said = with_curves(browser, save_report(result, tmp_path / 'report.html', images), 400)
    assert page.evaluate('window.broken') is None
    assert NASTY in page.locator('h1').text_content()
    assert NASTY in page.locator('.gate').text_content()
    assert NASTY in page.locator('.layer0 title').first.text_content()
    assert page.evaluate('document.documentElement.scrollWidth') <= 400
    assert said == []
    page.close()


def test_missing_or_broken_pictures_are_named_and_nothing_is_written(scenes, tmp_path):
    truth, found, _, images = scenes
    result = evaluate_occlusion(truth, found)
    with pytest.raises(InputError, match=r'\.jpg: no such image'):
        save_report(result, tmp_path / 'report.html', tmp_path)
    copies = tmp_path / 'images'
    shutil.copytree(images, copies)
    for picture in copies.iterdir():
        picture.write_bytes(b'no picture')
    with pytest.raises(InputError, match=r'\.jpg: not a readable image'):
        save_report(result, tmp_path / 'report.html', copies)
    assert [path.name for path in tmp_path.iterdir()] == ['images']
