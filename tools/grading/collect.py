"""What students sent, as it comes: files, folders and zips of Moodle, Canvas, Google Classroom and
GitHub Classroom. Links are not followed, nothing is unpacked on the disk.
"""

import contextlib
import io
import json
import pathlib
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

LARGEST = 64 << 20  # bytes of a notebook
MOODLE = re.compile(r"(.+)_(\d+)_assignsubmission_(?:file|onlinetext)(?:_(.*))?")
CANVAS = re.compile(r"([^\W_]+)(?:_LATE)?_(\d+)_(\d+)_(.+)")
OTHERS = {"chapters", "solutions", "full_scale"}  # folders of a whole clone that hold no answers


class Reason(Exception):
    """Why a submission gets no points, or the command ends."""


@dataclass(frozen=True)
class File:
    """A file below the folder of submissions, or in a zip of it."""

    parts: tuple[str, ...]
    when: float = 0.0
    read: Callable[[], bytes] | None = None  # None where there is nothing to read: a link

    @property
    def stem(self):
        return pathlib.PurePosixPath(self.parts[-1]).stem

    def has(self, suffix):
        return self.parts[-1].lower().endswith(suffix)


@dataclass
class Sent:
    """What one student sent: the notebook that is graded, None where there is none."""

    student: str
    notebook: File | None = None
    remarks: list[str] = field(default_factory=list)
    late: bool = False  # says the platform
    moodle: str = ""  # the number that the platform has for the student
    canvas: str = ""


def collected(name, submissions):
    """One Sent for each student, in order of their names."""
    owners = {}
    left_out = []
    for file in _files(pathlib.Path(submissions), name):
        owner = _owner(file, name)
        if owner is None:
            left_out.append(file.parts[0])
        else:
            owners.setdefault(owner, []).append(file)
    for entry in sorted(set(left_out)):
        print(f"{shown(entry)}: neither a notebook nor a folder, left out")
    if not owners:
        raise Reason(f"there is nothing to grade in {submissions}: no notebook, folder or zip")
    names = _names(owners)
    return [_sent(names[owner], owner, files, name) for owner, files in sorted(owners.items())]


def shown(name):
    """A name that can be printed: a file may have any, with colours and commands of a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def text_of(data):
    """The text of a notebook, in whatever encoding it was saved."""
    try:
        return data.decode(json.detect_encoding(data))
    except UnicodeDecodeError:
        return data.decode("latin-1")


# ---------------------------------------------------------------- files


def _files(root, name):
    """All files that are not hidden; of a zip with the whole class, those that it holds."""
    files = [File((root.name,), 0.0, root.read_bytes)] if root.is_file() else list(_in(root))
    if not (len(files) == 1 and len(files[0].parts) == 1 and files[0].has(".zip")):
        return files
    try:
        inner = list(_zipped(files[0]))
    except zipfile.BadZipFile:
        raise Reason(f"{files[0].parts[0]} is no readable zip") from None
    clone = any("exercises" in file.parts for file in inner)
    several = len({_owner(file, name) for file in inner}) > 1
    if not several and not clone and all(len(file.parts) > 1 for file in inner):
        below = [replace(file, parts=file.parts[1:]) for file in inner]  # Drive adds a folder
        several = len({_owner(file, name) for file in below}) > 1
        inner = below if several else inner
    platform = any(MOODLE.fullmatch(f.parts[0]) or CANVAS.fullmatch(f.parts[0]) for f in inner)
    return inner if (several and not clone) or platform else files


def _in(folder, above=()) -> Iterator[File]:
    for path in sorted(folder.iterdir()):
        parts = (*above, path.name)
        if path.name.startswith((".", "__")):
            continue
        if path.is_symlink():
            yield File(parts)
        elif path.is_dir():
            inner = list(_in(path, parts))
            yield from inner or [File((*parts, ""), 0.0, bytes)]
        elif path.is_file():
            yield File(parts, path.stat().st_mtime, lambda path=path: _whole(path))


def _zipped(file):
    """The files of a zip. Its names are only names: nothing is written to them."""
    archive = zipfile.ZipFile(io.BytesIO(file.read()))
    for entry in archive.infolist():
        when = 0.0
        parts = pathlib.PurePosixPath(entry.filename.replace("\\", "/")).parts
        hidden = any(part.startswith((".", "__")) or part == "/" for part in parts)
        if parts and not entry.is_dir() and not hidden:
            with contextlib.suppress(ValueError):  # a date that does not exist
                when = datetime(*entry.date_time).timestamp()
            yield File(parts, when, lambda entry=entry: _unpacked(archive, entry))


def _whole(path):
    if path.stat().st_size > LARGEST:
        raise Reason(f"{path.name} is larger than {LARGEST >> 20} MB")
    return path.read_bytes()


def _unpacked(archive, entry):
    with archive.open(entry) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Reason(f"{entry.filename} is larger than {LARGEST >> 20} MB")
    return data


# ---------------------------------------------------------------- whose


def _owner(file, name):
    """(student, number at Moodle, number at Canvas) that a file belongs to, None if to nobody."""
    top = file.parts[0]
    stem = top if len(file.parts) > 1 else file.stem
    if found := MOODLE.fullmatch(top):
        return found[1], found[2], ""
    if len(file.parts) > 1:
        return student(top, name) or top, "", ""
    if not (file.has(".ipynb") or file.has(".zip") or file.read is None):
        return None
    if found := CANVAS.fullmatch(top):
        return found[1], "", found[2]
    return student(stem, name) or stem, "", ""


def student(stem, name):
    """The student's name in a file name: "Ana" of "Copy of Ana_lrp (1)", nothing of "lrp (1)", all
    of what does not name the set.
    """
    plain = re.sub(r"\b(copy of|copia de|cópia de|kopie von) ", "", stem, flags=re.IGNORECASE)
    plain = re.sub(r"\s*\(\d+\)$|\s*-\s*Copy$", "", plain)
    named = re.fullmatch(
        rf"(.*?)(?:^|[\s_.-]+){re.escape(name)}(?:$|[\s_.-]+)(.*)", plain, re.IGNORECASE
    )
    return " ".join(filter(None, named.groups())) if named else stem


def _names(owners):
    """A name of a folder for each owner; an error where two would share one."""
    names, taken = {}, {}
    for owner in owners:
        raw, number = owner[0], owner[1] or owner[2]
        several = sum(other[0] == raw and bool(other[1] or other[2]) for other in owners) > 1
        slug = unicodedata.normalize("NFC", f"{raw} {number}" if several else raw)
        slug = re.sub(r"[^\w .@-]+", "-", slug).strip(" .@-")[:100] or "unnamed"
        taken.setdefault(slug.casefold(), []).append(raw)
        names[owner] = slug
    for slug, raws in taken.items():
        if len(raws) > 1:
            both = " and ".join(repr(raw) for raw in raws)
            raise Reason(f"{both} would both be called {slug!r}: rename one of them")
    return names


# ---------------------------------------------------------------- one student


def _sent(slug, owner, files, name):
    """The notebook of a student that is graded, with what is to be said about it."""
    sent = Sent(slug, moodle=owner[1], canvas=owner[2])
    sent.late = any("_LATE_" in file.parts[0] for file in files if CANVAS.fullmatch(file.parts[0]))
    notebooks = []
    for file in files:
        if file.read is None:
            sent.remarks.append(f"a link, not followed: {shown('/'.join(file.parts))}")
        elif file.has("onlinetext.html"):
            sent.remarks.append("an online text was sent, too: read it by hand")
        elif file.has(".zip"):
            try:
                notebooks += [inner for inner in _zipped(file) if inner.has(".ipynb")]
            except Exception as error:  # whatever is wrong with it
                kind = type(error).__name__
                sent.remarks.append(f"no readable zip ({kind}): {shown(file.parts[-1])}")
        elif file.has(".ipynb"):
            notebooks.append(replace(file, parts=file.parts[1:] or file.parts))
    own = [file for file in notebooks if not OTHERS & set(file.parts[:-1])] or notebooks
    named = [file for file in own if student(_plain(file), name) != _plain(file)] or own
    placed = [file for file in named if "exercises" in file.parts[:-1]] or named
    if placed:
        sent.notebook = max(placed, key=lambda file: (file.when, _number(file.stem)))
    if len(placed) > 1:
        newest = shown(sent.notebook.parts[-1])
        sent.remarks.append(f"{len(placed)} notebooks, the newest graded: {newest}")
    return sent


def _plain(file):
    """The name that the student gave: Canvas and Moodle put theirs before it."""
    found = CANVAS.fullmatch(file.parts[-1]) or MOODLE.fullmatch(file.parts[-1])
    return pathlib.PurePosixPath(found[found.lastindex]).stem if found else file.stem


def _number(stem):
    """Of a copy: 2 of "lrp (2)" and "lrp-2"."""
    found = re.search(r"[(-](\d+)\)?$", stem)
    return int(found[1]) if found else 0
