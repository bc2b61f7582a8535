"""Runs every page of the book once and writes status.md: what it holds, what it needs, with
versions and date.

    python tools/status.py              chapters, and full_scale/ where BOOK_DATA names the real
    sets python tools/status.py heads        writes nothing else but the seconds and the energy into
    the heads of the notebooks, from status.md

Seconds are processor seconds of the notebook's kernel on one thread, so that other work on the
machine counts little.
"""

import json
import os

os.environ.update(
    OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", PYDEVD_DISABLE_FILE_VALIDATION="1"
)

import datetime
import importlib.metadata
import pathlib
import platform
import re
import resource
import sys

import nbclient
import nbformat
import run
from index import order_of_pages

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "status.md"
WATTS = 15.0
HEADER = """\
# Status

<!-- Written by tools/status.py. -->

Every page, run from top to bottom on {date}. *Seconds* are processor seconds on one thread of \
{machine}; *energy* is these seconds at {watts:g} W,
a small computer's share for one busy core. Links inside the book, the accessibility of every page \
and the numbers of every
output are tested each time that the book changes.

Python {python}, {versions}.

| page | words | code cells | live figures | seconds | energy (Wh) |
|---|---|---|---|---|---|
"""
ROW = re.compile(
    r"^\| \[(.+?)\]\((.+?)\) \| ([\d,]+) \| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) \|$", re.MULTILINE
)
STATED = re.compile(
    r"runs in about (\w+ (?:seconds?|minutes?))( on one processor core)?;? at 15 W this is "
    r"([\d.]+) Wh"
)


def seconds_of(path):
    """Processor seconds of all that the notebook's kernel did."""
    notebook = nbformat.read(path, 4)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def row(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = " ".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    words = len(re.sub(r"\$\$.*?\$\$|\]\([^)]*\)", " ", prose, flags=re.DOTALL).split())
    live = sum(bool(re.search(r"live\.(explore|DrawDigit|timeline)\(", source)) for source in code)
    seconds = seconds_of(path)
    title = re.search(r"^# (.+)$", prose, re.MULTILINE)[1]
    print(f"{path.relative_to(ROOT)}: {seconds:.0f} s", flush=True)
    return (
        f"| [{title}]({path.relative_to(ROOT)}) | {words:,} | {len(code)} | {live} | "
        f"{seconds:.0f} | {seconds * WATTS / 3600:.2f} |\n"
    )


def page():
    paths = [
        p for p in order_of_pages() if p.parent.name == "chapters" or os.environ.get("BOOK_DATA")
    ]
    names = ("torch", "numpy", "scikit-learn", "scipy", "matplotlib", "jupyter-book")
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name).partition('+')[0]}" for name in names
    )
    head = HEADER.format(
        date=datetime.date.today().isoformat(),
        machine=f"a {platform.machine()} processor",
        watts=WATTS,
        python=platform.python_version(),
        versions=versions,
    )
    return head + "".join(map(row, paths))


def measured():
    """Seconds and energy of each page, by its path, as status.md has them."""
    return {
        path: (int(seconds), float(energy))
        for _, path, _, _, _, seconds, energy in ROW.findall(PAGE.read_text(encoding="utf-8"))
    }


def rounded(seconds):
    """Seconds as a person would say them: 8, 25, 40, 2 minutes."""
    if seconds >= 100:
        return f"{round(seconds / 60)} minutes"
    return f"{max(1, round(seconds / 5) * 5 if seconds >= 10 else round(seconds))} seconds"


def write_heads():
    for place, (seconds, energy) in measured().items():
        path = ROOT / place
        notebook = nbformat.read(path, 4)
        cell = notebook.cells[0]
        cell.source, count = STATED.subn(
            lambda m, seconds=seconds, energy=energy: (
                m[0].replace(m[1], rounded(seconds)).replace(f"{m[3]} Wh", f"{energy:.2g} Wh")
            ),
            cell.source,
        )
        assert count == 1, f"{place}: its head states no seconds and energy"
        path.write_text(run.text_of(run.canonical(notebook)), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["heads"]:
        write_heads()
    else:
        PAGE.write_text(page(), encoding="utf-8")
