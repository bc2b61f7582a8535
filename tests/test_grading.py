"""The instructor's flow on a whole exercise set: hand out, collect, grade, return, export, with
submissions as they come.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
import zipfile

import grade
import nbformat
import psutil
import pytest
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
}
CHECKED = sum(POINTS.values()) - POINTS["judgement"]
EVERYTHING = set(POINTS)
WRITTEN = "Epsilon stays near the function; I would flip pixels and randomise weights."


def solved(*names):
    """The student's notebook with some of its answers filled in."""
    notebook = nbformat.reads(exercises.students_copy(_solution()), 4)
    answers = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in _solution().cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in names:
            cell.source = WRITTEN if name == "judgement" else answers[name]
    return notebook


def _solution():
    return nbformat.read(ROOT / "solutions" / f"{NAME}.ipynb", 4)


def cell_of(notebook, name):
    return next(
        cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == name
    )


def _copied_cells(notebook):
    for name in ("check_lrp_zplus", "lrp_zb"):
        cell = cell_of(notebook, name)
        notebook.cells.insert(
            notebook.cells.index(cell),
            nbformat.from_dict({**cell, "id": f"copy-{name}".replace("_", "-")}),
        )


def _meddled(notebook):
    """Checks deleted, blunted and worth more."""
    notebook.cells.remove(cell_of(notebook, "check_lrp_zplus"))
    notebook.cells.remove(cell_of(notebook, "check_lrp_epsilon"))
    cell_of(notebook, "check_lrp_zb").source = "pass"
    cell_of(notebook, "check_lrp_mlp").metadata.nbgrader.points = 100


def _without_metadata(notebook):
    for number, cell in enumerate(notebook.cells):
        cell.metadata, cell.id = nbformat.from_dict({}), f"x{number}"


def _broken(notebook):
    cell_of(notebook, "lrp_zplus").source = "def lrp_zplus(a, w, R:\n    return"
    cell_of(notebook, "lrp_zb").source += "\nraise SystemExit"
    cell_of(notebook, "lrp_mlp").source += "\n1 / 0"


def _noisy(notebook):
    cell_of(notebook, "imports").source += "\nimport sys, warnings; print('oh', file=sys.stderr)"
    cell = cell_of(notebook, "lrp_zplus")
    cell.source = cell.source.replace(
        "    w = w",
        "    import warnings, sys; warnings.warn('w'); print('loud', file=sys.stderr)\n    w = w",
    )


def _endless(notebook):
    cell_of(notebook, "lrp_zplus").source += "\nwhile True:\n    pass"


def _stubborn(notebook):
    cell_of(notebook, "lrp_zplus").source += (
        "\nwhile True:\n    try:\n        while True:\n            pass\n    except "
        "BaseException:\n        pass"
    )


def _dies(notebook):
    cell_of(notebook, "lrp_zplus").source += "\nimport os; os._exit(1)"


def _huge(notebook):
    cell_of(notebook, "lrp_zplus").source += "\nraise ValueError('x' * 5_000_000)"


# what is sent as -> (what was solved, what was done to it, points by the checks, what the remark
# says)
SENT = {
    "Right/lrp.ipynb": (EVERYTHING, None, CHECKED, ""),
    "Half_lrp.ipynb": ({"lrp_zplus", "lrp_epsilon", "lrp_zb"}, None, 6, ""),
    "Untouched/Copy of lrp.ipynb": (set(), None, 0, ""),
    "Colab Name/lrp (1).ipynb": (EVERYTHING, None, CHECKED, ""),
    "Copy of Ana_lrp (2).ipynb": (
        EVERYTHING,
        _noisy,
        CHECKED,
        "imports: the locked cell was changed",
    ),
    "Broken/lrp.ipynb": (EVERYTHING, _broken, CHECKED - 2, ""),
    "Copied/lrp.ipynb": (
        EVERYTHING,
        _copied_cells,
        CHECKED,
        "check_lrp_zplus: the cell was copied",
    ),
    "Meddled/lrp.ipynb": (
        {"lrp_zplus"},
        _meddled,
        2,
        (
            "check_lrp_epsilon: the cell was missing.*check_lrp_zb: the locked cell was "
            "changed.*check_lrp_mlp: the points were changed"
        ),
    ),
    "Bare/lrp.ipynb": (
        EVERYTHING,
        _without_metadata,
        CHECKED,
        "lrp_zplus: the cell had lost its mark",
    ),
    "Endless/lrp.ipynb": (EVERYTHING, _endless, CHECKED, ""),
    "Stubborn/lrp.ipynb": (EVERYTHING, _stubborn, 0, "NOT GRADED: .*(timed out|not finished)"),
    "Dies/lrp.ipynb": (EVERYTHING, _dies, 0, "NOT GRADED: .*[Kk]ernel"),
    "Huge/lrp.ipynb": (EVERYTHING, _huge, CHECKED, ""),
    **{f"Student {k}/lrp.ipynb": ({"lrp_zplus", "lrp_epsilon"}, None, 4, "") for k in range(7)},
}
STUDENTS = {path: path.split("/")[0].removesuffix(".ipynb") for path in SENT} | {
    "Half_lrp.ipynb": "Half",
    "Copy of Ana_lrp (2).ipynb": "Ana",
}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course after `assignment` and `grade` of everything in SENT, some of it with a time limit
    of its own.
    """
    folder = tmp_path_factory.mktemp("grading")
    course, sent = folder / "course", folder / "sent"
    bare_path = {**os.environ, "PATH": os.defpath}  # nbgrader's helpers are found all the same
    subprocess.run(
        [sys.executable, ROOT / "tools/grade.py", "assignment", NAME, "--course", course],
        check=True,
        env=bare_path,
    )
    for path, (names, change, _, _) in SENT.items():
        notebook = solved(*names)
        if change:
            change(notebook)
        (sent / path).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, sent / path) if change is not _without_metadata else (
            sent / path
        ).write_text(nbformat.v4.writes_json(notebook))
    (sent / "Empty").mkdir()
    (sent / "Garbage").mkdir()
    (sent / "Garbage/lrp.ipynb").write_text("{not json")
    (sent / "Right/lib").mkdir()  # a library of the student's own must not stand in for the book's
    (sent / "Right/lib/__init__.py").write_text("raise SystemExit")
    (sent / "readme.txt").write_text("from the learning platform")
    command = [
        sys.executable,
        ROOT / "tools/grade.py",
        "grade",
        NAME,
        sent,
        "--course",
        course,
        "--cell-seconds",
        "12",
        "--student-seconds",
        "45",
    ]
    done = subprocess.run(command, env=bare_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return course, sent, done.stdout


@pytest.fixture(scope="module")
def rows(course):
    with open(course[0] / "grades.csv", newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("path", SENT)
def test_points_and_remarks_are_as_expected(rows, path):
    _, change, points, remark = SENT[path]
    row = rows[STUDENTS[path]]
    assert (float(row["total"]), float(row["max"])) == (points, sum(POINTS.values())), row
    assert re.search(remark, row["remark"]), row
    assert bool(row["remark"]) == bool(remark), row


def test_each_exercise_has_its_points(rows):
    assert {name: float(rows["Right"][name]) for name in POINTS} == {**POINTS, "judgement": 0}
    half = {name: float(rows["Half"][name]) for name in POINTS}
    assert {name for name, points in half.items() if points} == {
        "lrp_zplus",
        "lrp_epsilon",
        "lrp_zb",
    }
    assert float(rows["Broken"]["lrp_zplus"]) == 0


def test_written_answers_wait_for_a_person_and_untouched_ones_do_not(rows):
    assert rows["Right"]["needs manual grading"] == "yes"
    assert rows["Untouched"]["needs manual grading"] == rows["Half"]["needs manual grading"] == "no"


def test_what_is_no_notebook_is_named_and_costs_nobody_else(course, rows):
    assert (
        "no notebook found" in rows["Empty"]["remark"]
        and "not a readable notebook" in rows["Garbage"]["remark"]
    )
    assert "readme.txt: neither a notebook nor a folder" in course[2]
    assert set(rows) == {*STUDENTS.values(), "Empty", "Garbage"}


def test_every_student_gets_feedback(course, rows):
    for student, row in rows.items():
        page = (course[0] / "feedback" / student / NAME / f"{NAME}.html").read_text(
            encoding="utf-8"
        )
        assert ("could not be graded" in page) == ("NOT GRADED" in row["remark"])
    assert "not solved yet" in (course[0] / "feedback/Half" / NAME / f"{NAME}.html").read_text(
        encoding="utf-8"
    )


def test_the_class_gets_the_committed_notebook(course):
    committed = (ROOT / "exercises" / f"{NAME}.ipynb").read_bytes()
    assert (course[0] / "handout" / f"{NAME}.ipynb").read_bytes() == committed
    with zipfile.ZipFile(course[0] / "handout" / f"{NAME}.zip") as archive:
        assert (
            archive.namelist() == [f"{NAME}.ipynb"] and archive.read(f"{NAME}.ipynb") == committed
        )


def test_grading_again_keeps_points_given_by_hand(course, tmp_path):
    folder, sent, _ = course
    again = tmp_path / "course"
    shutil.copytree(folder, again)
    with grade.api(again).gradebook as book:
        written = book.find_grade("judgement", NAME, NAME, "Right")
        written.manual_score = 2.5
        book.db.commit()
    (tmp_path / "sent").mkdir()
    shutil.copytree(sent / "Right", tmp_path / "sent/Right")
    rows = grade.grade(NAME, tmp_path / "sent", again)
    assert [(row["student"], row["total"], row["judgement"]) for row in rows] == [
        ("Right", f"{CHECKED + 2.5:g}", "2.5")
    ]


def test_a_student_has_a_time_limit_and_leaves_no_process_behind(course):
    started = psutil.Process().children(recursive=True)
    with pytest.raises(grade.Reason, match="not finished after 4 s"):
        grade.run_one(NAME, course[0], "Stubborn", 60, 4)
    assert not [
        p
        for p in psutil.Process().children(recursive=True)
        if p not in started and p.status() != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.parametrize(
    "stem, student",
    [
        ("lrp", ""),
        ("lrp (1)", ""),
        ("Copy of lrp", ""),
        ("Copy of Copy of lrp (3)", ""),
        ("lrp - Copy", ""),
        ("Ana_lrp", "Ana"),
        ("Ana lrp (1)", "Ana"),
        ("lrp-Ana", "Ana"),
        ("Copy of Ana_lrp", "Ana"),
        ("Ana Maria_lrp", "Ana Maria"),
        ("LRP_Ana", "Ana"),
        ("homework", "homework"),
        ("myslrpx", "myslrpx"),
        ("Kopie von lrp", ""),
    ],
)
def test_names_that_browsers_and_colab_give_are_understood(stem, student):
    assert grade._student(stem, NAME) == student


def test_an_unknown_set_and_a_missing_folder_are_said_in_one_line(tmp_path):
    for arguments in (["assignment", "nothing"], ["grade", NAME, tmp_path / "nowhere"]):
        done = subprocess.run(
            [sys.executable, ROOT / "tools/grade.py", *arguments, "--course", tmp_path / "c"],
            capture_output=True,
            text=True,
        )
        assert done.returncode and "Traceback" not in done.stderr
