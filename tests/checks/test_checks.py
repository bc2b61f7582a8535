"""What holds for every check of every exercise: the answers are those of the solutions."""

import random
import sys
import time

import numpy as np
import pytest
import torch
from students import NAMES, SOLUTIONS, check, talking
from torch import Tensor

from lib.checks import _progress

each = pytest.mark.parametrize("name", NAMES)


def test_every_check_belongs_to_a_solution():
    assert set(SOLUTIONS) == set(NAMES)


@each
def test_the_solution_is_accepted_in_a_second(name):
    check(name)(SOLUTIONS[name])  # the first call loads what is loaded once
    start = time.process_time()
    assert check(name)(SOLUTIONS[name]) is None
    assert time.process_time() - start < 1


def raising(error):
    def answer(*arguments, **named):
        raise error

    return answer


@each
def test_an_unsolved_exercise_is_called_unsolved_and_an_interruption_passed_on(name):
    with pytest.raises(AssertionError, match=f"^{name}: not solved yet$"):
        check(name)(raising(NotImplementedError("your code here")))
    with pytest.raises(KeyboardInterrupt):
        check(name)(raising(KeyboardInterrupt))


# ---------------------------------------------------------------- wrong in any exercise


def after(change):
    """The result goes through `change`."""
    return lambda answer: lambda *arguments, **named: change(answer(*arguments, **named))


def spoilt(number):
    """All numbers of a result go through `number`; a whole number, and nothing, become a text."""

    def change(result):
        if isinstance(result, (tuple, list)):
            return [change(part) for part in result]
        if isinstance(result, Tensor) and result.is_floating_point() or isinstance(result, float):
            return number(result)
        return "a result"

    return after(change)


def before(change):
    """`change` is called with the arguments first."""

    def wrong(answer):
        def changed(*arguments, **named):
            change(arguments)
            return answer(*arguments, **named)

        return changed

    return wrong


def in_place(arguments):
    """Every tensor becomes another one; a function has none."""
    tensors = [v for v in arguments if isinstance(v, Tensor)]
    for tensor in tensors or [torch.ones(1)]:
        tensor.data.copy_(~tensor if tensor.dtype == torch.bool else tensor + 1)
    assert tensors


def every_second(answer):
    calls = []

    def changed(*arguments, **named):
        calls.append(1)
        result = answer(*arguments, **named)
        return result if len(calls) % 2 else "another result"

    return changed


WRONG = {
    "text": after(lambda result: "a result"),
    "NaN": spoilt(lambda result: result * float("nan")),
    "scaled by 1 percent": spoilt(lambda result: 1.01 * result),
    "rounded to two decimals": spoilt(
        lambda result: torch.as_tensor(result, dtype=torch.float64).round(decimals=2)
    ),
    "another shape": lambda answer: lambda *arguments, **named: torch.zeros(2, 3, 5, 7),
    "one axis more": after(lambda result: [result] if result is not None else "a result"),
    "raises": before(lambda arguments: arguments[99]),
    "exits": before(lambda arguments: sys.exit(0)),
    "takes one argument": lambda answer: lambda: answer,
    "no function": lambda answer: torch.ones(2),
    "changes its arguments": before(in_place),
    "works every second time": every_second,
    "leaves gradients off": before(lambda arguments: torch.set_grad_enabled(False)),
    "leaves the default dtype changed": before(
        lambda arguments: torch.set_default_dtype(torch.float64)
    ),
    "returns nothing": after(lambda result: None if result is not None else "a result"),
}


@each
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_in_any_exercise_is_refused_with_its_name(name, kind):
    with pytest.raises(AssertionError, match=f"^{name}: "):
        check(name)(WRONG[kind](SOLUTIONS[name]))
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


# ---------------------------------------------------------------- the notebook around a check


def states():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


@each
def test_checks_are_silent_and_leave_the_random_states(name, capfd, recwarn):
    start = states()
    check(name)(talking(SOLUTIONS[name]))
    with pytest.raises(AssertionError):
        check(name)(talking(lambda *arguments, **named: "a result"))
    assert states() == start
    assert capfd.readouterr() == ("", "") and not recwarn.list


@each
def test_a_notebook_with_other_settings_gets_the_same_verdict(name):
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            assert check(name)(SOLUTIONS[name]) is None
    finally:
        torch.set_default_dtype(torch.float32)


REPLACED = {
    torch: ["allclose", "equal", "isclose"],
    torch.testing: ["assert_close"],
    np: ["allclose", "isclose"],
    np.testing: ["assert_allclose"],
}


@each
def test_replacing_helpers_in_the_notebook_changes_nothing(name, monkeypatch):
    for owner, helpers in REPLACED.items():
        for helper in helpers:
            monkeypatch.setattr(owner, helper, lambda *a, **k: True)
    for helper in ("tensor", "as_tensor", "get_default_dtype"):
        monkeypatch.setattr(torch, helper, lambda *a, **k: torch.zeros(1))
    with pytest.raises(AssertionError):
        check(name)(lambda *arguments, **named: torch.zeros(3))


# ---------------------------------------------------------------- what a right answer is told


@pytest.fixture
def at_the_beginning(monkeypatch):
    monkeypatch.setattr(_progress, "_right", set())


def test_a_right_answer_hears_what_was_tried_the_points_and_what_is_next(at_the_beginning):
    told = _progress.praise("lrp_zplus", ["several samples", "one sample", "one sample"])
    assert told == (
        "lrp_zplus is right. Tried on: several samples; one sample.\n"
        "2 of the 27 points that checks give. Next: 2 The epsilon rule (2 points)."
    )
    assert "2 of the 27" in _progress.praise("lrp_zplus", []), "twice right counts once"
    tasks = [check for _, check, _ in _progress.TASKS["lrp"] if check]
    last = [_progress.praise(check, []) for check in tasks][-1]
    assert "27 of the 27 points" in last and "7 Which map would you trust" in last


def test_only_a_person_is_told(at_the_beginning, capsys, monkeypatch):
    check("lrp_zplus")(SOLUTIONS["lrp_zplus"])
    assert not capsys.readouterr().out
    monkeypatch.setattr("IPython.get_ipython", lambda: "a shell")
    check("lrp_zplus")(SOLUTIONS["lrp_zplus"])
    assert "Tried on: several samples; one sample;" in capsys.readouterr().out
    with pytest.raises(AssertionError):
        check("lrp_zplus")(lambda a, w, R: a)
    assert not capsys.readouterr().out
