"""Functions for the checks on sensitivity whose derivatives, kinks and moments are known, number by
number.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ._helpers_old import Draw, Probe, Slip, _called, _quiet, _values, first, to_plain

Matrix = list[list[float]]

CLEAR = 0.05  # no input of a ReLU is nearer to its kink
_manual_seed, _arange = torch.manual_seed, torch.arange


# ---------------------------------------------------------------- derivatives, one number at a time


def run(f: nn.Sequential, row: list[float]) -> list[list[float]]:
    """The weighted inputs of every layer; the network is linear, activation, linear..."""
    z, a = [], row
    for layer in f:
        if isinstance(layer, nn.Linear):
            z.append(
                [
                    sum(w * v for w, v in zip(line, a)) + b
                    for line, b in zip(to_plain(layer.weight), to_plain(layer.bias))
                ]
            )
            a = z[-1]
        else:
            a = [math.tanh(v) if isinstance(layer, nn.Tanh) else max(v, 0.0) for v in a]
    return z


def scores(f: nn.Sequential, row: list[float]) -> list[float]:
    return run(f, row)[-1]


def slopes(f: nn.Sequential, row: list[float], start: dict[int, float]) -> list[float]:
    """The derivative of sum_k start_k f_k with respect to each input."""
    z = run(f, row)
    g = [start.get(k, 0.0) for k in range(len(z[-1]))]
    weights = [to_plain(layer.weight) for layer in f if isinstance(layer, nn.Linear)]
    tanh = any(isinstance(layer, nn.Tanh) for layer in f)
    for depth in reversed(range(len(weights))):
        g = [
            sum(weights[depth][j][i] * v for j, v in enumerate(g))
            for i in range(len(weights[depth][0]))
        ]
        if depth:
            g = [
                v * (1 - math.tanh(u) ** 2 if tanh else float(u > 0))
                for v, u in zip(g, z[depth - 1])
            ]
    return g


def moved(x: list[float], i: int, step: float) -> list[float]:
    return [v + step * (k == i) for k, v in enumerate(x)]


def normalised(equation: Callable) -> Callable:
    return lambda *probe: [[v / sum(row) for v in row] for row in equation(*probe)]


def about_batches(equation: Callable) -> list[Slip]:
    def mean(rows: list) -> list:
        return (
            [mean(list(part)) for part in zip(*rows)]
            if isinstance(rows[0], list)
            else sum(rows) / len(rows)
        )

    def pooled(*probe: object) -> list:
        rows = equation(*probe)
        return [mean(rows)] * len(rows)

    return [
        Slip(
            "the samples of a batch are averaged or summed; every sample has its own result", pooled
        )
    ]


# ---------------------------------------------------------------- what f is


def network(
    d: Draw, widths: tuple[int, ...], activation: type[nn.Module] = nn.ReLU, size: float = 1.0
) -> nn.Sequential:
    parts: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:]):
        layer = nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=d.dtype)
        layer.load_state_dict(
            {"weight": size * d.uniform(-1, 1, outputs, inputs), "bias": d.uniform(-1, 1, outputs)}
        )
        parts += [layer, activation()]
    return nn.Sequential(*parts[:-1])


def probes_of_classes() -> list[Probe]:
    """(f, x, c) for methods that differentiate the logit of a class."""

    def draw(
        n: int, widths: tuple[int, ...], activation: type[nn.Module] = nn.ReLU, size: float = 1.0
    ) -> Callable[[Draw], tuple]:
        return lambda d: (
            network(d, widths, activation, size),
            d.uniform(-1, 2, n, widths[0]),
            d.index(widths[-1], n),
        )

    def fit(f: nn.Sequential, x: Matrix, c: list[int]) -> bool:
        rows = [run(f, row) for row in x]
        away = min(abs(v) for z in rows for layer in z[:-1] for v in layer) > CLEAR
        other = any(max(z[-1]) != z[-1][k] for z, k in zip(rows, c))
        return (
            away
            and other
            and (len(x) == 1 or len(set(c)) > 1)
            and max(map(abs, slopes(f, x[0], {c[0]: 1.0}))) > 0.2
        )

    return [
        Probe("one sample, a class that is not the predicted one", first(draw(1, (5, 6, 3)), fit)),
        Probe("several samples, each with its class", first(draw(4, (3, 5, 4)), fit)),
        Probe("as many samples as features and classes", first(draw(4, (4, 4, 4)), fit)),
        Probe(
            "a smooth network in double precision",
            first(draw(3, (6, 4, 2), nn.Tanh), fit, torch.float64),
        ),
        Probe("logits of some hundreds", first(draw(2, (3, 4, 5), nn.ReLU, 15.0), fit)),
    ]


@dataclass(frozen=True)
class Smooth:
    """f(v) = sum_i sin(w_i v_i) + v_i^3 / 5 + v_i v_{i+1}: (B, D) -> (B,)."""

    w: list

    def __call__(self, v: Tensor) -> Tensor:
        if v.dim() != 2 or v.shape[1] != len(self.w):
            raise ValueError(
                f"f: expected points of shape (B, {len(self.w)}), got {tuple(v.shape)}"
            )
        return (
            (v * v.new_tensor(self.w)).sin().sum(1) + (v**3).sum(1) / 5 + (v * v.roll(-1, 1)).sum(1)
        )

    def value(self, v: list[float]) -> float:
        return sum(
            math.sin(w * u) + u**3 / 5 + u * v[(i + 1) % len(v)]
            for i, (w, u) in enumerate(zip(self.w, v))
        )

    def slopes(self, v: list[float]) -> list[float]:
        return [
            w * math.cos(w * u) + 0.6 * u * u + v[(i + 1) % len(v)] + v[i - 1]
            for i, (w, u) in enumerate(zip(self.w, v))
        ]


@dataclass(frozen=True)
class Zigzag:
    """A piecewise linear function (B,) -> (B,): slopes[k] between the kinks k - 1 and k."""

    kinks: tuple
    slopes: tuple
    height: float = 0.0

    def __call__(self, t: Tensor) -> Tensor:
        if t.dim() != 1:
            raise ValueError(f"f: expected points of shape (B,), got {tuple(t.shape)}")
        result = self.height + self.slopes[0] * t
        for kink, before, after in zip(self.kinks, self.slopes, self.slopes[1:]):
            result = result + (after - before) * (t - kink).clamp(min=0)
        return result

    def value(self, t: float) -> float:
        bends = zip(self.kinks, self.slopes, self.slopes[1:])
        return (
            self.height
            + self.slopes[0] * t
            + sum((q - p) * max(t - kink, 0.0) for kink, p, q in bends)
        )


def tent(depth: int) -> Zigzag:
    """A zigzag of 2^depth pieces with slopes +-2^depth, as composed tent maps have it."""
    pieces = 2**depth
    return Zigzag(
        tuple(k / pieces for k in range(1, pieces)),
        tuple(pieces * (-1.0) ** k for k in range(pieces)),
    )


class _Quadratic(nn.Module):
    """f_c(v) = v' Q_c v / 2 + w_c' v: its gradient at v + sigma noise is normal, with known mean
    and spread. (B, D) -> (B, 2).
    """

    Q = torch.tensor(
        [
            [[2.0, 1.0, 0.0], [1.0, -1.0, 0.5], [0.0, 0.5, 1.5]],
            [[0.5, -1.0, 1.0], [-1.0, 2.0, 0.0], [1.0, 0.0, -1.0]],
        ]
    )
    w = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])

    def forward(self, v: Tensor) -> Tensor:
        return ((v @ self.Q.to(v)) * v).sum(-1).T / 2 + v @ self.w.to(v).T


def judge_noise(answer: Callable, n: int, sigma: float, samples: int = 300) -> str | None:
    """What is wrong with the moments of smoothgrad on many copies of one x, with two seeds; bands
    of five standard errors.
    """
    model, point = _Quadratic(), (0.5, -1.0, 2.0)
    arguments = model, torch.tensor([point]).repeat(samples, 1), _arange(samples) % 2, n, sigma
    Q, w = to_plain(model.Q), to_plain(model.w)
    mean = [
        [sum(q * v for q, v in zip(line, point)) + b for line, b in zip(Q[k], w[k])] for k in (0, 1)
    ]
    error = [[sigma * math.sqrt(sum(q * q for q in line) / n) for line in Q[k]] for k in (0, 1)]
    results = []
    for seed in (1, 2):
        with _quiet():
            _manual_seed(seed)
            result = _called(answer, arguments)
        values = result if isinstance(result, str) else _values(result, to_plain(arguments[1]))
        if isinstance(values, str):
            return values
        results.append(values)
    if results[0] == results[1]:
        return "two calls give the very same result: no noise is added, or each call draws the same"
    standard = [
        [
            [(v - m) / e for v, m, e in zip(row, mean[s % 2], error[s % 2])]
            for s, row in enumerate(values)
        ]
        for values in results
    ]
    return next(filter(None, (_moments(z, n) for z in standard)), None)


def _moments(z: Matrix, n: int) -> str | None:
    """What is wrong with numbers (samples, inputs) that should be standard normal, independent from
    sample to sample.
    """
    count = len(z)
    if all(abs(p - q) < 1e-4 for p, q in zip(z[0], z[2])):  # the same x and class
        return (
            "all samples of a batch share their noise, or meet hardly any; every copy of "
            "every sample has noise of its own"
        )
    for i in range(len(z[0])):
        column = [row[i] for row in z]
        mean = sum(column) / count
        variance = sum((v - mean) ** 2 for v in column) / count
        if n > 1 and abs(variance / n - 1) < 5 * math.sqrt(2 / count):
            return (
                "all n copies meet the same noise, so that nothing is averaged; draw new "
                "noise for each copy"
            )
        if abs(mean) > 5 * max(1.0, math.sqrt(variance)) / math.sqrt(count):
            return (
                "the mean over many samples is not the expected gradient: average the "
                "gradients of class c, at x plus noise of mean 0"
            )
        if abs(variance - 1) > 5 * math.sqrt(2 / count):
            return (
                "the spread of the result is wrong: the noise is normal with standard "
                "deviation sigma, independent for each input, copy and sample"
            )
    return None
