"""Hands out and grades an exercise set: `make assignment NAME=lrp`, `make grade NAME=lrp
SUBMISSIONS=folder`.

Students' code is not to be trusted. The design, one file of `grading` each:

- collect: what was sent is read as it comes, and only read: one notebook for each student.
- course: the notebook gets back its marks, its checks and its points. The set is an nbgrader
  course below course/NAME, whose Formgrader is for written answers; nbgrader runs no notebook.
- judge: cells run in a sandbox, checks do not. What a check calls is a stand-in: arguments go in,
  plain numbers come out. No reference and no wanted value is ever in reach of the student's code,
  and nothing of it in reach of the points.
- sandbox: bubblewrap, else namespaces, else the container that ISOLATE names; else it is refused.
  No network, no other process, no file but Python and `lib` without its checks, empty HOME; memory,
  processes, disk and time are limited, and with the sandbox all that was started in it ends.
- inside, wire: what runs there, and what is said between the two.

grades.csv is written after each student and never shortened: an interrupted command goes on where
it was, and a second one grades only what has changed. Workers, one on each core, keep what is
imported; a student costs one start of Python in a sandbox.
"""

import argparse
import contextlib
import csv
import hashlib
import json
import math
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from multiprocessing import get_context, parent_process

import nbformat
from run import ROOT

sys.path.insert(0, str(ROOT))  # the checks are those of `lib`
from grading import bundles, judge, rosters, sandbox
from grading import course as courses
from grading.collect import Reason, collected

CELL_SECONDS, STUDENT_SECONDS = 60, 600
REST = ("total", "max", "days late", "needs manual grading", "remark")
DAY = 24 * 60 * 60

grader = None  # of this process, where it is a worker


def grade(
    name,
    submissions,
    course,
    cell_seconds=CELL_SECONDS,
    student_seconds=STUDENT_SECONDS,
    roster=None,
    due=None,
):
    """Grades every submission of a folder; returns the rows of grades.csv, of these students.

    due: when it had to be sent, for the column of days late; nothing is subtracted.
    """
    place = sandbox.find(os.environ.get("ISOLATE", ""))
    if place is None:
        raise Reason(sandbox.MISSING)
    if place.name == "none":
        print(sandbox.RISK, file=sys.stderr)
    sent = collected(name, submissions)
    if not (course / "gradebook.db").exists():
        courses.assign(name, course)
    if changes := courses.changed(name, course):
        raise Reason(
            f"the set has changed since it was handed out ({'; '.join(changes)}). To grade all by "
            f"the new one: `make assignment NAME={name}`, then this command again; points given by "
            f"hand are kept. To go on with the old one, set solutions/{name}.ipynb back"
        )
    table = Table(name, course, due)
    new = [one for one in sent if table.is_new(one, (cell_seconds, student_seconds))]
    for one in table.refused:
        print(_told(table.rows[one.student]))
    if same := len(sent) - len(new) - len(table.refused):
        print(f"{same} of {len(sent)} need no grading: they have not changed")
    with tempfile.TemporaryDirectory() as temporary:
        os.chmod(temporary, 0o755)  # read in the sandbox, by nobody
        folder = judge.book(pathlib.Path(temporary).resolve() / "book")
        given = (name, course, place.name, folder, cell_seconds, student_seconds)
        _grade_all(table, new, given)
    rows = [table.rows[one.student] for one in sent]
    rosters.write(name, course, list(zip(sent, rows)), roster)
    return rows


def _grade_all(table, new, given):
    """Lets the workers grade. A notebook that ends a worker takes the others along: each of them is
    graded again, in a worker of its own.
    """
    cores = os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    for one in _in_pool(table, new, given, cores):
        for broken in _in_pool(table, [one], given, 1):
            table.refuse(broken, "it ends the process that grades it")


def _in_pool(table, new, given, cores):
    """Every result is taken down at once; returns who has none, because a worker has ended."""
    if not new:
        return []
    started, waiting, running, broken = time.monotonic(), list(new), {}, []
    pool = ProcessPoolExecutor(min(cores, len(new)), get_context("spawn"), _start, given)
    try:
        while waiting or running:
            while waiting and len(running) < cores:  # no more: an interrupt waits for these
                one = waiting.pop(0)
                running[pool.submit(_one, one.student, table.data[one.student])] = one
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                one = running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    broken.append(one)
                    continue
                row, number = table.add(one, future), len(new) - len(waiting) - len(running)
                left = (time.monotonic() - started) / number * (len(new) - number) / 60
                print(f"{number} of {len(new)}, {left:.0f} minutes left: {_told(row)}", flush=True)
    except BrokenProcessPool:  # by `submit`
        broken += [one, *waiting, *running.values()]
    finally:
        pool.shutdown(cancel_futures=True)
    return broken


def _told(row):
    remarks = [f"    {remark}" for remark in row["remark"].split("; ") if remark]
    return "\n".join([f"{row['student']}: {row['total']} of {row['max']}", *remarks])


def _start(*given):
    """A worker: what all its students need is made once."""
    global grader
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process says what an interrupt means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    grader = courses.Grader(*given)


def _end_with_parent():
    parent_process().join()
    os._exit(1)  # and the sandbox with it


def _one(student, data):
    remarks = []
    scores, waits = grader.grade(student, data, remarks)
    return scores, waits, remarks


class Table:
    """grades.csv, and beside it in graded.json what was graded, so that it is graded once."""

    def __init__(self, name, course, due=None):
        self.name, self.course, self.due = name, course, due
        release = courses.release(name, course)
        self.points = courses.points(release)
        self.mark = hashlib.sha256(nbformat.writes(release).encode())
        for path in sorted((ROOT / "lib" / "checks").glob("*.py")):
            self.mark.update(path.read_bytes())
        self.data, self.digests, self.rows, self.state, self.refused = {}, {}, {}, {}, []
        if (course / "grades.csv").exists():
            with open(course / "grades.csv", newline="", encoding="utf-8") as file:
                self.rows = {row["student"]: row for row in csv.DictReader(file)}
        if (course / "graded.json").exists():
            self.state = json.loads((course / "graded.json").read_text(encoding="utf-8"))

    def is_new(self, one, limits):
        """Whether this has to be graded; if not, its row is brought up to date."""
        student = one.student
        try:
            if one.notebook is None:
                raise Reason("no notebook found")
            self.data[student] = one.notebook.read()
        except Exception as error:  # whatever a file can be
            self.refuse(one, error if isinstance(error, Reason) else f"not readable ({error})")
            return False
        mark = self.mark.copy()
        mark.update(repr(limits).encode() + self.data[student])
        self.digests[student] = mark.hexdigest()
        before = self.state.get(student, {})
        if before.get("sent") != self.digests[student] or student not in self.rows:
            return True
        if courses.by_hand(self.name, self.course, student) != before["given"]:
            courses.returned(self.name, self.course, student)
        self._take(one, courses.scores(self.name, self.course, student), before["remarks"])
        return False

    def add(self, one, future):
        """Takes down what a worker found."""
        try:
            *found, remarks = future.result()
        except Exception as error:
            known = isinstance(error, (Reason, judge.Broken))
            return self.refuse(one, error if known else f"{type(error).__name__}: {error}")
        return self._take(one, found, remarks)

    def _take(self, one, found, remarks):
        student = one.student
        given = courses.by_hand(self.name, self.course, student)
        self.state[student] = {
            "sent": self.digests[student],
            "given": given,
            "remarks": remarks,
        }
        return self._write(one, *found, [*one.remarks, *remarks])

    def refuse(self, one, reason):
        """The row and the page of a submission that gets no points, and why."""
        self.state.pop(one.student, None)
        self.refused.append(one)
        courses.refused(self.name, self.course, one.student, reason)
        return self._write(one, {}, False, [*one.remarks, f"NOT GRADED: {reason}"])

    def _write(self, one, scores, waits, remarks):
        scores = {task: scores.get(task, 0.0) for task in self.points}
        total, most = sum(scores.values()), sum(self.points.values())
        waiting = "yes" if waits else "no"
        last = (f"{total:g}", f"{most:g}", self._late(one), waiting, "; ".join(remarks))
        row = {"student": one.student}
        row |= {task.removeprefix("check_"): f"{score:g}" for task, score in scores.items()}
        self.rows[one.student] = row | dict(zip(REST, last))
        columns = ["student", *(task.removeprefix("check_") for task in self.points), *REST]
        with _replaced(self.course / "grades.csv") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(row for _, row in sorted(self.rows.items()))
        with _replaced(self.course / "graded.json") as file:
            json.dump(self.state, file)
        return self.rows[one.student]

    def _late(self, one):
        """Whole days, begun ones too, by the time of the file; else what the platform says."""
        when = one.notebook.when if one.notebook else 0.0
        if self.due is None or not when:
            return "late" if one.late else ""
        return str(max(0, math.ceil((when - self.due.timestamp()) / DAY)))


@contextlib.contextmanager
def _replaced(path):
    """A file that is there as a whole, or as it was."""
    beside = path.with_name(f".{path.name}.new")
    with open(beside, "w", newline="", encoding="utf-8") as file:
        yield file
    beside.replace(path)


def points_of_one(name, submission):
    """The points of a folder that holds one student's work, as JSON for a platform. Where nothing
    isolates, as in the container that Gradescope makes for one student, it goes on without.
    """
    if "ISOLATE" not in os.environ and sandbox.find() is None:
        os.environ["ISOLATE"] = "none"
    with tempfile.TemporaryDirectory() as temporary:
        sent, course = pathlib.Path(temporary) / "sent", pathlib.Path(temporary) / "course"
        sent.mkdir()
        shutil.copytree(submission, sent / "student", symlinks=True)
        with contextlib.redirect_stdout(sys.stderr):
            (row,) = grade(name, sent, course)
        return bundles.results(row, courses.points(courses.release(name, course)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["assignment", "grade", "points"])
    parser.add_argument("name", help="the exercise set, such as lrp")
    parser.add_argument("submissions", nargs="?", help="the folder, or zip, with what was sent")
    parser.add_argument("--course", help="where to write (course/NAME)")
    parser.add_argument("--roster", help="a CSV file of the class, as Moodle or Canvas gives it")
    parser.add_argument("--due", help="when it had to be sent: 2027-03-01T23:59")
    parser.add_argument("--cell-seconds", type=int, default=CELL_SECONDS)
    parser.add_argument("--student-seconds", type=int, default=STUDENT_SECONDS)
    given = parser.parse_args()
    course = pathlib.Path(given.course or ROOT / "course" / given.name).resolve()
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")
    if given.verb != "assignment" and not os.path.exists(given.submissions or ""):
        parser.error("name the folder with the submissions: make grade NAME=lrp SUBMISSIONS=folder")
    try:
        if given.verb == "assignment":
            courses.has_address(given.name)
            print(f"For the class: {courses.assign(given.name, course)}")
        elif given.verb == "points":
            print(points_of_one(given.name, pathlib.Path(given.submissions)))
        else:
            limits = given.cell_seconds, given.student_seconds
            due = datetime.fromisoformat(given.due) if given.due else None
            grade(given.name, given.submissions, course, *limits, given.roster or None, due)
            print(f"Grades: {course / 'grades.csv'}\nFeedback: {course / 'feedback'}")
    except (Reason, ValueError) as reason:
        sys.exit(str(reason))
    except KeyboardInterrupt:
        sys.exit(
            "Interrupted. What is graded is in grades.csv; the same command goes on from there."
        )


if __name__ == "__main__":
    main()
