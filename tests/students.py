"""What the tests of the exercises' checks share: a check by its name, and a table of wrong answers with the hints that they must get."""

import copy
import logging
import sys
import warnings

import pytest

from lib import checks


def check(name):
    return getattr(checks, f"check_{name}")


def each_wrong(wrong):
    """wrong: by the name of the exercise, pairs of an answer and of a pattern of the hint that fits it."""
    return pytest.mark.parametrize(("name", "answer", "hint"), [(name, *pair) for name, many in wrong.items() for pair in many],
                                   ids=[f"{name}-{k}" for name, many in wrong.items() for k in range(len(many))])  # fmt: skip


def talking(right):
    """The right answer of somebody who prints, warns and logs on the way."""
    def answer(*arguments):
        print("here", arguments)
        print("to stderr", file=sys.stderr)
        warnings.warn("a warning")
        logging.getLogger("student").warning("a log line")
        return right(*arguments)
    return answer


def refuse(name, answer, hint):
    with pytest.raises(AssertionError, match=f"^{name}: .*({hint})"):
        check(name)(copy.copy(answer))
