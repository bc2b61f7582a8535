"""Slides of a chapter, from its built page, as _build/html/slides/NAME.pdf: `make slides NAME=lrp`.

A slide shows what a class looks at together: what the chapter prints in bold, with the sentence
before it, equations, lists, tables, and each figure with its sentence. The other words are the
speaker's. On the page itself the figures are alive.
"""

import sys
import time
from pathlib import Path

import browser
from book import BUILD
from playwright.sync_api import Browser

HTML = BUILD / "html"
WIDTH, HEIGHT = 1280, 720
PARTS = Path(__file__).parent / "deck"


def main() -> int:
    if len(sys.argv) != 2 or not (HTML / "chapters" / f"{sys.argv[1]}.html").exists():
        names = ", ".join(sorted(path.stem for path in (HTML / "chapters").glob("*.html")))
        print(f"make slides NAME=... expects a chapter: {names or 'run `make book` first'}")
        return 2
    began, source = time.perf_counter(), HTML / "chapters" / f"{sys.argv[1]}.html"
    target = HTML / "slides" / f"{sys.argv[1]}.pdf"
    target.parent.mkdir(exist_ok=True)
    with browser.started(browser.find() or sys.exit(browser.MISSING)) as chromium:
        count = printed(chromium, source, target)
    print(f"{target}: {count} slides, in {time.perf_counter() - began:.0f} s")
    return 0


def printed(chromium: Browser, source: Path, target: Path) -> int:
    """Writes the slides of a built page; returns how many there are."""
    with browser.paper(chromium, WIDTH, HEIGHT) as page:
        browser.visit(page, source)
        page.add_style_tag(path=PARTS / "slides.css")
        count = page.evaluate((PARTS / "slides.js").read_text(encoding="utf-8"))
        page.pdf(path=target, width=f"{WIDTH}px", height=f"{HEIGHT}px", print_background=True)
    return count


if __name__ == "__main__":
    sys.exit(main())
