"""The checks of the exercises on adversarial networks.

Each takes a student's function, returns None if it is right and raises AssertionError with a hint
if not. The references are loops over Python floats. The step of training is in gans_step.py.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ._helpers_old import Draw, Probe, Slip, _called, _quiet, first, judge, to_plain
from .gans_step import check_train_step as check_train_step

Row = list[float]
Rows = list[Row]

_tensor, _grad, _sum_of, _float32, _float64 = (
    torch.tensor,
    torch.autograd.grad,
    Tensor.sum,
    torch.float32,
    torch.float64,
)


# ---------------------------------------------------------------- losses


def check_d_loss(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(real_logits (N,), fake_logits (M,)) -> scalar: -mean log sigma(real) - mean log(1 -
    sigma(fake)).
    """

    def equation(real: Row, fake: Row) -> float:
        return _mean(map(_minus_log, real)) + _mean(_minus_log(-f) for f in fake)

    slips = [
        Slip(
            "the sign is turned round: minus the logarithms, to be lowered",
            lambda r, f: -equation(r, f),
        ),
        Slip("real and generated are exchanged", lambda r, f: equation(f, r)),
        Slip(
            "the generated samples are judged as if they should pass for real",
            lambda r, f: _mean(map(_minus_log, r)) + _mean(map(_minus_log, f)),
        ),
        Slip(
            "the two means are averaged once more; they are added", lambda r, f: equation(r, f) / 2
        ),
        Slip(
            "all N + M samples share one mean; each group has its own",
            lambda r, f: (
                (sum(map(_minus_log, r)) + sum(_minus_log(-v) for v in f)) / (len(r) + len(f))
            ),
        ),
        Slip(
            "the samples are summed; take the mean of each group",
            lambda r, f: sum(map(_minus_log, r)) + sum(_minus_log(-v) for v in f),
        ),
        Slip(
            "the term of the generated samples is missing", lambda r, f: _mean(map(_minus_log, r))
        ),
        Slip("the term of the real data is missing", lambda r, f: _mean(_minus_log(-v) for v in f)),
        Slip(
            "the sigmoid is applied twice, or the logits are taken for probabilities",
            lambda r, f: equation(list(map(_sigmoid, r)), list(map(_sigmoid, f))),
        ),
        Slip(
            "the logarithm is to base 2; nats are asked for",
            lambda r, f: equation(r, f) / math.log(2),
        ),
        Slip(
            "this is the loss of least squares",
            lambda r, f: _mean((v - 1) ** 2 for v in r) + _mean(v * v for v in f),
        ),
        Slip("this is the Wasserstein loss", lambda r, f: _mean(f) - _mean(r)),
    ]
    judge(
        "d_loss",
        answer,
        [
            *_two_rows(1),
            Probe(
                "logits of +-200, right and wrong",
                (_tensor([200.0, -200.0, 0.0]), _tensor([-200.0, 200.0])),
            ),
        ],
        equation,
        slips,
        (
            "the value is not -mean log sigma(real) - mean log(1 - sigma(fake)), exact also where "
            "a logit is +-200 (nothing is cut off)"
        ),
    )


def check_g_loss_nonsaturating(answer: Callable[[Tensor], Tensor]) -> None:
    """(fake_logits (N,)) -> scalar: -mean log sigma(fake)."""

    def equation(fake: Row) -> float:
        return _mean(map(_minus_log, fake))

    slips = [
        Slip(
            (
                "this is the saturating loss, mean log(1 - sigma(fake)): its slope dies where D "
                "is sure"
            ),
            lambda f: -_mean(_minus_log(-v) for v in f),
        ),
        Slip(
            "the generator would learn to be found out: it wants sigma(fake) = 1",
            lambda f: _mean(_minus_log(-v) for v in f),
        ),
        Slip("the sign is turned round", lambda f: -equation(f)),
        Slip("the samples are summed; take their mean", lambda f: sum(map(_minus_log, f))),
        Slip(
            "the sigmoid is applied twice, or the logits are taken for probabilities",
            lambda f: equation(list(map(_sigmoid, f))),
        ),
        Slip("the logarithm is to base 2; nats are asked for", lambda f: equation(f) / math.log(2)),
        Slip("this is the Wasserstein loss", lambda f: -_mean(f)),
        Slip("this is the loss of least squares", lambda f: _mean((v - 1) ** 2 for v in f)),
        Slip("there is no logarithm", lambda f: _mean(1 - _sigmoid(v) for v in f)),
    ]
    probes = [Probe(p.kind, p.arguments[:1]) for p in _two_rows(5)]
    judge(
        "g_loss_nonsaturating",
        answer,
        [*probes, Probe("logits of +-200", (_tensor([200.0, -200.0, 0.0]),))],
        equation,
        slips,
        (
            "the value is not -mean log sigma(fake), exact also where a logit is +-200 (nothing "
            "is cut off)"
        ),
    )


# ---------------------------------------------------------------- densities


def check_optimal_discriminator(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(p (K,), q (K,) densities, may be 0) -> (K,): p / (p + q), 1/2 where both are 0."""

    def each(value: Callable[[float, float], float]) -> Callable:
        return lambda p, q: [value(a, b) for a, b in zip(p, q)]

    equation = each(lambda a, b: a / (a + b) if a + b else 0.5)
    slips = [
        Slip(
            "where both densities are 0 it should be 1/2",
            each(lambda a, b: a / (a + b) if a + b else 0.0),
        ),
        Slip(
            "where both densities are 0 it should be 1/2",
            each(lambda a, b: a / (a + b) if a + b else 1.0),
        ),
        Slip(
            "data and generator are exchanged: D is the probability of real data",
            each(lambda a, b: b / (a + b) if a + b else 0.5),
        ),
        Slip(
            "this is the ratio p / q; the denominator has both",
            each(lambda a, b: a / b if b else 0.5),
        ),
        Slip("D is 1/2 only at the equilibrium, where q = p", each(lambda a, b: 0.5)),
        Slip(
            "D is not 0 or 1: it is a probability",
            each(lambda a, b: 1.0 if a > b else 0.5 if a == b else 0.0),
        ),
        Slip(
            "p is divided by a sum over all places; each place has its own",
            lambda p, q: [a / (sum(p) + sum(q)) for a in p],
        ),
        Slip("this is half of p / (p + q)", each(lambda a, b: a / (a + b) / 2 if a + b else 0.5)),
    ]
    judge(
        "optimal_discriminator",
        answer,
        _densities(sums=False),
        equation,
        slips,
        "the values are not p / (p + q), place by place (small densities count like large ones)",
    )


def check_jsd(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(p (K,), q (K,) sum 1, may contain 0) -> scalar: Jensen-Shannon divergence in nats."""

    def kl(p: Row, q: Row) -> float:
        return sum(a * math.log(a / b) for a, b in zip(p, q) if a)

    def mix(p: Row, q: Row) -> Row:
        return [(a + b) / 2 for a, b in zip(p, q)]

    def equation(p: Row, q: Row) -> float:
        return (kl(p, mix(p, q)) + kl(q, mix(p, q))) / 2

    slips = [
        Slip(
            "the two divergences are added; each counts one half", lambda p, q: 2 * equation(p, q)
        ),
        Slip(
            "the logarithm is to base 2; nats are asked for",
            lambda p, q: equation(p, q) / math.log(2),
        ),
        Slip(
            "this is the root of it, the Jensen-Shannon distance",
            lambda p, q: math.sqrt(max(equation(p, q), 0)),
        ),
        Slip(
            "the sign is turned round; a divergence is never negative", lambda p, q: -equation(p, q)
        ),
        Slip(
            "this is the value of the game, 2 JSD - log 4",
            lambda p, q: 2 * equation(p, q) - math.log(4),
        ),
        Slip("only the side of p is there", lambda p, q: kl(p, mix(p, q)) / 2),
        Slip("only the side of p is there", lambda p, q: kl(p, mix(p, q))),
        Slip("only the side of q is there", lambda p, q: kl(q, mix(p, q))),
        Slip(
            "the divergences are turned round: it is KL(p || m), not KL(m || p)",
            lambda p, q: (kl(mix(p, q), p) + kl(mix(p, q), q)) / 2,
        ),
        Slip(
            "p and q are compared with each other, not with their mean",
            lambda p, q: (kl(p, q) + kl(q, p)) / 2,
        ),
        Slip("this is KL(p || q)", kl),
        Slip(
            "it is averaged over the K places; it is summed", lambda p, q: equation(p, q) / len(p)
        ),
        Slip(
            "p and q are compared with their sum; m is its half",
            lambda p, q: equation(p, q) - math.log(2),
        ),
        Slip(
            "places where p or q is 0 are left out; only the term of the one that is 0 vanishes",
            lambda p, q: (
                sum(
                    a * math.log(2 * a / (a + b)) + b * math.log(2 * b / (a + b))
                    for a, b in zip(p, q)
                    if a and b
                )
                / 2
            ),
        ),
    ]
    judge(
        "jsd",
        answer,
        _densities(sums=True),
        equation,
        slips,
        "the value is not 1/2 KL(p || m) + 1/2 KL(q || m) with m = (p + q) / 2",
    )


def check_modes_covered(answer: Callable[[Tensor, Tensor, float, int], int]) -> None:
    """(samples (N, 2), centers (K, 2), radius, min_count) -> int: modes with at least min_count
    samples within radius.
    """

    def count(
        within: Callable[[float, float], bool] = lambda d, r: d <= r,
        enough: Callable[[int, int], bool] = lambda n, m: n >= m,
        distance: Callable[[Row, Row], float] = math.dist,
    ) -> Callable:
        return lambda s, c, r, m: sum(
            enough(sum(within(distance(x, centre), r) for x in s), m) for centre in c
        )

    def nearest(s: Rows, c: Rows, r: float, m: int) -> int:
        owners = [min(range(len(c)), key=lambda k: math.dist(x, c[k])) for x in s]
        return sum(owners.count(k) >= m for k in range(len(c)))

    slips = [
        Slip(
            "more than min_count samples are asked for; at least min_count suffice",
            count(enough=lambda n, m: n > m),
        ),
        Slip(
            "min_count is ignored: one sample does not cover a mode",
            count(enough=lambda n, m: n > 0),
        ),
        Slip(
            "the squared distance is compared with the radius",
            count(distance=lambda a, b: math.dist(a, b) ** 2),
        ),
        Slip(
            "each axis is compared with the radius: that is a square, not a disc",
            count(distance=lambda a, b: max(abs(u - v) for u, v in zip(a, b))),
        ),
        Slip(
            "the distance is |dx| + |dy|; the straight line is meant",
            count(distance=lambda a, b: sum(abs(u - v) for u, v in zip(a, b))),
        ),
        Slip("the radius is ignored: the nearest centre is not enough", nearest),
        Slip(
            "this counts the modes that are lost", lambda s, c, r, m: len(c) - count()(s, c, r, m)
        ),
        Slip(
            "this counts samples, not modes",
            lambda s, c, r, m: sum(any(math.dist(x, k) <= r for k in c) for x in s),
        ),
        Slip(
            "this is the share of the modes, not their number",
            lambda s, c, r, m: count()(s, c, r, m) / len(c),
        ),
        Slip("all modes are counted", lambda s, c, r, m: len(c)),
    ]

    def cloud(
        seed: int, n: int, k: int, radius: float, enough: int, dtype: torch.dtype = _float32
    ) -> tuple:
        draw = Draw(seed, dtype)
        return draw.uniform(-2, 2, n, 2), draw.uniform(-2, 2, k, 2), radius, enough

    corner = [
        [0.9, 0.9],
        [-0.9, 0.9],
        [0.9, -0.9],
        [5.0, 5.3],
        [5.0, 4.7],
        [-4.0, 0.0],
        [-4.6, 0.0],
    ]

    def tells_apart(*arguments: object) -> bool:
        values = [count()(*arguments), *(slip.compute(*arguments) for slip in slips)]
        return len(set(values)) == len(values)

    telling = first(
        lambda draw: (draw.uniform(-2, 2, 90, 2), draw.uniform(-2, 2, 40, 2), 0.6, 6), tells_apart
    )
    probes = [
        Probe("ninety samples and forty modes", telling),
        Probe("double precision", cloud(2, 80, 7, 0.9, 9, _float64)),
        Probe("one sample and one mode", (_tensor([[0.5, 0.0]]), _tensor([[0.0, 0.0]]), 1.0, 1)),
        Probe(
            "samples in the corners of a square, exactly min_count near a mode",
            (_tensor(corner), _tensor([[0.0, 0.0], [5.0, 5.0], [-4.3, 0.0], [9.0, 9.0]]), 1.0, 2),
        ),
        Probe("a radius above 1", cloud(3, 50, 6, 1.6, 14)),
        Probe(
            "no mode covered",
            (_tensor([[8.0, 8.0], [-8.0, 8.0]]), _tensor([[0.0, 0.0], [1.0, -2.0]]), 0.5, 1),
        ),
        Probe(
            "the same two modes covered by the same samples",
            (_tensor([[0.0, 0.0], [0.1, 0.0]]), _tensor([[0.0, 0.1], [0.0, -0.1]]), 0.5, 2),
        ),
    ]
    judge(
        "modes_covered",
        answer,
        probes,
        count(),
        slips,
        "the number is not that of the modes with at least min_count samples within radius",
    )


# ---------------------------------------------------------------- the slope of a critic


class _Critic:
    """sum_i a_i x_i + b/2 |x|^2 for rows (N, D); its gradient in x is a + b x."""

    def __init__(self, a: Tensor, b: float) -> None:
        self.a, self.b = a, b

    def __call__(self, x: Tensor) -> Tensor:
        return (self.a * x + 0.5 * self.b * x * x).sum(1)

    def slopes(self, x: Rows) -> Rows:
        return [[a + self.b * v for a, v in zip(to_plain(self.a), row)] for row in x]


def check_slope_penalty(answer: Callable[[Callable, Tensor], Tensor]) -> None:
    """(critic: (N, D) -> (N,), x (N, D)) -> scalar: mean over samples of (|grad critic| - 1)^2,
    differentiable in the critic's weights.
    """

    def each(
        term: Callable[[Row], float], join: Callable = lambda values: _mean(values)
    ) -> Callable:
        return lambda critic, x: join([term(s) for s in critic.slopes(x)])

    def norm(s: Row) -> float:
        return math.sqrt(sum(v * v for v in s))

    slips = [
        Slip(
            "the length of the gradient is not squared after taking 1 away",
            each(lambda s: norm(s) - 1),
        ),
        Slip(
            "slopes below 1 are let off; they are penalised too",
            each(lambda s: max(norm(s) - 1, 0) ** 2),
        ),
        Slip(
            "the penalty pulls the slope to 0; it should pull it to 1", each(lambda s: norm(s) ** 2)
        ),
        Slip(
            "the squared length is compared with 1; take the root",
            each(lambda s: (norm(s) ** 2 - 1) ** 2),
        ),
        Slip("the samples are summed; take their mean", each(lambda s: (norm(s) - 1) ** 2, sum)),
        Slip("the mean is taken before the square", each(norm, lambda v: (_mean(v) - 1) ** 2)),
        Slip(
            "one length is taken for the whole batch; each sample has its own",
            lambda c, x: (norm([v for s in c.slopes(x) for v in s]) - 1) ** 2,
        ),
        Slip(
            "each coordinate is compared with 1; take the length of the gradient",
            each(lambda s: _mean((v - 1) ** 2 for v in s)),
        ),
        Slip(
            "each coordinate is compared with 1; take the length of the gradient",
            each(lambda s: _mean((abs(v) - 1) ** 2 for v in s)),
        ),
        Slip(
            "the gradient was taken of the mean of the critic: it is N times too short",
            lambda c, x: _mean((norm(s) / len(x) - 1) ** 2 for s in c.slopes(x)),
        ),
        Slip("the length is the largest coordinate", each(lambda s: (max(map(abs, s)) - 1) ** 2)),
        Slip(
            "the length is the sum of the coordinates", each(lambda s: (sum(map(abs, s)) - 1) ** 2)
        ),
    ]

    def probe(
        kind: str, seed: int, n: int, d: int, b: float, dtype: torch.dtype = _float32
    ) -> Probe:
        draw = Draw(seed, dtype)
        return Probe(kind, (_Critic(draw.uniform(-2, 2, d), b), draw.uniform(-2, 2, n, d)))

    probes = [
        probe("a straight critic", 1, 4, 3, 0.0),
        probe("a bent critic", 2, 5, 2, 1.5),
        probe("one sample", 3, 1, 4, 0.7),
        probe("as many samples as dimensions", 4, 3, 3, -0.6),
        Probe(
            "a gentle critic",
            (_Critic(_tensor([0.1, -0.2]), 0.05), _tensor([[0.3, 0.4], [-1.0, 2.0], [0.0, 0.0]])),
        ),
        probe("one dimension", 5, 6, 1, 0.4),
    ]
    judge(
        "slope_penalty",
        answer,
        probes,
        each(lambda s: (norm(s) - 1) ** 2),
        slips,
        "the value is not the mean of (length of the gradient - 1)^2",
    )
    if problem := _no_slope(answer):
        raise AssertionError(f"slope_penalty: {problem}")


def _no_slope(answer: Callable) -> str | None:
    """What is wrong with the gradient in the critic's weights: for a straight critic it is 2 (|a| -
    1) a / |a|.
    """
    with _quiet():
        a = _tensor([1.2, -1.6, 0.0], requires_grad=True)
        result = _called(answer, (_Critic(a, 0.0), _tensor([[0.5, 1.0, 0.0], [-1.0, 0.3, 2.0]])))
        if isinstance(result, str):
            return result
        if not isinstance(result, Tensor) or not result.requires_grad:
            return "no gradient reaches the weights of the critic: is create_graph=True missing?"
        (slope,) = _grad(_sum_of(result), a, allow_unused=True)
    wanted = [2 * v / 2 for v in to_plain(a)]
    if slope is None or any(abs(u - v) > 1e-3 for u, v in zip(to_plain(slope), wanted)):
        return (
            "the gradient in the weights of the critic is wrong: is create_graph=True "
            "missing, or something detached?"
        )
    return None


# ---------------------------------------------------------------- helpers


def _mean(values: object) -> float:
    values = list(values)
    return sum(values) / len(values)


def _sigmoid(l: float) -> float:
    return 1 / (1 + math.exp(-l)) if l > -700 else 0.0


def _minus_log(l: float) -> float:
    """-log sigma(l), exact for any l."""
    return max(-l, 0) + math.log1p(math.exp(-abs(l)))


def _two_rows(seed: int) -> list[Probe]:
    def rows(seed: int, n: int, m: int, dtype: torch.dtype = _float32) -> tuple:
        draw = Draw(seed, dtype)
        return draw.uniform(-3, 4, n), draw.uniform(-4, 3, m)

    return [
        Probe("more generated than real samples", rows(seed, 3, 7)),
        Probe("more real than generated samples", rows(seed + 1, 5, 2)),
        Probe("one sample", rows(seed + 2, 1, 1)),
        Probe("double precision", rows(seed + 3, 4, 4, _float64)),
    ]


def _densities(sums: bool) -> list[Probe]:
    """Pairs of densities; with `sums` each sums to 1."""

    def pair(seed: int, k: int, dtype: torch.dtype = _float32) -> tuple:
        draw = Draw(seed, dtype)
        p, q = draw.uniform(0.05, 1, k), draw.uniform(0.05, 1, k)
        return (p / p.sum(), q / q.sum()) if sums else (3 * p, q)

    gaps = _tensor([0.5, 0.0, 0.25, 0.25, 0.0]), _tensor([0.0, 0.0, 0.75, 0.0, 0.25])
    tiny = (
        _tensor([1e-9, 1 - 1e-9, 0.0], dtype=_float64),
        _tensor([3e-9, 0.5, 0.5 - 3e-9], dtype=_float64),
    )
    return [
        Probe("five places", pair(1, 5)),
        Probe("eight places in double precision", pair(2, 8, _float64)),
        Probe("places where one is 0, or both are", gaps),
        Probe("nothing in common", (_tensor([1.0, 0.0]), _tensor([0.0, 1.0]))),
        Probe("q = p", (_tensor([0.2, 0.8]), _tensor([0.2, 0.8]))),
        Probe("one place", (_tensor([1.0]), _tensor([1.0]))),
        Probe("very small densities", tiny),
    ]
