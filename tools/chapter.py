"""Makes the skeleton of a new chapter: `make chapter NAME=causality TITLE="Causes and effects"`.

Every room on every floor: the notebook, its wing of `lib`, checks, solutions and exercises, tests,
the page of the reference, and the lines in the table of contents and on the first page. They are
copies of tools/skeleton, where one small method stands in each room, from its equation to its
check, to be replaced by yours; `make test` passes on them.
"""

import argparse
import keyword
import pathlib
import re
import sys

import address
import nbformat
import run
import status

import exercises

ROOT = pathlib.Path(__file__).resolve().parents[1]
SKELETON = ROOT / "tools" / "skeleton"
TITLE = "Skeleton of a chapter"


def copy(name: str, title: str) -> list[pathlib.Path]:
    """The files of the skeleton under another name and title."""
    made = []
    for path in sorted(p for p in SKELETON.rglob("*") if p.suffix in (".py", ".md", ".ipynb")):
        target = ROOT / str(path.relative_to(SKELETON)).replace("skeleton", name)
        text = path.read_text(encoding="utf-8").replace(TITLE, title).replace("skeleton", name)
        text = text.replace(address.PLACEHOLDER, address.current())
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
        made.append(target)
    return made


def list_in_contents(name: str) -> pathlib.Path:
    """The chapter behind the last one, and its page of the reference behind the last wing's."""
    chapter = f"  - file: chapters/{name}\n    sections:\n    - file: exercises/{name}\n"
    page = f"    - file: api/{name}\n"
    path = ROOT / "_toc.yml"
    text = _behind(path, r"  - file: chapters/.*\n    sections:\n    - file: .*\n", chapter)
    wings = [
        name
        for name in re.findall(r"    - file: api/(\w+)\n", text)
        if (ROOT / "lib" / name).is_dir()
    ]
    path.write_text(text, encoding="utf-8")
    path.write_text(_behind(path, rf"    - file: api/{wings[-1]}\n", page), encoding="utf-8")
    return path


def list_in_reference(name: str) -> pathlib.Path:
    path = ROOT / "api" / "lib.md"
    row = f"| [lib.{name}]({name}.md) | What this wing computes, in one sentence |\n"
    path.write_text(_behind(path, r"\| \[lib\.\w+\].*\n", row), encoding="utf-8")
    return path


def list_on_first_page(name: str, title: str) -> pathlib.Path:
    """A card behind the last one's, with a question to be replaced by yours."""
    path, last = ROOT / "intro.md", r"\d+\. \[.+?\]\(chapters/.*\n"
    number = len(re.findall(last, path.read_text(encoding="utf-8"))) + 1
    question = "what is its question? Nothing comes before it."
    row = f"{number}. [{title}](chapters/{name}.ipynb): {question}\n"
    path.write_text(_behind(path, last, row), encoding="utf-8")
    return path


def _behind(path: pathlib.Path, pattern: str, new: str) -> str:
    """The text of a file with something new behind the last place that a pattern matches."""
    text = path.read_text(encoding="utf-8")
    end = list(re.finditer(pattern, text))[-1].end()
    return text[:end] + new + text[end:]


def run_and_measure(name: str) -> list[pathlib.Path]:
    """Outputs of the notebooks, the students' copy, and the page's line in the status."""
    chapter, solution = ROOT / f"chapters/{name}.ipynb", ROOT / f"solutions/{name}.ipynb"
    for path in (chapter, solution):
        run.run(path)
    students = exercises.exercise_of(solution)
    text = exercises.students_copy(nbformat.read(solution, 4))
    students.write_text(text, encoding="utf-8", newline="\n")
    status.PAGE.write_text(
        _behind(status.PAGE, r"\| \[.*\]\(chapters/.*\n", status.row(chapter)), encoding="utf-8"
    )
    status.write_heads()
    return [students, status.PAGE]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="one word, the name of its room on every floor: causality")
    parser.add_argument("title", help="the title of the page")
    given = parser.parse_args()
    name, title = given.name, given.title.strip()
    if not re.fullmatch(r"[a-z]+", name) or keyword.iskeyword(name) or not title:
        parser.error('expected make chapter NAME=causality TITLE="Causes and effects"')
    if any((ROOT / place).exists() for place in (f"lib/{name}", f"chapters/{name}.ipynb")):
        parser.error(f"{name!r} is there already")
    lists = [list_in_contents(name), list_in_reference(name), list_on_first_page(name, title)]
    made = [*copy(name, title), *lists]
    for path in [*made, *run_and_measure(name)]:
        print(path.relative_to(ROOT))
    print("Next: `make pages`, then write; `make test` passes on what was made.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
