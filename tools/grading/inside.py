"""What runs in the sandbox: one student's notebook, cell by cell, and calls of its functions.

It stands beside a copy of `lib` without the checks, and knows neither what is wanted nor any file
of the course. All it says may be a lie of the student's: the judge takes it for an answer, no more.
"""

import base64
import builtins
import contextlib
import io
import json
import os
import pickle
import resource
import signal
import sys

import torch
import wire
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

LIMITS = {  # of each process; the judge looks at the sum of their memory
    "RLIMIT_DATA": int(os.environ.get("SANDBOX_MEMORY", 0)) or resource.RLIM_INFINITY,
    "RLIMIT_NPROC": int(os.environ.get("SANDBOX_PROCESSES", 0)) or resource.RLIM_INFINITY,
    "RLIMIT_FSIZE": int(os.environ.get("SANDBOX_DISK", 0)) or resource.RLIM_INFINITY,
    "RLIMIT_CORE": 0,
}
START = 60  # seconds
TEXT = 50_000  # characters of what a cell prints, and of an error


class Channel:
    """The two pipes to the judge, taken away from what a notebook prints."""

    def __init__(self):
        self.read, self.write = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)

    def receive(self):
        length = int.from_bytes(self.read.read(8), "big")
        return json.loads(self.read.read(length)) if length else sys.exit()

    def send(self, message):
        self.write.write(wire.framed(message))
        self.write.flush()

    def ask(self, operation, *inputs):
        """The values of a function that stays outside, or of a derivative of it."""
        self.send({"ask": operation, "inputs": [wire.encode(value) for value in inputs]})
        answer = self.receive()
        if "error" in answer:
            kind, text = answer["error"]
            raise getattr(builtins, kind, RuntimeError)(text)
        return tuple(wire.decode(value) for value in answer["values"])


class Limited(io.StringIO):
    """Keeps the beginning of what is printed."""

    def write(self, text):
        return super().write(text[: max(TEXT - self.tell(), 0)])


def limit():
    """Nobody, the student's code included, can raise these limits again."""
    for name, value in LIMITS.items():
        hard = resource.getrlimit(getattr(resource, name))[1]
        endless = resource.RLIM_INFINITY in (value, hard)
        value = max(value, hard) if endless and value != hard else min(value, hard)
        resource.setrlimit(getattr(resource, name), (value, value))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory ends for all, this ends first
    os.makedirs(os.environ["HOME"], exist_ok=True)
    os.chdir(os.environ["HOME"])


@contextlib.contextmanager
def at_most(seconds):
    """Raises TimeoutError in what takes longer. What catches that is ended by the judge."""

    def stop(*_):
        raise TimeoutError(f"stopped after {seconds:.0f} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def text_of(error):
    try:
        return str(error)[:TEXT]
    except BaseException:  # an error of the student's own making
        return ""


# ---------------------------------------------------------------- cells


def run(shell, source, seconds):
    """The outputs of one cell, in the form of a notebook."""
    errors = []

    def keep(kind, error, lines):
        text = "\n".join(lines)[-TEXT:]
        errors.append({"ename": kind.__name__, "evalue": text_of(error), "traceback": [text]})

    shell._showtraceback = keep
    printed, warned = Limited(), Limited()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(warned),
        capture_output(stdout=False, stderr=False) as shown,
    ):
        try:
            with at_most(seconds):
                shell.run_cell(source, store_history=True)
        except BaseException as error:
            keep(type(error), error, [f"{type(error).__name__}: {text_of(error)}"])
    outputs = [
        {"output_type": "stream", "name": name, "text": stream.getvalue()}
        for name, stream in (("stdout", printed), ("stderr", warned))
        if stream.getvalue()
    ]
    for output in shown.outputs[:50]:
        data = {k: v for k, v in output.data.items() if k in ("text/plain", "image/png")}
        outputs.append({"output_type": "display_data", "data": data, "metadata": {}})
    return outputs + [{"output_type": "error", **error} for error in errors]


# ---------------------------------------------------------------- calls


def outside(channel):
    """The class of what stands in for a function that stays outside: it has its values and its
    derivatives of any order.
    """

    class Asked(torch.autograd.Function):
        @staticmethod
        def forward(operation, *inputs):
            return channel.ask(operation, *inputs)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.operation, *values = inputs
            ctx.save_for_backward(*values)
            ctx.shapes = [(value.shape, value.dtype) for value in output]
            ctx.save_for_forward(*values)

        @staticmethod
        def backward(ctx, *weights):
            values = ctx.saved_tensors
            slopes = Asked.apply(["back", ctx.operation, len(values)], *values, *weights)
            pairs = zip(values, slopes)
            return None, *(slope if v.is_floating_point() else None for v, slope in pairs)

        @staticmethod
        def vmap(info, places, operation, *inputs):
            each = [
                Asked.apply(
                    operation,
                    *(v if d is None else v.select(d, k) for v, d in zip(inputs, places[1:])),
                )
                for k in range(info.batch_size)
            ]
            return tuple(torch.stack(values) for values in zip(*each)), (0,) * len(each[0])

        @staticmethod
        def jvp(ctx, _, *moves):
            """The way back is linear in its weights: its own way back is the way forward."""
            values = ctx.saved_tensors
            moves = [torch.zeros_like(v) if m is None else m for v, m in zip(values, moves)]
            weights = [torch.zeros(shape, dtype=dtype) for shape, dtype in ctx.shapes]
            count = len(values) + len(weights)
            twice = ["back", ["back", ctx.operation, len(values)], count]
            return Asked.apply(twice, *values, *weights, *moves)[len(values) :]

    class Outside(torch.nn.Module):
        def __init__(self, number, held):
            super().__init__()
            self.number = number
            for k, tensor in enumerate(held):
                vars(self)[f"held_{k}"] = tensor  # as wire.held looks for them

        def forward(self, *inputs):
            inputs = [torch.as_tensor(value) for value in inputs]
            return Asked.apply(self.number, *inputs, *wire.held(self))[0]

    return Outside


class Calls:
    """Calls of the notebook's functions; the last result is kept for its derivative."""

    def __init__(self, shell, channel):
        self.shell, self.channel, self.outside = shell, channel, outside(channel)
        self.result = self.leaves = None

    def find(self, name, seconds):
        value = self.shell.user_ns[name]
        return {"callable": True} if callable(value) else {"value": wire.encode(value)}

    def call(self, name, arguments, seed, seconds):
        unpickler = pickle.Unpickler(io.BytesIO(base64.b64decode(arguments)))
        unpickler.persistent_load = lambda known: self.outside(*known)
        given, slopes = unpickler.load()
        tensors = wire.tensors(given)
        for tensor, slope in zip(tensors, slopes):
            tensor.grad = slope
        before = [tensor.detach().clone() for tensor in tensors], layout(given), hooks(given)
        if seed is not None:
            torch.manual_seed(seed)
        torch.set_default_dtype(torch.float32)
        said = {}
        with (
            torch.enable_grad(),
            contextlib.redirect_stdout(Limited()),
            contextlib.redirect_stderr(Limited()),
        ):
            try:
                with at_most(seconds):
                    self.result = self.shell.user_ns[name](*given)
            except BaseException as error:
                self.result = None
                said["error"] = [type(error).__name__, text_of(error)]
            said["kept"] = [torch.is_grad_enabled(), str(torch.get_default_dtype())]
        self.leaves = [tensor for tensor in tensors if tensor.requires_grad]
        slope = isinstance(self.result, torch.Tensor) and self.result.requires_grad
        return said | {
            "value": wire.encode(self.result),
            "requires_grad": slope,
            "tensors": [changes(old, new) for old, new in zip(before[0], tensors)],
            "training": [[m.training for m in net.modules()] for net in wire.modules(given)],
            "same": [before[1] == layout(given), before[2] == hooks(given)],
        }

    def slope(self, weight, seconds):
        """The derivatives of the last result, by each tensor that has one."""
        found = torch.autograd.grad(
            self.result, self.leaves, wire.decode(weight), retain_graph=True, allow_unused=True
        )
        return {"slopes": [None if value is None else wire.encode(value) for value in found]}


def changes(before, tensor):
    value = wire.encode(tensor) if wire.unlike(before, tensor.detach()) else None
    grad = None if tensor.grad is None else wire.encode(tensor.grad)
    return {"value": value, "requires_grad": tensor.requires_grad, "grad": grad}


def layout(given):
    return [
        (name, id(module)) for net in wire.modules(given) for name, module in net.named_modules()
    ]


def hooks(given):
    nets = wire.modules(given)
    return [len(getattr(m, kind)) for net in nets for m in net.modules() for kind in wire.HOOKS]


def main():
    limit()
    channel = Channel()
    config = Config(HistoryManager={"enabled": False})
    shell = InteractiveShell.instance(config=config, colors="nocolor", cache_size=0)
    calls = Calls(shell, channel)
    run(shell, "pass", START)  # what a first cell loads is not the student's time
    channel.send({"ready": True})
    while True:
        message = channel.receive()
        try:
            match message.pop("do"):
                case "run":
                    answer = {"outputs": run(shell, **message)}
                case "find":
                    answer = calls.find(**message)
                case "call":
                    answer = calls.call(**message)
                case "slope":
                    answer = calls.slope(**message)
        except BaseException as error:
            answer = {"failed": [type(error).__name__, text_of(error)]}
        channel.send(answer)


if __name__ == "__main__":
    main()
