"""Judges one notebook: its cells run in a sandbox, its checks run here.

A check cell is not run where the student's code is. It runs in this process, where `checks` is
the book's own and the name of the answer means a stand-in. Calling it sends copies of the arguments
in and takes the result back, as plain numbers; what a call changes in its arguments is done to the
originals here, and derivatives are asked for over there. So a check needs to know nothing of this,
and reference and wanted values never leave this process. A function among the arguments stays
here, too: inside stands something that asks for its values and derivatives.

What can be had inside are the arguments themselves. A network of torch's own layers is one: its
weights are known inside, as the task says.

A cell or a call that ends its process, or cannot be interrupted, costs its task: the cells before
it are run again in a new sandbox, and the notebook goes on after it.
"""

import base64
import builtins
import contextlib
import io
import json
import os
import pathlib
import pickle
import select
import shutil
import subprocess
import tempfile
import time

import psutil
import torch

from grading import sandbox, wire
from lib.checks._helpers import Refusal

HERE, ROOT = pathlib.Path(__file__).parent, pathlib.Path(__file__).parents[2]
START, GRACE, TICK = 120, 3, 0.2  # seconds
TEXT, OUTPUT, PICTURE = 2000, 50_000, 2 << 20  # characters of a message, of an output; bytes
OUTPUTS = 20  # of a cell
DERIVATIVES = 4  # of a function: more are not asked for by any method
FRESH = 12  # times that a new sandbox is started for one notebook
CHECKS = '''"""The checks are made elsewhere, when the notebook is graded."""


def __getattr__(name):
    return lambda answer: None
'''


class Gone(Exception):
    """The process inside has ended, or was ended: why."""


class Broken(RuntimeError):
    """The sandbox does not work, which is nobody's answer."""


def book(folder):
    """What is seen inside: `lib` without its checks, and the script that runs there."""
    shutil.copytree(
        ROOT / "lib", folder / "lib", ignore=shutil.ignore_patterns("checks", "__pycache__")
    )
    (folder / "lib" / "checks").mkdir()
    (folder / "lib" / "checks" / "__init__.py").write_text(CHECKS)
    for name in ("inside.py", "wire.py"):
        shutil.copyfile(HERE / name, folder / name)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


class Inside:
    """One process in a sandbox, and the conversation with it."""

    def __init__(self, place, folder, until):
        self.place, self.until, self.functions, self.looked = place, until, [], 0.0
        self.home = tempfile.mkdtemp() if place.name == "none" else "/tmp/home"
        self.process = subprocess.Popen(
            place.command(folder, "inside.py"),
            env=place.variables(self.home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        os.set_blocking(self.process.stdin.fileno(), False)
        try:
            self.say({}, START)
        except Gone:
            self.end()
            if time.monotonic() > until:
                raise
            raise Broken(f"the sandbox ({place.name}) did not start") from None

    def say(self, message, seconds):
        """The answer to a message; questions that come before it are answered."""
        deadline = min(time.monotonic() + seconds + GRACE, self.until)
        if message:
            self._send(message, deadline)
        while True:
            answer = self._receive(deadline)
            if "ask" not in answer:
                return answer
            self._send(self._asked(answer), deadline)

    def _send(self, message, deadline):
        left = memoryview(wire.framed(message))
        while left:
            self._wait(deadline, [], [self.process.stdin])
            try:
                left = left[os.write(self.process.stdin.fileno(), left) :]
            except BlockingIOError:
                continue
            except OSError:
                raise Gone("it ended the process") from None

    def _receive(self, deadline):
        length = int.from_bytes(self._read(8, deadline), "big")
        if length > wire.LARGEST:
            raise Gone("the result is too large")
        try:
            answer = json.loads(self._read(length, deadline))
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Gone("it disturbed the conversation with the judge")
        return answer

    def _read(self, count, deadline):
        data = bytearray()
        while len(data) < count:
            self._wait(deadline, [self.process.stdout], [])
            with contextlib.suppress(BlockingIOError):
                part = os.read(self.process.stdout.fileno(), count - len(data))
                if not part:
                    raise Gone("it ended the process")
                data += part
        return bytes(data)

    def _wait(self, deadline, reading, writing):
        """Until one of the pipes is ready."""
        ready = False
        while not ready:
            ready = any(select.select(reading, writing, [], TICK))
            now = time.monotonic()
            if now > deadline:
                raise Gone("it took too long and could not be interrupted")
            if now > self.looked + TICK:
                self.looked = now
                if self._memory() > sandbox.MEMORY:
                    raise Gone(f"it took more than {sandbox.MEMORY >> 30} GB of memory")

    def _memory(self):
        total = 0
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
        return total

    def packed(self, arguments):
        """Arguments for the inside, in one pickle: what they share, they share there too."""
        self.functions = [
            value for value in arguments if callable(value) and not wire.goes_inside(value)
        ]
        numbers = {id(function): number for number, function in enumerate(self.functions)}
        packed = io.BytesIO()
        pickler = pickle.Pickler(packed)
        pickler.persistent_id = lambda value: (
            (numbers[id(value)], wire.held(value)) if id(value) in numbers else None
        )
        pickler.dump((arguments, [tensor.grad for tensor in wire.tensors(arguments)]))
        return base64.b64encode(packed.getvalue()).decode()

    def _asked(self, message):
        """The values of a function that stays here, or of a derivative of it."""
        try:
            inputs = [wire.decode(value) for value in message["inputs"]]
            real = [value.is_floating_point() for value in inputs]
            inputs = [v.detach().requires_grad_(yes) for v, yes in zip(inputs, real)]
            with torch.enable_grad():
                values = self._evaluated(message["ask"], inputs)
            return {"values": [wire.encode(value) for value in values]}
        except Exception as error:
            return {"error": [type(error).__name__, str(error)[:TEXT]]}

    def _evaluated(self, operation, inputs):
        """["back", operation, n] takes the operation's n inputs and a weight for each of its
        values; its values are the derivatives by each input of their weighted sum.
        """
        if len(json.dumps(operation).split("back")) > DERIVATIVES + 1:
            raise ValueError("no derivatives of so high an order")
        if isinstance(operation, int):
            function = self.functions[operation]
            count = len(inputs) - len(wire.held(function))
            with _holding(function, inputs[count:]):
                return (function(*inputs[:count]),)
        _, inner, count = operation
        inputs, weights = inputs[:count], inputs[count:]
        values = self._evaluated(inner, inputs)
        pairs = [(v, weight) for v, weight in zip(values, weights) if v.requires_grad]
        real = [value for value in inputs if value.requires_grad]
        slopes = [None] * len(real)
        if pairs and real:
            ends, weights = zip(*pairs)
            how = {"create_graph": True, "allow_unused": True}
            slopes = torch.autograd.grad(ends, real, weights, **how)
        found = {id(value): slope for value, slope in zip(real, slopes)}
        zero = torch.zeros_like
        return tuple(zero(v) if found.get(id(v)) is None else found[id(v)] for v in inputs)

    def end(self):
        """Nothing that was started inside is left."""
        with contextlib.suppress(psutil.Error):
            left = psutil.Process(self.process.pid).children(recursive=True)
            for each in (*left, psutil.Process(self.process.pid)):
                with contextlib.suppress(psutil.Error):
                    each.kill()
        if self.place.end:
            subprocess.run(self.place.end, capture_output=True)
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        self.process.wait()
        if self.place.name == "none":
            shutil.rmtree(self.home, ignore_errors=True)


@contextlib.contextmanager
def _holding(function, tensors):
    """The function with these in place of the tensors that it holds."""
    own = getattr(function, "__dict__", {})
    names = [name for name, value in own.items() if isinstance(value, torch.Tensor)]
    before = dict(own)
    own.update(zip(names, tensors))
    try:
        yield
    finally:
        own.update(before)


# ---------------------------------------------------------------- one notebook


class Judge:
    """The sandboxes of one notebook, one after another, and what was run in them."""

    def __init__(self, place, folder, cell_seconds, student_seconds):
        self.place, self.folder, self.cell_seconds = place, folder, cell_seconds
        self.until = time.monotonic() + student_seconds
        self.deadline = self.until  # of the cell or check that is run
        self.inside, self.started, self.cells = None, 0, []
        self.gone = []  # why processes have ended

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()

    def _end(self):
        if self.inside is not None:
            self.inside.end()
        self.inside = None

    def _say(self, **message):
        """An answer from inside, where all cells that ended no process were run."""
        try:
            if self.inside is None:
                before = time.monotonic()
                self._start()
                self.deadline += time.monotonic() - before
            if "arguments" in message:
                message["arguments"] = self.inside.packed(message["arguments"])
            left = max(self.deadline - time.monotonic(), 0.1)
            answer = self.inside.say(message | {"seconds": left}, left)
        except Gone as gone:
            self.gone.append(str(gone))
            self._end()
            raise
        if "failed" in answer:
            raise _error(answer["failed"])
        return answer

    def _start(self):
        if self.started == FRESH or time.monotonic() > self.until:
            raise Gone("all time for this notebook is used up, or it ended too many processes")
        self.started += 1
        self.inside = Inside(self.place, self.folder, self.until)
        for source in list(self.cells):
            message = {"do": "run", "source": source, "seconds": self.cell_seconds}
            try:
                self.inside.say(message, self.cell_seconds)
            except Gone:
                self.cells.remove(source)
                self._end()
                return self._start()

    def run(self, source):
        """The outputs of a cell of the student's."""
        self.deadline = time.monotonic() + self.cell_seconds
        try:
            outputs = list(self._say(do="run", source=source)["outputs"])
        except Gone as gone:
            return [_failure("Ended", f"{gone}; what follows goes on without this cell")]
        except Broken:
            raise
        except Exception:  # whatever the other side calls an answer
            return [_failure("Ended", "it disturbed the conversation with the judge")]
        self.cells.append(source)
        return [output for output in map(_clean, outputs[:OUTPUTS]) if output]

    def check(self, source, known):
        """The outputs of a check cell: none, or one line that says what is wrong."""
        self.deadline = time.monotonic() + self.cell_seconds
        try:
            exec(compile(source, "<check>", "exec"), dict(known), Names(self, known))
        except Broken:
            raise
        except Exception as error:
            return [_failure(type(error).__name__, str(error)[:TEXT])]
        finally:
            torch.set_grad_enabled(True)
            torch.set_default_dtype(torch.float32)
        return []

    def function(self, name):
        """What stands here for a function of the notebook."""
        drawn = ended = None

        def answer(*arguments):
            nonlocal drawn, ended
            if ended:
                raise ended
            state = torch.get_rng_state()
            fresh = drawn is None or not state.equal(drawn)
            try:
                result = self._call(name, arguments, torch.initial_seed() if fresh else None)
            except Gone as gone:
                ended = Ended(str(gone))
                raise ended from None
            torch.rand(())  # so that a seed that is set again is seen
            drawn = torch.get_rng_state()
            return result

        answer.__name__ = name
        return answer

    def _call(self, name, arguments, seed):
        said = self._say(do="call", name=name, arguments=arguments, seed=seed)
        _mirror(said, arguments)
        if "error" in said:
            raise _error(said["error"])
        result = wire.decode(said["value"])
        if not (said["requires_grad"] and isinstance(result, torch.Tensor)):
            return result
        leaves = [tensor for tensor in wire.tensors(arguments) if tensor.requires_grad]
        if not leaves:
            return result.requires_grad_()
        return _Result.apply(self, result, *leaves)

    def slopes(self, weight):
        found = self._say(do="slope", weight=wire.encode(weight))["slopes"]
        return tuple(None if value is None else wire.decode(value) for value in found)


class Ended(Exception):
    """What an answer does that ends its process."""


class Names(dict):
    """The names of a check cell: what is not the judge's is the student's."""

    def __init__(self, judge, known):
        super().__init__()
        self.judge, self.known = judge, known

    def __missing__(self, name):
        if name in self.known or hasattr(builtins, name):
            raise KeyError(name)
        try:
            said = self.judge._say(do="find", name=name)
        except (KeyError, NameError):
            raise NameError(f"name '{name}' is not defined") from None
        return self.judge.function(name) if said.get("callable") else wire.decode(said["value"])


class _Result(torch.autograd.Function):
    """A result whose derivative is that of the result inside."""

    @staticmethod
    def forward(ctx, judge, result, *leaves):
        ctx.judge = judge
        return result.view_as(result)

    @staticmethod
    def backward(ctx, weight):
        return None, None, *ctx.judge.slopes(weight)


def _mirror(said, arguments):
    """Does to the arguments, and to torch, what was done to their copies inside."""
    grad, dtype = said["kept"]
    torch.set_grad_enabled(grad is True)
    torch.set_default_dtype(wire.DTYPES[dtype])
    kept = ("layers of the model", "model's hooks (some are left behind)", "shape of an argument")
    same = [*said["same"], all(map(_fits, wire.tensors(arguments), said["tensors"]))]
    for words, as_before in zip(kept, same, strict=True):
        if not as_before:
            raise Refusal(f"changes the {words}; work on a copy, or set it back")
    for tensor, new in zip(wire.tensors(arguments), said["tensors"], strict=True):
        if new["value"] is not None:
            tensor.data.copy_(wire.decode(new["value"]))
        if tensor.requires_grad != new["requires_grad"]:
            tensor.requires_grad_(new["requires_grad"] is True)
        tensor.grad = None if new["grad"] is None else wire.decode(new["grad"])
    for network, modes in zip(wire.modules(arguments), said["training"], strict=True):
        for module, mode in zip(network.modules(), modes, strict=True):
            module.training = mode is True


def _fits(tensor, new):
    value = tensor if new["value"] is None else wire.decode(new["value"])
    return (value.shape, value.dtype) == (tensor.shape, tensor.dtype)


def _error(said):
    """The exception that was raised inside, as far as it is one of Python's own."""
    kind, text = (str(part)[:TEXT] for part in said)
    known = getattr(builtins, kind, None)
    if not (isinstance(known, type) and issubclass(known, Exception)):
        known = type(kind if kind.isidentifier() else "Error", (Exception,), {})
    try:
        return known(text)
    except TypeError:  # such as UnicodeDecodeError, which wants more than a text
        return type(kind, (Exception,), {})(text)


def _failure(kind, text):
    kind, text = _text(kind, 100), _text(text, TEXT)
    return {"output_type": "error", "ename": kind, "evalue": text, "traceback": [f"{kind}: {text}"]}


def _text(value, length=OUTPUT):
    """Text that can be written to a file and read in a terminal, and not too much of it."""
    return "".join(c for c in str(value)[:length] if c.isprintable() or c in "\n\t\x1b")


def _clean(output):
    """An output with nothing in it but text and pictures, None if it is none."""
    match output:
        case {"output_type": "stream", "name": "stdout" | "stderr" as name, "text": str(text)}:
            return {"output_type": "stream", "name": name, "text": _text(text)}
        case {"output_type": "error", "ename": str(kind), "traceback": [str(lines)]}:
            failure = _failure(kind, output.get("evalue", ""))
            return failure | {"traceback": [_text(lines)]}
        case {"output_type": "display_data", "data": dict(data)}:
            kept = {}
            if isinstance(data.get("text/plain"), str):
                kept["text/plain"] = _text(data["text/plain"])
            with contextlib.suppress(ValueError, TypeError):
                picture = base64.b64decode(data.get("image/png", ""), validate=True)
                if picture.startswith(b"\x89PNG\r\n") and len(picture) < PICTURE:
                    kept["image/png"] = base64.b64encode(picture).decode()
            return {"output_type": "display_data", "data": kept, "metadata": {}} if kept else None
    return None
