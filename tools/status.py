"""Runs every page of the book once and writes status.md: what it holds, what it needs, with
versions and date. `make status`, or `make status NAME="bias vae"` for these pages alone.

The pages of full_scale/ run where BOOK_DATA names the real sets; without them their lines stay. The
seconds and the energy are then written into the heads of the pages, as `make pages` does too.
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

import nbformat
import run

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib.responsibility.promises import STATED

PAGE = ROOT / "status.md"
WATTS = 15.0
HEADER = """\
# Status

<!-- Written by tools/status.py. -->

Every page, run from top to bottom, the last of them on {date}. *Seconds* are processor seconds on \
one thread of {machine}; *energy* is these seconds at {watts:g} W,
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


def seconds_of(path):
    """Processor seconds of all that the notebook's kernel did."""
    notebook = nbformat.read(path, 4)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run.execute(notebook, path.parent, seconds=900)
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


def page(only):
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
    old = {m[2]: m[0] + "\n" for m in ROW.finditer(PAGE.read_text(encoding="utf-8"))}
    return head + "".join(
        row(path)
        if (path.parent.name == "chapters" or os.environ.get("BOOK_DATA"))
        and (not only or path.stem in only)
        else old[path.relative_to(ROOT).as_posix()]
        for path in run.in_order("chapters", "full_scale")
    )


def measured():
    """Seconds and energy of each page, by its path, as status.md has them."""
    return {
        path: (int(seconds), float(energy))
        for _, path, _, _, _, seconds, energy in ROW.findall(PAGE.read_text(encoding="utf-8"))
    }


def rounded(seconds):
    """Seconds as a person would say them: 8 seconds, 25 seconds, 2 minutes."""
    if seconds >= 100:
        return f"{round(seconds / 60)} minutes"
    count = max(1, round(seconds / 5) * 5 if seconds >= 10 else round(seconds))
    return f"{count} second{'s' if count > 1 else ''}"


def with_head(path):
    """The text of a page whose head states the seconds and the energy of status.md."""
    seconds, energy = measured()[path.relative_to(ROOT).as_posix()]
    stated = rf"runs in about {rounded(seconds)}\g<where> at {WATTS:g} W this is {energy:.2g} Wh"
    notebook = nbformat.read(path, 4)
    head = notebook.cells[0]
    head.source, count = STATED.subn(stated, head.source)
    assert count == 1, f"{path.name}: its head states no seconds and energy"
    return run.text_of(run.canonical(notebook))


def write_heads():
    for path in run.in_order("chapters", "full_scale"):
        path.write_text(with_head(path), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    PAGE.write_text(page(sys.argv[1:]), encoding="utf-8")
    write_heads()
