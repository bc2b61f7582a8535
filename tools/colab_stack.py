"""Runs every notebook as Colab would: its versions, an empty folder, `lib` installed as the set-up cell does it.

    make colab-stack

The versions are those of Colab's public list; an environment with them is made in .venv-colab, apart from the book's own.
Nothing is written into the notebooks. A student's copy may complain in check cells only, because nothing is solved in it.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv-colab"
PYTHON = ENVIRONMENT / "bin" / "python"

# Colab's list of 2026-08-19; there with Python 3.13, here with the one at hand
COLAB = """
numpy==2.1.3 matplotlib==3.10.0 scikit-learn==1.6.1 scipy==1.16.3 pandas==2.2.3 tqdm==4.67.3 ipywidgets==7.7.1
ipython==7.34.0 ipykernel==6.17.1
""".split()
TORCH = ("torch==2.11.0", "torch==2.13.0")  # the second stands in where the first cannot be had
ALSO_THERE = ["pillow", "safetensors", "pooch", "requests"]
TO_RUN_THEM = ["nbclient", "nbformat"]


def make_environment():
    """Makes .venv-colab, or brings it up to date, and installs the tree as it stands now."""
    stamp, wanted = ENVIRONMENT / "versions", " ".join([*TORCH, *COLAB, *ALSO_THERE, *TO_RUN_THEM])
    if not stamp.is_file() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        if not any(_pip("install", version, check=False) for version in TORCH):
            sys.exit(f"none of {', '.join(TORCH)} could be installed")
        _pip("install", *COLAB, *ALSO_THERE, *TO_RUN_THEM)
        stamp.write_text(wanted)
    with tempfile.TemporaryDirectory() as copy:  # pip would leave its build folder in the tree
        for part in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / part, copy)
        shutil.copytree(ROOT / "lib", pathlib.Path(copy) / "lib")
        _pip("install", "--no-deps", "--force-reinstall", copy)


def _pip(*arguments, check=True):
    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
    return subprocess.run(command, check=check, stderr=None if check else subprocess.DEVNULL).returncode == 0


def run_here(paths):
    """Within .venv-colab: executes the notebooks in an empty folder; returns what went wrong, by notebook."""
    import nbclient
    import nbformat

    wrong = {}
    for path in paths:
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.update(outputs=[], execution_count=None)
        with tempfile.TemporaryDirectory() as folder:
            nbclient.NotebookClient(
                notebook, timeout=600, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": folder}}
            ).execute()
        wrong[path] = list(_complaints(notebook, student=path.parent.name == "exercises"))
    return wrong


def _complaints(notebook, student):
    for cell in notebook.cells:
        meant = "raises-exception" in cell.metadata.get("tags", [])
        check = cell.metadata.get("nbgrader", {}).get("grade", False)
        for output in cell.get("outputs", []):
            if output.output_type == "error" and not meant and not (student and check):
                yield f"cell {cell.id}: {output.ename}: {output.evalue}"


def main():
    paths = [ROOT / path for path in sys.argv[1:]] or sorted(
        path for folder in ("chapters", "solutions", "exercises") for path in (ROOT / folder).glob("*.ipynb")
    )
    if pathlib.Path(sys.prefix) != ENVIRONMENT:
        make_environment()
        os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", PYDEVD_DISABLE_FILE_VALIDATION="1")
        with tempfile.TemporaryDirectory() as folder:  # so that lib is the installed one
            return subprocess.run([PYTHON, __file__, *paths], cwd=folder).returncode
    wrong = run_here(paths)
    for path, complaints in wrong.items():
        print(f"{path.relative_to(ROOT)}: " + ("; ".join(complaints) or "runs"))
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
