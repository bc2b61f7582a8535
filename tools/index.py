"""Writes index_of_terms.md: where each term of the glossary is used, section by section.
`.venv/bin/python tools/index.py`

A term is used where a text links to it. Terms that no text links to fail a test, so the index is
complete for the glossary.
"""

import json
import pathlib
import re

from mdit_py_plugins.anchors.index import slugify

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEADER = """\
# Index

<!-- Made from the links to the glossary by tools/index.py. -->

The terms of the [glossary](glossary.md) and the sections that use them.
"""


def order_of_pages():
    """The notebooks of the book, in the order of its table of contents."""
    return [
        ROOT / f"{name}.ipynb"
        for name in re.findall(
            r"file: ((?:chapters|full_scale)/\w+)", (ROOT / "_toc.yml").read_text()
        )
    ]


def uses():
    """Term's anchor: its sections, each as (page's title, section's title, address), in the order
    of the book.
    """
    found = {}
    for path in order_of_pages():
        title = section = ""
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] != "markdown":
                continue
            for part in re.split(r"(?m)^(?=#{1,2} )", "".join(cell["source"])):
                if heading := re.match(r"(#{1,2}) (.+)", part):
                    title, section = (
                        (heading[2], "") if len(heading[1]) == 1 else (title, heading[2])
                    )
                for anchor in re.findall(r"glossary\.md#([^)\s]+)", part):
                    place = (
                        title,
                        section,
                        f"{path.relative_to(ROOT)}" + (f"#{slugify(section)}" if section else ""),
                    )
                    if place not in found.setdefault(anchor, []):
                        found[anchor].append(place)
    return found


def terms():
    """Anchor and name of each term of the glossary."""
    return {
        slugify(term): term
        for term in re.findall(r"(?m)^## (.+)$", (ROOT / "glossary.md").read_text(encoding="utf-8"))
    }


def page():
    """The whole text of index_of_terms.md."""
    found, lines = uses(), []
    for anchor, term in terms().items():
        places = {}
        for title, section, address in found.get(anchor, ()):
            places.setdefault(title, []).append(f"[{section or title}]({address})")
        where = "; ".join(
            f"*{title}*: "
            + ", ".join(links[:-1] if links[1:] and "Terms and references" in links[-1] else links)
            for title, links in places.items()
        )
        lines.append(f"- **[{term}](glossary.md#{anchor})**. {where}.\n")
    return HEADER + "\n" + "".join(lines)


if __name__ == "__main__":
    (ROOT / "index_of_terms.md").write_text(page(), encoding="utf-8")
