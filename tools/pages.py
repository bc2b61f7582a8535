"""Writes every made file of the book: `make pages`.

    python tools/pages.py              all that is old
    python tools/pages.py --check      names what is old, writes nothing, and fails if there is any

Made are: references.md, from references.bib; index_of_terms.md, from the links to the glossary; the
table of tasks in instructors.md, and exercises/, from solutions/; the seconds and the energy in the
heads of chapters and of full_scale/, from status.md (which `make status` measures); the list of
chapters in the README, from intro.md; the pictures in images/ (pictures.py).
"""

import argparse
import json
import logging
import pathlib
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

import nbformat
import pictures
import run
import status
from mdit_py_plugins.anchors.index import slugify
from pybtex.database import Entry, Person, parse_file
from pybtex.richtext import Text

import exercises

ROOT = pathlib.Path(__file__).resolve().parents[1]

# ---------------------------------------------------------------- references.md

REFERENCES = """\
# References

<!-- Made from references.bib by tools/pages.py: change it there. -->

What the book cites, by first author. The links lead to the publishers' pages and to arXiv.
"""
FURTHER = """
## Further reading

On the slides, or close to what is taught here; no page of the book builds on it.
"""


def bibliography() -> dict[str, Entry]:
    """The entries of references.bib, by key."""
    return parse_file(ROOT / "references.bib", bib_format="bibtex").entries


def references() -> str:
    """Plain Markdown with one anchor an entry, so that a citation is an ordinary link and reads
    well on GitHub and in Colab.
    """
    entries, used = sorted(bibliography().items(), key=_order), cited()
    listed = {key: f'\n<a id="{key}"></a>\n{_entry(entry)}\n' for key, entry in entries}
    further = [text for key, text in listed.items() if key not in used]
    own = [text for key, text in listed.items() if key in used]
    return "".join([REFERENCES, *own, FURTHER, *further])


def cited() -> set[str]:
    """The keys to which a text of the book links."""
    texts = [path.read_text(encoding="utf-8") for path in ROOT.glob("*.md")]
    for folder in ("chapters", "solutions", "full_scale"):
        for path in (ROOT / folder).glob("*.ipynb"):
            texts += [cell.source for cell in nbformat.read(path, 4).cells]
    return {key for text in texts for key in re.findall(r"references\.md#(\w+)", text)}


def _order(item: tuple[str, Entry]) -> tuple[str, str, str]:
    key, entry = item
    return _plain(entry.persons["author"][0].last_names).casefold(), entry.fields["year"], key


def _entry(entry: Entry) -> str:
    fields = entry.fields
    title = _text(fields["title"])
    parts = [
        f"{_authors(entry.persons['author'])} ({fields['year']}).",
        f"**{title}{'' if title[-1] in '?!.' else '.'}**",
        _where(fields),
        ", ".join(_links(fields)),
    ]
    return " ".join(filter(None, parts))


def _authors(persons: list[Person]) -> str:
    names = [
        f"{_plain(p.last_names)}, {_initials(p.first_names + p.middle_names)}" for p in persons
    ]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _initials(names: list[str]) -> str:
    """'Klaus-Robert' -> 'K.-R.'; 'J. P.' stays."""
    return " ".join("-".join(part[0] + "." for part in name.split("-")) for name in names)


def _plain(names: list[str]) -> str:
    return _text(" ".join(names))


def _text(latex: str) -> str:
    """Without the braces and accents of LaTeX."""
    return str(Text.from_latex(latex))


def _where(fields: dict[str, str]) -> str:
    venue = fields.get("journal") or fields.get("booktitle") or fields.get("howpublished")
    if not venue:
        return ""
    text = f"*{_text(venue)}*"
    if "series" in fields:
        text += f", {fields['series']}"
    if "volume" in fields:
        text += f" {fields['volume']}" + (f"({fields['number']})" if "number" in fields else "")
    if "pages" in fields:
        text += (": " if "volume" in fields else ", ") + fields["pages"].replace("--", "–")
    return text + "."


def _links(fields: dict[str, str]) -> Iterator[str]:
    if "doi" in fields:
        yield f"[doi:{fields['doi']}](https://doi.org/{fields['doi']})"
    if "eprint" in fields:
        yield f"[arXiv:{fields['eprint']}](https://arxiv.org/abs/{fields['eprint']})"
    if "url" in fields and not {"doi", "eprint"} & set(fields):
        yield f"[{urlsplit(fields['url']).hostname}]({fields['url']})"


# ---------------------------------------------------------------- index_of_terms.md

INDEX = """\
# Index

<!-- Made from the links to the glossary by tools/pages.py. -->

The terms of the [glossary](glossary.md) and the sections that use them.

"""


def index_of_terms() -> str:
    """Where each term of the glossary is used, section by section; a term is used where a text
    links to it.
    """
    found, lines = uses(), []
    for anchor, term in terms().items():
        places: dict[str, list[str]] = {}
        for title, section, address in found.get(anchor, ()):
            places.setdefault(title, []).append(f"[{section or title}]({address})")
        where = "; ".join(
            f"*{title}*: "
            + ", ".join(links[:-1] if links[1:] and "Terms and references" in links[-1] else links)
            for title, links in places.items()
        )
        lines.append(f"- **[{term}](glossary.md#{anchor})**. {where}.\n")
    return INDEX + "".join(lines)


def uses() -> dict[str, list[tuple[str, str, str]]]:
    """Term's anchor: its sections, each as (page's title, section's title, address), in the order
    of the book.
    """
    found: dict[str, list[tuple[str, str, str]]] = {}
    for path in run.in_order("chapters", "full_scale"):
        title = section = ""
        for part in re.split(r"(?m)^(?=#{1,2} )", "\n\n".join(markdown(path))):
            if heading := re.match(r"(#{1,2}) (.+)", part):
                title, section = (heading[2], "") if heading[1] == "#" else (title, heading[2])
            address = f"{path.relative_to(ROOT)}" + (f"#{slugify(section)}" if section else "")
            for anchor in re.findall(r"glossary\.md#([^)\s]+)", part):
                if (title, section, address) not in found.setdefault(anchor, []):
                    found[anchor].append((title, section, address))
    return found


def terms() -> dict[str, str]:
    """Anchor and name of each term of the glossary."""
    text = (ROOT / "glossary.md").read_text(encoding="utf-8")
    return {slugify(term): term for term in re.findall(r"(?m)^## (.+)$", text)}


def markdown(path: pathlib.Path) -> list[str]:
    """The text cells of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


# ---------------------------------------------------------------- the tasks, in instructors.md

BETWEEN = re.compile(r"(?s)(<!-- tasks: made by tools/pages.py -->\n).*?(<!-- end -->)")
TASK = re.compile(
    r"^##+ (\d+) (.+)\n\n\*(\d+) minutes,(?: (\w+),)? (\d+) points?\b(, a written answer|, "
    r"graded by a person)?"
)
TASKS = "\n| set | task | difficulty | minutes | points |\n|---|---|---|---|---|\n"


def instructors() -> str:
    """The page with its table of all tasks."""
    rows, minutes, points = [], 0, 0
    for path in run.in_order("exercises"):
        for number, title, time, difficulty, worth in tasks(path.stem):
            rows.append(
                f"| [{path.stem}](exercises/{path.name}) | {number} {title} | {difficulty} | "
                f"{time} | {worth} |\n"
            )
            minutes, points = minutes + time, points + worth
    table = TASKS + "".join(rows) + f"| all | {len(rows)} tasks | | {minutes:,} | {points} |\n\n"
    text = (ROOT / "instructors.md").read_text(encoding="utf-8")
    return BETWEEN.sub(lambda match: match[1] + table + match[2], text)


def tasks(name: str) -> list[tuple[int, str, int, str, int]]:
    """(number, title, minutes, difficulty, points) of each task of a set."""
    found = map(TASK.match, markdown(ROOT / "solutions" / f"{name}.ipynb"))
    return [
        (
            int(m[1]),
            m[2],
            int(m[3]),
            "written" if m[6] or m[4] in (None, "judgement") else m[4],
            int(m[5]),
        )
        for m in found
        if m
    ]


def checked() -> str:
    """What lib/checks/_progress.py knows of each set: (title, check or "", points) of its tasks."""
    return json.dumps({path.stem: graded(path) for path in exercises.solutions()}, indent=1) + "\n"


def graded(path: pathlib.Path) -> list[tuple[str, str, int]]:
    found, title = [], ""
    for cell in nbformat.read(path, 4).cells:
        if heading := TASK.match(cell.source):
            title = f"{heading[1]} {heading[2]}"
        mark = cell.metadata.get("nbgrader", {})
        if mark.get("grade"):
            check = re.match(r"checks\.check_(\w+)", cell.source)
            found.append((title, check[1] if check else "", int(mark["points"])))
    return found


# ---------------------------------------------------------------- the chapters, in the README

CHAPTERS = re.compile(r"(?s)(<!-- chapters: made by tools/pages.py -->\n).*?(<!-- end -->)")


def readme() -> str:
    """The page with the chapters and their questions, as intro.md has them."""
    intro = (ROOT / "intro.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^\d+\. \[.+?\]\(chapters/\S+\): .+?\?|^### .+$", intro)
    listed = "\n".join(re.sub(r"^### (.+)", r"\n**\1**\n", line) for line in lines)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return CHAPTERS.sub(lambda match: f"{match[1]}{listed}\n\n{match[2]}", text)


# ---------------------------------------------------------------- the table


def students(path: pathlib.Path) -> str:
    return exercises.students_copy(nbformat.read(path, 4))


def made() -> dict[pathlib.Path, Callable[[], str]]:
    """Each made file, and what gives its text."""
    return {
        ROOT / "references.md": references,
        ROOT / "index_of_terms.md": index_of_terms,
        ROOT / "instructors.md": instructors,
        ROOT / "README.md": readme,
        ROOT / "lib" / "checks" / "tasks.json": checked,
        **{exercises.exercise_of(path): partial(students, path) for path in exercises.solutions()},
        **{
            path: partial(status.with_head, path) for path in run.in_order("chapters", "full_scale")
        },
    }


def is_old(path: pathlib.Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail if any is old")
    check = parser.parse_args().check
    logging.disable(logging.WARNING)
    old = {
        path: text.encode() for path, text_of in made().items() if is_old(path, text := text_of())
    }
    for path, draw in pictures.made().items():
        if pictures.is_old(path, picture := draw()):
            old[path] = pictures.content(path, picture)
    for path, content in old.items():
        print(f"{path.relative_to(ROOT)}: {'old' if check else 'written'}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    if check and old:
        print("Run: make pages")
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
