"""Students' notebooks of one exercise set, as the tests of grading send them."""

import nbformat
from conftest import ROOT

import exercises

NAME = "lrp"
POINTS = {
    "lrp_zplus": 2,
    "lrp_epsilon": 2,
    "absorbed_by_bias": 1,
    "lrp_alphabeta": 2,
    "lrp_zb": 2,
    "lrp_mlp": 3,
    "judgement": 3,
    "deep_lift_layer": 2,
    "lstm_word_relevance": 2,
    "one_class_relevance": 2,
    "residual_relevance": 2,
    "folded": 2,
    "pattern": 2,
    "composite": 3,
}
CHECKED = sum(POINTS.values()) - POINTS["judgement"]
EVERYTHING = set(POINTS)
WRITTEN = "Epsilon stays near the function; I would flip pixels and randomise weights."


def solution(name=NAME):
    return nbformat.read(ROOT / "solutions" / f"{name}.ipynb", 4)


def solved(*names):
    """The student's notebook with some of its answers filled in."""
    notebook = nbformat.reads(exercises.students_copy(solution()), 4)
    answers = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in solution().cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in names:
            cell.source = WRITTEN if name == "judgement" else answers[name]
    return notebook


def cell_of(notebook, name):
    return next(
        cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == name
    )
