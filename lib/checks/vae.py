"""The checks of the exercises on variational autoencoders.

Each takes a student's function, returns None if it is right and raises AssertionError with a hint
if not. The references are loops over Python floats; answers that draw are judged by their moments,
in bands of five standard errors.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ._helpers_old import (
    UNSOLVED,
    Draw,
    Probe,
    Slip,
    _called,
    _quiet,
    _values,
    flat,
    judge,
    to_plain,
)

Rows = list[list[float]]

_manual_seed, _tensor, _grad = torch.manual_seed, torch.tensor, torch.autograd.grad
_float32, _float64 = torch.float32, torch.float64
_requires_grad, _tolist, _to, _sum = Tensor.requires_grad_, Tensor.tolist, Tensor.to, Tensor.sum


# ---------------------------------------------------------------- exercises


def check_kl_std_normal(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(mu (N, D), logvar (N, D)) -> (N,): KL(N(mu, diag exp logvar) || N(0, I))."""

    def each(
        term: Callable[[float, float], float], reduce: Callable[[list[float]], float] = sum
    ) -> Callable:
        return lambda mu, logvar: [
            reduce([term(m, v) for m, v in zip(*row)]) for row in zip(mu, logvar)
        ]

    def batch(reduce: Callable) -> Callable:
        return lambda mu, logvar: [reduce(mu, logvar)] * len(mu)

    equation = each(_kl)
    slips = [
        Slip(
            "the factor 1/2 is missing: KL(N(1, 1) || N(0, 1)) is 0.5",
            each(lambda m, v: 2 * _kl(m, v)),
        ),
        Slip(
            "the sign is turned round; a divergence is never negative",
            each(lambda m, v: -_kl(m, v)),
        ),
        Slip(
            "the terms are averaged over the D dimensions; they are summed",
            each(_kl, lambda terms: sum(terms) / len(terms)),
        ),
        Slip(
            "logvar is used as the variance; the variance is exp(logvar)",
            each(lambda m, v: 0.5 * (m * m + v - 1 - math.log(abs(v) or 1))),
        ),
        Slip(
            "logvar is used as the logarithm of the standard deviation; it is that of the variance",
            each(lambda m, v: _kl(m, 2 * v)),
        ),
        Slip(
            "exp(logvar / 2) is the standard deviation; the variance is exp(logvar)",
            each(lambda m, v: 0.5 * (m * m + math.exp(v / 2) - 1 - v)),
        ),
        Slip("mu is not squared", each(lambda m, v: 0.5 * (m + math.exp(v) - 1 - v))),
        Slip(
            "the -1 is missing: the divergence of N(0, 1) from itself is 0",
            each(lambda m, v: _kl(m, v) + 0.5),
        ),
        Slip(
            "this is the divergence the other way, KL(N(0, I) || q); it is not symmetric",
            each(lambda m, v: 0.5 * ((1 + m * m) / math.exp(v) - 1 + v)),
        ),
        Slip(
            "the samples of the batch are summed or averaged; each has its own value",
            batch(lambda mu, lv: sum(equation(mu, lv))),
        ),
        Slip(
            "the samples of the batch are summed or averaged; each has its own value",
            batch(lambda mu, lv: sum(equation(mu, lv)) / len(mu)),
        ),
    ]
    probes = [
        Probe("one sample", (_tensor([[1.0, -0.5, 0.2]]), _tensor([[0.3, -1.2, 0.7]]))),
        Probe("q = N(0, I)", (_tensor([[0.0, 0.0]] * 3), _tensor([[0.0, 0.0]] * 3))),
        Probe("several samples in double precision", _two(2, 4, 3, _float64)),
        Probe("as many samples as dimensions", _two(3, 3, 3)),
        Probe(
            "a tiny variance and means of 200",
            (_tensor([[200.0, -3.0], [0.5, -200.0]]), _tensor([[-30.0, 2.0], [0.0, -200.0]])),
        ),
    ]
    judge(
        "kl_std_normal",
        answer,
        probes,
        equation,
        slips,
        "the values are not 1/2 sum of mu^2 + exp(logvar) - 1 - logvar, sample by sample",
    )


def check_reparameterize(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(mu (N, D), logvar (N, D)) -> (N, D): one draw per row, dz/dmu = 1, dz/dlogvar = (z - mu) /
    2.
    """
    if not callable(answer):
        raise AssertionError(f"reparameterize: expected a function, got {type(answer).__name__}")
    mu, logvar = _tensor([[1.5, -200.0, 0.0]]), _tensor([[1.0, -1.5, 0.0]])
    for rows, seed, dtype in (
        (2000, 1, _float32),
        (2000, 2, _float64),
        (1, 5, _float32),
        (3, 6, _float64),
    ):
        means, logvars = _to(mu.repeat(rows, 1), dtype), _to(logvar.repeat(rows, 1), dtype)
        if problem := _drawn(answer, means, logvars, seed):
            raise AssertionError(
                f"reparameterize: {problem}"
                + ("" if problem == UNSOLVED else f" (seen with {rows} rows)")
            )


def check_neg_elbo(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """(x (N, ...), xhat (N, ...), mu (N, D), logvar (N, D)) -> scalar: batch mean of -log N(x;
    xhat, I) + KL, constant kept or dropped.
    """

    def parts(x: list, xhat: list, mu: Rows, logvar: Rows) -> list[tuple[float, float, int, int]]:
        """Squared error and divergence of each sample, the number of pixels and of codes."""
        return [
            (
                sum((u - v) ** 2 for u, v in zip(flat(a), flat(b))),
                sum(map(_kl, m, lv)),
                len(list(flat(a))),
                len(m),
            )
            for a, b, m, lv in zip(x, xhat, mu, logvar)
        ]

    def mean_of(term: Callable[[float, float, int, int], float], constant: float) -> Callable:
        return lambda *a: sum(term(*row) + constant * row[2] for row in parts(*a)) / len(a[0])

    default, problems = "the value is not the batch mean of 1/2 sum (x - xhat)^2 + KL", []
    for constant in (0.0, 0.5 * math.log(2 * math.pi)):
        slips = [
            Slip(
                (
                    "the factor 1/2 of the squared error is missing: -log N(x; xhat, I) = 1/2 sum "
                    "(x - xhat)^2 + constant"
                ),
                mean_of(lambda e, k, p, d: e + k, constant),
            ),
            Slip(
                (
                    "the squared error is averaged over pixels; it is summed, as a likelihood is "
                    "a product over pixels"
                ),
                mean_of(lambda e, k, p, d: e / p / 2 + k, constant),
            ),
            Slip(
                (
                    "the squared error is averaged over pixels; it is summed, as a likelihood is "
                    "a product over pixels"
                ),
                mean_of(lambda e, k, p, d: e / p + k, constant),
            ),
            Slip(
                "the KL term is averaged over the codes; it is summed",
                mean_of(lambda e, k, p, d: e / 2 + k / d, constant),
            ),
            Slip(
                "the KL term has the wrong sign: the negative bound is error plus KL",
                mean_of(lambda e, k, p, d: e / 2 - k, constant),
            ),
            Slip(
                "the sign is turned round: the negative of the bound is asked for",
                mean_of(lambda e, k, p, d: -e / 2 - k, constant),
            ),
            Slip(
                "the KL term has lost its factor 1/2",
                mean_of(lambda e, k, p, d: e / 2 + 2 * k, constant),
            ),
            Slip("the KL term is missing", mean_of(lambda e, k, p, d: e / 2, constant)),
            Slip("the reconstruction is missing", mean_of(lambda e, k, p, d: k, constant)),
            Slip(
                "the batch is summed; take the mean over the samples",
                lambda *a, c=constant: sum(e / 2 + k + c * p for e, k, p, _ in parts(*a)),
            ),
            Slip(
                "the error is not squared",
                lambda *a, c=constant: (
                    sum(
                        sum(abs(u - v) for u, v in zip(flat(x), flat(y))) / 2 + sum(map(_kl, m, lv))
                        for x, y, m, lv in zip(*a)
                    )
                    / len(a[0])
                ),
            ),
        ]
        try:
            return judge(
                "neg_elbo",
                answer,
                _images(),
                mean_of(lambda e, k, p, d: e / 2 + k, constant),
                slips,
                default,
            )
        except AssertionError as problem:
            problems.append(problem)
    raise next((p for p in problems if default not in str(p)), problems[0])


def check_bernoulli_nll(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(x (N, ...) in [0, 1], logits (N, ...)) -> (N,): -log p(x|z), summed over pixels."""

    def each(term: Callable[[float, float], float], mean: bool = False) -> Callable:
        def values(x: list, logits: list) -> list[float]:
            rows = [[term(a, b) for a, b in zip(flat(u), flat(v))] for u, v in zip(x, logits)]
            return [sum(row) / (len(row) if mean else 1) for row in rows]

        return values

    def nll(x: float, l: float) -> float:
        return max(l, 0) - l * x + math.log1p(math.exp(-abs(l)))

    def p(l: float) -> float:
        return 1 / (1 + math.exp(-l))

    equation = each(nll)
    slips = [
        Slip("the pixels are averaged; they are summed", each(nll, mean=True)),
        Slip(
            "the sign is turned round: minus the log-likelihood is asked for",
            each(lambda x, l: -nll(x, l)),
        ),
        Slip("black and white are exchanged", each(lambda x, l: nll(1 - x, l))),
        Slip(
            "only the pixels with x = 1 count here; those with x = 0 have a probability too",
            each(lambda x, l: x * nll(1, l)),
        ),
        Slip("the logits have gone through a sigmoid twice", each(lambda x, l: nll(x, p(l)))),
        Slip("this is the squared error of the probabilities", each(lambda x, l: (x - p(l)) ** 2)),
        Slip(
            "this is half the squared error of the probabilities",
            each(lambda x, l: (x - p(l)) ** 2 / 2),
        ),
        Slip(
            "the logarithm is to base 2; nats are asked for",
            each(lambda x, l: nll(x, l) / math.log(2)),
        ),
        Slip(
            "the samples of the batch are summed or averaged; each has its own value",
            lambda x, l: [sum(equation(x, l))] * len(x),
        ),
        Slip(
            "the samples of the batch are summed or averaged; each has its own value",
            lambda x, l: [sum(equation(x, l)) / len(x)] * len(x),
        ),
    ]

    def draw(
        seed: int, shape: tuple, high: float = 3, dtype: torch.dtype = _float32, grey: bool = False
    ) -> tuple:
        drawn = Draw(seed, dtype)
        x = drawn.uniform(0, 1, *shape)
        return x if grey else _to(x > 0.4, dtype), drawn.uniform(-high, high, *shape)

    probes = [
        Probe("one image that is not square", draw(1, (1, 1, 2, 5))),
        Probe(
            "several rows of grey pixels in double precision",
            draw(2, (4, 6), dtype=_float64, grey=True),
        ),
        Probe("as many images as rows and columns", draw(3, (3, 3, 3))),
        Probe(
            "logits of +-200, right and wrong",
            (
                _tensor([[0.0, 1.0, 0.0, 1.0], [0.3, 0.0, 1.0, 1.0]]),
                _tensor([[200.0, -200.0, -200.0, 200.0], [0.0, 0.0, 1.0, -200.0]]),
            ),
        ),
    ]
    judge(
        "bernoulli_nll",
        answer,
        probes,
        equation,
        slips,
        (
            "the values are not -log p(x|z) of Bernoulli pixels, summed image by image, exact "
            "also where a logit is +-200 (nothing is cut off)"
        ),
    )


def check_elbo_mc(answer: Callable[[Callable, Tensor, Tensor, int], Tensor]) -> None:
    """(log_joint (M, D) -> (M,), mu (D,), logvar (D,), M) -> scalar: 1/M sum_m log p(x, z_m) - log
    q(z_m), z_m ~ q.
    """
    if not callable(answer):
        raise AssertionError(f"elbo_mc: expected a function, got {type(answer).__name__}")
    for where, centre, scale, M, seed in (
        ("q the exact posterior", None, None, 5, 1),
        ("q the exact posterior, M = 1", None, None, 1, 2),
        ("another q", [0.5, -1.0, 0.2], 1.0, 1, 3),
        ("another q", [0.5, -1.0, 0.2], 1.0, 16, 4),
        ("another q", [-1.0, 1.5, 0.0], 1.0, 4, 5),
    ):
        if problem := _bounds(answer, centre, M, seed):
            raise AssertionError(
                f"elbo_mc: {problem}"
                + ("" if problem == UNSOLVED else f" (seen with {where}, M = {M})")
            )


def check_iw_bound(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(log_joint (K, N), log_q (K, N)) -> (N,): log 1/K sum_k exp(log_joint - log_q)."""

    def weights(joint: Rows, q: Rows) -> Rows:
        """The K log-weights of each of the N samples."""
        return [[a - b for a, b in zip(*column)] for column in zip(zip(*joint), zip(*q))]

    def log_sum(w: list[float]) -> float:
        return max(w) + math.log(sum(math.exp(v - max(w)) for v in w))

    def each(reduce: Callable[[list[float]], float]) -> Callable:
        return lambda joint, q: [reduce(w) for w in weights(joint, q)]

    equation = each(lambda w: log_sum(w) - math.log(len(w)))
    slips = [
        Slip("the K weights are summed, not averaged: log K is missing", each(log_sum)),
        Slip(
            "this is the mean of the logarithms, the plain bound; take the logarithm of the mean",
            each(lambda w: sum(w) / len(w)),
        ),
        Slip("the best of the K weights is taken; all of them are averaged", each(max)),
        Slip(
            "log q is added; a weight is p / q",
            lambda joint, q: equation(joint, [[-v for v in row] for row in q]),
        ),
        Slip(
            "log q is forgotten; a weight is p / q",
            lambda joint, q: equation(joint, [[0.0] * len(row) for row in q]),
        ),
        Slip("the weight is turned round; it is p / q", lambda joint, q: equation(q, joint)),
        Slip(
            "the sign of the bound is turned round",
            lambda joint, q: [-v for v in equation(joint, q)],
        ),
        Slip("log K is added; it is subtracted", each(lambda w: log_sum(w) + math.log(len(w)))),
        Slip(
            "it averages over the samples, not over the K codes; codes are the first axis",
            lambda joint, q: equation([list(c) for c in zip(*joint)], [list(c) for c in zip(*q)]),
        ),
        Slip(
            "it divides the logarithm by K; the mean is inside", each(lambda w: log_sum(w) / len(w))
        ),
    ]

    def draw(seed: int, k: int, n: int, shift: float = 0, dtype: torch.dtype = _float32) -> tuple:
        drawn = Draw(seed, dtype)
        return shift + drawn.uniform(-4, 1, k, n), drawn.uniform(-3, 2, k, n)

    probes = [
        Probe("five codes for three samples", draw(1, 5, 3)),
        Probe("one code", draw(2, 1, 4)),
        Probe("as many codes as samples, double precision", draw(3, 4, 4, dtype=_float64)),
        Probe("one sample", draw(4, 6, 1)),
        Probe("log p(x, z) near -2000, where exp gives 0", draw(5, 3, 2, -2000, _float64)),
        Probe("log p(x, z) near 2000, where exp overflows", draw(6, 3, 2, 2000, _float64)),
    ]
    judge(
        "iw_bound",
        answer,
        probes,
        equation,
        slips,
        "the values are not log of the mean over k of p / q, sample by sample",
    )


# ---------------------------------------------------------------- helpers


def _kl(m: float, v: float) -> float:
    return 0.5 * (m * m + math.exp(v) - 1 - v)


def _two(seed: int, n: int, d: int, dtype: torch.dtype = _float32) -> tuple[Tensor, Tensor]:
    drawn = Draw(seed, dtype)
    return drawn.uniform(-2, 2, n, d), drawn.uniform(-2, 1.5, n, d)


def _images() -> list[Probe]:
    def draw(
        seed: int, shape: tuple, d: int, high: float = 1, dtype: torch.dtype = _float32
    ) -> tuple:
        drawn = Draw(seed, dtype)
        return (
            drawn.uniform(-high, high, *shape),
            drawn.uniform(-high, high, *shape),
            *_two(seed + 10, shape[0], d, dtype),
        )

    same = draw(5, (2, 4), 3)
    return [
        Probe("one image that is not square", draw(1, (1, 1, 2, 5), 3)),
        Probe("several images in double precision", draw(2, (4, 1, 3, 2), 5, dtype=_float64)),
        Probe("rows of features", draw(3, (3, 7), 2)),
        Probe("values of 200", draw(4, (2, 3, 3), 4, 200, _float64)),
        Probe("a perfect reconstruction", (same[0], same[0].clone(), *same[2:])),
    ]


def _slope(result: Tensor, of: Tensor) -> list | None:
    """The derivative of the sum of a result, None if there is none."""
    if not isinstance(result, Tensor) or not result.requires_grad:
        return None
    (slope,) = _grad(_sum(result), of, retain_graph=True, allow_unused=True)
    return None if slope is None else _tolist(slope)


def _drawn(answer: Callable, mu: Tensor, logvar: Tensor, seed: int) -> str | None:
    """What is wrong with two draws of z."""
    with _quiet():
        mu, logvar = _requires_grad(mu), _requires_grad(logvar)
        _manual_seed(seed)
        draws, means, logvars = [], to_plain(mu), to_plain(logvar)
        for _ in range(2):
            z = _called(answer, (mu, logvar))
            if isinstance(z, str):
                return z
            values = _values(z, means)
            if isinstance(values, str):
                return values
            slopes = [_slope(z, of) for of in (mu, logvar)]
            draws.append(values)
    if all(v == m for v, m in zip(flat(values), flat(means))):
        return "no noise is added: the result is mu itself"
    if draws[0] == draws[1]:
        return "two calls give the same draw; is a seed set in the function?"
    wanted = [
        [[1.0] * len(m) for m in means],
        [[(v - m) / 2 for v, m in zip(*row)] for row in zip(values, means)],
    ]
    if len(means) > 1:
        scaled = [
            [(v - m) / math.exp(lv / 2) for v, m, lv in zip(*row)]
            for row in zip(values, means, logvars)
        ]
        if problem := _noise(scaled, logvars[0]):
            return problem
    for slope, right, name in zip(slopes, wanted, ("mu", "logvar")):
        if slope is None:
            return f"no gradient reaches {name}: the draw is detached from it"
        if any(abs(s - w) > 1e-3 + 1e-3 * abs(w) for s, w in zip(flat(slope), flat(right))):
            return "the gradient is wrong: dz/dmu = 1 and dz/dlogvar = (z - mu)/2"
    return None


def _noise(eps: Rows, logvar: list[float]) -> str | None:
    """What is wrong with noise that should be standard normal and independent, rows of D
    numbers.
    """
    n, columns = len(eps), list(zip(*eps))
    if all(abs(a - b) < 1e-4 for row in eps[1:] for a, b in zip(row, eps[0])):
        return "all rows of the batch share one noise; each row draws its own"
    if all(abs(v - row[0]) < 1e-3 for row in eps for v in row):
        return "all dimensions of a row share one noise; each draws its own"
    if n < 100:
        return None
    for column, lv in zip(columns, logvar):
        mean = sum(column) / n
        variance = sum((v - mean) ** 2 for v in column) / n
        if abs(mean) > 5 * math.sqrt(variance / n):
            return "the mean of the draws is not mu"
        for factor, hint in (
            (
                math.exp(lv),
                (
                    "the spread is exp(logvar); it is exp(logvar / 2), as logvar is the logarithm "
                    "of the variance"
                ),
            ),
            (math.exp(-lv), "the spread does not depend on logvar"),
            (math.exp(-2 * lv), "the sign of logvar is turned round"),
        ):
            if abs(lv) > 0.5 and abs(variance / factor - 1) < 0.2:
                return hint
        if abs(variance - 1) > 5 * math.sqrt(2 / n):
            return "the variance of the draws is not exp(logvar)"
        if abs(sum(v**4 for v in column) / n - 3) > 5 * math.sqrt(96 / n):
            return "the noise is not normally distributed"
    pairs = [(i, j) for i in range(len(columns)) for j in range(i)]
    if any(
        abs(sum(a * b for a, b in zip(columns[i], columns[j])) / n) > 5 / math.sqrt(n)
        for i, j in pairs
    ):
        return "the dimensions of a row are not independent"
    return None


def _bounds(
    answer: Callable, centre: list[float] | None, M: int, seed: int, calls: int = 150
) -> str | None:
    """What is wrong with the bound for log p(x, z) = log N(z; centre, I) + 0.7, or with centre None
    for log q itself + 0.7.
    """
    mu, logvar = (
        _tensor([0.4, -1.2, 1.0], dtype=_float64),
        _tensor([0.5, -1.0, -0.3], dtype=_float64),
    )
    m, lv, constant = to_plain(mu), to_plain(logvar), 1.5 * math.log(2 * math.pi)
    goal = _tensor(m if centre is None else centre, dtype=_float64)
    precision = _tensor([math.exp(-v) if centre is None else 1.0 for v in lv], dtype=_float64)
    half_log = 0.5 * sum(lv) if centre is None else 0.0

    def log_joint(z: Tensor) -> Tensor:
        d = _to(z, _float64) - goal
        return 0.7 - 0.5 * (d * d * precision).sum(-1) - constant - half_log

    results, slopes = [], []
    with _quiet():
        _manual_seed(seed)
        mu, logvar = _requires_grad(mu), _requires_grad(logvar)
        for _ in range(calls if centre else 2):
            result = _called(answer, (log_joint, mu, logvar, M))
            if isinstance(result, str):
                return result
            value = _values(result, 0.0)
            if isinstance(value, str):
                return value
            slope = _slope(result, mu)
            if slope is None:
                return "no gradient reaches mu: the draws are detached from it"
            results.append(value)
            slopes.append(slope)
    if centre is None:
        return _exact(results, M, sum(lv), constant)
    d, s2 = [a - b for a, b in zip(m, centre)], [math.exp(v) for v in lv]
    mean = 0.7 + sum(0.5 * (v + 1 - s - e * e) for v, s, e in zip(lv, s2, d))
    variance = sum(e * e * s + 0.5 * (1 - s) ** 2 for e, s in zip(d, s2)) / M
    return _moments(results, slopes, mean, variance, d, M)


def _exact(results: list[float], M: int, log_det: float, constant: float) -> str | None:
    """With q the exact posterior every term is 0.7."""
    for shift, hint in (
        (0.7 * (M - 1), "the M terms are summed; take their mean"),
        (-constant, "the constant D/2 log 2 pi of log q is missing"),
        (-0.5 * log_det - constant, "the terms -1/2 logvar and -D/2 log 2 pi of log q are missing"),
        (-0.5 * log_det, "the term -1/2 logvar of log q is missing"),
        (-1.4, "the sign is turned round: the bound itself is asked for"),
    ):
        if abs(shift) > 1e-6 and all(abs(v - 0.7 - shift) < 1e-3 for v in results):
            return hint
    if any(abs(v - 0.7) > 1e-3 for v in results):
        return (
            "with q the exact posterior every term is log p(x), whatever is drawn; log "
            "q(z) is wrong, or z is not drawn from q"
        )
    return None


def _moments(
    results: list[float], slopes: Rows, mean: float, variance: float, d: list[float], M: int
) -> str | None:
    n = len(results)
    found = sum(results) / n
    spread = sum((v - found) ** 2 for v in results) / (n - 1)
    if spread < 1e-12:
        return "every call gives the same value: fresh codes are drawn in each call"
    if abs(found - mean) > 5 * math.sqrt(variance / n):
        return (
            "the mean over many calls is not the bound E[log p(x, z) - log q(z)] with z "
            "drawn from q"
        )
    if M > 1 and spread > 0.5 * M * variance:
        return "all M codes share one noise, so that nothing is averaged; draw one for each"
    if abs(spread / variance - 1) > 5 * math.sqrt((2 + 12 / M) / n):
        return "the spread of the result is not that of a mean over M independent codes"
    for column, e in zip(zip(*slopes), d):
        average = sum(column) / n
        error = math.sqrt(sum((v - average) ** 2 for v in column) / (n - 1) / n)
        if abs(average + e) > 5 * error + 1e-3:
            return (
                "the mean gradient in mu is wrong: let it flow through z = mu + exp(logvar / 2) eps"
            )
    return None
