"""Makes the students' notebooks: exercises/NAME.ipynb from solutions/NAME.ipynb. `make pages`.

Stock nbconvert with nbgrader's own preprocessors, and the canonical form of tools/run.py: the same
source gives the same bytes. Solutions become stubs, cells tagged `solution-only` go, checks are
locked.
"""

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


def solutions():
    """The solution notebooks."""
    return sorted((ROOT / "solutions").glob("*.ipynb"))


def exercise_of(path):
    """exercises/NAME.ipynb for solutions/NAME.ipynb."""
    return ROOT / "exercises" / path.name
