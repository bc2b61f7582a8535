"""What a page of the book says about itself: in its head to others, in its foot to its reader."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import page_head
import pytest
from built import HTML, PAGES, every_page
from conftest import ROOT
from run import in_order

import lib


class Head(HTMLParser):
    """The metas by their names, the links by what they are."""

    def __init__(self, text):
        super().__init__()
        self.metas, self.links = {}, {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag == "meta":
            self.metas[a.get("name") or a.get("property")] = a.get("content")
        elif tag == "link":
            self.links[a.get("rel")] = a.get("href")


def head(path):
    return Head(path.read_text(encoding="utf-8"))


@every_page
def test_a_page_describes_itself_and_has_an_icon(path):
    told = head(path)
    assert 40 <= len(told.metas["description"]) <= 200
    assert told.metas["og:description"] == told.metas["description"]
    assert told.metas["og:title"] and "<" not in told.metas["og:title"]
    assert (path.parent / told.links["icon"]).is_file()


def test_no_two_pages_describe_themselves_alike():
    told = [head(path).metas["description"] for path in PAGES]
    assert len(set(told)) == len(told)


@every_page
def test_the_foot_says_version_and_day(path):
    foot = re.search(r'(?s)<p class="page-foot">(.*?)</p>', path.read_text(encoding="utf-8"))[1]
    assert f"Version {lib.__version__}" in foot
    if (ROOT / ".git").exists():
        assert re.search(r"last changed on \d{1,2} [A-Z][a-z]+ \d{4}", foot)


def test_a_page_for_what_is_not_found(open_page):
    page = open_page(HTML / "404.html")
    assert page.log == [] and page.locator("h1").inner_text() == "This page was not found"
    for link in page.locator("article.bd-article a").all():
        assert (HTML / link.get_attribute("href")).is_file()


@pytest.mark.parametrize(
    ("page", "source"),
    [
        ("chapters/lrp.ipynb", "chapters/lrp.ipynb"),
        ("exercises/lrp.ipynb", "solutions/lrp.ipynb"),
        ("references.md", "references.bib"),
    ],
)
def test_a_made_page_is_edited_at_its_source(page, source):

    assert page_head.source_of(Path(page)) == source and (ROOT / source).is_file()


# ---------------------------------------------------------------- with and without an address


def test_the_pages_of_a_repository_have_an_address():
    assert page_head.published("Me/book") == "https://me.github.io/book/"
    assert page_head.published("me/me.github.io") == "https://me.github.io/"
    assert page_head.published("") == ""


TEMPLATES = ROOT / "tools/site/templates"


def small_book(folder, address):
    """A book of one page with this extension and these templates, built outside any repository."""
    (folder / "index.rst").write_text("Title\n=====\n\nOne sentence of the first page here.\n")
    for name in ("glossary", "index_of_terms"):
        (folder / f"{name}.rst").write_text(f":orphan:\n\n{name}\n==============\n\nText.\n")
    (folder / "conf.py").write_text(
        f"import sys\nsys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tools')!r}, "
        f"{str(ROOT / 'tools/site')!r}]\nextensions = ['page_head']\n"
        f"html_theme, templates_path = 'sphinx_book_theme', [{str(TEMPLATES)!r}]\n"
        f"html_theme_options = {{'repository_url': {address!r}}}\n"
        "html_additional_pages = {'404': '404.html'}\n"
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-W", folder, folder / "built"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder / "built"


def test_with_an_address_a_page_names_it(tmp_path):
    built = small_book(tmp_path, "https://github.com/Me/book")
    told, text = head(built / "index.html"), (built / "index.html").read_text()
    assert told.links["canonical"] == told.metas["og:url"] == "https://me.github.io/book/index.html"
    assert told.metas["og:image"] == "https://me.github.io/book/_static/cards/book.png"
    assert 'href="https://github.com/Me/book/edit/main/index.rst"' in text
    assert 'href="https://github.com/Me/book/issues/new?title=On%20the%20page%20Title"' in text
    assert (
        "<loc>https://me.github.io/book/glossary.html</loc>" in (built / "sitemap.xml").read_text()
    )
    assert '<base href="/book/">' in (built / "404.html").read_text()
    assert "last changed" not in text, "there is no git"


def test_without_an_address_nothing_leads_to_one(tmp_path):
    built = small_book(tmp_path, "https://github.com/OWNER/REPO")
    text = (built / "index.html").read_text()
    assert "canonical" not in text and "og:image" not in text and "github.io" not in text
    assert "Edit this page" not in text and not (built / "sitemap.xml").exists()
    assert "<base" not in (built / "404.html").read_text()


def test_the_preview_pictures_are_there():
    names = {page_head.preview(path.relative_to(HTML).with_suffix("").as_posix()) for path in PAGES}
    assert len(names) == len(in_order("chapters")) + 1 and all(
        (HTML / name).is_file() for name in names
    )
