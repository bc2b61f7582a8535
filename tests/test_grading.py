"""The instructor's flow on a whole exercise set: hand out, collect, grade, return, export, with
submissions as they come.
"""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from datetime import datetime
from functools import partial

import grade
import nbformat
import psutil
import pytest
import yaml
from address import current
from conftest import ROOT
from grading import course as courses
from grading import sandbox
from nbgrader.apps.api import NbGraderAPI
from submissions import CHECKED, EVERYTHING, NAME, POINTS, WRITTEN, cell_of, solution, solved
from traitlets.config import PyFileConfigLoader

# Where no isolation works, what is not hostile is graded without.
ISOLATE = "" if sandbox.find() else "none"


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


def _interrupted(notebook):
    for name, word in (("lrp_zplus", "KeyboardInterrupt"), ("lrp_zb", "SystemExit")):
        cell = cell_of(notebook, name)
        cell.source = re.sub(
            r"### BEGIN.*|    w = w.*|    lowest.*", f"    raise {word}", cell.source
        )


def _answered_beside(notebook):
    """The written answer stands in a cell of its own; the one that was handed out is empty."""
    cell = cell_of(notebook, "judgement")
    new = nbformat.v4.new_markdown_cell(WRITTEN)
    notebook.cells.insert(notebook.cells.index(cell) + 1, new)


def _answered_instead(notebook):
    """The same, and the cell that was handed out is deleted."""
    _answered_beside(notebook)
    notebook.cells.remove(cell_of(notebook, "judgement"))


def _emptied(notebook):
    cell_of(notebook, "judgement").source = "  "


def _of_another_set(notebook):
    other = nbformat.read(ROOT / "exercises" / "vae.ipynb", 4)
    notebook.cells, notebook.metadata = other.cells, other.metadata


def _huge(notebook):
    cell_of(notebook, "lrp_zplus").source += "\nraise ValueError('x' * 5_000_000)"


# what is lost with the first answer: `composite` uses it
FIRST = POINTS["lrp_zplus"] + POINTS["composite"]
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
    "Broken/lrp.ipynb": (EVERYTHING, _broken, CHECKED - FIRST, ""),
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
    "Stubborn/lrp.ipynb": (
        EVERYTHING,
        _stubborn,
        CHECKED - FIRST,
        "lrp_zplus: it took too long and could not be interrupted",
    ),
    "Dies/lrp.ipynb": (EVERYTHING, _dies, CHECKED - FIRST, "lrp_zplus: it ended the process"),
    "Interrupted/lrp.ipynb": (EVERYTHING, _interrupted, CHECKED - FIRST - POINTS["lrp_zb"], ""),
    "Huge/lrp.ipynb": (EVERYTHING, _huge, CHECKED, ""),
    "Beside/lrp.ipynb": (
        EVERYTHING - {"judgement"},
        _answered_beside,
        CHECKED,
        "judgement: the answer was found in a cell of its own",
    ),
    "Instead/lrp.ipynb": (
        EVERYTHING - {"judgement"},
        _answered_instead,
        CHECKED,
        "judgement: the cell was missing.*judgement: the answer was found in a cell of its own",
    ),
    "Emptied/lrp.ipynb": (EVERYTHING, _emptied, CHECKED, ""),
    "Other set/lrp.ipynb": (
        set(),
        _of_another_set,
        0,
        "NOT GRADED: a notebook of another set[^;]*$",
    ),
    "Student/lrp.ipynb": ({"lrp_zplus", "lrp_epsilon"}, None, 4, ""),
}
STUDENTS = {path: path.split("/")[0].removesuffix(".ipynb") for path in SENT} | {
    "Half_lrp.ipynb": "Half",
    "Copy of Ana_lrp (2).ipynb": "Ana",
}


ENCODED = {"Mark": "utf-8-sig", "Wide": "utf-16", "Western": "latin-1"}
PORTUGUESE = "É só isso: ação."
LIMITS = 8, 600


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course after `assignment` and `grade` of everything in SENT, some of it with a time limit
    of its own.
    """
    folder = tmp_path_factory.mktemp("grading")
    course, sent = folder / "course", folder / "sent"
    # nbgrader's helpers are found all the same
    bare_path = {**os.environ, "PATH": os.defpath, "ISOLATE": ISOLATE}
    courses.assign(NAME, course)
    for path, (names, change, _, _) in SENT.items():
        notebook = solved(*names)
        if change:
            change(notebook)
        (sent / path).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, sent / path) if change is not _without_metadata else (
            sent / path
        ).write_text(nbformat.v4.writes_json(notebook))
    for student, kind in ENCODED.items():
        notebook = solved("lrp_zplus")
        cell_of(notebook, "judgement").source = PORTUGUESE
        (sent / student).mkdir()
        text = re.sub(r"[\u0100-\uffff]", "?", nbformat.writes(notebook))
        (sent / student / "lrp.ipynb").write_bytes(text.encode(kind))
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
        str(LIMITS[0]),
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
    for name in ("Right", "Beside", "Instead"):
        assert rows[name]["needs manual grading"] == "yes"
    for name in ("Untouched", "Half", "Emptied"):
        assert rows[name]["needs manual grading"] == "no"


def test_what_is_no_notebook_is_named_and_costs_nobody_else(course, rows):
    assert (
        "no notebook found" in rows["Empty"]["remark"]
        and "not a readable notebook" in rows["Garbage"]["remark"]
    )
    assert "readme.txt: neither a notebook nor a folder" in course[2]
    assert set(rows) == {*STUDENTS.values(), *ENCODED, "Empty", "Garbage"}


def test_every_student_gets_feedback(course, rows):
    for student, row in rows.items():
        page = (course[0] / "feedback" / student / NAME / f"{NAME}.html").read_text(
            encoding="utf-8"
        )
        assert ("could not be graded" in page) == ("NOT GRADED" in row["remark"])
    assert "not solved yet" in (course[0] / "feedback/Half" / NAME / f"{NAME}.html").read_text(
        encoding="utf-8"
    )


def test_who_reads_a_written_answer_has_the_model_and_the_split_below_it(course):
    model = cell_of(solution(), "judgement").source
    path = course[0] / "autograded/Right" / NAME / f"{NAME}.ipynb"
    cells = nbformat.read(path, 4).cells
    place = next(i for i, c in enumerate(cells) if courses.mark(c).get("grade_id") == "judgement")
    assert (
        model in cells[place + 1].source and "how the points are split" in cells[place + 1].source
    )
    assert model not in cells[place].source


def test_platforms_that_grade_themselves_get_their_files(course):
    handout = course[0] / "handout"
    with zipfile.ZipFile(handout / "gradescope.zip") as archive:
        assert archive.namelist() == ["setup.sh", "run_autograder"]
        for name in archive.namelist():
            subprocess.run(["bash", "-n"], input=archive.read(name), check=True)
        book = f"https://github.com/{current()}"
        assert f"git clone --depth 1 {book} " in archive.read("setup.sh").decode()
        assert (
            f"tools/grade.py points {NAME} submission >" in archive.read("run_autograder").decode()
        )
    steps = yaml.safe_load((handout / "classroom.yml").read_text())["jobs"]["points"]["steps"]
    assert steps[1]["with"]["repository"] == current()
    assert f"tools/grade.py points {NAME} sent > points.json" in steps[-1]["run"]


def test_the_points_of_one_student_as_a_platform_reads_them(course):
    command = [sys.executable, ROOT / "tools/grade.py", "points", NAME, course[1] / "Dies"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    scores = {test["name"]: (test["score"], test["max_score"]) for test in report["tests"]}
    assert report["score"] == CHECKED - FIRST == sum(score for score, _ in scores.values())
    assert {name: most for name, (_, most) in scores.items()} == POINTS
    assert scores["lrp_zplus"] == (0, 2) and scores["lrp_epsilon"] == (2, 2)
    assert "it ended the process" in report["output"]


def test_the_class_gets_the_committed_notebook(course):
    committed = (ROOT / "exercises" / f"{NAME}.ipynb").read_bytes()
    assert (course[0] / "handout" / f"{NAME}.ipynb").read_bytes() == committed
    with zipfile.ZipFile(course[0] / "handout" / f"{NAME}.zip") as archive:
        assert (
            archive.namelist() == [f"{NAME}.ipynb"] and archive.read(f"{NAME}.ipynb") == committed
        )


def give_by_hand(course, student, points):
    """What a person does in the Formgrader."""
    with courses.api(course).gradebook as book:
        written = book.find_grade("judgement", NAME, NAME, student)
        written.manual_score, written.needs_manual_grade = points, False
        book.db.commit()


@pytest.fixture
def again(course, tmp_path, monkeypatch):
    """The course, and a folder with one submission of it that may be changed."""
    monkeypatch.setenv("ISOLATE", ISOLATE)
    shutil.copytree(course[0], tmp_path / "course")
    shutil.copytree(course[1] / "Right", tmp_path / "sent/Right")
    return tmp_path / "course", tmp_path / "sent"


def test_points_by_hand_are_kept_and_the_flag_goes_until_the_answer_changes(again):
    course, sent = again
    give_by_hand(course, "Right", 2.5)
    (row,) = grade.grade(NAME, sent, course, *LIMITS)
    assert (row["total"], row["judgement"]) == (f"{CHECKED + 2.5:g}", "2.5")
    assert row["needs manual grading"] == "no"
    assert "2.5" in (course / "feedback/Right" / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    for answer, waits in ((WRITTEN, "no"), (WRITTEN + " Or not.", "yes")):
        notebook = solved(*EVERYTHING)
        cell_of(notebook, "judgement").source = answer
        notebook.cells[0].source += " changed"
        nbformat.write(notebook, sent / "Right/lrp.ipynb")
        (row,) = grade.grade(NAME, sent, course, *LIMITS)
        assert (row["total"], row["needs manual grading"]) == (f"{CHECKED + 2.5:g}", waits)


def test_grading_again_grades_only_what_has_changed_and_forgets_nobody(again, capsys):
    course, sent = again
    before = read(course)
    page = course / "feedback/Right" / NAME / f"{NAME}.html"
    written = page.stat().st_mtime_ns
    shutil.copytree(sent / "Right", sent / "New")
    rows = grade.grade(NAME, sent, course, *LIMITS)
    assert [row["student"] for row in rows] == ["New", "Right"]
    assert "1 of 2 need no grading" in (said := capsys.readouterr().out)
    assert f"1 of 1, 0 minutes left: New: {CHECKED} of {sum(POINTS.values())}" in said
    assert page.stat().st_mtime_ns == written
    after = read(course)
    assert after.pop("New")["total"] == f"{CHECKED}" and after == before


def test_days_late_are_counted_by_the_time_of_the_file_and_nothing_is_subtracted(again):
    course, sent = again
    when = (sent / "Right/lrp.ipynb").stat().st_mtime
    for late, due in (("0", when + 1), ("1", when - 60), ("3", when - 2 * grade.DAY - 60)):
        (row,) = grade.grade(NAME, sent, course, *LIMITS, due=datetime.fromtimestamp(due))
        assert (row["days late"], row["total"]) == (late, f"{CHECKED}")
    (row,) = grade.grade(NAME, sent, course, *LIMITS)
    assert row["days late"] == ""


def test_an_interrupted_command_goes_on_where_it_was(again):
    course, sent = again
    for number in range(4):
        shutil.copytree(sent / "Right", sent / f"Student {number}")
    command = [sys.executable, ROOT / "tools/grade.py", "grade", NAME, sent, "--course", course]
    command += ["--cell-seconds", str(LIMITS[0])]
    # A job in the background of a shell ignores the interrupt; this one must hear it.
    heard = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, preexec_fn=heard, **pipes)
    while "minutes left" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode and "\nInterrupted" in f"\n{error}", error
    there = {name: row for name, row in read(course).items() if row["total"] == f"{CHECKED}"}
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.search(r"[2-4] of 5 need no grading", done.stdout)
    assert there.items() <= read(course).items()
    assert {f"Student {number}" for number in range(4)} < set(read(course))


def test_a_command_that_is_killed_leaves_no_worker(again):
    course, sent = again
    for name in ("One", "Two", "Three"):
        shutil.copytree(sent / "Right", sent / name)
    command = [sys.executable, ROOT / "tools/grade.py", "grade", NAME, sent, "--course", course]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (workers := [p for p in process.children() if "spawn_main" in p.cmdline()[-2]]):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert psutil.wait_procs(workers, timeout=60)[1] == []


def test_a_notebook_that_ends_its_worker_costs_itself_alone(again, monkeypatch):
    course, sent = again
    for name in ("Evil", "Other"):
        shutil.copytree(sent / "Right", sent / name)
    table = grade.Table(NAME, course)
    people = [one for one in grade.collected(NAME, sent) if table.is_new(one, LIMITS)]
    ended = []

    def in_pool(table, new, given, cores):
        if len(new) > 1:
            return new
        ended.append(new[0].student)
        return new if new[0].student == "Evil" else []

    monkeypatch.setattr(grade, "_in_pool", in_pool)
    grade._grade_all(table, people, ())
    assert ended == ["Evil", "Other"]
    assert "NOT GRADED: it ends the process" in read(course)["Evil"]["remark"]
    assert "Other" not in read(course)


def read(course):
    with open(course / "grades.csv", newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_points_that_change_after_grading_began_are_named_with_a_way_to_go_on(again, monkeypatch):
    course, sent = again
    give_by_hand(course, "Right", 2.5)
    changed = solution()
    cell_of(changed, "check_lrp_zb").metadata.nbgrader.points = 4
    (course.parent / "solutions").mkdir()
    nbformat.write(changed, course.parent / "solutions/lrp.ipynb")
    monkeypatch.setattr(courses, "ROOT", course.parent)
    with pytest.raises(grade.Reason, match="check_lrp_zb has 4 points, not 2.*make assignment"):
        grade.grade(NAME, sent, course, *LIMITS)
    courses.assign(NAME, course)
    (row,) = grade.grade(NAME, sent, course, *LIMITS)
    assert (row["lrp_zb"], row["total"], row["max"]) == (
        "4",
        f"{CHECKED + 4.5:g}",
        f"{sum(POINTS.values()) + 2}",
    )


def test_a_task_more_or_less_ends_with_a_sentence(again, monkeypatch):
    course, _ = again
    changed = solution()
    changed.cells.remove(cell_of(changed, "check_lrp_zb"))
    (course.parent / "solutions").mkdir()
    nbformat.write(changed, course.parent / "solutions/lrp.ipynb")
    monkeypatch.setattr(courses, "ROOT", course.parent)
    assert courses.changed(NAME, course) == ["check_lrp_zb is gone"]
    with pytest.raises(grade.Reason, match="move .* away"):
        courses.assign(NAME, course)


@pytest.mark.parametrize("student, kind", ENCODED.items())
def test_a_notebook_is_read_in_any_encoding(course, rows, student, kind):
    assert rows[student]["total"] == "2" and rows[student]["remark"] == ""
    mended = nbformat.read(course[0] / "submitted" / student / NAME / f"{NAME}.ipynb", 4)
    assert cell_of(mended, "judgement").source == PORTUGUESE


def test_no_text_of_a_student_runs_in_a_page(again):
    course, sent = again
    evil = "\n\n".join(
        [
            "<script>alert(1)</script>",
            "[x](javascript:alert(1)) [y](javascript\\:alert(1)) [z](java&#115;cript:alert(1)) [w]",
            "[w]: JavaScript:alert(1)",
            "$\\href{javascript:alert(1)}{x}$ `a<b`",
        ]
    )
    notebook = solved("lrp_zplus")
    cell_of(notebook, "judgement").source = evil
    notebook.cells.append(nbformat.v4.new_raw_cell("<img src=x onerror=alert(1)>"))
    nbformat.write(notebook, sent / "Right/lrp.ipynb")
    grade.grade(NAME, sent, course, *LIMITS)
    page = (course / "feedback/Right" / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    assert "alert(1)" in page  # as text
    assert not re.search(r"(?i)<script>alert|<img src=x|href=.javascript|\\href", page)


def test_without_isolation_it_is_refused_and_with_none_the_risk_is_said(again, monkeypatch, capsys):
    course, sent = again
    grade.grade(NAME, sent, course, *LIMITS)
    with monkeypatch.context() as patch:
        patch.setenv("ISOLATE", "")
        patch.setattr(sandbox, "works", lambda place: False)
        with pytest.raises(grade.Reason, match="bubblewrap.*ISOLATE=podman.*ISOLATE=none"):
            grade.grade(NAME, sent, course, *LIMITS)
    monkeypatch.setenv("ISOLATE", "none")
    grade.grade(NAME, sent, course, *LIMITS)
    assert "with your rights" in capsys.readouterr().err


def test_nbgraders_own_command_runs_nothing(again):
    course, _ = again
    config = PyFileConfigLoader("nbgrader_config.py", str(course)).load_config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    before = courses.scores(NAME, course, "Right")
    result = NbGraderAPI(config=config).autograde(NAME, "Right")
    assert not result["success"] and "make grade" in result["log"] + result.get("error", "")
    assert courses.scores(NAME, course, "Right") == before


def test_an_empty_collection_is_refused(again):
    course, sent = again
    before = read(course)
    shutil.rmtree(sent / "Right")
    with pytest.raises(grade.Reason, match="nothing to grade"):
        grade.grade(NAME, sent, course, *LIMITS)
    assert read(course) == before


def test_a_set_without_an_address_is_not_handed_out(tmp_path, monkeypatch):
    monkeypatch.setattr(courses, "ROOT", tmp_path)
    (tmp_path / "solutions").mkdir()
    path = tmp_path / "solutions/lrp.ipynb"
    text = (ROOT / "solutions/lrp.ipynb").read_text(encoding="utf-8")
    path.write_text(re.sub(r"github\.com/\w+/\w+", "github.com/OWNER/REPO", text), encoding="utf-8")
    with pytest.raises(grade.Reason, match="make address"):
        courses.has_address(NAME)
    path.write_text(text.replace("OWNER/REPO", "me/book"), encoding="utf-8")
    courses.has_address(NAME)


def test_an_unknown_set_and_a_missing_folder_are_said_in_one_line(tmp_path):
    for arguments in (["assignment", "nothing"], ["grade", NAME, tmp_path / "nowhere"]):
        done = subprocess.run(
            [sys.executable, ROOT / "tools/grade.py", *arguments, "--course", tmp_path / "c"],
            capture_output=True,
            text=True,
        )
        assert done.returncode and "Traceback" not in done.stderr
