"""Builds the book into _build/html and fails when anything warned: `make book`."""

import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
# beside the pages; made by `make pdf`
PDF = "opening-deep-networks.pdf"


def main():
    # From nothing each time: Sphinx repeats no warning about a page that it does not read again.
    shutil.rmtree(BUILD, ignore_errors=True)
    jupyter_book = pathlib.Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", ".", "-W", "-n", "--keep-going", "-q"]
    process = subprocess.run(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    complaints = [
        line for line in process.stdout.splitlines() if "WARNING" in line or "ERROR" in line
    ]
    if process.returncode or complaints:
        print(process.stdout)
        print(
            "The book was not built: "
            + ("see these lines\n" + "\n".join(complaints) if complaints else "see above.")
        )
        return 1
    print(f"The book is built. Open {BUILD / 'html' / 'intro.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
