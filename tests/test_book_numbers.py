"""Figures and equations of the built pages have numbers to cite and places to link to; folds say
what they hold.
"""

import re

import numbered
import pytest
from built import HTML, PAGES
from equations import equations

NUMBERS = numbered.chapter_numbers()
NUMBERED = [page for page in PAGES if page.relative_to(HTML).with_suffix("").as_posix() in NUMBERS]
CHAPTERS = [page for page in NUMBERED if page.parent.name == "chapters"]
FIGURES = ".cell_output figure.live-fig:not([data-quiz]), .cell_output img:not(.live-fig img)"

each = pytest.mark.parametrize("path", NUMBERED, ids=lambda p: f"{p.parent.name}/{p.stem}")


def number_of(path):
    return NUMBERS[path.relative_to(HTML).with_suffix("").as_posix()]


def test_chapters_are_counted_and_the_appendix_has_letters():
    assert [NUMBERS[f"chapters/{p.stem}"] for p in CHAPTERS] == [number_of(p) for p in CHAPTERS]
    assert NUMBERS["chapters/interpretability"] == "1" and NUMBERS["full_scale/mnist"] == "A"
    assert len(NUMBERED) == len(NUMBERS) == len(set(NUMBERS.values()))


@each
def test_every_figure_has_its_number_and_its_place(open_page, path):
    page, chapter = open_page(path), number_of(path)
    labels = page.locator(".bd-article a.figure-number").all_inner_texts()
    assert labels == [f"Figure {chapter}.{k}" for k in range(1, len(labels) + 1)]
    assert page.locator(FIGURES).count() == len(labels)
    for k in range(1, len(labels) + 1):
        figure = page.locator(f"figure#figure-{chapter.lower()}-{k}")
        assert figure.locator("a.figure-number").count() == 1
        picture = figure.locator("xpath=self::*[not(contains(@class, 'live-fig'))]//img")
        if picture.count():
            alt = picture.get_attribute("alt")
            caption = figure.locator("figcaption").inner_text()
            assert alt.startswith(caption.removeprefix(labels[k - 1]).strip())


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_every_displayed_equation_has_its_number_and_its_place(open_page, path):
    page, chapter = open_page(path), number_of(path)
    numbers = [re.sub(r"[^(.)\d]", "", t) for t in page.locator("div.math .eqno").all_inner_texts()]
    assert numbers == [f"({chapter}.{k})" for k in range(1, len(numbers) + 1)]
    assert len(numbers) == len(equations(path.stem))
    for k in range(1, len(numbers) + 1):
        assert page.locator(f"div.math#equation-{chapter}-{k} mjx-container").count() == 1


@pytest.mark.parametrize("width", [1300, 390])
def test_a_number_stands_beside_its_equation_or_below_not_on_it(open_page, width):
    page = open_page(HTML / "chapters" / "uncertainty.html", width=width)
    numbered = page.locator("div.math:has(> .eqno)")
    overlaps = numbered.evaluate_all("""blocks => blocks.filter(block => {
      const [number, formula] = ['.eqno', 'mjx-math'].map(
        name => block.querySelector(name).getBoundingClientRect());
      return number.left < formula.right && number.top + 4 < formula.bottom
        && formula.top + 4 < number.bottom;
    }).length""")
    assert overlaps == 0


def test_a_link_leads_to_a_figure_and_to_an_equation(open_page):
    for anchor in ("figure-3-4", "equation-3-5"):
        page = open_page((HTML / "chapters" / "lrp.html").as_uri() + f"#{anchor}")
        top = page.locator(f"#{anchor}").evaluate("e => e.getBoundingClientRect().top")
        assert 0 <= top < 900


@each
def test_every_fold_says_what_it_holds(open_page, path):
    page = open_page(path)
    folds = page.locator(".bd-article details > summary")
    assert folds.count()
    assert page.locator(".bd-article details > summary[aria-label]").count() == 0
    for text in folds.all_inner_texts():
        assert re.search(r"^The (set-up|code) of .+ \(\d+ lines?\)$", text), text
    code = [t for t in folds.all_inner_texts() if t.startswith("The code of Figure")]
    labels = page.locator(".bd-article a.figure-number").all_inner_texts()
    assert all(re.search(r"Figure [\dA-Z]+\.\d+", text)[0] in labels for text in code)
