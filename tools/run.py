"""Executes notebooks in place and writes them in one canonical form: `make run` or `make run
NAME=lrp`.

Running what has not changed changes no byte: no timings, no widget state, no machine's paths, ids
that stay. A notebook that fails, writes to stderr or shows an object's address is left as it was,
and the cell is named.
"""

import argparse
import os
import pathlib
import re
import sys
import time
from datetime import datetime

import nbclient
import nbformat

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = ("chapters", "solutions")
CELL_SECONDS = 300

NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT_CELL_METADATA = ("cellView", "claims", "deletable", "editable", "mystnb", "nbgrader", "tags")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# the tag of a cell that needs a kernel: its widgets would be dead in the file
NO_STORED_OUTPUT = "remove-output"

NAMED_ID = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
# what editors draw at random, or an earlier position
DRAWN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f-]+)?|c\d+")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


class Refused(Exception):
    """An output that must not be committed."""


# ---------------------------------------------------------------- canonical form


def canonical(notebook):
    """The notebook in its one form. Applied twice it changes nothing more."""
    notebook = nbformat.from_dict(notebook)
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for position, cell in enumerate(notebook.cells):
        cell.id = _id(cell, position)
        cell.metadata = nbformat.from_dict(
            {k: v for k, v in cell.metadata.items() if k in KEPT_CELL_METADATA}
        )
        cell.source = cell.source.rstrip()
        if cell.cell_type == "code":
            stored = NO_STORED_OUTPUT not in cell.metadata.get("tags", [])
            cell.outputs = _outputs(cell.outputs) if stored else []
    return notebook


def text_of(notebook):
    """The bytes of the file, as text."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def _id(cell, position):
    name = cell.get("id", "")
    explicit = NAMED_ID.fullmatch(name) and not DRAWN_ID.fullmatch(name)
    return name if explicit else f"c{position:02d}"


def _outputs(outputs):
    merged = []
    for output in outputs:
        if output.output_type == "stream" and merged and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
            continue
        if output.output_type in ("display_data", "execute_result"):
            if WIDGET_VIEW in output.data:  # a bar of progress, which a slower machine shows
                continue
            output.metadata = nbformat.from_dict({})
        if (
            output.output_type == "error"
        ):  # its frames name files and lines that differ between machines
            output.traceback = [f"{output.ename}: {output.evalue}"]
        merged.append(output)
    return merged


# ---------------------------------------------------------------- what may not be committed


def refuse_unfit(notebook):
    """Raises Refused, with the cell, for stderr, object addresses and paths of this machine."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            where = f"cell {cell.id} ({_first_line(cell)})"
            if output.get("name") == "stderr":
                raise Refused(
                    f"{where} writes to stderr, which no page should "
                    f"show:\n{output.text.strip()[:400]}"
                )
            for text in _texts(output):
                if ADDRESS.search(text):
                    raise Refused(
                        f"{where} shows an object's address, another one on each "
                        f"run:\n{text.strip()[:400]}"
                    )
                if str(ROOT) in text or str(pathlib.Path.home()) + os.sep in text:
                    raise Refused(f"{where} shows a path of this machine:\n{text.strip()[:400]}")


def _texts(output):
    yield output.get("text", "")
    yield output.get("evalue", "")
    for kind, value in output.get("data", {}).items():
        if kind.startswith("text/"):
            yield "".join(value)


def _first_line(cell):
    return next(iter(cell.source.splitlines()), "empty").strip()[:60]


# ---------------------------------------------------------------- execution


def execute(notebook, folder, seconds=CELL_SECONDS, allow_errors=False):
    """Executes a notebook from top to bottom, in place, with the folder as its own; no cell may
    take longer. The one way in which tools and tests do it.
    """
    nbclient.NotebookClient(
        notebook,
        timeout=seconds,
        allow_errors=allow_errors,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    ).execute()


def seconds_of(cell):
    """How long a cell took that has just been executed; the canonical form forgets it."""
    times = cell.metadata.get("execution", {})
    start, end = times.get("iopub.execute_input"), times.get("shell.execute_reply")
    if not (start and end):
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def run(path):
    """Executes one notebook in its own folder; writes it only when every cell is fit to be
    committed. Returns the seconds of the slowest cell, and that cell.
    """
    notebook = nbformat.read(path, 4)
    execute(notebook, path.parent)
    timings = [(seconds_of(cell), cell) for cell in notebook.cells if cell.cell_type == "code"]
    notebook = canonical(notebook)
    refuse_unfit(notebook)
    text = text_of(notebook)
    if path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8", newline="\n")
    return max(timings, key=lambda pair: pair[0], default=(0.0, None))


def notebooks(name=None):
    """The notebooks of FOLDERS, or those called `name`."""
    return sorted(
        path for folder in FOLDERS for path in (ROOT / folder).glob(f"{name or '*'}.ipynb")
    )


def in_order(*folders):
    """The notebooks of these folders that the table of contents lists, in its order."""
    listed = re.findall(r"^ *- file: (\S+)$", (ROOT / "_toc.yml").read_text(), re.MULTILINE)
    return [ROOT / f"{name}.ipynb" for name in listed if name.partition("/")[0] in folders]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "name", nargs="?", help="only chapters/NAME.ipynb and solutions/NAME.ipynb, or a path"
    )
    name = parser.parse_args().name
    paths = [pathlib.Path(name).resolve()] if name and name.endswith(".ipynb") else notebooks(name)
    if not paths:
        parser.error(f"no notebook called {name!r} in {' or '.join(FOLDERS)}")
    # One thread: faster on small machines, and the same last digits everywhere.
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")
    failed = False
    for path in paths:
        shown, start = os.path.relpath(path, ROOT), time.perf_counter()
        try:
            slowest, cell = run(path)
        except (
            Refused,
            nbclient.exceptions.CellExecutionError,
            nbclient.exceptions.CellTimeoutError,
        ) as problem:
            print(f"{shown}: NOT written\n{problem}", file=sys.stderr)
            failed = True
            continue
        spent = time.perf_counter() - start
        print(
            f"{shown}: {spent:.1f} s"
            + (f", slowest cell {slowest:.1f} s ({_first_line(cell)})" if cell else "")
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
