"""One exercise set as an nbgrader course below course/NAME: its release, what students sent, its
grade book and the pages to return. nbgrader does all of it but run notebooks; that does the judge.
"""

import hashlib
import html
import logging
import os
import re
import shutil
import signal
import sys
import warnings
import zipfile

import nbformat
from nbconvert.preprocessors import TagRemovePreprocessor
from nbgrader.apps.api import NbGraderAPI
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.preprocessors import Execute, IgnorePattern
from run import ROOT
from traitlets.config import Config, PyFileConfigLoader

import exercises
from grading import bundles, judge, sandbox
from grading.collect import Reason, text_of

warnings.filterwarnings("ignore", module="nbgrader")  # its own, about its own use of SQLAlchemy
MOST_CELLS, MOST_TEXT = 1000, 200_000  # of a notebook; characters of a cell
MARGIN = 120  # seconds for all that is done with a notebook besides running it
LINKS = r"(?i)(?:script|data)[\s\\]*(?=:)"  # to javascript: and the like
TEX = r"\\(?=href|require|class|style|cssId|html|unicode)"  # of MathJax, the same
CONFIGURATION = """# Written by tools/grade.py, for it and nbgrader's own commands in this folder.
c = get_config()
c.CourseDirectory.course_id = {name!r}
c.OverwriteCells.add_missing_cells = True


def refuse(notebook, resources):
    raise RuntimeError("students' code runs in a sandbox, and nowhere else: `make grade`")


c.Autograde.sanitize_preprocessors = [refuse]  # by nbgrader's own command, or the Formgrader
"""
NO_FEEDBACK = (
    '<!doctype html><html lang="en"><meta '
    'charset="utf-8"><title>Feedback</title><p>This notebook could not be graded: {}</p></html>\n'
)
ADDRESS = "OWNER/REPO"  # until `make address`


def api(course, execute=None):
    """nbgrader on the course folder, with what its defaults get wrong put right; `execute` runs a
    notebook.
    """
    config = exercises.settings()
    config.merge(PyFileConfigLoader("nbgrader_config.py", str(course)).load_config())
    # several write
    config.CourseDirectory.root, config.CourseDirectory.db_url = (
        str(course),
        f"sqlite:///{course / 'gradebook.db'}?timeout=60",
    )
    steps = _steps(GenerateAssignment, "preprocessors")
    config.GenerateAssignment.preprocessors = [TagRemovePreprocessor, *steps]
    config.Autograde.sanitize_preprocessors = _steps(Autograde, "sanitize_preprocessors")
    steps = _steps(Autograde, "autograde_preprocessors")
    steps = [step for step in steps if step not in (Execute, IgnorePattern)]
    config.Autograde.autograde_preprocessors = [*([execute] if execute else []), *steps]
    logging.getLogger("traitlets").propagate = False  # kept in the results, not shown
    return NbGraderAPI(config=Config(config))


def _steps(converter, name):
    """What nbgrader does unless it is told otherwise."""
    return converter.class_traits()[name].default_args[0]


def success(result):
    """Raises Reason, with the exception that nbgrader's log ends with, unless all went well."""
    text = "\n".join(filter(None, [result.get("log"), result.get("error")]))
    errors = re.findall(r"^\s*(?:\w+\.)*(\w*(?:Error|Exception)\b.*)$", text, re.MULTILINE)
    mine = [line for line in errors if not line.startswith("NbGraderException")]
    if not result["success"]:
        raise Reason((mine or errors or text.splitlines() or ["nbgrader gave no reason"])[-1][:300])


# ---------------------------------------------------------------- hand out


def assign(name, course):
    """The release notebook and the grade book of one set; returns the file for the class."""
    source = ROOT / "solutions" / f"{name}.ipynb"
    if not source.exists():
        raise Reason(f"there is no solutions/{name}.ipynb")
    text = source.read_text(encoding="utf-8")
    target = course / "source" / name / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    (course / "nbgrader_config.py").write_text(CONFIGURATION.format(name=name))
    beside = os.path.dirname(sys.executable)  # nbgrader calls `alembic` by name
    os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
    try:
        success(api(course).generate_assignment(name))
    except Reason as reason:
        if "Cannot add or remove cells" not in str(reason):
            raise
        raise Reason(
            "the set has other cells than when grading began, which the grade book cannot follow: "
            f"move {course} away and begin anew. Points given by hand are in the old folder"
        ) from None
    handout = course / "handout" / source.name
    handout.parent.mkdir(exist_ok=True)
    handout.write_text(exercises.students_copy(nbformat.reads(text, 4)), encoding="utf-8")
    with zipfile.ZipFile(handout.with_suffix(".zip"), "w") as archive:
        archive.write(handout, handout.name)
    bundles.write(name, handout.parent)
    return handout


def has_address(name):
    """Refuses to hand out a notebook whose links lead nowhere."""
    source = ROOT / "solutions" / f"{name}.ipynb"
    if source.exists() and ADDRESS in source.read_text(encoding="utf-8"):
        raise Reason(
            f"the notebook would send the class to {ADDRESS}, which is no address: "
            "run `make address ADDRESS=https://github.com/me/book` first"
        )


def release(name, course):
    """The notebook that was handed out."""
    return nbformat.read(course / "release" / name / f"{name}.ipynb", 4)


def points(notebook):
    """The points of each graded cell."""
    return {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader.points
        for cell in notebook.cells
        if mark(cell).get("grade")
    }


def changed(name, course):
    """What is no longer as it was handed out, in words; empty where the set is the same."""
    source = nbformat.read(ROOT / "solutions" / f"{name}.ipynb", 4)
    now, then = points(source), points(release(name, course))
    words = [f"{cell} is new" for cell in now if cell not in then]
    words += [f"{cell} is gone" for cell in then if cell not in now]
    return words + [
        f"{cell} has {now[cell]:g} points, not {then[cell]:g}"
        for cell in now
        if cell in then and now[cell] != then[cell]
    ]


def models(name):
    """The model answer of each written task, with how its points are split."""
    source = nbformat.read(ROOT / "solutions" / f"{name}.ipynb", 4)
    written = (cell for cell in source.cells if mark(cell).get("grade") and mark(cell)["solution"])
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in written}


def known(notebook):
    """The names that the locked cells of a release give to its checks."""
    names = {}
    for cell in notebook.cells:
        own = mark(cell)
        if cell.cell_type == "code" and own.get("locked") and not own.get("grade"):
            if own["grade_id"] != exercises.SET_UP:
                exec(compile(cell.source, own["grade_id"], "exec"), names)
    return names


# ---------------------------------------------------------------- what was sent, mended


def submit(name, course, student, data, notebook, remarks):
    """Puts the mended notebook, and nothing else that was sent, into nbgrader's folder."""
    try:
        sent = nbformat.reads(text_of(data), 4)
        sent = nbformat.reads(nbformat.writes(mended(sent, notebook, remarks)), 4)
    except Reason:
        raise
    except Exception as error:
        raise Reason(f"not a readable notebook ({type(error).__name__})") from None
    for folder in ("submitted", "autograded", "feedback"):
        shutil.rmtree(course / folder / student / name, ignore_errors=True)
    target = course / "submitted" / student / name / f"{name}.ipynb"
    target.parent.mkdir(parents=True)
    nbformat.write(sent, target)


def mended(submitted, release, remarks):
    """The student's cells with the marks of the release: its metadata, its checks and its points,
    each once.
    """
    cells = [cell for cell in submitted.cells if cell.cell_type in ("code", "markdown", "raw")]
    if len(cells) > MOST_CELLS or any(len(cell.source) > MOST_TEXT for cell in cells):
        raise Reason(f"more than {MOST_CELLS:,} cells, or {MOST_TEXT:,} characters in one")
    new, place, said, answered = {}, -1, [], 0  # by identity: a copied cell equals its original
    for cell in release.cells:
        if "nbgrader" not in cell.metadata:
            same = [k for k, c in enumerate(cells) if c.source == cell.source]
            place = max(place, *same[:1], place)
            continue
        own, name = cell.metadata.nbgrader, cell.metadata.nbgrader.grade_id
        copies = [c for c in cells if mark(c).get("grade_id") == name]
        if len(copies) > 1:
            said.append(f"{name}: the cell was copied, one of them is graded")
        changed = [c for c in copies if own.solution and c.source.strip() != cell.source.strip()]
        found = (
            changed[-1:]
            or copies[:1]
            or _without_mark(cell, [c for c in cells if id(c) not in new], said)
        )
        answered += bool(found) and own.solution and not own.grade
        if not found:
            said.append(f"{name}: the cell was missing, put back")
            cells.insert(place + 1, cell)
        elif own.locked and found[0].source.strip() != cell.source.strip():
            said.append(f"{name}: the locked cell was changed, put back")
        sent = (found or [cell])[0]
        if own.get("points") is not None and mark(sent).get("points", own.points) != own.points:
            said.append(f"{name}: the points were changed, put back")
        place = next(i for i, c in enumerate(cells) if c is sent)
        new[id(sent)] = _fresh(cell, cell.source if own.locked else sent.source)
        new[id(sent)].metadata.nbgrader = own
    if not answered:
        raise Reason("a notebook of another set: it has none of the tasks of this one")
    known = {cell.source for cell in release.cells}
    _take_written(cells, new, known, said)
    remarks += said
    return nbformat.v4.new_notebook(
        cells=[_harmless(new.get(id(cell)) or _fresh(cell, cell.source), known) for cell in cells],
        metadata=release.metadata,
    )


def _without_mark(cell, candidates, remarks):
    """The cell that has lost its mark: known by its id, by its text, by the function it defines."""
    name = cell.metadata.nbgrader.grade_id
    free = [c for c in candidates if not mark(c).get("grade_id") and c.cell_type == cell.cell_type]
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


def _take_written(cells, new, known, remarks):
    """A written answer that stands in a cell of its own, beside the one that was left empty."""
    for place, cell in enumerate(cells):
        own = mark(new.get(id(cell), {}))
        if not (own.get("grade") and own.get("solution")) or text(cell.source):
            continue
        beside = []
        for step in (1, -1):  # up to the next cell that was handed out, after and before
            near = place + step
            while 0 <= near < len(cells) and id(cells[near]) not in new:
                other = cells[near]
                if other.source in known:
                    break
                if other.cell_type != "code" and text(other.source):
                    beside.append(other.source)
                near += step
        if beside:
            new[id(cell)].source = "\n\n".join(beside)
            remarks.append(f"{own['grade_id']}: the answer was found in a cell of its own")


def text(source):
    """A written answer without what was handed out in its place."""
    return source.replace(exercises.TEXT_STUB, "").strip()


def mark(cell):
    own = cell.get("metadata", {}).get("nbgrader")
    return own if isinstance(own, dict) else {}


def _harmless(cell, known):
    """The text of a student runs in no browser: a space ends all that could be HTML or a link to
    code, and raw cells become Markdown.
    """
    if cell.cell_type == "code" or cell.source in known:
        return cell
    source = cell.source
    for pattern in (r"<(?=[A-Za-z/!?])", r"&(?=#?\w+;)", LINKS, TEX):
        source = re.sub(pattern, lambda found: f"{found[0]} ", source)
    plain = nbformat.v4.new_markdown_cell(source)
    plain.metadata = cell.metadata
    return plain


def _fresh(cell, source):
    """A cell of that kind with nothing but this text."""
    return getattr(nbformat.v4, f"new_{cell.cell_type}_cell")(source)


# ---------------------------------------------------------------- grade


class Grader:
    """Grades students of one set, one after another, with what is made once for all of them."""

    def __init__(self, name, course, isolate, folder, cell_seconds, student_seconds):
        self.name, self.course, self.folder = name, course, folder
        self.place = sandbox.find(isolate)
        self.seconds = cell_seconds, student_seconds
        self.release = release(name, course)
        self.points, self.known = points(self.release), known(self.release)
        self.models = models(name)

    def grade(self, student, data, remarks):
        """Points of each task and whether something is to be read; the pages are written."""
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(self.seconds[1] + MARGIN)
        try:
            return self._graded(student, data, remarks)
        finally:
            signal.alarm(0)

    def _graded(self, student, data, remarks):
        before = self._written(student)
        submit(self.name, self.course, student, data, self.release, remarks)

        def execute(notebook, resources):
            with judge.Judge(self.place, self.folder, *self.seconds) as judged:
                for number, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
                    cell.execution_count = number + 1
                    cell.outputs = nbformat.from_dict(self._outputs(judged, cell, remarks))
            notebook.cells = [shown for cell in notebook.cells for shown in self._beside(cell)]
            return notebook, resources

        success(api(self.course, execute).autograde(self.name, student))
        self._flag(student, before)
        returned(self.name, self.course, student)
        return scores(self.name, self.course, student)

    def _beside(self, cell):
        """The cell and, for who reads a written answer, the model and the rubric below it."""
        model = self.models.get(mark(cell).get("grade_id"))
        if model is None:
            return [cell]
        title = "**A model answer, and how the points are split**"
        return [cell, nbformat.v4.new_markdown_cell(f"---\n{title}\n\n{model}\n\n---")]

    def _outputs(self, judged, cell, remarks):
        own, ended = mark(cell), len(judged.gone)
        is_check = own.get("grade") and own.get("locked")
        outputs = judged.check(cell.source, self.known) if is_check else judged.run(cell.source)
        for reason in judged.gone[ended:][:1]:
            remarks.append(f"{own.get('grade_id', 'a cell')}: {reason}")
        return outputs

    def _written(self, student):
        """Of each written answer that was graded before: its text, and whether it waits."""
        path = self.course / "autograded" / student / self.name / f"{self.name}.ipynb"
        if not path.exists():
            return {}
        texts = {mark(cell).get("grade_id"): cell.source for cell in nbformat.read(path, 4).cells}
        with api(self.course).gradebook as book:
            grades = book.find_submission_notebook(self.name, self.name, student).grades
            return {
                grade.name: (texts[grade.name], grade.needs_manual_grade)
                for grade in grades
                if grade.manual_score is not None and grade.name in texts
            }

    def _flag(self, student, before):
        """What is to be read by a person: written answers, unless they were read as they are."""
        path = self.course / "autograded" / student / self.name / f"{self.name}.ipynb"
        cells = {mark(cell).get("grade_id"): cell for cell in nbformat.read(path, 4).cells}
        with api(self.course).gradebook as book:
            for grade in book.find_submission_notebook(self.name, self.name, student).grades:
                cell = cells[grade.name]
                if not mark(cell).get("solution"):
                    continue
                old, waits = before.get(grade.name, (None, True))
                grade.needs_manual_grade = bool(text(cell.source)) and (waits or old != cell.source)
                if not text(cell.source):
                    grade.auto_score = 0
            book.db.commit()


def _too_long(*_):
    raise Reason("not finished in its time")


def returned(name, course, student):
    """Writes the page for the student."""
    success(api(course).generate_feedback(name, student))


def refused(name, course, student, reason):
    """The page of a notebook that could not be graded."""
    page = course / "feedback" / student / name / f"{name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(NO_FEEDBACK.format(html.escape(str(reason))), encoding="utf-8")


def scores(name, course, student):
    """The points of each task, and whether a person has to read something."""
    with api(course).gradebook as book:
        grades = book.find_submission_notebook(name, name, student).grades
        return (
            {grade.name: grade.score or 0.0 for grade in grades},
            any(grade.needs_manual_grade for grade in grades),
        )


def by_hand(name, course, student):
    """A mark of all that was given by hand: where it changes, the page is written anew."""
    with api(course).gradebook as book:
        notebook = book.find_submission_notebook(name, name, student)
        given = [(grade.name, grade.manual_score, grade.extra_credit) for grade in notebook.grades]
        given += [(comment.name, comment.manual_comment) for comment in notebook.comments]
    return hashlib.sha256(repr(sorted(map(repr, given))).encode()).hexdigest()
