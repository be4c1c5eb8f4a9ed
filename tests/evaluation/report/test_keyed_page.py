"""The page of keys and sizes in a real browser: words on the axes as text, heat maps with counts, captions."""

import csv

from made_up import made_up
from pages import opened
from PIL import Image

from mmtied.evaluation import compare_occlusion
from mmtied.evaluation.report.folder import save_all

NASTY = '<b>"high"</b>'


def test_page_of_words_and_sizes(browser, tmp_path):
    truth, found = made_up(images=30)
    for i, image in enumerate(truth['images']):
        image |= {'level': (NASTY, 'low')[i % 2], 'file_name': f'{i}.jpg'}
        Image.new('RGB', (100, 100)).save(tmp_path / f'{i}.jpg')
    result = compare_occlusion(truth, found, found[::2], by='image.level', sizes=(0, 20), names=['a', 'b'])
    save_all(result, tmp_path / 'out', tmp_path)
    for width in (1400, 400):
        page, said = opened(browser, tmp_path / 'out' / 'report.html', width)
        page.wait_for_function('[...document.querySelectorAll(".figure")].every(e => e.querySelector(".main-svg"))')
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        maps = page.locator('.figure').filter(has=page.locator('.heatmaplayer'))
        assert maps.count() == 4  # AP and AP75 of each detector
        cells = maps.first.locator('.heatmap-label').all_text_contents()
        counts = [cell.instances for row in result.first.bins for cell in row.sizes]
        assert sorted(text.partition('n = ')[2] for text in cells) == sorted(map(str, counts))
        assert any(NASTY in text for text in page.locator('.xtick text').all_text_contents())
        assert f'image.level = {NASTY}' in page.locator('figcaption').all_text_contents()[0]
        assert said == []
        page.close()
    with (tmp_path / 'out' / 'manifest.csv').open(newline='', encoding='utf-8') as file:
        assert {row['bin'] for row in csv.DictReader(file)} == {NASTY, 'low'}
