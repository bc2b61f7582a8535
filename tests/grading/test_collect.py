"""What students sent is read as Moodle, Canvas, Google Classroom and GitHub Classroom give it."""

import csv
import io
import os
import unicodedata
import zipfile

import pytest
from grading import collect, rosters
from grading.collect import Reason, collected

NAME = "lrp"


def put(folder, *paths):
    """Files that hold their own path; a path that ends with a slash is an empty folder."""
    for number, path in enumerate(paths):
        target = folder / path
        if path.endswith("/"):
            target.mkdir(parents=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path)
        os.utime(target, (1e9 + number, 1e9 + number))


def packed(*paths):
    """A zip of files that hold their own path, the later ones newer."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number, path in enumerate(paths):
            archive.writestr(zipfile.ZipInfo(path, (2024, 5, 1, 10, number, 0)), path)
    return data.getvalue()


def read(folder):
    """What is graded, by its student: the path of the notebook."""
    return {
        sent.student: sent.notebook and sent.notebook.read().decode()
        for sent in collected(NAME, folder)
    }


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
    assert collect.student(stem, NAME) == student


MOODLE = (
    "Ana Maria Silva_1001_assignsubmission_file_/lrp.ipynb",
    "Ana Maria Silva_1001_assignsubmission_onlinetext_/onlinetext.html",
    "João Sá_1002_assignsubmission_file_/Copy of lrp (1).ipynb",
    "João Sá_1002_assignsubmission_file_/notes.pdf",
    "Li Wei_1003_assignsubmission_onlinetext_/onlinetext.html",
    "Li Wei_1004_assignsubmission_file_/LRP.IPYNB",
)


def test_moodle_folders_flat_files_and_the_zip_of_a_class(tmp_path):
    wanted = {
        "Ana Maria Silva": MOODLE[0],
        "João Sá": MOODLE[2],
        "Li Wei 1003": None,
        "Li Wei 1004": MOODLE[5],
    }
    put(tmp_path / "folders", *MOODLE)
    assert read(tmp_path / "folders") == wanted
    (tmp_path / "zip").mkdir()
    (tmp_path / "zip/Course-LRP-99.zip").write_bytes(packed(*MOODLE))
    assert read(tmp_path / "zip") == read(tmp_path / "zip/Course-LRP-99.zip") == wanted
    flat = [path.replace("_/", "_") for path in MOODLE]
    put(tmp_path / "flat", *flat)
    assert list(read(tmp_path / "flat")) == list(wanted)
    sent = {one.student: one for one in collected(NAME, tmp_path / "folders")}
    assert sent["João Sá"].moodle == "1002"
    assert "online text" in "".join(sent["Ana Maria Silva"].remarks)


def test_canvas_files_with_late_and_repeated_submissions(tmp_path):
    paths = (
        "silvaana_501_9001_lrp.ipynb",
        "silvaana_501_9002_lrp-1.ipynb",
        "sajoao_LATE_502_9003_lrp-2.ipynb",
        "weili_503_9004_report.pdf",
        "doecarl_504_9005_lrp.zip",
    )
    put(tmp_path / "sent", *paths)
    (tmp_path / "sent/doecarl_504_9005_lrp.zip").write_bytes(packed("work/lrp.ipynb"))
    wanted = {
        "silvaana": paths[1],
        "sajoao": paths[2],
        "doecarl": "work/lrp.ipynb",
    }
    assert read(tmp_path / "sent") == wanted
    (tmp_path / "submissions.zip").write_bytes(packed(*paths[:4]))
    assert read(tmp_path / "submissions.zip") == {k: wanted[k] for k in ("silvaana", "sajoao")}
    assert {one.student: one.canvas for one in collected(NAME, tmp_path / "sent")} == {
        "silvaana": "501",
        "sajoao": "502",
        "doecarl": "504",
    }
    late = {one.student for one in collected(NAME, tmp_path / "sent") if one.late}
    assert late == {"sajoao"}


def test_google_classroom_with_the_folder_that_drive_adds(tmp_path):
    paths = "LRP exercise/Ana Silva - lrp.ipynb", "LRP exercise/João Sá - Copy of lrp.ipynb"
    (tmp_path / "LRP exercise-20240501T1.zip").write_bytes(packed(*paths))
    assert read(tmp_path) == {"Ana Silva": paths[0], "João Sá": paths[1]}


CLONE = (
    "solutions/lrp.ipynb",
    "chapters/lrp.ipynb",
    "exercises/vae.ipynb",
    "full_scale/lrp.ipynb",
    "exercises/lrp.ipynb",
    "exercises/zz.ipynb",
    "lib/lrp/rules.py",
    ".git/config",
)


def test_github_classroom_and_whole_clones(tmp_path):
    put(tmp_path, *(f"lrp-{user}/{path}" for user in ("ana", "joao-sa") for path in CLONE))
    (tmp_path / "Carl.zip").write_bytes(packed(*(f"book-main/{path}" for path in CLONE)))
    assert read(tmp_path) == {
        "ana": "lrp-ana/exercises/lrp.ipynb",
        "joao-sa": "lrp-joao-sa/exercises/lrp.ipynb",
        "Carl": "book-main/exercises/lrp.ipynb",
    }


def test_odd_names_stay_inside_and_cost_nobody(tmp_path):
    put(tmp_path, *(f"{name}/lrp.ipynb" for name in ("--help", "-rf", "=cmd()", "Ana")))
    put(tmp_path, "a\nb\x1b[2J/lrp.ipynb", ".hidden/lrp.ipynb", "Empty/", "__MACOSX/x.ipynb")
    (tmp_path / "Bea").mkdir()
    (tmp_path / "Bea/lrp.ipynb").symlink_to(tmp_path / "Ana/lrp.ipynb")
    (tmp_path / "Carl").symlink_to(tmp_path / "Ana")
    (tmp_path / "Dora.ipynb").symlink_to("/nowhere")
    (tmp_path / "Eva.zip").write_bytes(packed("../../lrp.ipynb", "/etc/lrp.ipynb"))
    (tmp_path / "Fin.zip").write_bytes(b"no zip")
    found = read(tmp_path)
    nothing = ("Bea", "Carl", "Dora", "Empty", "Fin")
    assert {name: found.pop(name) for name in nothing} == dict.fromkeys(nothing)
    assert set(found) == {"help", "rf", "cmd", "Ana", "a-b-2J", "Eva"}
    assert found["Ana"] == "Ana/lrp.ipynb"
    remarks = {sent.student: " ".join(sent.remarks) for sent in collected(NAME, tmp_path)}
    assert all("a link, not followed" in remarks[name] for name in ("Bea", "Carl", "Dora"))
    assert "no readable zip" in remarks["Fin"]


@pytest.mark.parametrize(
    "one, two",
    [
        ("Ana (A)", "Ana [A]"),
        (unicodedata.normalize("NFC", "João"), unicodedata.normalize("NFD", "João")),
        ("Ana", "ANA"),
    ],
)
def test_two_names_that_would_be_one_are_an_error(tmp_path, one, two):
    put(tmp_path, f"{one}/lrp.ipynb", f"{two}/lrp.ipynb")
    with pytest.raises(Reason, match="would both be called"):
        collected(NAME, tmp_path)


def test_the_newest_of_several_is_taken_and_said(tmp_path):
    put(tmp_path, "Ana/lrp.ipynb", "Ana/lrp (1).ipynb", "Ana/scratch.ipynb")
    (sent,) = collected(NAME, tmp_path)
    assert sent.notebook.parts == ("lrp (1).ipynb",)
    assert sent.remarks == ["2 notebooks, the newest graded: lrp (1).ipynb"]


def test_nothing_and_no_zip_are_refused(tmp_path):
    put(tmp_path, "readme.txt")
    with pytest.raises(Reason, match="nothing to grade"):
        collected(NAME, tmp_path)
    (tmp_path / "readme.txt").unlink()
    (tmp_path / "all.zip").write_bytes(b"no zip")
    with pytest.raises(Reason, match="no readable zip"):
        collected(NAME, tmp_path)


# ---------------------------------------------------------------- lists of the class


def graded(folder, totals):
    rows = [{"student": name, "total": total, "max": "21"} for name, total in totals.items()]
    return list(zip(collected(NAME, folder), rows, strict=True))


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_moodle_takes_its_own_worksheet_back(tmp_path, capsys):
    put(tmp_path / "sent", *MOODLE)
    totals = {"Ana Maria Silva": "18", "João Sá": "3.5", "Li Wei 1003": "0", "Li Wei 1004": "7"}
    roster = tmp_path / "worksheet.csv"
    head = "Identifier,Full name,Email address,Status,Grade,Maximum Grade"
    people = [
        f"Participant {n},{who},,Submitted,,21.00"
        for n, who in (
            (1001, "Ana Maria Silva"),
            (1002, "João Sá"),
            (1004, "Li Wei"),
            (1005, "Zoe"),
        )
    ]
    roster.write_text("\n".join([head, *people]), encoding="utf-8-sig")
    rosters.write(NAME, tmp_path, graded(tmp_path / "sent", totals), roster)
    assert [row[4] for row in table(tmp_path / "roster.csv")] == ["Grade", "18", "3.5", "7", ""]
    assert table(tmp_path / "moodle.csv")[1] == ["Participant 1001", "Ana Maria Silva", "18", "21"]
    said = capsys.readouterr().out
    assert (
        "Participant 1005, Zoe: nothing was sent" in said
        and "Li Wei 1003: not in the roster" in said
    )


def test_canvas_takes_its_own_gradebook_back(tmp_path):
    put(tmp_path / "sent", "silvaana_501_9001_lrp.ipynb", "sajoao_502_9003_lrp.ipynb")
    roster = tmp_path / "gradebook.csv"
    head = "Student,ID,SIS User ID,SIS Login ID,Section,LRP (77)"
    people = ['"Silva, Ana",501,,ana,A,', '"Sá, João",502,,joao,A,', '"Doe, Carl",503,,carl,A,']
    roster.write_text("\n".join([head, *people]), encoding="utf-8")
    given = graded(tmp_path / "sent", {"sajoao": "4", "silvaana": "18"})
    rosters.write(NAME, tmp_path, given, roster)
    assert [row[5] for row in table(tmp_path / "roster.csv")] == ["LRP (77)", "18", "4", ""]
    assert table(tmp_path / "canvas.csv")[1:] == [
        ["sajoao", "502", "", "", "", "4"],
        ["silvaana", "501", "", "", "", "18"],
    ]


def test_a_list_of_names_and_accounts_is_filled_in(tmp_path):
    put(tmp_path / "sent", "lrp-anas/lrp.ipynb", "Sá João/lrp.ipynb")
    roster = tmp_path / "class.csv"
    roster.write_text("name;github;e-mail\nAna Silva;anas;a@b.c\nJoão Sá;;joao.sa@b.c\n")
    given = graded(tmp_path / "sent", {"Sá João": "5", "anas": "18"})
    rosters.write(NAME, tmp_path, given, roster)
    rows = table(tmp_path / "roster.csv")
    assert rows[0] == ["name", "github", "e-mail", "lrp"]
    assert rows[1][-1] == "18"
