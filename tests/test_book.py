"""The built book as its readers get it: every page, opened from its file in a browser with all
network refused.

`make test` builds it first; to run these alone, `make book` before.
"""

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest
from api_pages import public
from built import HTML, PAGES, Page, every_page
from conftest import ROOT

import lib

WINGS = [m.name for m in pkgutil.iter_modules(lib.__path__, "lib.") if m.name != "lib.checks"]
# Violations of the theme itself (sphinx-book-theme 1.3.0): a label that differs from its button's
# text, content outside landmarks
THEME_VIOLATIONS = {"label-content-name-mismatch", "region"}
# an arrow without a name
THEME_PARTS = {
    "exclude": [[".bd-sidebar-primary .toctree-toggle"], [".bd-sidebar-primary summary"]]
}


def test_the_book_is_built_and_recent():
    assert PAGES, "no book in _build/html; build it with: make book"
    built = min(page.stat().st_mtime for page in PAGES)
    sources = [
        *ROOT.glob("*.md"),
        *ROOT.glob("api/*.md"),
        ROOT / "_config.yml",
        ROOT / "_toc.yml",
        *ROOT.glob("chapters/*.ipynb"),
        *ROOT.glob("exercises/*.ipynb"),
        *ROOT.glob("full_scale/*.ipynb"),
    ]
    shown = {page.relative_to(HTML).with_suffix("") for page in PAGES}
    newer = [
        s.name
        for s in sources
        if s.stat().st_mtime > built
        and (s.suffix == ".yml" or s.relative_to(ROOT).with_suffix("") in shown)
    ]
    assert not newer, f"{newer} changed after the book was built; build it again with: make book"


# ---------------------------------------------------------------- read without a browser


@pytest.fixture(scope="module")
def parsed():
    """Each page of the book, read once, by its path."""
    cache = {}
    return lambda path: cache.setdefault(path, Page(path))


@every_page
def test_links_inside_the_book_lead_somewhere(path, parsed):
    dead = []
    for link in parsed(path).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.is_file():
            dead.append(link)
        elif (
            parts.fragment
            and target.suffix == ".html"
            and unquote(parts.fragment) not in parsed(target).ids
        ):
            dead.append(link)
    assert not dead


def test_every_public_name_of_the_library_is_on_the_page_of_its_wing(parsed):
    for wing in WINGS:
        ids = parsed(HTML / "api" / f"{wing.removeprefix('lib.')}.html").ids
        for name, value in public(importlib.import_module(wing)):
            anchor = (
                f"module-{value.__name__}" if isinstance(value, ModuleType) else f"{wing}.{name}"
            )
            assert anchor in ids, f"{anchor}: build the book again with: make book"


@every_page
def test_loads_only_files_of_the_book(path, parsed):
    for address in parsed(path).loads:
        parts = urlsplit(address)
        assert parts.scheme in ("", "data") and not parts.netloc, address
        assert parts.scheme == "data" or (path.parent / unquote(parts.path)).is_file(), address


# ---------------------------------------------------------------- in the browser


@every_page
def test_quiet_and_complete(open_page, path):
    """No request, no error, mathematics typeset, pictures described, nothing wider than a phone."""
    page = open_page(path)
    assert page.log == []
    raw = page.locator(".math").count()
    assert raw == 0 or page.locator("mjx-container").count() >= raw
    assert page.locator("mjx-merror").count() == 0
    poor = [i["src"][:60] for i in _images(page) if len(re.findall(r"\w+", i["alt"] or "")) < 6]
    assert not poor, "pictures without a description of at least six words"
    broken = [i["src"][:60] for i in _images(page) if i["width"] == 0]
    assert not broken, "pictures that cannot be shown"


@every_page
def test_a_formula_is_no_stop_of_the_tab_key(open_page, path):
    assert open_page(path).locator(".bd-article mjx-container[tabindex]").count() == 0


def _images(page):
    script = (
        "images => images.map(i => ({src: i.getAttribute('src'), alt: i.alt, width: "
        "i.naturalWidth}))"
    )
    return page.locator(".bd-article img:not(.live-thumb)").evaluate_all(script)


def views(path):
    """How a page is looked at: pages of the reference, all made alike, in each mode and each width
    once, the others in all four ways.
    """
    ways = [("light", 1300), ("dark", 390), ("light", 390), ("dark", 1300)]
    return ways[: 2 if path.parent.name == "api" else 4]


@pytest.mark.parametrize(
    ("path", "mode", "width"),
    [(path, *way) for path in PAGES for way in views(path)],
    ids=lambda value: value.stem if isinstance(value, Path) else str(value),
)
def test_accessible_and_fits(open_page, path, mode, width):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(path, mode=mode, width=width)
    assert page.evaluate("document.documentElement.dataset.theme") == mode
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate("""[...document.querySelectorAll('div.math')]
      .filter(e => e.querySelector('mjx-math')?.getBoundingClientRect().width >
        e.querySelector('mjx-container').clientWidth + 6)
      .map(e => e.previousElementSibling?.textContent.slice(-80))""")
    assert not wide, f"break the equations after {wide}"
    cut = page.evaluate("""[...document.querySelectorAll('.bd-article table')]
      .filter(table => table.parentElement.scrollWidth > table.parentElement.clientWidth + 1)
      .map(table => table.innerText.slice(0, 80))""")
    assert not cut, f"tables that are too wide: {cut}"
    violations = Axe().run(page, context=THEME_PARTS).response["violations"]
    ours = {
        v["id"]: [node["html"][:160] for node in v["nodes"]]
        for v in violations
        if v["id"] not in THEME_VIOLATIONS
    }
    assert ours == {}


# The key that chooses, or moves a slider or a menu by one step wherever it stands
KEY = """c => c.type === 'radio' || c.type === 'checkbox' ? 'Space'
  : c.tagName === 'SELECT' ? (c.selectedIndex < c.options.length - 1 ? 'ArrowDown' : 'ArrowUp')
  : (+c.value < +c.max ? 'ArrowRight' : 'ArrowLeft')"""
SHOWN = """figure => [...figure.querySelectorAll('img, svg, canvas, output, [aria-live]')]
  .map(e => e.src || (e.toDataURL ? e.toDataURL() : e.innerHTML)).join('|')"""
LIVE = "figure.live-fig"


@pytest.mark.parametrize(
    "path", [p for p in PAGES if "live-fig" in p.read_text()], ids=lambda p: p.stem
)
def test_live_figures_react(open_page, path):
    """Each live figure has started, and a control moved one step by the keyboard, or a link
    reached, changes what it shows or says.
    """
    page = open_page(path)
    for figure in page.locator(LIVE).all():
        name = figure.get_attribute("aria-label")
        assert figure.evaluate("f => f.dataset.alive") == "yes", f"{name}: its script has not run"
        found = figure.locator("input, select, a:not(.figure-number)").all()
        if not found:
            continue  # a figure without controls
        controls = [control for control in found if control.is_enabled()]
        assert controls, f"{name}: no control is enabled"
        assert any(_changes(page, figure, control) for control in controls), (
            f"{name}: its controls change nothing"
        )
    assert page.log == []


def _changes(page, figure, control):
    before = figure.evaluate(SHOWN)
    control.focus()
    if control.evaluate("c => c.tagName") != "A":  # a link tells its idea when it is reached
        page.keyboard.press(control.evaluate(KEY))
    return figure.evaluate(SHOWN) != before


@every_page
def test_readable_without_javascript(open_page, path):
    page = open_page(path, javascript=False)
    assert page.locator(".bd-article h1").first.is_visible()
    for figure in page.locator(LIVE).all():
        pictures = figure.locator("img, svg, canvas")
        assert pictures.count() == 0 or pictures.first.is_visible()
