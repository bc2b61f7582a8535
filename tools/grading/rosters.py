"""The points as Moodle and Canvas take them, and a list of the class filled in."""

import csv
import re
import unicodedata

WHO = re.compile(
    r"\b(id|name|student|e?-?mail|user\w*|login|identifier|participant|github)\b", re.I
)
MOODLE = ("Identifier", "Full name", "Grade", "Maximum Grade")
CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")


def write(name, course, graded, roster=None):
    """moodle.csv and canvas.csv where the names of files came from there; with a roster,
    roster.csv: the same table with the points in it.

    graded: pairs of what was sent and its row of grades.csv.
    """
    moodle = [
        (f"Participant {sent.moodle}", row["student"], row["total"], row["max"])
        for sent, row in graded
        if sent.moodle
    ]
    canvas = [
        (sent.student, sent.canvas, "", "", "", row["total"]) for sent, row in graded if sent.canvas
    ]
    if moodle:
        _table(course / "moodle.csv", [MOODLE, *moodle])
    if canvas:
        _table(course / "canvas.csv", [(*CANVAS, name), *canvas])
    if roster:
        _table(course / "roster.csv", _filled(name, graded, roster))


def _filled(name, graded, roster):
    """The rows of the roster with the points, each person found by a number, else by a name."""
    with open(roster, newline="", encoding="utf-8-sig") as file:
        text = file.read()
    dialect = csv.Sniffer().sniff(text.partition("\n")[0], ",;\t")
    header, *people = csv.reader(text.splitlines(), dialect)
    column = _column(header, name)
    header = header if column < len(header) else [*header, name]
    who = [place for place, title in enumerate(header) if WHO.search(title)]
    numbers = {sent.moodle or sent.canvas: row for sent, row in graded}
    names = {}
    for sent, row in graded:
        for key in {_key(sent.student), _key(re.sub(r" \d+$", "", sent.student))}:
            names.setdefault(key, []).append(row)
    left, filled = {row["student"] for _, row in graded}, [header]
    for person in people:
        person = person + [""] * (len(header) - len(person))
        cells = [person[place] for place in who if person[place]]
        found = [re.fullmatch(r"\D*(\d+)", cell) for cell in cells]
        rows = [numbers[number[1]] for number in found if number and number[1] in numbers]
        rows = rows or [row for key in _keys(cells) for row in names.get(key, [])]
        if len({row["student"] for row in rows}) == 1:
            person[column] = rows[0]["total"]
            left.discard(rows[0]["student"])
        else:
            said = "could be several" if rows else "nothing was sent"
            print(f"{', '.join(cells)}: {said}")
        filled.append(person)
    for student in sorted(left):
        print(f"{student}: not in the roster")
    return filled


def _keys(cells):
    """How a person may be called in the name of a file: "Silva, Ana" is also "Ana Silva"."""
    words = [*cells, *(cell.split("@")[0] for cell in cells), *map(" ".join, zip(cells, cells[1:]))]
    turned = (" ".join(reversed(cell.split(",", 1))) for cell in cells)
    return {_key(word) for word in (*words, *turned)} - {""}


def _column(header, name):
    """Where the points go: Moodle's column, that of the set at Canvas, else a new one."""
    for number, title in enumerate(header):
        if title == "Grade" or re.fullmatch(rf"{re.escape(name)}(\s*\(\d+\))?", title, re.I):
            return number
    return len(header)


def _key(text):
    """A name without accents in how they are written, signs and capitals: "Silva, Ana" is
    "silvaana", as Canvas writes it.
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", text)).casefold()


def _table(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
