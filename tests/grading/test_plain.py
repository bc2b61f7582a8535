"""Exercises start in a plain Jupyter: torch, numpy and matplotlib, and `lib` without what it needs
elsewhere.
"""

import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT

ABSENT = ("safetensors", "sklearn", "scipy", "pooch", "tqdm", "ipywidgets", "nbgrader", "yaml")
BLOCK = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize("path", sorted((ROOT / "exercises").glob("*.ipynb")), ids=lambda p: p.stem)
def test_the_imports_of_a_set_need_no_more_than_the_readme_says(path):
    imports = [
        cell.source
        for cell in nbformat.read(path, 4).cells
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "imports"
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([BLOCK, *imports])], cwd=ROOT, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_a_refusal_is_one_line_in_jupyter():
    code = "from lib import checks; checks.check_ece(lambda *given: 1 / 0)"
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=nocolor", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert line.startswith("AssertionError: ece: raises ZeroDivisionError")
