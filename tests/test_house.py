"""The house of DESIGN: imports run one way, a wing's face is imports and `__all__`, a public thing
has one name, notebooks ask at the face alone.
"""

import ast
import graphlib
import importlib
import json
import sys

import pytest
from conftest import ROOT
from test_repository import CHAPTERS, EXERCISES, FULL_SCALE, NAMES, SOLUTIONS

LIB = ROOT / "lib"
GROUND = ("engine", "data", "models", "live", "training", "plots", "palette")
WINGS = [path.parent.name for path in sorted(LIB.glob("*/__init__.py"))]
FILES = sorted(path for path in LIB.rglob("*.py"))


def name_of(path):
    """lib/lrp/rules.py -> "lrp.rules"; a face is its wing."""
    parts = path.relative_to(LIB).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


FILE_OF = {name_of(path): path for path in FILES}


def imported(path):
    """The names within lib that a file imports, and the top-level names from elsewhere."""
    inside, outside = set(), set()
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            outside |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            outside.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            whole = ".".join((*base, *filter(None, [node.module]))).removeprefix("lib").strip(".")
            for alias in node.names:
                deeper = f"{whole}.{alias.name}".strip(".")
                inside.add(deeper if deeper in FILE_OF else whole)
    return inside, outside


def test_no_import_runs_upward():
    floor = {name: 0 for name in GROUND} | {name: k for k, name in enumerate(NAMES, start=1)}
    upward = [
        f"{name_of(path)} imports {other}"
        for path in FILES
        for other in imported(path)[0]
        if (wing := name_of(path).partition(".")[0]) and wing != "checks"
        if floor[other.partition(".")[0]] > floor[wing]
    ]
    assert not upward


def test_no_circle():
    graph = {name: imported(path)[0] - {name} for name, path in FILE_OF.items()}
    graphlib.TopologicalSorter(graph).prepare()


def test_checks_use_nothing_but_torch_and_numpy():
    for path in LIB.glob("checks/*.py"):
        inside, outside = imported(path)
        assert all(name.startswith("checks") for name in inside), path
        assert outside <= sys.stdlib_module_names | {"torch", "numpy"}, path


@pytest.mark.parametrize("wing", [wing for wing in WINGS if wing != "checks"])
def test_a_face_is_imports_and_all(wing):
    doc, *body = ast.parse((LIB / wing / "__init__.py").read_text(encoding="utf-8")).body
    assert isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant)
    *imports, last = body
    assert all(isinstance(node, ast.ImportFrom) and node.level == 1 for node in imports)
    assert isinstance(last, ast.Assign) and last.targets[0].id == "__all__"
    face = importlib.import_module(f"lib.{wing}")
    brought = {alias.asname or alias.name for node in imports for alias in node.names}
    assert set(face.__all__) == brought and len(face.__all__) == len(brought)


def test_a_public_thing_has_one_name():
    homes = {}
    for wing in WINGS:
        face = importlib.import_module(f"lib.{wing}")
        for name in face.__all__:
            thing = getattr(face, name)
            if callable(thing):
                homes.setdefault(id(thing), []).append(f"{wing}.{name}")
    assert not [names for names in homes.values() if len(names) > 1]


@pytest.mark.parametrize(
    "path",
    [*CHAPTERS, *SOLUTIONS, *EXERCISES, *FULL_SCALE],
    ids=lambda p: f"{p.parent.name}/{p.stem}",
)
def test_notebooks_ask_at_the_face(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for source in code:
        if "google.colab" in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module == "lib":
                assert {alias.name for alias in node.names} <= {*WINGS, *GROUND}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lib."):
                face = importlib.import_module(node.module)
                assert node.module.count(".") == 1, f"{node.module}: not a face"
                assert {alias.name for alias in node.names} <= set(face.__all__), node.module
