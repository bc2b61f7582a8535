"""What the search of the built book finds, and that it finds it alone; what pop-ups show."""

import pytest
from built import HTML

FOUND = "#search-results li a"


def found(open_page, words):
    """The pages that a search finds, each once, in its order."""
    page = open_page(f"{(HTML / 'search.html').as_uri()}?q={words}")
    page.locator("#search-results .search-summary, #search-results p").first.wait_for()
    page.wait_for_timeout(500)
    links = page.locator(FOUND).evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert page.log == []
    return list(dict.fromkeys(link.split("?")[0].split("#")[0] for link in links))


@pytest.mark.parametrize(
    ("words", "chapter"),
    [
        ("saliency", "sensitivity"),
        ("fidelity", "evaluation"),
        ("faithfulness", "evaluation"),
        ("LRP", "lrp"),
        ("GAN", "gans"),
        ("autoencoder", "vae"),
        ("fairness", "bias"),
        ("confidence", "uncertainty"),
        ("privacy", "responsibility"),
        ("shortcut", "applications"),
    ],
)
def test_the_search_finds_a_chapter_by_the_words_of_others(open_page, words, chapter):
    pages = found(open_page, words)
    place = pages.index(f"chapters/{chapter}.html")
    assert not [p for p in pages[:place] if not p.startswith("chapters/")], pages
    exercise = f"exercises/{chapter}.html"
    assert exercise not in pages or pages.index(exercise) > place


# ---------------------------------------------------------------- pop-ups

TERM = ".bd-article a[href$='glossary.html#relevance']"
CITATION = ".bd-article a[href$='references.html#bach2015']"


@pytest.fixture(params=[1300, 390])
def page(open_page, request):
    return open_page(HTML / "chapters" / "lrp.html", width=request.param)


@pytest.mark.parametrize(
    ("link", "start", "says"),
    [(TERM, "Relevance.", "input"), (CITATION, "Bach, S.", "pixel-wise explanations")],
)
def test_a_link_shows_its_text_on_hover_until_the_pointer_leaves(page, link, start, says):
    box, link = page.locator("#pop-up"), page.locator(link).first
    assert box.is_hidden()
    link.hover()
    box.wait_for(state="visible")
    text = box.inner_text()
    assert text.startswith(start) and says in text and "\\(" not in text
    inside = box.bounding_box()
    width = page.viewport_size["width"]
    assert 0 <= inside["x"] and inside["x"] + inside["width"] <= width
    box.hover()  # to read it, or to mark a word of it
    page.wait_for_timeout(400)
    assert box.is_visible()
    page.mouse.move(1, 1)
    box.wait_for(state="hidden")


def test_a_link_shows_its_text_on_focus_until_escape(page):
    box, link = page.locator("#pop-up"), page.locator(TERM).first
    page.keyboard.press("Tab")  # what follows counts as use of the keyboard
    link.focus()
    assert box.is_visible() and link.get_attribute("aria-describedby") == "pop-up"
    page.keyboard.press("Escape")
    assert box.is_hidden() and link.get_attribute("aria-describedby") is None
    link.blur()
    link.focus()
    assert box.is_visible()
    page.keyboard.press("Tab")
    other = page.evaluate("document.activeElement.getAttribute('aria-describedby')")
    assert other or box.is_hidden()


def test_a_formula_in_a_pop_up_is_typeset(page):
    link = page.locator(".bd-article a[href$='glossary.html#activation']").first
    link.hover()
    page.locator("#pop-up mjx-container").first.wait_for()


def test_a_pop_up_is_accessible(page):
    from axe_playwright_python.sync_playwright import Axe

    page.locator(CITATION).first.hover()
    page.locator("#pop-up").wait_for(state="visible")
    page.wait_for_timeout(300)
    rules = {"rules": {"region": {"enabled": False}}}
    found = Axe().run(page, context={"include": [["#pop-up"]]}, options=rules)
    assert found.response["violations"] == []


def test_nothing_moves_for_who_wants_no_motion(page):
    page.emulate_media(reduced_motion="reduce")
    page.locator(TERM).first.hover()
    box = page.locator("#pop-up")
    box.wait_for(state="visible")
    assert box.evaluate("box => getComputedStyle(box).animationName") == "none"
