"""`make chapter`: the skeleton of a new chapter passes what every chapter must, in a copy."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

LEFT_OUT = (".git", ".venv*", "_build", "build", "course", "__pycache__", ".*_cache", ".hypothesis")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository with one chapter more."""
    root = tmp_path_factory.mktemp("book") / "copy"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
    done = in_copy(root, "tools/chapter.py", "causality", "Causes and effects")
    assert done.returncode == 0, done.stdout + done.stderr
    in_copy(root, "tools/pages.py")
    return root


def in_copy(root, *command):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, *command], cwd=root, capture_output=True, text=True, env=environment
    )


def passes(root, *command):
    done = in_copy(root, *command)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def test_it_stands_in_every_room_and_in_the_table_of_contents(copy):
    for room in ("chapters/causality.ipynb", "exercises/causality.ipynb", "lib/causality"):
        assert (copy / room).exists()
    text = (copy / "_toc.yml").read_text()
    assert text.index("chapters/responsibility") < text.index("chapters/causality")
    assert text.index("chapters/causality") < text.index("exercises/causality")
    assert "](chapters/causality.ipynb): what is its question?" in (copy / "intro.md").read_text()
    assert (copy / "images/cards/causality.png").is_file()
    assert "# Causes and effects" in (copy / "chapters/causality.ipynb").read_text()
    made = [path for path in copy.rglob("*causality*") if path.suffix in (".py", ".md", ".ipynb")]
    assert made and not [path for path in made if "skeleton" in path.read_text().lower()]


def test_its_form_is_right(copy):
    passes(copy, "-m", "ruff", "format", "--check", ".")
    passes(copy, "-m", "ruff", "check", ".")
    passes(copy, "-m", "mypy", "lib/causality", "lib/checks/causality.py")


def test_its_tests_pass_and_so_do_those_of_every_chapter(copy):
    own = ["tests/causality", "lib/causality", "tests/checks", "tests/test_exercises.py"]
    passes(copy, "-m", "pytest", *own, "-k", "causality")
    general = ["tests/test_repository.py", "tests/test_house.py", "tests/test_api.py"]
    passes(copy, "-m", "pytest", *general, "-k", "not installs and not versions")


def test_its_notebooks_run(copy):
    nbval = ["-m", "pytest", "--nbval-lax", "--nbval-current-env", "-o", "addopts="]
    passes(copy, *nbval, "chapters/causality.ipynb", "solutions/causality.ipynb")


@pytest.mark.parametrize(
    "name, title", [("lrp", "A"), ("Big", "A"), ("class", "A"), ("two words", "A"), ("good", " ")]
)
def test_other_names_are_refused_and_nothing_is_written(name, title):
    before = (ROOT / "_toc.yml").read_text()
    done = in_copy(ROOT, "tools/chapter.py", name, title)
    assert done.returncode == 2 and "make chapter" in done.stderr or "there already" in done.stderr
    assert (ROOT / "_toc.yml").read_text() == before
