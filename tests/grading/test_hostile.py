"""A class in which nearly everybody cheats: no trick brings a point, none costs another student's,
nothing outside of the sandbox is read, changed or left.
"""

import csv
import hashlib
import os
import pathlib
import re
import socket
import subprocess
import sys
import textwrap

import nbformat
import psutil
import pytest
from conftest import ROOT
from grading import sandbox
from hostile import KINDS, LASTING, NETWORK, SECRET
from submissions import CHECKED, NAME, cell_of, solved

WRONG = "def {name}(*given):\n    return torch.zeros(given[0].shape)"
HONEST = ("AA honest", "mm honest", "zz honest")


def student(kind):
    return f"kind {kind}".replace("_", " ").replace(".", " ")


def cheating(code):
    """A notebook whose answers are wrong, with the code after the first of them."""
    notebook = solved()
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = WRONG.format(name=name)
    cell_of(notebook, "lrp_zplus").source += "\n\n" + textwrap.dedent(code)
    return notebook


def state(folder):
    """What the files of a folder hold."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """What was there before and after, and the folder of the course."""
    if sandbox.find() is None:
        pytest.skip(f"no isolation works on this machine: {sandbox.MISSING}")
    folder = tmp_path_factory.mktemp("hostile")
    sent, home, course = folder / "sent", folder / "home", folder / "course"
    home.mkdir()
    (home / "mine.txt").write_text(SECRET)
    listening, hidden = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    port = str(listening.getsockname()[1])
    hidden.bind(f"\0grading-test-{port}")
    hidden.listen()
    for kind, code in KINDS.items():
        (sent / student(kind)).mkdir(parents=True)
        notebook = cheating(code.replace("PORT", port))
        nbformat.write(notebook, sent / student(kind) / f"{NAME}.ipynb")
    for name in HONEST:
        (sent / name).mkdir()
        nbformat.write(solved("lrp_zplus", "lrp_epsilon", "lrp_zb"), sent / name / f"{NAME}.ipynb")
    watched = [ROOT / "lib", ROOT / "solutions", ROOT / "tools", home, sent]
    before = [state(path) for path in watched]
    command = [sys.executable, ROOT / "tools/grade.py", "grade", NAME, sent, "--course", course]
    command += ["--cell-seconds", "10", "--student-seconds", "90"]
    env = {**os.environ, "HOME": str(home), "TOKEN": SECRET}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for each in (listening, hidden):
        each.setblocking(False)
    return before, [state(path) for path in watched], course, (listening, hidden)


@pytest.fixture(scope="module")
def rows(graded):
    with open(graded[2] / "grades.csv", newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_trick_brings_no_point_and_reaches_nothing(graded, rows, kind):
    row = rows[student(kind)]
    assert float(row["total"]) == 0, row
    assert "NOT GRADED" not in row["remark"], row
    for part in ("autograded", "feedback"):
        for path in (graded[2] / part / student(kind)).rglob("*.*"):
            text = path.read_text(encoding="utf-8")
            assert SECRET not in text
            assert not re.search(r"^\s*\"?REACHED.*", text, re.MULTILINE), text
            assert len(text) < 3_000_000


@pytest.mark.parametrize("name", HONEST)
def test_who_is_honest_gets_exactly_the_points(rows, name):
    assert float(rows[name]["total"]) == 6 and rows[name]["remark"] == ""


def test_nothing_outside_has_changed(graded):
    before, after, *_ = graded
    assert before == after


def test_nothing_is_left_running(graded):
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        assert "sleep 98765" not in words, words
    started = [" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True)]
    assert not [words for words in started if "inside.py" in words]
    assert not pathlib.Path("/tmp/pickled").exists() and not pathlib.Path("/tmp/later").exists()


def test_nobody_has_called(graded):
    for each in graded[3]:
        with pytest.raises(BlockingIOError):
            each.accept()


def test_a_page_to_return_runs_nothing(graded):
    for path in (graded[2] / "feedback").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<script>alert|<svg onload|javascript:alert", text), path


def test_all_points_would_be_there_for_right_answers(rows):
    assert CHECKED > 6 and {*LASTING, *NETWORK} < set(KINDS) and len(KINDS) >= 40
    assert len(rows) == len(KINDS) + len(HONEST)
