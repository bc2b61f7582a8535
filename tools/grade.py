"""Hands out and grades an exercise set with nbgrader: `make assignment NAME=lrp`, `make grade
NAME=lrp SUBMISSIONS=folder`.

Everything is written below course/NAME, which is an nbgrader course: its Formgrader, in JupyterLab,
is for the written answers. Each student is graded in a process of its own, one on each core, so
that a notebook that crashes, never ends or has lost its marks costs its student alone, and is named
with the reason.
"""

import argparse
import csv
import html
import logging
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import nbformat
import psutil
from nbconvert.preprocessors import TagRemovePreprocessor
from nbgrader.apps.api import NbGraderAPI
from nbgrader.converters import GenerateAssignment
from run import ROOT
from traitlets.config import Config, PyFileConfigLoader

import exercises

CELL_SECONDS, STUDENT_SECONDS = 60, 600
CONFIGURATION = """# Written by tools/grade.py, for it and nbgrader's own commands in this folder.
c = get_config()
c.CourseDirectory.course_id = {name!r}
# else a warning on stderr costs all points
c.IgnorePattern.enabled, c.IgnorePattern.pattern = True, r"[\\s\\S]*"
c.OverwriteCells.add_missing_cells = True
"""
NO_FEEDBACK = (
    '<!doctype html><html lang="en"><meta '
    'charset="utf-8"><title>Feedback</title><p>This notebook could not be graded: {}</p></html>\n'
)


class Reason(Exception):
    """Why a submission gets no points."""


def api(course, cell_seconds=CELL_SECONDS):
    """nbgrader on the course folder, with what its defaults get wrong put right."""
    config = exercises.settings()
    config.merge(PyFileConfigLoader("nbgrader_config.py", str(course)).load_config())
    # several write
    config.CourseDirectory.root, config.CourseDirectory.db_url = (
        str(course),
        f"sqlite:///{course / 'gradebook.db'}?timeout=60",
    )
    config.Execute.timeout = cell_seconds
    config.Execute.extra_arguments = ["--HistoryManager.hist_file=:memory:"]
    steps = GenerateAssignment.class_traits()["preprocessors"].default_args[0]
    config.GenerateAssignment.preprocessors = [TagRemovePreprocessor, *steps]
    logging.getLogger("traitlets").propagate = False  # kept in the results, not shown
    return NbGraderAPI(config=Config(config))


def assign(name, course):
    """The release notebook and the grade book of one set; returns the file for the class."""
    source = ROOT / "solutions" / f"{name}.ipynb"
    if not source.exists():
        raise Reason(f"there is no solutions/{name}.ipynb")
    target = course / "source" / name / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    (course / "nbgrader_config.py").write_text(CONFIGURATION.format(name=name))
    _success(api(course).generate_assignment(name))
    handout = course / "handout" / source.name
    handout.parent.mkdir(exist_ok=True)
    handout.write_text(exercises.students_copy(nbformat.read(source, 4)), encoding="utf-8")
    with zipfile.ZipFile(handout.with_suffix(".zip"), "w") as archive:
        archive.write(handout, handout.name)
    return handout


def grade(name, submissions, course, cell_seconds=CELL_SECONDS, student_seconds=STUDENT_SECONDS):
    """Grades every submission of a folder; returns the rows of grades.csv."""
    if not (course / "gradebook.db").exists():
        assign(name, course)
    release = nbformat.read(course / "release" / name / f"{name}.ipynb", 4)
    points = {
        c.metadata.nbgrader.grade_id: c.metadata.nbgrader.points
        for c in release.cells
        if c.metadata.get("nbgrader", {}).get("grade")
    }
    rows = []
    with ThreadPoolExecutor(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    ) as pool:
        for row in pool.map(
            lambda sent: grade_one(
                name, course, release, points, cell_seconds, student_seconds, *sent
            ),
            collected(name, submissions),
        ):
            rows.append(row)
            print(
                f"{row['student']}: {row['total']} of {row['max']}"
                + "".join(f"\n    {remark}" for remark in filter(None, row["remark"].split("; "))),
                flush=True,
            )
    with open(course / "grades.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file,
            [
                "student",
                *(k.removeprefix("check_") for k in points),
                "total",
                "max",
                "needs manual grading",
                "remark",
            ],
        )
        writer.writeheader()
        writer.writerows(rows)
    return rows


def grade_one(name, course, release, points, cell_seconds, student_seconds, student, path, remarks):
    """One student's row of grades.csv."""
    scores, by_hand = dict.fromkeys(points, 0.0), False
    try:
        if path is None:
            raise Reason("no notebook found")
        submit(name, course, student, path, release, remarks)
        run_one(name, course, student, cell_seconds, student_seconds)
        with api(course).gradebook as book:
            grades = book.find_submission_notebook(name, name, student).grades
            scores, by_hand = (
                {g.name: g.score or 0.0 for g in grades},
                any(g.needs_manual_grade for g in grades),
            )
    except Reason as reason:
        remarks.append(f"NOT GRADED: {reason}")
        page = course / "feedback" / student / name / f"{name}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(NO_FEEDBACK.format(html.escape(str(reason))), encoding="utf-8")
    shown = {k.removeprefix("check_"): f"{v:g}" for k, v in scores.items()}
    total, most = f"{sum(scores.values()):g}", f"{sum(points.values()):g}"
    return {
        "student": student,
        **shown,
        "total": total,
        "max": most,
        "needs manual grading": "yes" if by_hand else "no",
        "remark": "; ".join(remarks),
    }


def run_one(name, course, student, cell_seconds, student_seconds):
    """Autograde and feedback for one student, in a process that is ended with all it started when
    its time is over.
    """
    command = [
        sys.executable,
        __file__,
        "one",
        name,
        student,
        "--course",
        str(course),
        "--cell-seconds",
        str(cell_seconds),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        _, error = process.communicate(timeout=student_seconds)
    except subprocess.TimeoutExpired:
        for each in [*psutil.Process(process.pid).children(recursive=True), process]:
            each.kill()
        process.communicate()
        raise Reason(f"not finished after {student_seconds} s, and not to be interrupted") from None
    if process.returncode:
        raise Reason((error.splitlines() or ["ended without a word"])[-1])


def _success(result):
    """Raises Reason, with the exception that nbgrader's log ends with, unless all went well."""
    text = "\n".join(filter(None, [result.get("log"), result.get("error")]))
    errors = re.findall(r"^\s*(?:\w+\.)*(\w*(?:Error|Exception)\b.*)$", text, re.MULTILINE)
    mine = [line for line in errors if not line.startswith("NbGraderException")]
    if not result["success"]:
        raise Reason((mine or errors or text.splitlines() or ["nbgrader gave no reason"])[-1][:300])


def collected(name, submissions):
    """(student, notebook or None, remarks) for each file or folder: the student is the folder's or
    the file's name.
    """
    found = {}
    for entry in sorted(
        p for p in pathlib.Path(submissions).iterdir() if not p.name.startswith((".", "__"))
    ):
        if entry.is_dir():
            notebooks = sorted(
                p
                for p in entry.rglob("*.ipynb")
                if not any(part.startswith((".", "__")) for part in p.relative_to(entry).parts)
            )
            own = [p for p in notebooks if _student(p.stem, name) != p.stem] or notebooks
            student = entry.name
        elif entry.suffix == ".ipynb":
            own, student = [entry], _student(entry.stem, name) or entry.stem
        else:
            print(f"{entry.name}: neither a notebook nor a folder, left out")
            continue
        slug = re.sub(r"[^\w .@-]+", "-", student).strip(" .") or "unnamed"
        found.setdefault(slug, []).extend(own)
    for student, notebooks in found.items():
        newest = max(notebooks, key=lambda p: p.stat().st_mtime, default=None)
        remarks = (
            [f"{len(notebooks)} notebooks, the newest graded: {newest.name}"]
            if len(notebooks) > 1
            else []
        )
        yield student, newest, remarks


def _student(stem, name):
    """The student's name in a file name: "Ana" of "Copy of Ana_lrp (1)", nothing of "lrp (1)", all
    of what does not name the set.
    """
    plain = re.sub(
        r"\s*\(\d+\)$|\s*-\s*Copy$",
        "",
        re.sub(r"^(copy of |copia de |kopie von )+", "", stem, flags=re.IGNORECASE),
    )
    named = re.fullmatch(
        rf"(.*?)(?:^|[\s_.-]+){re.escape(name)}(?:$|[\s_.-]+)(.*)", plain, re.IGNORECASE
    )
    return " ".join(filter(None, named.groups())) if named else stem


def submit(name, course, student, path, release, remarks):
    """Puts the mended notebook, and nothing else that was sent, into nbgrader's folder."""
    try:
        notebook = mended(nbformat.reads(path.read_text(encoding="utf-8"), 4), release, remarks)
    except Exception as error:
        raise Reason(f"not a readable notebook ({type(error).__name__})") from None
    for folder in ("submitted", "autograded", "feedback"):
        shutil.rmtree(course / folder / student / name, ignore_errors=True)
    target = course / "submitted" / student / name / f"{name}.ipynb"
    target.parent.mkdir(parents=True)
    nbformat.write(notebook, target)


def mended(submitted, release, remarks):
    """The student's cells with the marks of the release: its metadata, its checks and its points,
    each once.
    """
    cells = [cell for cell in submitted.cells if cell.cell_type in ("code", "markdown", "raw")]
    new, place = {}, -1  # by identity: a copied cell equals its original
    for cell in (cell for cell in release.cells if "nbgrader" in cell.metadata):
        own, name = cell.metadata.nbgrader, cell.metadata.nbgrader.grade_id
        copies = [c for c in cells if _mark(c).get("grade_id") == name]
        if len(copies) > 1:
            remarks.append(f"{name}: the cell was copied, one of them is graded")
        changed = [c for c in copies if own.solution and c.source.strip() != cell.source.strip()]
        found = (
            changed[-1:]
            or copies[:1]
            or _without_mark(cell, [c for c in cells if id(c) not in new], remarks)
        )
        if not found:
            remarks.append(f"{name}: the cell was missing, put back")
            cells.insert(place + 1, cell)
        elif own.locked and found[0].source.strip() != cell.source.strip():
            remarks.append(f"{name}: the locked cell was changed, put back")
        sent = (found or [cell])[0]
        if own.get("points") is not None and _mark(sent).get("points", own.points) != own.points:
            remarks.append(f"{name}: the points were changed, put back")
        place = next(i for i, c in enumerate(cells) if c is sent)
        new[id(sent)] = _fresh(cell, cell.source if own.locked else sent.source)
        new[id(sent)].metadata.nbgrader = own
    return nbformat.v4.new_notebook(
        cells=[new.get(id(cell)) or _fresh(cell, cell.source) for cell in cells],
        metadata=release.metadata,
    )


def _without_mark(cell, candidates, remarks):
    """The cell that has lost its mark: known by its id, by its text, by the function it defines."""
    name = cell.metadata.nbgrader.grade_id
    free = [c for c in candidates if not _mark(c).get("grade_id") and c.cell_type == cell.cell_type]
    found = [c for c in free if (c.get("id") or c.metadata.get("id")) == cell.id] or [
        c for c in free if c.source.strip() == cell.source.strip()
    ]
    if not found and cell.metadata.nbgrader.solution:
        found = [
            c for c in free if re.search(rf"^def {re.escape(name)}\(", c.source, re.MULTILINE)
        ][-1:]
    if found:
        remarks.append(f"{name}: the cell had lost its mark, found again")
    return found[:1]


def _mark(cell):
    mark = cell.metadata.get("nbgrader")
    return mark if isinstance(mark, dict) else {}


def _fresh(cell, source):
    """A cell of that kind with nothing but this text."""
    return getattr(nbformat.v4, f"new_{cell.cell_type}_cell")(source)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["assignment", "grade", "one"])
    parser.add_argument("name", help="the exercise set, such as lrp")
    parser.add_argument(
        "submissions", nargs="?", help="the folder with what students sent; for `one` the student"
    )
    parser.add_argument("--course", help="where to write (course/NAME)")
    parser.add_argument("--cell-seconds", type=int, default=CELL_SECONDS)
    parser.add_argument("--student-seconds", type=int, default=STUDENT_SECONDS)
    given = parser.parse_args()
    course = pathlib.Path(given.course or ROOT / "course" / given.name).resolve()
    # nbgrader calls `alembic` by name, and the students' kernels must find `lib`
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ.update(
        PATH=path,
        PYTHONPATH=str(ROOT),
        OMP_NUM_THREADS="1",
        OMP_WAIT_POLICY="PASSIVE",
        MPLBACKEND="agg",
    )
    if given.verb == "grade" and not os.path.isdir(given.submissions or ""):
        parser.error("name the folder with the submissions: make grade NAME=lrp SUBMISSIONS=folder")
    try:
        if given.verb == "assignment":
            print(f"For the class: {assign(given.name, course)}")
        elif given.verb == "one":  # what run_one starts; its last line on stderr is the reason
            nbgrader = api(course, given.cell_seconds)
            _success(nbgrader.autograde(given.name, given.submissions))
            _success(nbgrader.generate_feedback(given.name, given.submissions))
        else:
            grade(given.name, given.submissions, course, given.cell_seconds, given.student_seconds)
            print(f"Grades: {course / 'grades.csv'}\nFeedback: {course / 'feedback'}")
    except Reason as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
