"""The judge accepts and refuses what the check alone would, with the same words, though the answer
is in another process; functions that stay outside have all their values and derivatives inside.
"""

import os
import pathlib
import sys
import tempfile
import venv

import nbformat
import pytest
import torch
from conftest import ROOT
from grading import judge, sandbox
from students import HANDY
from submissions import solution
from torch import nn

from lib import checks

SETS = [path.stem for path in sorted((ROOT / "solutions").glob("*.ipynb"))]


@pytest.fixture(scope="module")
def start():
    """Starts a judge, in the place that there is."""
    with tempfile.TemporaryDirectory() as temporary:
        pathlib.Path(temporary).chmod(0o755)
        folder = judge.book(pathlib.Path(temporary).resolve() / "book")
        place = sandbox.find() or sandbox.nowhere()
        yield lambda place=place, seconds=60: judge.Judge(place, folder, seconds, 600)


def cells(name):
    """(grade_id, source) of the code of a set, as the student sends it when all is solved."""
    for cell in solution(name).cells:
        mark = cell.metadata.get("nbgrader")
        if mark and cell.cell_type == "code":
            yield mark.grade_id, cell.source


def hint(outputs):
    return outputs[0]["evalue"] if outputs else None


@pytest.mark.parametrize("name", SETS)
def test_each_solution_is_accepted_and_each_spoilt_one_refused_in_the_same_words(start, name):
    with start() as judged:
        for grade_id, source in cells(name):
            if not grade_id.startswith("check_"):
                assert judged.run(source) == []
                continue
            assert judged.check(source, {"checks": checks}) == []
            task = grade_id.removeprefix("check_")
            spoil = (
                f"right_{task} = {task}\n"
                f"def {task}(*given):\n"
                f"    result = right_{task}(*given)\n"
                "    return [1.1 * torch.as_tensor(part).double() for part in result] "
                "if isinstance(result, (tuple, list)) else 1.1 * torch.as_tensor(result)"
            )
            assert judged.run(spoil) == []
            there = hint(judged.check(source, {"checks": checks}))
            names = dict(HANDY)
            for other, text in cells(name):
                if not other.startswith(("check_", "set-up")):
                    exec(text, names)
            exec(spoil, names)
            with pytest.raises(AssertionError) as refusal:
                getattr(checks, grade_id)(names[task])
            assert there == str(refusal.value)
            judged.run(f"{task} = right_{task}")


EFFECTS = {
    "in place": "def answer(x, m):\n    x += 1\n    return x",
    "another shape": "def answer(x, m):\n    x.resize_(1)\n    return x",
    "requires_grad": "def answer(x, m):\n    x.requires_grad_()\n    return 2 * x.detach()",
    "gradient": "def answer(x, m):\n    m(x).sum().backward()\n    return 2 * x",
    "mode": "def answer(x, m):\n    m.eval()\n    return 2 * x",
    "parameters": "def answer(x, m):\n    m[0].weight.data += 1\n    return 2 * x",
    "layers": "def answer(x, m):\n    m.append(torch.nn.ReLU())\n    return 2 * x",
    "hooks": "def answer(x, m):\n    m.register_forward_hook(print)\n    return 2 * x",
    "gradients off": "def answer(x, m):\n    torch.set_grad_enabled(False)\n    return 2 * x",
    "dtype": "def answer(x, m):\n    torch.set_default_dtype(torch.double)\n    return 2 * x",
}


@pytest.fixture(scope="module")
def judged(start):
    with start() as judged:
        judged.run("import torch")
        yield judged


def probe(answer):
    """A check of a function of a tensor and a network, which must leave both as they are."""
    from lib.checks import _helpers

    given = torch.ones(2, 3), nn.Sequential(nn.Linear(3, 1), nn.Dropout())
    result = _helpers.call(answer, given)
    assert torch.equal(result, 2 * given[0])


@pytest.mark.parametrize("kind", EFFECTS)
def test_what_an_answer_does_to_its_arguments_is_seen(judged, kind):
    assert judged.run(EFFECTS[kind]) == []
    assert hint(judged.check("check(answer)", {"check": probe})).startswith("changes ")


def test_who_leaves_all_as_it_was_is_accepted(judged):
    assert judged.run("def answer(x, m):\n    return 2 * x") == []
    assert judged.check("check(answer)", {"check": probe}) == []


class Held:
    """A function of two tensors that holds a third."""

    def __init__(self, a):
        self.a = a

    def __call__(self, x):
        return (self.a * x**3).sum(-1).sin()


DERIVED = {
    "value": "f(x)",
    "gradient": "torch.autograd.grad(f(v).sum(), v)[0]",
    "second": "torch.func.grad(lambda y: torch.func.grad(lambda z: f(z).sum())(y).sum())(x)",
    "jacobian backward": "torch.func.jacrev(f)(x)",
    "jacobian forward": "torch.func.jacfwd(f)(x)",
    "mapped": "torch.func.vmap(f)(x)",
    "mapped gradient": "torch.func.vmap(torch.func.grad(f))(x)",
    "jvp": "torch.func.jvp(f, (x,), (x,))[1]",
    "hessian": "torch.func.hessian(lambda y: f(y).sum())(x)",
    "no gradient": "torch.no_grad()(f)(x)",
}


@pytest.mark.parametrize("kind", DERIVED)
def test_a_function_that_stays_outside_has_all_its_derivatives_inside(judged, kind):
    x, f = torch.linspace(-1, 1, 6).reshape(2, 3).double(), Held(torch.tensor([0.3, -0.7, 1.1]))
    source = f"def answer(f, x):\n    v = x.clone().requires_grad_()\n    return {DERIVED[kind]}"
    assert judged.run(source) == []
    names = {"torch": torch}
    exec(source, names)
    wanted = names["answer"](f, x)

    def same(answer):
        assert torch.allclose(answer(f, x), wanted)

    assert judged.check("same(answer)", {"same": same}) == []


def test_what_a_function_outside_holds_has_a_derivative_too(judged):
    judged.run("def answer(f, x):\n    return f(x).sum()")

    def derived(answer):
        a = torch.tensor([0.3, -0.7, 1.1], requires_grad=True)
        x = torch.ones(2, 3)
        (there,) = torch.autograd.grad(answer(Held(a), x), a)
        (here,) = torch.autograd.grad(Held(a)(x).sum(), a)
        assert torch.allclose(there, here)

    assert judged.check("derived(answer)", {"derived": derived}) == []


def test_draws_follow_the_seed_of_the_check(judged):
    judged.run("def answer(n):\n    return torch.rand(n)")

    def drawn(answer):
        for seed in (1, 2, 2):
            torch.manual_seed(seed)
            there = [answer(3), answer(3)]
            torch.manual_seed(seed)
            assert torch.equal(torch.stack(there), torch.stack([torch.rand(3), torch.rand(3)]))

    assert judged.check("drawn(answer)", {"drawn": drawn}) == []


def test_names_that_are_missing_or_no_function_are_said(judged):
    known = {"checks": checks}
    assert "not defined" in hint(judged.check("checks.check_ece(nothing)", known))
    judged.run("ece = 3")
    assert hint(judged.check("checks.check_ece(ece)", known)) == (
        "ece: expected a function, got int"
    )


def test_a_cell_that_ends_its_process_costs_itself(start):
    with start() as judged:
        judged.run("import os\nfirst = lambda: 1")
        assert "ended the process" in hint(judged.run("os._exit(1)"))
        judged.run("second = lambda: first() + 1")

        def two(answer):
            assert answer() == 2

        assert judged.check("two(second)", {"two": two}) == []
        judged.run("third = lambda: os._exit(1)")
        assert "ended the process" in hint(judged.check("two(third)", {"two": two}))
        assert judged.check("two(second)", {"two": two}) == []


def test_time_is_limited_where_it_can_be_interrupted_and_where_not(start):
    with start(seconds=2) as judged:
        assert hint(judged.run("while True: pass")) == "stopped after 2 s"
        judged.run("import signal, time\ndef answer():\n    time.sleep(100)")
        call = {"call": lambda answer: answer()}
        assert "stopped after" in hint(judged.check("call(answer)", call))
        judged.run(
            "signal.signal(signal.SIGALRM, signal.SIG_IGN)\ndef deaf():\n    time.sleep(100)"
        )
        judged.run("def deaf():\n    signal.setitimer(signal.ITIMER_REAL, 0); time.sleep(100)")
        assert "could not be interrupted" in hint(judged.check("call(deaf)", call))


@pytest.mark.parametrize("name", ["bubblewrap", "namespaces"])
def test_each_place_isolates(start, name, tmp_path):
    place = sandbox.find(name)
    if place is None:
        pytest.skip(f"{name} does not work on this machine: its kernel or container forbids it")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with start(place) as judged:
        code = f"import os\nprint(os.path.exists({str(secret)!r}))"
        (output,) = judged.run(code + "\nprint([p for p in os.listdir('/proc') if p.isdigit()])")
        there, processes = output["text"].splitlines()
        assert there == "False" and len(eval(processes)) < 8
        assert "Error" in judged.run("open('/book/lib/x.py', 'w')")[0]["ename"]
        assert (
            "Error"
            in judged.run("import socket\nsocket.create_connection(('1.1.1.1', 53), 2)")[0]["ename"]
        )
        assert judged.run("import lib.lrp, matplotlib.pyplot as plt\nplt.plot([1]);") == []


@pytest.mark.parametrize("name", ["bubblewrap", "namespaces"])
def test_an_environment_below_tmp_is_seen_inside(name, monkeypatch):
    if sandbox.find(name) is None:
        pytest.skip(f"{name} does not work on this machine: its kernel or container forbids it")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        venv.create(folder)
        monkeypatch.setattr(sys, "prefix", folder)
        assert sandbox.find(name) is not None


def test_an_unknown_isolation_is_named():
    with pytest.raises(ValueError, match="ISOLATE=chroot: expected one of bubblewrap"):
        sandbox.find("chroot")


def test_bubblewrap_is_installed_where_nothing_works(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(sandbox, "works", lambda place: bool(ran))
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(sandbox.subprocess, "run", lambda command, **how: ran.append(command))
    monkeypatch.setattr(sandbox.os, "geteuid", lambda: 1000)
    monkeypatch.delenv("ISOLATE", raising=False)
    sandbox.main()
    assert [command[:4] for command in ran] == [
        ["sudo", "-n", "apt-get", "update"],
        ["sudo", "-n", "apt-get", "install"],
    ]
    assert ran[1][-1] == "bubblewrap" and "installing" in (said := capsys.readouterr().out)
    assert sandbox.MISSING not in said
    monkeypatch.setattr(sandbox, "works", lambda place: False)
    sandbox.main()
    assert sandbox.MISSING in capsys.readouterr().out


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_a_container_gets_no_network_no_rights_and_nothing_to_write(engine, monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "_image", lambda engine: None)
    place = sandbox.container(engine)
    command = place.command(tmp_path, "inside.py")
    assert {"--network=none", "--read-only", "--cap-drop=ALL", f"--volume={tmp_path}:/book:ro"} < {
        *command
    }
    assert all(word.endswith(":ro") for word in command if word.startswith("--volume"))
    assert place.end[:2] == (engine, "rm") and place.end[-1] in " ".join(command)


def test_outputs_are_text_and_pictures():
    picture = "iVBORw0KGgoAAAANSUhEUg=="
    data = {"text/html": "<b>", "image/png": picture, "text/plain": "figure"}
    shown = judge._clean({"output_type": "display_data", "data": data})
    assert shown["data"] == {"text/plain": "figure", "image/png": picture}
    evil = {"image/png": '"><script>', "image/svg+xml": "<svg>"}
    assert judge._clean({"output_type": "display_data", "data": evil}) is None
    assert nbformat.from_dict(judge._failure("Evil" * 100, "x" * 10_000)).evalue == "x" * 2000
    assert judge._clean({"output_type": "error", "ename": 3}) is None
