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
    with open(roster, newline="", encoding="utf-8-sig") as file:
        sample = file.read()
    dialect = csv.Sniffer().sniff(sample.partition("\n")[0], ",;\t")
    header, *people = csv.reader(sample.splitlines(), dialect)
    column = _column(header, name)
    header = header if column < len(header) else [*header, name]
    who = [number for number, title in enumerate(header) if WHO.search(title)]
    totals = {}
    for sent, row in graded:
        for key in (sent.student, sent.moodle, sent.canvas, re.sub(r" \d+$", "", sent.student)):
            if key:
                totals.setdefault(_key(key), set()).add((row["student"], row["total"]))
    found, filled = set(), [header]
    for person in people:
        person = person + [""] * (len(header) - len(person))
        keys = {_key(person[k]) for k in who if k < len(person)}
        keys |= {_key(re.sub(r"^\D+(?=\d+$)", "", person[k])) for k in who}
        keys |= {_key(" ".join(reversed(person[k].split(",", 1)))) for k in who}
        keys |= {_key(person[k].split("@")[0]) for k in who}
        keys |= {_key(" ".join(person[k] for k in pair)) for pair in zip(who, who[1:])}
        matches = set().union(*(totals.get(key, set()) for key in keys if key))
        if len(matches) == 1:
            ((student, total),) = matches
            person[column] = total
            found.add(student)
        else:
            said = "sent nothing" if not matches else "is not told from another"
            print(f"{', '.join(person[k] for k in who if person[k])}: {said}")
        filled.append(person)
    for sent, _ in graded:
        if sent.student not in found:
            print(f"{sent.student}: not in the roster")
    return filled


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
