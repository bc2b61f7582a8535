"""What the tests of the exercises' checks share: a check by its name, forms that any right answer
may have, ways to spoil it, and the two tests that tables of right and wrong answers make.
"""

import copy
import logging
import re
import sys
import warnings

import pytest
import torch

from lib import checks


def check(name):
    return getattr(checks, f"check_{name}")


def talking(right):
    """The right answer of somebody who prints, warns and logs on the way."""

    def answer(*arguments, **named):
        print("here", arguments)
        print("to stderr", file=sys.stderr)
        warnings.warn("a warning", stacklevel=2)
        logging.getLogger("student").warning("a log line")
        return right(*arguments, **named)

    return answer


def single_only(right):
    """Fails where the arguments are in double precision, as sums in single precision do."""

    def answer(*arguments):
        if any(getattr(v, "dtype", None) == torch.float64 for v in arguments):
            raise RuntimeError("expected m1 and m2 to have the same dtype")
        return right(*arguments)

    return answer


def then(change):
    """A form of answers: the result goes through `change`."""
    return lambda right: lambda *arguments: change(torch.as_tensor(right(*arguments)))


FORMS = {
    "talks": talking,
    "single precision only": single_only,
    "list": then(lambda r: r.tolist()),
    "array": then(lambda r: r.detach().numpy()),
    "tuple": then(lambda r: tuple(r) if r.dim() else (r,)[0]),
    "double": then(lambda r: r.double()),
    "keeps a graph": then(lambda r: r * torch.ones((), requires_grad=True)),
}
# What is done to a right result that is not asked for.
SPOILT = {
    "sign": lambda r: -r,
    "absolute": lambda r: r.abs(),
    "clipped": lambda r: r.clamp(min=0),
    "normalised": lambda r: r / r.sum(-1, keepdim=True),
    "rounded": lambda r: r.round(decimals=2),
    "scaled": lambda r: 1.01 * r,
    "batch averaged": lambda r: r.mean(0, keepdim=True).expand_as(r),
    "batch summed": lambda r: r.sum(0),
    "first sample": lambda r: r[:1],
    "extra axis": lambda r: r[None],
    "transposed": lambda r: r.T[..., None],
    "one NaN": lambda r: r.flatten().index_fill(0, torch.tensor([0]), float("nan")).view_as(r),
}


def spoil(right, *leave):
    """Rows of wrong answers, made from a right one."""
    kinds = {kind: change for kind, change in SPOILT.items() if kind not in leave}
    return [(then(change)(right), "") for change in kinds.values()]


def in_place(right, position, change=lambda t: t.mul_(2)):
    """The right answer of somebody who changes an argument afterwards."""

    def answer(*arguments):
        result = right(*arguments)
        change(arguments[position])
        return result

    return answer


def accept_and_refuse(right, wrong, leave=None):
    """Two tests: right[name] is a list of answers to be accepted, wrong[name] of pairs of an answer
    and a pattern of its hint. The first right answer is tried in every form, too; leave: the forms
    that make no sense for a name.
    """
    out = leave or {}
    accept = {
        name: [*many, *(FORMS[form](many[0]) for form in FORMS if form not in out.get(name, ()))]
        for name, many in right.items()
    }

    @pytest.mark.parametrize(
        ("name", "answer"),
        [(name, answer) for name, many in accept.items() for answer in many],
        ids=[f"{name}-{k}" for name, many in accept.items() for k in range(len(many))],
    )
    def accepted(name, answer):
        assert check(name)(answer) is None
        assert len(accept[name]) >= 4

    @pytest.mark.parametrize(
        ("name", "answer", "hint"),
        [(name, *pair) for name, many in wrong.items() for pair in many],
        ids=[f"{name}-{k}" for name, many in wrong.items() for k in range(len(many))],
    )
    def refused(name, answer, hint):
        with pytest.raises(AssertionError, match=f"^{name}: .*({hint})") as refusal:
            check(name)(copy.copy(answer))
        assert len(str(refusal.value)) > len(name) + 30 and not re.search(
            r"\d\.\d{3}|tensor\(", str(refusal.value)
        ), "a hint, and no value"
        assert len(wrong[name]) >= 6

    return accepted, refused
