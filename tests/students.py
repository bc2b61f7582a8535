"""What the tests of the exercises' checks share: the solutions, what becomes of them when a text is
replaced, forms that any right answer may have, and the two tests that a table of answers makes.
"""

import copy
import inspect
import logging
import math
import re
import sys
import warnings

import nbformat
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT

from lib import checks

NAMES = [name.removeprefix("check_") for name in checks.__all__]


def solutions():
    """The source of each exercise's solution and the names around it, by the name of its function;
    the cells of a notebook share their names, as they do when it runs.
    """
    found = {}
    for path in (ROOT / "solutions").glob("*.ipynb"):
        shared = {}
        for cell in nbformat.read(path, 4).cells:
            mark = cell.metadata.get("nbgrader", {})
            answer = mark.get("solution") and not mark.get("grade")
            if cell.cell_type == "code" and (answer or cell.id == "imports"):
                exec(cell.source, shared)
                of = (name for name in NAMES if f"def {name}(" in cell.source)
                found |= {name: (cell.source, shared) for name in of}
    return found


SOURCES = solutions()
HANDY = {"torch": torch, "F": F, "math": math}
SOLUTIONS = {name: shared[name] for name, (_, shared) in SOURCES.items()}


def check(name):
    return getattr(checks, f"check_{name}")


def replaced(name, texts, names):
    """The solution with one text replaced by the next, wherever it stands; it may use the names."""
    source, shared = SOURCES[name]
    for old, new in zip(texts[::2], texts[1::2]):
        assert old in source, f"{name}: the solution has no text {old}"
        source = source.replace(old, new)
    shared = HANDY | names | shared
    exec(source, shared)
    return shared[name]


def formula(name, text, names):
    """A function of the solution's arguments; `right` is what the solution returns."""
    signature = inspect.signature(SOLUTIONS[name])
    right = f"{name}({', '.join(signature.parameters)})"
    text = re.sub(r"\bright\b", right, text)
    return eval(f"lambda {str(signature)[1:-1]}: ({text})", HANDY | names | SOURCES[name][1])


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
    """A form of answers: the result goes through `change`, as one tensor of numbers."""

    def tensor(result):
        result = torch.stack(result) if isinstance(result, tuple) else torch.as_tensor(result)
        return result.float() if result.dtype == torch.bool else result

    return lambda right: lambda *arguments: change(tensor(right(*arguments)))


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


def spoilt(name, *leave):
    """Rows of wrong answers, made from the solution."""
    kinds = {kind: change for kind, change in SPOILT.items() if kind not in leave}
    return [(then(change)(SOLUTIONS[name]), "") for change in kinds.values()]


def row_of(name, row, names):
    """The answer of a row and the words of its refusal, None if it is right."""
    *texts, words = row if isinstance(row, tuple) else (row, None)
    if callable(texts[0]):
        return texts[0], words
    answer = formula(name, *texts, names) if len(texts) == 1 else replaced(name, texts, names)
    answer.__name__ = " -> ".join(texts)  # what pytest calls it
    return answer, words


def judged(table, names, leave=None):
    """Two tests of table[name], a list of answers. A right one stands alone, or with None; a wrong
    one with a pattern of its hint: (answer, words). An answer is one of

    - a function;
    - a formula: "2 * right" is made of the names of the solution's arguments, of its notebook and
      of this module, and of `right`, which is what the solution returns;
    - texts of the solution with what they are replaced by: ("w.clamp(min=0)", "w", words), or
      several such pairs, one after the other.

    The solution is tried in every form, too; names: those of the module, `globals()`; leave: the
    forms that make no sense for a name.
    """
    right, wrong = [], []
    for name, rows in table.items():
        rows = [row_of(name, row, names) for row in rows]
        accepted = [SOLUTIONS[name], *(answer for answer, words in rows if words is None)]
        refused = [(answer, words) for answer, words in rows if words is not None]
        left = (leave or {}).get(name, ())
        accepted += [FORMS[form](SOLUTIONS[name]) for form in FORMS if form not in left]
        assert len(accepted) >= 4 and len(refused) >= 6, f"{name}: too few answers"
        right += [(name, answer) for answer in accepted]
        wrong += [(name, answer, words) for answer, words in refused]

    @pytest.mark.parametrize(("name", "answer"), right)
    def accept(name, answer):
        assert check(name)(answer) is None

    @pytest.mark.parametrize(("name", "answer", "words"), wrong)
    def refuse(name, answer, words):
        with pytest.raises(AssertionError, match=f"^{name}: .*({words})") as refusal:
            check(name)(copy.copy(answer))
        hint = str(refusal.value)
        assert len(hint) > len(name) + 30, "more than a name"
        assert not re.search(r"\d\.\d{3}|tensor\(", hint), "a hint, and no value"
        assert "raises" in words or not hint.startswith(f"{name}: raises"), "a slip in the table"

    return accept, refuse
