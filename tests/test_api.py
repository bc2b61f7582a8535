"""The reference in `api/`: a page for every wing of `lib`, and docstrings that say what a reader
needs.
"""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import textwrap
from types import ModuleType

import pytest
from api_pages import comment_of, public
from conftest import ROOT

import lib

# A face that readers call; what judges exercises is called by notebooks alone.
WINGS = [m.name for m in pkgutil.iter_modules(lib.__path__, "lib.") if m.name != "lib.checks"]
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in (ROOT / "api").glob("*.md")}


def _names():
    """(full name, object) of everything public; of a public module what it defines."""
    for wing in WINGS:
        for name, value in public(importlib.import_module(wing)):
            inner = public(value) if isinstance(value, ModuleType) else []
            yield f"{wing}.{name}", value
            yield from ((f"{wing}.{name}.{n}", v) for n, v in inner if callable(v))


EACH = pytest.mark.parametrize("name, value", [pytest.param(n, v, id=n) for n, v in _names()])


@pytest.mark.parametrize("wing", WINGS)
def test_every_wing_has_a_page_in_the_book(wing):
    room = wing.removeprefix("lib.")
    assert f".. wing:: {wing}\n" in PAGES[room]
    assert f"- file: api/{room}\n" in (ROOT / "_toc.yml").read_text()
    assert f"]({room}.md)" in PAGES["lib"]
    if (ROOT / f"chapters/{room}.ipynb").exists():
        assert f"../chapters/{room}.ipynb" in PAGES[room], "the page links its chapter"


def _is_result(value):
    """A frozen record that functions return, or the type of an argument: no example of its own."""
    if not inspect.isclass(value):
        return False
    if hasattr(value, "propagate"):
        return getattr(value, "_is_protocol", False)  # a rule
    record = dataclasses.is_dataclass(value) and dataclasses.fields(value)
    return bool(record) or hasattr(value, "__total__") or getattr(value, "_is_protocol", False)


@EACH
def test_every_public_name_is_explained(name, value):
    if isinstance(value, ModuleType):
        assert value.__doc__
    elif inspect.isclass(value) or inspect.isfunction(value):
        doc = _own_docstring(value)
        assert doc, "a docstring"
        assert ">>> " in doc or _is_result(value), "an example"
    else:
        wing, _, constant = name.rpartition(".")
        assert comment_of(importlib.import_module(wing), constant), "a comment `#:` above it"


def _own_docstring(value):
    written = value.__doc__ or ""
    return "" if inspect.isclass(value) and written.startswith(f"{value.__name__}(") else written


@EACH
def test_every_public_name_says_which_errors_it_raises(name, value):
    if inspect.isfunction(value) and _raises(value, set()):
        said = re.sub(r"\s+", " ", value.__doc__ or "")
        assert re.search(r"\bRaises\b|\berrors? as|\bErrors as|with its errors", said), (
            "it can raise, and its docstring says neither what nor where to read it"
        )


def _raises(function, seen):
    """Whether a function, or a function of lib that it calls by name, raises."""
    function = inspect.unwrap(function)
    if function in seen or not function.__module__.startswith("lib."):
        return False
    seen.add(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    if any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree)):
        return True
    called = {node.func.id for node in ast.walk(tree) if _is_call(node)}
    parts = (function.__globals__.get(name) for name in called)
    return any(_raises(part, seen) for part in parts if inspect.isfunction(part))


def _is_call(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def test_the_page_on_rules_of_ones_own_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGES["own_rule"], re.DOTALL)
    assert blocks
    space = {}
    for block in blocks:
        exec(compile(block, "api/own_rule.md", "exec"), space)
