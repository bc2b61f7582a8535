"""The hints below each task: a question, a pointer, a smaller case that is right, and no answer."""

import re

import nbformat
import pytest
import torch
from students import SOLUTIONS
from torch import nn

import exercises

FOLDED = re.compile(r"<details><summary>(.+?)</summary>\n\n(.*?)\n\n</details>", re.DOTALL)


def _hints():
    """By the name of the answer: its three hints, and the lines of its solution."""
    found = {}
    for path in exercises.solutions():
        cells = nbformat.read(path, 4).cells
        for hints, answer in zip(cells, cells[1:]):
            name = re.search(r"def (\w+)\(", answer.source)
            if answer.cell_type == "code" and "<summary>Hint 1" in hints.source and name:
                solution = answer.source.split("### BEGIN SOLUTION")[1].split("### END")[0]
                lines = [line.split("  #")[0].strip() for line in solution.splitlines()]
                found[name[1]] = dict(FOLDED.findall(hints.source)), lines
    return found


HINTS = _hints()
each = pytest.mark.parametrize("name", SOLUTIONS)


@each
def test_three_hints_ask_point_and_show_a_smaller_case(name):
    hints, _ = HINTS[name]
    assert list(hints) == ["Hint 1", "Hint 2", "Hint 3: a smaller case"]
    assert "?" in hints["Hint 3: a smaller case"]


@each
def test_no_hint_is_the_answer(name):
    hints, lines = HINTS[name]
    told = " ".join(hints.values())
    assert not [line for line in lines if len(line) > 24 and line in told]
    assert not [
        line
        for line in lines
        if (value := line.removeprefix("return ")) in told and len(value) > 20
    ]


BY_HAND = {"train_step", "vae_step", "composite"}  # networks are no arguments for one line


@pytest.mark.parametrize("name", [name for name in SOLUTIONS if name not in BY_HAND])
def test_the_smaller_case_is_right(name):
    call, said = re.search(
        r"```python\n(.*)\n# (.*)\n```", HINTS[name][0]["Hint 3: a smaller case"]
    ).groups()
    known = {"tensor": torch.tensor, "torch": torch, "nn": nn, **SOLUTIONS}
    assert call.startswith(f"{name}(")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        got = eval(call, known)
    wanted = eval(said, known)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-4, check_dtype=False)
