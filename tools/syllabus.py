"""Writes the table of all tasks, with minutes and points, into instructors.md: `.venv/bin/python
tools/syllabus.py`
"""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "instructors.md"
BETWEEN = re.compile(r"(?s)(<!-- tasks: made by tools/syllabus.py -->\n).*?(<!-- end -->)")
TASK = re.compile(
    r"^##+ (\d+) (.+)\n\n\*(\d+) minutes,(?: (\w+),)? (\d+) points?\b(, a written answer|, "
    r"graded by a person)?"
)


def sets():
    """The exercise sets in the order of the book."""
    return re.findall(r"file: exercises/(\w+)", (ROOT / "_toc.yml").read_text())


def tasks(name):
    """(number, title, minutes, difficulty, points) of each task of a set."""
    cells = json.loads((ROOT / "solutions" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    found = [
        TASK.match("".join(cell["source"])) for cell in cells if cell["cell_type"] == "markdown"
    ]
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


def table():
    rows, minutes, points = [], 0, 0
    for name in sets():
        for number, title, time, difficulty, worth in tasks(name):
            rows.append(
                f"| [{name}](exercises/{name}.ipynb) | {number} {title} | {difficulty} | "
                f"{time} | {worth} |"
            )
            minutes, points = minutes + time, points + worth
    head = "| set | task | difficulty | minutes | points |\n|---|---|---|---|---|\n"
    return head + "\n".join(rows) + f"\n| all | {len(rows)} tasks | | {minutes:,} | {points} |\n"


def page():
    return BETWEEN.sub(
        lambda match: match[1] + "\n" + table() + "\n" + match[2], PAGE.read_text(encoding="utf-8")
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
