"""The exercise sets: the student's copy belongs to its solution, runs anywhere, and complains only
at what is unsolved.
"""

import builtins
import importlib.machinery
import importlib.util
import os
import re
import shutil
import sys

import nbformat
import pages
import pytest
import run
from conftest import ROOT
from IPython.core.inputtransformer2 import TransformerManager
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.validator import Validator

import exercises

SETS = [path.stem for path in exercises.solutions()]
each_set = pytest.mark.parametrize("name", SETS)


def solution(name):
    return nbformat.read(ROOT / "solutions" / f"{name}.ipynb", 4)


def students(name):
    return nbformat.read(ROOT / "exercises" / f"{name}.ipynb", 4)


def mark(cell, key):
    return cell.metadata.get("nbgrader", {}).get(key, False)


def checks_of(notebook):
    return [cell for cell in notebook.cells if mark(cell, "grade") and mark(cell, "locked")]


def answers_of(notebook):
    return [cell for cell in notebook.cells if mark(cell, "solution") and not mark(cell, "grade")]


# ---------------------------------------------------------------- generation


@each_set
def test_the_students_copy_is_generated_byte_for_byte(name):
    generated = exercises.students_copy(solution(name))
    assert generated.encode() == (ROOT / "exercises" / f"{name}.ipynb").read_bytes(), (
        "run: make pages"
    )
    assert exercises.students_copy(solution(name)) == generated


def test_every_exercise_has_its_solution():
    assert {path.stem for path in (ROOT / "exercises").glob("*.ipynb")} == set(SETS)


@each_set
def test_nothing_of_the_solution_is_left(name):
    text = "\n".join(cell.source for cell in students(name).cells)
    for cell in solution(name).cells:
        if exercises.SOLUTION_ONLY in cell.metadata.get("tags", []):
            assert cell.source not in text, cell.id
        if mark(cell, "solution"):
            body = re.findall(
                r"### BEGIN SOLUTION\n(.*?)\n\s*### END SOLUTION", cell.source, re.DOTALL
            ) or [cell.source]
            assert not [part for part in body if part in text], cell.id
    assert "SOLUTION" not in text
    assert not [
        cell.id
        for cell in students(name).cells
        if cell.get("outputs") or cell.get("execution_count")
    ]


@each_set
def test_cells_keep_their_ids_and_order(name):
    kept = [
        cell.id
        for cell in solution(name).cells
        if exercises.SOLUTION_ONLY not in cell.metadata.get("tags", [])
    ]
    assert [cell.id for cell in students(name).cells] == kept
    assert not [cell_id for cell_id in kept if re.fullmatch(r"[0-9a-f]{8}|c\d+", cell_id)], (
        "explicit ids"
    )


# ---------------------------------------------------------------- form


@each_set
def test_marks_are_valid_and_unique(name):
    for notebook in (solution(name), students(name)):
        MetadataValidator().validate_nb(notebook)
        names = [mark(cell, "grade_id") for cell in notebook.cells if "nbgrader" in cell.metadata]
        assert len(names) == len(set(names))
        assert all(
            mark(cell, "schema_version") == 3
            for cell in notebook.cells
            if "nbgrader" in cell.metadata
        )
        assert all(mark(cell, "points") > 0 for cell in notebook.cells if mark(cell, "grade"))


@each_set
def test_each_answer_has_task_hints_and_check(name):
    cells = solution(name).cells
    assert len(answers_of(solution(name))) == len(checks_of(solution(name))) >= 1
    for answer in answers_of(solution(name)):
        place = next(i for i, cell in enumerate(cells) if cell.id == answer.id)
        function = mark(answer, "grade_id")
        task, hints, check = cells[place - 2], cells[place - 1], cells[place + 1]
        assert f"`{function}(" in task.source and re.search(
            r"\*\d+ minutes, \w+, \d points?\.\*", task.source
        ), task.id
        assert re.findall(r"<details><summary>(.*?)</summary>", hints.source) == [
            "Hint 1",
            "Hint 2",
            "Hint 3: a smaller case",
        ]
        assert (
            check.source == f"checks.check_{function}({function})"
            and mark(check, "grade_id") == f"check_{function}"
        )
        assert re.match(rf'def {function}\(.*\):\n    """.+', answer.source)
        points = int(re.search(r"(\d) points?\.\*", task.source)[1])
        assert mark(check, "points") == points, "the text and the mark agree on the points"
    assert [
        cell
        for cell in cells
        if cell.cell_type == "markdown" and mark(cell, "grade") and mark(cell, "solution")
    ], "a written answer"


@each_set
def test_the_title_tells_the_sum_of_points_and_minutes(name):
    text = "\n".join(cell.source for cell in solution(name).cells)
    title = solution(name).cells[0].source
    points = sum(mark(cell, "points") for cell in solution(name).cells if mark(cell, "grade"))
    assert f"{points} points" in title
    minutes = sum(map(int, re.findall(r"^\*(\d+) minutes", text, re.MULTILINE)))
    assert f"{minutes} minutes" in title


@each_set
def test_the_solution_passes_its_own_checks(name):
    for cell in solution(name).cells:
        assert not [
            o
            for o in cell.get("outputs", [])
            if o.output_type == "error" or o.get("name") == "stderr"
        ], cell.id
    for cell in checks_of(solution(name)):
        function = mark(cell, "grade_id").removeprefix("check_")
        assert cell.execution_count and [o.output_type for o in cell.outputs] == ["stream"]
        assert cell.outputs[0].text.startswith(f"{function} is right. Tried on: "), cell.id


@each_set
def test_nbgrader_accepts_the_solution_and_refuses_the_students_copy(name):
    validator = Validator()
    assert validator.validate(str(ROOT / "solutions" / f"{name}.ipynb")) == {}
    failed = validator.validate(str(ROOT / "exercises" / f"{name}.ipynb"))
    assert set(failed) == {"failed"} and len(failed["failed"]) >= len(checks_of(students(name)))


# ---------------------------------------------------------------- the student's copy, run from top
# to bottom


def executed(notebook, folder):
    run.execute(notebook, folder, seconds=120, allow_errors=True)
    return {
        cell.id: [o for o in cell.outputs if o.output_type == "error"]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def only_what_is_unsolved_complains(notebook, errors):
    """Every check does, and what shows a student's answer stops at its stub; both say the same."""
    checks = {cell.id for cell in checks_of(notebook)}
    said = {
        cell_id: f"{found[0].ename}: {found[0].evalue}"
        for cell_id, found in errors.items()
        if found
    }
    assert all(
        re.fullmatch(r"AssertionError: \w+: not solved yet", said.pop(cell_id))
        for cell_id in checks
    )
    shows = {
        cell.id
        for cell in notebook.cells
        if any(f"{mark(answer, 'grade_id')}(" in cell.source for answer in answers_of(notebook))
    }
    assert said.keys() <= shows and set(said.values()) <= {"NotImplementedError: not solved yet"}
    assert not [
        o for cell in notebook.cells for o in cell.get("outputs", []) if o.get("name") == "stderr"
    ]


@each_set
def test_in_a_checkout_only_what_is_unsolved_complains(name):
    notebook = students(name)
    only_what_is_unsolved_complains(notebook, executed(notebook, ROOT / "exercises"))


@each_set
def test_elsewhere_with_the_library_installed_only_what_is_unsolved_complains(
    name, tmp_path, monkeypatch
):
    """As on Colab after the set-up cell: the notebook stands alone, and only the installed files of
    `lib` are there.
    """
    shutil.copytree(
        ROOT / "lib", tmp_path / "site/lib", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "content").mkdir()
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path / "site"))
    notebook = students(name)
    only_what_is_unsolved_complains(notebook, executed(notebook, tmp_path / "content"))


@each_set
@pytest.mark.parametrize("on_colab", [True, False])
@pytest.mark.parametrize("found", ["the package", "a folder of that name", None])
def test_the_set_up_installs_the_library_only_where_it_is_missing(
    name, on_colab, found, monkeypatch
):
    ran = []

    class Shell:
        def run_line_magic(self, magic, line):
            ran.append(f"%{magic} {line}")

    monkeypatch.setattr(builtins, "get_ipython", Shell, raising=False)
    spec = found and importlib.machinery.ModuleSpec(
        "lib", None, origin="lib/__init__.py" if found == "the package" else None
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: spec)
    monkeypatch.setattr(sys, "path", ["somewhere"])
    if on_colab:
        monkeypatch.setitem(sys.modules, "google.colab", object())
    set_up = next(
        cell for cell in students(name).cells if mark(cell, "grade_id") == exercises.SET_UP
    )
    exec(TransformerManager().transform_cell(set_up.source), {})
    assert bool(ran) == (found != "the package")
    assert all(
        re.fullmatch(
            r'%pip install -q --no-deps "git\+https://github\.com/[\w.-]+/[\w.-]+@main"', line
        )
        for line in ran
    )
    assert sys.path == (["somewhere"] if on_colab else ["..", "somewhere"]), (
        "a checkout comes first"
    )


@each_set
def test_the_instructors_table_lists_every_task(name):
    title, listed = solution(name).cells[0].source, pages.tasks(name)
    assert f"{sum(task[2] for task in listed)} minutes" in title
    assert f"{sum(task[4] for task in listed)} points" in title


@each_set
def test_a_written_answer_says_how_its_points_are_split(name):
    for cell in solution(name).cells:
        if mark(cell, "grade") and mark(cell, "solution"):
            assert re.search(r"[Pp]oints?: |gets all points, one for each part", cell.source), (
                cell.id
            )
