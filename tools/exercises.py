"""Makes the students' notebooks: exercises/NAME.ipynb from solutions/NAME.ipynb. `make exercises`.

Stock nbconvert with nbgrader's own preprocessors, and the canonical form of tools/run.py: the same
source gives the same bytes. Solutions become stubs, cells tagged `solution-only` go, checks are
locked.
"""

import argparse
import logging
import sys

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.preprocessors import TagRemovePreprocessor
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
)
from run import ROOT, canonical, text_of
from traitlets.config import Config

SOLUTION_ONLY = "solution-only"
CODE_STUB = '# your answer\nraise NotImplementedError("not solved yet")'
TEXT_STUB = "*Your answer, in place of this line.*"
SET_UP = "set-up"


def settings():
    """The configuration that makes a student's notebook: here and in tools/grade.py the same."""
    config = Config()
    config.Exporter.default_preprocessors = []
    config.TagRemovePreprocessor.remove_cell_tags = {SOLUTION_ONLY}
    config.TagRemovePreprocessor.enabled = True
    config.ClearSolutions.code_stub = {"python": CODE_STUB}
    config.ClearSolutions.text_stub = TEXT_STUB
    return config


def students_copy(solution):
    """The student's notebook that belongs to a solution, as the text of its file."""
    exporter = NotebookExporter(config=settings())
    for preprocessor in (
        TagRemovePreprocessor,
        LockCells,
        ClearSolutions,
        ClearOutput,
        CheckCellMetadata,
        ComputeChecksums,
    ):
        exporter.register_preprocessor(preprocessor, enabled=True)
    text, _ = exporter.from_notebook_node(solution)
    notebook = canonical(nbformat.reads(text, 4))
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == SET_UP:
            # `make address` changes this cell where it stands
            del cell.metadata.nbgrader["checksum"]
    return text_of(notebook)


def solutions(name=None):
    """The solution notebooks, or the one called `name`."""
    return sorted((ROOT / "solutions").glob(f"{name or '*'}.ipynb"))


def exercise_of(path):
    """exercises/NAME.ipynb for solutions/NAME.ipynb."""
    return ROOT / "exercises" / path.name


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", help="only exercises/NAME.ipynb")
    name = parser.parse_args().name
    paths = solutions(name)
    if name and not paths:
        parser.error(f"there is no solutions/{name}.ipynb")
    logging.disable(logging.WARNING)
    for path in paths:
        target, text = exercise_of(path), students_copy(nbformat.read(path, 4))
        changed = not target.exists() or target.read_text(encoding="utf-8") != text
        if changed:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
        print(f"{target.relative_to(ROOT)}: {'written' if changed else 'as it was'}")


if __name__ == "__main__":
    sys.exit(main())
