"""The figures of the built pages: sharp, filling their cards, in line."""

import pytest
from built import PAGES

SIGHT = 224  # pixels: what a published network sees of a photograph, and no more than that exists
FILLED = 0.8  # of the card's width, by panels and what stands beside them

MEASURE = """() => [...document.querySelectorAll('.live-fig')].map(figure => {
  const box = element => element.getBoundingClientRect();
  const shown = [...figure.querySelectorAll('.live-panel, input, select, button, output')]
    .map(box).filter(b => b.width > 20 && b.height > 0);
  const panels = [...figure.querySelectorAll('.live-panel')].map(box).filter(b => b.width > 20);
  const sharp = image => getComputedStyle(image).imageRendering === 'pixelated'
    || image.src.startsWith('data:image/svg');
  return {
    name: figure.getAttribute('aria-label'),
    filled: shown.length
      ? (Math.max(...shown.map(b => b.right)) - Math.min(...shown.map(b => b.left)))
        / box(figure).width
      : 1,
    tops: panels.map(b => [Math.round(b.top), Math.round(b.bottom)]),
    pictures: [...figure.querySelectorAll('.live-panel > :not(.live-caption)')]
      .map(box).filter(b => b.width > 20).map(b => [Math.round(b.top), Math.round(b.bottom)]),
    coarse: [...figure.querySelectorAll('img')]
      .filter(i => i.clientWidth > 40 && !sharp(i) && i.naturalWidth < 1.9 * i.clientWidth)
      .map(i => [i.naturalWidth, i.clientWidth]),
  };
})"""


DRAWN = [path for path in PAGES if 'class="live-fig' in path.read_text()]


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_figures_are_sharp_fill_their_cards_and_stand_in_line(open_page, path):
    figures = open_page(path, width=1300).evaluate(MEASURE)
    for figure in figures:
        name = figure["name"]
        assert figure["filled"] > FILLED, f"{name} fills {figure['filled']:.0%} of its card"
        coarse = [(n, width) for n, width in figure["coarse"] if n < SIGHT]
        assert not coarse, f"{name}: fewer than two pixels for each pixel shown: {coarse}"
        for kind in ("tops", "pictures"):
            for top, bottom in figure[kind]:
                besides = [other for other, end in figure[kind] if other < bottom and end > top]
                assert set(besides) == {top}, f"{name}: {kind} of one row begin at {besides}"


BROKEN = """() => [...document.querySelectorAll('.live-table td')].filter(cell => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
  return cell.textContent && !/\\s/.test(cell.textContent) && lines.size > 1;
}).map(cell => cell.textContent)"""


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_numbers_of_tables_do_not_break_on_a_phone(open_page, path):
    assert not open_page(path, width=390).evaluate(BROKEN)
