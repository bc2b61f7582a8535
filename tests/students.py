"""What the tests of the exercises' checks share: a check by its name, and the two tests that tables
of right and wrong answers make.
"""

import copy
import logging
import re
import sys
import warnings

import pytest

from lib import checks


def check(name):
    return getattr(checks, f"check_{name}")


def talking(right):
    """The right answer of somebody who prints, warns and logs on the way."""

    def answer(*arguments):
        print("here", arguments)
        print("to stderr", file=sys.stderr)
        warnings.warn("a warning")
        logging.getLogger("student").warning("a log line")
        return right(*arguments)

    return answer


def accept_and_refuse(right, wrong):
    """Two tests: right[name] is a list of answers to be accepted, wrong[name] of pairs of an answer
    and a pattern of its hint.
    """
    right = {name: [*many, talking(many[0])] for name, many in right.items()}

    @pytest.mark.parametrize(
        ("name", "answer"),
        [(name, answer) for name, many in right.items() for answer in many],
        ids=[f"{name}-{k}" for name, many in right.items() for k in range(len(many))],
    )
    def accepted(name, answer):
        assert check(name)(answer) is None
        assert len(right[name]) >= 4

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
