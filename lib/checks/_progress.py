"""What a reader is told in a notebook when an answer is right: on what it was tried, the points so
far, and what comes next.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

#: The tasks of each set in order: (title, name of the check or "", points). `make pages` writes it.
TASKS: dict[str, list[tuple[str, str, int]]] = json.loads(
    (Path(__file__).parent / "tasks.json").read_text(encoding="utf-8")
)

_right: set[str] = set()


def tell(name: str, tried: Sequence[str]) -> None:
    """Prints it where a person reads along, and nowhere else."""
    shell = sys.modules.get("IPython")
    if shell is not None and shell.get_ipython() is not None:
        print(praise(name, tried))


def praise(name: str, tried: Sequence[str]) -> str:
    """The sentences for the answer `name`, which is counted as right from now on."""
    _right.add(name)
    tasks = next((tasks for tasks in TASKS.values() if name in {t[1] for t in tasks}), [])
    points = {check: worth for _, check, worth in tasks if check}
    have = sum(worth for check, worth in points.items() if check in _right)
    on = f" Tried on: {'; '.join(dict.fromkeys(tried))}." if tried else ""
    if not tasks:  # a set that `make pages` has not seen yet
        return f"{name} is right.{on}"
    every = sum(points.values())
    return f"{name} is right.{on}\n{have} of the {every} points that checks give.{_next(tasks)}"


def _next(tasks: Sequence[tuple[str, str, int]]) -> str:
    for title, check, worth in tasks:
        if check not in _right and check:
            return f" Next: {title} ({worth} point{'s' * (worth != 1)})."
    written = [title for title, check, _ in tasks if not check]
    return f" What is left is read by a person: {', '.join(written)}." if written else ""
