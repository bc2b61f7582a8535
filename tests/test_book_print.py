"""The book for print: numbered leaves, contents that are right, links that lead to leaves."""

import re

import print_book
import pytest
import slides
from built import HTML
from pypdf import PdfReader

pytestmark = pytest.mark.xdist_group("print")  # one book for all

NAMES = ["intro", "chapters/bias", "exercises/bias", "glossary"]
TITLES = ["Opening Deep Networks", "Bias", "Exercises: bias", "Glossary"]


@pytest.fixture(scope="module")
def book(browser, tmp_path_factory):
    target = tmp_path_factory.mktemp("print") / "book.pdf"
    print_book.make(browser, NAMES, target)
    return PdfReader(target)


@pytest.fixture(scope="module")
def texts(book):
    """The words of each leaf, by its number: i, ii, ..., 1, 2, ..."""
    return {
        label: " ".join(leaf.extract_text().split())
        for label, leaf in zip(book.page_labels, book.pages, strict=True)
    }


def test_a_leaf_bears_its_number_and_the_title_of_its_part(texts):
    numbered = {label: text for label, text in texts.items() if label.isdigit()}
    assert list(numbered) == [str(k) for k in range(1, len(numbered) + 1)] and len(numbered) > 30
    for label, text in numbered.items():
        assert re.search(rf"({'|'.join(TITLES)}) {label}$", text), text[-60:]


def test_the_contents_say_where_each_part_begins(texts):
    assert "Opening Deep Networks" in texts["i"] and "Version" in texts["i"]
    for title in TITLES:
        label = re.search(rf"{title} (\d+)", texts["ii"])[1]
        assert texts[label].startswith(title), (title, label, texts[label][:60])


def test_every_page_is_in_the_contents_but_the_reference_of_the_library():
    listed = {name for _, pages in print_book.contents() for name, _ in pages}
    there = {path.relative_to(HTML).with_suffix("").as_posix() for path in HTML.rglob("*.html")}
    made = {"index", "genindex", "search", "404"}
    assert {n for n in there - made if not n.startswith(("api/", "_static/"))} == listed


def test_what_cannot_be_pressed_and_folded_code_stay_on_the_screen(texts):
    whole = " ".join(texts.values())
    assert "Clear the drawing" not in whole and "Edit this page" not in whole
    assert "The code of Figure" not in whole and "The set-up of this page" not in whole
    assert "Figure 9.1" in whole and "(9.1)" in whole and "Hint 1" in whole


def links(book):
    for leaf in book.pages:
        for annotation in leaf.annotations or ():
            if (link := annotation.get_object())["/Subtype"] == "/Link":
                yield link


def test_links_lead_to_leaves_or_to_other_hosts(book):
    places = {page.indirect_reference.idnum for page in book.pages}
    inside = [link for link in links(book) if "/Dest" in link]
    assert len(inside) > 50
    assert all(link["/Dest"][0].idnum in places for link in inside)
    outside = [link["/A"]["/URI"] for link in links(book) if "/A" in link]
    assert outside and all(address.startswith("https://") for address in outside)


def test_a_link_to_a_term_leads_to_its_leaf(book):
    """Each term of the chapter has its own place in the glossary."""
    chapter = next(k for k, leaf in enumerate(book.pages) if leaf.extract_text().startswith("Bias"))
    reached = [
        book.get_page_number(link["/Dest"][0].get_object())
        for leaf in book.pages[chapter : chapter + 25]
        for link in (a.get_object() for a in leaf.annotations or ())
        if "/Dest" in link
    ]
    glossary = next(k for k, p in enumerate(book.pages) if p.extract_text().startswith("Glossary"))
    terms = [k for k in reached if k >= glossary]
    assert len(set(terms)) > 4, "all links to the glossary lead to one leaf"
    assert "False positive rate" in " ".join(book.pages[k].extract_text() for k in set(terms))


def test_bookmarks_name_the_parts(book):
    assert [item.title for item in book.outline] == TITLES


def test_the_slides_of_a_chapter_show_its_questions_equations_and_figures(browser, tmp_path):
    target = tmp_path / "bias.pdf"
    count = slides.printed(browser, HTML / "chapters" / "bias.html", target)
    shown = [" ".join(leaf.extract_text().split()) for leaf in PdfReader(target).pages]
    assert len(shown) == count > 20
    html = (HTML / "chapters" / "bias.html").read_text(encoding="utf-8")
    for number in set(re.findall(r"Figure (9\.\d+)<", html)):
        assert sum(f"Figure {number} " in text for text in shown) == 1, number
    whole = " ".join(shown)
    assert "Predict" in whole and "(9.1)" in whole and "What to remember" in whole
    assert "Test yourself" not in whole and "import torch" not in whole and "Your turn" not in whole
    for k, text in enumerate(shown[1:], start=2):
        assert re.search(rf"Bias ?{k}\b", text) and len(text) > 30, text
