"""The methods of lib beside Captum, Zennit and LXT, and against each other: what they cost, and how
well their maps rank what a network looks at.

    make bench                              everything, written to benchmarks/results.md
    python benchmarks/run.py PART ...       only these parts of it: their sections are written anew

Unit of the costs: one forward + one backward pass to the input, parameters frozen. The unit and the
methods are called in turn, in one process, and the 20 % quantile of the process's CPU time over all
rounds is taken.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import platform
import re
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
# tests: published architectures, and the stand-in for torchvision that zennit and timm import
sys.path[:0] = [str(ROOT / part) for part in ("", "tools", "tests", "benchmarks")]

import ensembles
import memory
import pixels
import speed
import torch
import words

RESULTS = ROOT / "benchmarks" / "results.md"
TITLE = "# Cost and quality of the methods"
INTRODUCTION = "Written by `make bench`; each section says with which versions it was measured."
# the sections of results.md, in their order
PARTS: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "small": ("Cost on small networks", speed.small),
    "real": ("Cost on networks of real size", speed.real),
    "memory": ("Memory", memory.section),
    "ensembles": ("Ensembles", ensembles.section),
    "pixels": ("Quality: the pixels of photographs", pixels.section),
    "words": ("Quality: the words of sentences", words.section),
}


def stored() -> dict[str, str]:
    """The sections that are there, by their titles."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    return dict(re.findall(r"^## (.+?)\n\n(.+?)\n*(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))


def versions() -> str:
    """Of each section: one may be newer than another."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("captum", "zennit", "lxt", "timm"))
    return (
        f"torch {torch.__version__}, {packages}, Python {platform.python_version()}, "
        f"threads: {torch.get_num_threads()}."
    )


def write(sections: dict[str, str]) -> None:
    parts = [f"## {title}\n\n{sections[title]}" for title, _ in PARTS.values() if title in sections]
    RESULTS.write_text("\n\n".join([TITLE, INTRODUCTION, *parts]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures cost and quality of the methods.")
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    given = parser.parse_args().part
    if unknown := set(given) - PARTS.keys():
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    warnings.filterwarnings("ignore")  # explanations that warn are measured, too
    torch.set_num_threads(1)
    for name in given or PARTS:
        title, measured = PARTS[name]
        text = "\n".join([*measured(), "", versions()])
        text = re.sub(r"\n{3,}", "\n\n", text).strip()
        write(stored() | {title: text})
        print(f"\n## {title}\n\n{text}", flush=True)


if __name__ == "__main__":
    main()
