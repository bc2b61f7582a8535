"""What holds for every check of every exercise: the answers are those of the solutions."""

import random
import sys
import time
import warnings

import nbformat
import numpy as np
import pytest
import torch
from conftest import ROOT
from students import check
from torch import Tensor

from lib import checks

NAMES = [name.removeprefix("check_") for name in checks.__all__]


def answers():
    """Each exercise's solution, by the name of its function; the cells of a notebook share their
    names, as they do when it runs.
    """
    found = {}
    for path in (ROOT / "solutions").glob("*.ipynb"):
        shared = {}
        for cell in nbformat.read(path, 4).cells:
            mark = cell.metadata.get("nbgrader", {})
            answer = mark.get("solution") and not mark.get("grade")
            if cell.cell_type == "code" and (answer or cell.id == "imports"):
                exec(cell.source, shared)
        found |= {name: shared[name] for name in NAMES if name in shared}
    return found


ANSWERS = answers()
each = pytest.mark.parametrize("name", NAMES)


def test_every_check_belongs_to_a_solution():
    assert set(ANSWERS) == set(NAMES)
    assert not [
        name for name in vars(checks) if name.startswith("check_") and name not in checks.__all__
    ]


@each
def test_the_solution_is_accepted_in_a_second(name):
    check(name)(ANSWERS[name])  # the first call loads what is loaded once
    start = time.process_time()
    assert check(name)(ANSWERS[name]) is None
    assert time.process_time() - start < 1


@each
def test_an_unsolved_exercise_is_called_unsolved(name):
    def unsolved(*arguments, **named):
        raise NotImplementedError("your code here")

    with pytest.raises(AssertionError, match=f"^{name}: not solved yet$"):
        check(name)(unsolved)


@each
def test_an_interruption_is_passed_on(name):
    def interrupted(*arguments, **named):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(name)(interrupted)


def spoilt(result):
    """The result made of NaN; of a whole number, and of nothing, a text."""
    if isinstance(result, (tuple, list)):
        return [spoilt(part) for part in result]
    if isinstance(result, Tensor) and result.is_floating_point() or isinstance(result, float):
        return result * float("nan")
    return "a result"


def switches(change):
    def wrong(answer):
        def switched(*arguments, **named):
            change()
            return answer(*arguments, **named)

        return switched

    return wrong


WRONG = {
    "text": lambda answer: lambda *arguments, **named: "a result",
    "NaN": lambda answer: lambda *arguments, **named: spoilt(answer(*arguments, **named)),
    "another shape": lambda answer: lambda *arguments, **named: torch.zeros(2, 3, 5, 7),
    "raises": lambda answer: lambda *arguments, **named: arguments[99],
    "exits": lambda answer: lambda *arguments, **named: sys.exit(0),
    "takes one argument": lambda answer: lambda: answer,
    "no function": lambda answer: torch.ones(2),
    "leaves gradients off": switches(lambda: torch.set_grad_enabled(False)),
    "leaves the default dtype changed": switches(lambda: torch.set_default_dtype(torch.float64)),
}


@each
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_in_any_exercise_is_refused_with_its_name(name, kind):
    with pytest.raises(AssertionError, match=f"^{name}: "):
        check(name)(WRONG[kind](ANSWERS[name]))
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


@each
def test_checks_are_silent_and_leave_the_random_states(name, capfd, recwarn):
    def talking(result):
        def answer(*arguments, **named):
            print("here")
            print("there", file=sys.stderr)
            warnings.warn("somewhere")
            return result(*arguments, **named)

        return answer

    def states():
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()

    before = states()
    check(name)(talking(ANSWERS[name]))
    with pytest.raises(AssertionError):
        check(name)(talking(lambda *arguments, **named: "a result"))
    assert states() == before
    assert capfd.readouterr() == ("", "") and not recwarn.list


@each
def test_a_notebook_with_other_settings_gets_the_same_verdict(name):
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            assert check(name)(ANSWERS[name]) is None
    finally:
        torch.set_default_dtype(torch.float32)


@each
def test_replacing_helpers_in_the_notebook_changes_nothing(name, monkeypatch):
    for owner, helper in [
        (torch, "allclose"),
        (torch, "equal"),
        (torch, "isclose"),
        (torch.testing, "assert_close"),
        (np, "allclose"),
        (np, "isclose"),
        (np.testing, "assert_allclose"),
    ]:
        monkeypatch.setattr(owner, helper, lambda *a, **k: True)
    for helper in ("tensor", "as_tensor", "get_default_dtype"):
        monkeypatch.setattr(torch, helper, lambda *a, **k: torch.zeros(1))
    with pytest.raises(AssertionError):
        check(name)(lambda *arguments, **named: torch.zeros(3))
