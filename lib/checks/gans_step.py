"""The check of one training step of a GAN: its networks are small enough to be differentiated by
hand, in loops over Python floats.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ._helpers_old import UNSOLVED, Draw, _called, _quiet, to_plain

Row = list[float]
Rows = list[Row]

_clone, _Parameter, _SGD, _parameters = (
    Tensor.clone,
    nn.Parameter,
    torch.optim.SGD,
    nn.Module.parameters,
)
_float32, _float64, _tanh = torch.float32, torch.float64, torch.tanh


def check_train_step(answer: Callable) -> None:
    """(G, D, opt_g, opt_d, x (N, 3), z (N, 2)) -> None: a D step on d_loss with fakes G(z), then a
    non-saturating G step, same z, updated D.
    """
    if not callable(answer):
        raise AssertionError(f"train_step: expected a function, got {type(answer).__name__}")
    for n, seed, dtype, rates in (
        (4, 1, _float64, (0.3, 0.5)),
        (1, 2, _float64, (0.5, 0.3)),
        (6, 3, _float32, (0.4, 0.4)),
    ):
        with _quiet():
            problem = _steps(answer, n, seed, dtype, *rates)
        if problem:
            raise AssertionError(
                f"train_step: {problem}"
                + ("" if problem == UNSOLVED else f" (seen with {n} samples)")
            )


class _Player(nn.Module):
    """One linear layer; a generator (2 to 3) ends in tanh, a discriminator (3 to 1) gives logits
    (N,).
    """

    def __init__(self, weight: Tensor, bias: Tensor, generator: bool) -> None:
        super().__init__()
        self.generator = generator
        self.weight, self.bias = _Parameter(weight), _Parameter(bias)

    def forward(self, v: Tensor) -> Tensor:
        scores = v @ self.weight.T + self.bias
        return _tanh(scores) if self.generator else scores[:, 0]


def _steps(
    answer: Callable, n: int, seed: int, dtype: torch.dtype, rate_g: float, rate_d: float
) -> str | None:
    """What is wrong with two steps of the game, each compared with one by hand."""
    draw = Draw(seed, dtype)
    g = [draw.uniform(-1, 1, 3, 2), draw.uniform(-1, 1, 3)]
    d = [draw.uniform(-1, 1, 1, 3), draw.uniform(-1, 1, 1)]
    G, D = _Player(*map(_clone, g), True), _Player(*map(_clone, d), False)
    opt_g, opt_d = _SGD(_parameters(G), rate_g), _SGD(_parameters(D), rate_d)
    g, d, left = [to_plain(part) for part in g], [to_plain(part) for part in d], None
    for _ in range(2):
        x, z = draw.uniform(-1, 2, n, 3), draw.uniform(-2, 2, n, 2)
        before = to_plain(x), to_plain(z)
        result = _called(lambda: (answer(G, D, opt_g, opt_d, x, z),), ())
        if isinstance(result, str):
            return result
        if isinstance(result[0], str):
            return "returns a text; nothing is to be returned"
        if (to_plain(x), to_plain(z)) != before or x.requires_grad or z.requires_grad:
            return "changes an argument in place; work on a copy, or set it back"
        if not (G.training and D.training) or not all(
            p.requires_grad for net in (G, D) for p in _parameters(net)
        ):
            return "changes the mode (train or eval) or requires_grad of a network; set it back"
        found_g, found_d = ([to_plain(net.weight), to_plain(net.bias)] for net in (G, D))
        problem = _wrong_d(found_d, g, d, *before, rate_g, rate_d, left) or _wrong_g(
            found_g, g, found_d, d, before[1], rate_g, left
        )
        if problem:
            return problem
        left = (
            _slope_g(g, found_d, before[1]),
            _slope_d(d, before[0], _make(g, before[1])),
            _slope_through(found_d, g, before[1]),
        )
        g, d = found_g, found_d
    return None


def _wrong_d(
    found: list, g: list, d: list, x: Rows, z: Rows, rate_g: float, rate: float, left: tuple | None
) -> str | None:
    """What is wrong with the new D; left: the gradients of the step before."""
    fakes = _make(g, z)
    slope = _slope_d(d, x, fakes)
    new = _moved(d, slope, rate)
    if _same(found, new):
        return None
    old, leaks = (
        "D moves by gradients that were left over: set them to zero before its backward pass",
        "G's loss moves D as well: each optimiser moves only its own network",
    )
    first = _moved(g, _slope_g(g, d, z), rate_g)
    options = [
        (d, "D has not moved: is the step of its optimiser missing?"),
        (_moved(d, slope, -rate), "D climbs its loss; it should descend"),
        (_moved(d, _slope_d(d, x, _make(first, z)), rate), "G moves first; D has the first step"),
        (_moved(d, _of_real(d, x), rate), "D hears only of the real data"),
        (_moved(d, _of_fake(d, fakes), rate), "D hears only of the generated samples"),
        (
            _moved(d, _sum(_of_real(d, x), _slope_through(d, g, z)), rate),
            "D learns that generated samples are real",
        ),
        (
            _moved(d, _scaled(slope, 0.5), rate),
            "the two means of d_loss are halved; they are added",
        ),
        (
            _moved(d, _scaled(slope, len(x)), rate),
            "the loss of D is summed over the samples; take means",
        ),
        (_moved(new, _slope_d(new, x, fakes), rate), "D takes two steps; one is asked for"),
        (_moved(d, _sum(slope, _slope_through(d, g, z)), rate), leaks),
        (_moved(new, _slope_through(new, g, z), rate), leaks),
        (_moved(new, _sum(slope, _slope_through(new, g, z)), rate), leaks),
    ]
    if left:
        options += [
            (_moved(d, _sum(slope, part), rate), old) for part in (*left[1:], _sum(*left[1:]))
        ]
    return next(
        (hint for wanted, hint in options if _same(found, wanted)),
        "D does not end where one step of its optimiser on d_loss leads",
    )


def _wrong_g(
    found: list, g: list, d: list, old_d: list, z: Rows, rate: float, left: tuple | None
) -> str | None:
    """What is wrong with the new G, judged by the new D."""
    slope = _slope_g(g, d, z)
    if _same(found, _moved(g, slope, rate)):
        return None
    leaks, old = (
        _slope_g(g, old_d, z, fooled=False),
        "G moves by gradients that were left over: set them to zero before its backward pass",
    )
    options = [
        (
            g,
            (
                "G has not moved: are its samples detached in its own step, or is its optimiser's "
                "step missing?"
            ),
        ),
        (
            _moved(g, _slope_g(g, old_d, z), rate),
            "G is judged by the old D; it meets the D that has just moved",
        ),
        (
            _moved(g, _slope_g(g, d, z, saturating=True), rate),
            "the loss of G is the saturating one",
        ),
        (_moved(g, slope, -rate), "G climbs its loss; it should descend"),
        (
            _moved(g, _scaled(slope, len(z)), rate),
            "the loss of G is summed over the samples; take the mean",
        ),
        (
            _moved(g, _sum(slope, leaks), rate),
            (
                "the gradient of D's loss leaks into G: detach the samples in D's step, or set "
                "G's gradients to zero before its own"
            ),
        ),
        (
            _moved(g, _slope_g(g, d, z, fooled=False), rate),
            "G helps D: its samples should pass for real",
        ),
    ]
    if left:
        options += [
            (_moved(g, _sum(slope, left[0]), rate), old),
            (_moved(g, _sum(_sum(slope, leaks), left[0]), rate), old),
        ]
    return next(
        (hint for wanted, hint in options if _same(found, wanted)),
        (
            "G does not end where one step on -mean log sigma(D(G(z))) leads, with the same z and "
            "the D that has just moved"
        ),
    )


def _same(a: list, b: list) -> bool:
    return all(abs(u - v) <= 1e-4 + 1e-4 * abs(v) for u, v in zip(_numbers(a), _numbers(b)))


def _make(g: list, z: Rows) -> Rows:
    return [
        [math.tanh(sum(w * c for w, c in zip(row, code)) + b) for row, b in zip(*g)] for code in z
    ]


def _logit(d: list, v: Row) -> float:
    return sum(w * c for w, c in zip(d[0][0], v)) + d[1][0]


def _of_d(d: list, rows: Rows, slope: Callable[[float], float]) -> list:
    """The gradient in D of the mean over rows of a loss whose slope in the logit is given."""
    s = [slope(_logit(d, v)) / len(rows) for v in rows]
    return [[[sum(a * v[i] for a, v in zip(s, rows)) for i in range(3)]], [sum(s)]]


def _of_real(d: list, x: Rows) -> list:
    return _of_d(d, x, lambda l: _sigmoid(l) - 1)


def _of_fake(d: list, fakes: Rows) -> list:
    return _of_d(d, fakes, _sigmoid)


def _slope_d(d: list, x: Rows, fakes: Rows) -> list:
    return _sum(_of_real(d, x), _of_fake(d, fakes))


def _slope_through(d: list, g: list, z: Rows) -> list:
    """The gradient in D of G's loss."""
    return _of_real(d, _make(g, z))


def _slope_g(g: list, d: list, z: Rows, saturating: bool = False, fooled: bool = True) -> list:
    """The gradient in G of its loss; fooled=False: of D's loss on the samples."""
    weight, bias = [[0.0, 0.0] for _ in range(3)], [0.0] * 3
    for code, v in zip(z, _make(g, z)):
        p = _sigmoid(_logit(d, v))
        s = (-p if saturating else p - 1 if fooled else p) / len(z)
        for i in range(3):
            local = s * d[0][0][i] * (1 - v[i] ** 2)
            bias[i] += local
            for j in range(2):
                weight[i][j] += local * code[j]
    return [weight, bias]


def _pairs(a: object, b: object, join: Callable[[float, float], float]) -> object:
    return [_pairs(u, v, join) for u, v in zip(a, b)] if isinstance(a, list) else join(a, b)


def _moved(net: list, slope: list, rate: float) -> list:
    return _pairs(net, slope, lambda w, s: w - rate * s)


def _sum(a: list, b: list) -> list:
    return _pairs(a, b, lambda u, v: u + v)


def _scaled(a: list, factor: float) -> list:
    return _pairs(a, a, lambda u, _: factor * u)


def _numbers(values: object) -> Row:
    return [v for part in values for v in _numbers(part)] if isinstance(values, list) else [values]


def _sigmoid(l: float) -> float:
    return 1 / (1 + math.exp(-l))
