"""Prints the built book into one file, _build/html/opening-deep-networks.pdf: `make pdf`.

Chromium prints each page as a reader would, in its light colours, with hints opened and controls
left out; pypdf puts a cover and the contents before them, writes the page numbers and makes links
between pages lead to pages. What is folded code on a page (it draws the figures) and the reference
of `lib` stay on the screen, on purpose: they are looked up, not read.
"""

import io
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import browser
import yaml
from book import BUILD, PDF
from playwright.sync_api import Browser
from pypdf import PdfReader, PdfWriter
from pypdf.constants import PageLabelStyle
from pypdf.generic import ArrayObject, FloatObject, NameObject, NullObject

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import palette

ROOT = Path(__file__).resolve().parents[1]
HTML = BUILD / "html"
LEFT_OUT = "api/"
PAPER = {
    "format": "A4",
    "print_background": True,
    "scale": 0.85,
    "margin": {"top": "16mm", "bottom": "20mm", "left": "18mm", "right": "18mm"},
}
# Before printing: every fold opens, every picture comes, and what other pages link to can be found:
# Chromium keeps the places of those ids alone to which the page itself has a link.
PREPARE = """async ids => {
  document.querySelectorAll('.bd-article details').forEach(fold => { fold.open = true; });
  const pictures = [...document.querySelectorAll('.bd-article img')];
  pictures.forEach(picture => { picture.loading = 'eager'; });
  await Promise.all(pictures.map(picture => picture.decode().catch(() => 0)));
  const places = document.createElement('p');
  places.style.display = 'none';
  for (const id of ids.filter(id => document.getElementById(id)))
    places.append(Object.assign(document.createElement('a'), { href: '#' + id, textContent: '.' }));
  document.querySelector('.bd-article').append(places);
}"""
FRONT = """<!doctype html><meta charset="utf-8"><style>
body {{ font: 12pt/1.5 system-ui, "DejaVu Sans", sans-serif; }}
.cover {{ height: 235mm; display: flex; flex-direction: column; justify-content: space-between; }}
.cover img {{ width: 100%; }} h1 {{ font-size: 34pt; line-height: 1.15; margin: 30mm 0 0; }}
h2 {{ break-before: page; margin: 0; }} h3 {{ margin: 1em 0 0; font-size: 11pt; }}
ol {{ list-style: none; padding: 0; margin: 0; font-size: 10.5pt; }} li {{ display: flex; }}
li.sub {{ padding-left: 2em; font-size: 9.5pt; }}
li a {{ flex: 1; color: inherit; text-decoration: none; }}
</style>{body}"""


@dataclass
class Part:
    """A printed page of the book: its name and title, its leaves, where links to it arrive."""

    name: str
    title: str
    reader: PdfReader
    first: int = 0  # counted from 0, over all parts

    def place(self, id: str) -> tuple[int, float]:
        """Leaf of the part and height on it; the beginning where the id is unknown."""
        found = self.reader.named_destinations.get(f"/{id}")
        if found is None:
            return 0, float(self.reader.pages[0].mediabox.top)
        leaf = self.reader.get_destination_page_number(found)
        return leaf or 0, float(found.top or 0)


def contents() -> list[tuple[str, list[tuple[str, int]]]]:
    """(caption, [(name of a page, its level)]) for each part of the table of contents."""
    table = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts: list[tuple[str, list[tuple[str, int]]]] = [("", [(table["root"], 0)])]
    for part in table["parts"]:
        names = []
        for chapter in part["chapters"]:
            names += [(chapter["file"], 0)]
            names += [(section["file"], 1) for section in chapter.get("sections", ())]
        parts.append((part["caption"], [n for n in names if not n[0].startswith(LEFT_OUT)]))
    return parts


# ---------------------------------------------------------------- printing


def printed(chromium: Browser, names: list[str]) -> list[Part]:
    """The parts in this order; each begins on a leaf of its own."""
    parts, first = [], 0
    linked = linked_ids(names)
    with browser.paper(chromium, 800, 1100) as page:
        for name in names:
            browser.visit(page, HTML / f"{name}.html")
            page.evaluate(PREPARE, sorted(linked.get(name, ())))
            title = page.locator(".bd-article h1").first.evaluate("h => h.firstChild.textContent")
            parts.append(Part(name, title, PdfReader(io.BytesIO(page.pdf(**PAPER))), first))
            first += len(parts[-1].reader.pages)
    return parts


def linked_ids(names: list[str]) -> dict[str, set[str]]:
    """Page: the ids on it to which another of these pages has a link."""
    found: dict[str, set[str]] = {}
    for name in names:
        path = HTML / f"{name}.html"
        for link in re.findall(r'href="([^":]+\.html#[^"]+)"', path.read_text(encoding="utf-8")):
            target, id = destination((path.parent / unquote(link)).as_posix())
            found.setdefault(target, set()).add(id)
    return found


def destination(address: str) -> tuple[str, str]:
    """("chapters/lrp", "figure-3-2") of a path or an address of a built page."""
    parts = urlsplit(address)
    path = os.path.relpath(os.path.normpath(unquote(parts.path)), HTML)
    return path.removesuffix(".html"), unquote(parts.fragment)


# ---------------------------------------------------------------- cover and contents, numbers


def front(chromium: Browser, parts: list[Part]) -> PdfReader:
    """Cover and contents; the leaves of the parts are counted from 1."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    title, _, subtitle = cited["title"].partition(": ")
    picture = (ROOT / "images" / "photo.jpg").as_uri()
    authors = " and ".join(person["name"] for person in cited["authors"])
    body = (
        f'<section class="cover"><div><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></div>'
        f'<img src="{picture}" alt=""><p>By {escape(authors)}<br>Version {cited["version"]}<br>'
        "Text and figures: CC BY 4.0. Code: BSD 3-Clause.<br>The figures are alive in the pages on "
        "the screen, where the code that draws them stands too.</p></section><h2>Contents</h2>"
    )
    by_name = {part.name: part for part in parts}
    for caption, names in contents():
        rows = [(by_name[name], level) for name, level in names if name in by_name]
        if rows:
            body += f"<h3>{escape(caption)}</h3><ol>" + "".join(map(_row, *zip(*rows))) + "</ol>"
    return typeset(chromium, FRONT.format(body=body))


def _row(part: Part, level: int) -> str:
    kind = ' class="sub"' if level else ""
    link = (HTML / f"{part.name}.html").as_uri()
    return f'<li{kind}><a href="{link}">{escape(part.title)}</a> {part.first + 1}</li>'


def typeset(chromium: Browser, html: str) -> PdfReader:
    """A page that stands in no file; it may show pictures that do."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        path.write_text(html, encoding="utf-8")
        page = chromium.new_page(offline=True)
        page.goto(path.as_uri())
        pdf = page.pdf(**PAPER | {"scale": 1})
        page.close()
    return PdfReader(io.BytesIO(pdf))


def numbers(chromium: Browser, parts: list[Part]) -> PdfReader:
    """One leaf for each of the book, with its number and the title of its part at the foot."""
    feet = "".join(
        f"<p><span>{escape(part.title)}</span><span>{part.first + k + 1}</span></p>"
        for part in parts
        for k in range(len(part.reader.pages))
    )
    style = (
        "@page{margin:0} body{margin:0; font:9pt system-ui,'DejaVu Sans',sans-serif;"
        f"color:{palette.MUTED}}}"
        "p{box-sizing:border-box;height:296.8mm;margin:0;padding:284mm 18mm 0;display:flex;"
        "justify-content:space-between;break-after:page}p:last-child{break-after:auto}"
    )
    html = f'<!doctype html><meta charset="utf-8"><style>{style}</style>{feet}'
    return typeset(chromium, html)


# ---------------------------------------------------------------- binding


def bind(parts: list[Part], front_matter: PdfReader, feet: PdfReader) -> PdfWriter:
    """All leaves in one file, numbered, with bookmarks and links that lead to leaves."""
    book = PdfWriter()
    book.append(front_matter, import_outline=False)
    start = len(book.pages)
    for part in parts:
        book.append(part.reader, outline_item=part.title, import_outline=False)
    for leaf, foot in zip(book.pages[start:], feet.pages, strict=True):
        leaf.merge_page(foot)
    by_name = {part.name: part for part in parts}
    leaves = [(None, leaf) for leaf in book.pages[:start]]
    leaves += [
        (part, book.pages[start + part.first + k])
        for part in parts
        for k in range(len(part.reader.pages))
    ]
    for part, leaf in leaves:
        for annotation in leaf.annotations or ():
            lead(annotation.get_object(), part, by_name, book, start)
    book.set_page_label(0, start - 1, PageLabelStyle.LOWERCASE_ROMAN)
    book.set_page_label(start, len(book.pages) - 1, PageLabelStyle.DECIMAL, start=1)
    book.add_metadata({"/Title": "Opening Deep Networks"})
    book.compress_identical_objects()
    return book


def lead(link, part: Part | None, by_name: dict[str, Part], book: PdfWriter, start: int) -> None:
    """Makes a link to another page of the book, or to a place on its own, lead to a leaf."""
    address = link.get("/A", {}).get("/URI", "")
    name = link.get("/Dest") or link.get("/A", {}).get("/D")
    if str(address).startswith("file:"):
        target, id = destination(str(address))
        part = by_name.get(target)
    elif isinstance(name, str) and part is not None:
        id = str(name).removeprefix("/")
    else:
        return  # a link to elsewhere
    link.pop("/A", None)
    if part is not None:  # else the page is not printed
        leaf, top = part.place(id)
        page = book.pages[start + part.first + leaf].indirect_reference
        where = [page, NameObject("/XYZ"), NullObject(), FloatObject(top), NullObject()]
        link[NameObject("/Dest")] = ArrayObject(where)


def make(chromium: Browser, names: list[str], target: Path) -> PdfWriter:
    parts = printed(chromium, names)
    book = bind(parts, front(chromium, parts), numbers(chromium, parts))
    book.write(target)
    return book


def main() -> int:
    began, target = time.perf_counter(), HTML / PDF
    names = [name for _, pages in contents() for name, _ in pages]
    with browser.started(browser.find() or sys.exit(browser.MISSING)) as chromium:
        book = make(chromium, names, target)
    size, seconds = target.stat().st_size / 1e6, time.perf_counter() - began
    print(f"{target}: {len(book.pages)} pages, {size:.0f} MB, in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
