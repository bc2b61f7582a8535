"""The checks of the exercises on layer-wise relevance propagation.

Each takes a student's function, returns None if it is right and raises AssertionError with a hint
if not. The references are the equations as loops over Python floats, one number at a time.
"""

import math
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ._helpers import Draw, Probe, Slip, first, judge, to_plain

Matrix = list[list[float]]

# no denominator of a probe is smaller: a guard such as 1e-6 in an answer then makes no difference
CLEAR = 0.3


def check_lrp_zplus(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """(a (N, I) >= 0, w (I, J), R (N, J)) -> (N, I): R_i = sum_j a_i w+_ij / sum_i' a_i' w+_i'j
    R_j.
    """

    def part(a: Matrix, w: Matrix) -> Callable[[int, int, int], float]:
        return lambda n, i, j: a[n][i] * max(w[i][j], 0.0)

    def equation(a: Matrix, w: Matrix, R: Matrix, eps: float = 0.0) -> Matrix:
        return _shared(R, len(w), part(a, w), eps=eps)

    def draw(
        n: int, i: int, j: int, size: float = 1.0, zeros: bool = False
    ) -> Callable[[Draw], tuple]:
        def drawn(d: Draw) -> tuple:
            a = d.uniform(0, 2 * size, n, i)
            return (
                _with_zeros(a) if zeros else a,
                d.uniform(-1, 1, i, j),
                d.uniform(-2 * size, 3 * size, n, j),
            )

        return drawn

    def fit(a: Matrix, w: Matrix, R: Matrix) -> bool:
        return _least(R, _total(len(w), part(a, w))) > CLEAR

    probes = [
        Probe("one sample", first(draw(1, 4, 3), fit)),
        Probe("several samples, more outputs than inputs", first(draw(5, 3, 6), fit)),
        Probe("as many samples as inputs and outputs", first(draw(4, 4, 4), fit)),
        Probe("zeros among the activations", first(draw(4, 6, 2, zeros=True), fit)),
        Probe("one output", first(draw(3, 5, 1), fit)),
        Probe(
            "one input",
            (
                torch.tensor([[0.5], [2.0]]),
                torch.tensor([[1.0, 3.0]]),
                torch.tensor([[1.0, -2.0], [0.0, 4.0]]),
            ),
        ),
        Probe(
            "large numbers in double precision", first(draw(3, 5, 4, size=1e3), fit, torch.float64)
        ),
    ]
    slips = [
        Slip(
            (
                "negative weights take part; this rule knows only w+, in the numerator and in the "
                "denominator"
            ),
            lambda a, w, R: _shared(R, len(w), lambda n, i, j: a[n][i] * w[i][j]),
        ),
        Slip(
            "the numerator has w where w+ belongs",
            lambda a, w, R: _shared(
                R, len(w), lambda n, i, j: a[n][i] * w[i][j], _total(len(w), part(a, w))
            ),
        ),
        Slip(
            "the denominator has w where w+ belongs",
            lambda a, w, R: _shared(
                R, len(w), part(a, w), _total(len(w), lambda n, i, j: a[n][i] * w[i][j])
            ),
        ),
        Slip(
            "negative weights are turned positive; w+ is 0 where w is negative",
            lambda a, w, R: _shared(R, len(w), lambda n, i, j: a[n][i] * abs(w[i][j])),
        ),
        Slip(
            "the activations a do not take part",
            lambda a, w, R: _shared(R, len(w), lambda n, i, j: max(w[i][j], 0.0)),
        ),
        Slip(
            (
                "what is normalised runs over j; it must run over the inputs i, so that each "
                "neuron j gives away all of R_j"
            ),
            lambda a, w, R: _shared(R, len(w), part(a, w), by_input=True),
        ),
        Slip(
            (
                "the last factor a_i is missing: an input that is 0 contributes nothing and gets "
                "nothing"
            ),
            lambda a, w, R: _shared(
                R, len(w), lambda n, i, j: max(w[i][j], 0.0), _total(len(w), part(a, w))
            ),
        ),
        Slip(
            "negative R_j are set to 0; relevance has a sign, and only the weights are clipped",
            lambda a, w, R: equation(a, w, [[max(r, 0.0) for r in row] for row in R]),
        ),
        *(
            Slip(
                (
                    "something is added to the denominator; it is the plain sum, never 0 here, so "
                    "that the shares of each j sum to 1"
                ),
                lambda *probe, eps=eps: equation(*probe, eps),
            )
            for eps in (1e-4, 1e-3, 1e-2, 0.1, 0.25, 0.5, 1.0)
        ),
        *_about_batches(equation),
    ]
    judge(
        "lrp_zplus",
        answer,
        probes,
        equation,
        slips,
        (
            "the shares of the inputs in R_j are not those of the equation; do they sum to R_j "
            "for each j?"
        ),
    )


def check_lrp_epsilon(answer: Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """(a (N, I), w (I, J), b (J,), R (N, J), eps) -> (N, I): R_i = sum_j a_i w_ij / (z_j + eps
    s(z_j)) R_j, z_j = sum_i a_i w_ij + b_j.
    """

    def z(a: Matrix, w: Matrix, b: list[float]) -> Callable[[int, int], float]:
        return lambda n, j: sum(a[n][i] * w[i][j] for i in range(len(w))) + b[j]

    def sign(value: float) -> float:
        return 1.0 if value >= 0 else -1.0

    def equation(
        a: Matrix,
        w: Matrix,
        b: list[float],
        R: Matrix,
        eps: float,
        stabilised: Callable = lambda z, eps: z + eps * sign(z),
    ) -> Matrix:
        return _shared(
            R,
            len(w),
            lambda n, i, j: a[n][i] * w[i][j],
            lambda n, j: stabilised(z(a, w, b)(n, j), eps),
        )

    def draw(n: int, i: int, j: int, eps: float, size: float = 1.0) -> Callable[[Draw], tuple]:
        return lambda d: (
            d.uniform(-size, 2 * size, n, i),
            d.uniform(-1, 1, i, j),
            d.uniform(-2, 2, j),
            d.uniform(-2, 3, n, j),
            eps,
        )

    def fit(a: Matrix, w: Matrix, b: list[float], R: Matrix, eps: float) -> bool:
        values = [z(a, w, b)(n, j) for n in range(len(R)) for j in range(len(b))]
        both = any(v < 0 for v in values) and any(v > 0 for v in values)
        return (
            both and min(map(abs, values)) > CLEAR and min(abs(v + eps) for v in values) > CLEAR / 2
        )

    unbiased = first(
        draw(3, 6, 1, 0.3), lambda a, w, b, *rest: fit(a, w, b, *rest) and fit(a, w, [0.0], *rest)
    )
    whole = (
        torch.tensor([[1.0, 2.0, -1.0], [2.0, 1.0, 3.0]]),
        torch.tensor([[1.0, 2.0], [-2.0, 1.0], [1.0, -1.0]]),
    )
    probes = [
        Probe("one sample", first(draw(1, 4, 3, 0.25), fit)),
        Probe("several samples, more outputs than inputs", first(draw(5, 3, 6, 0.1), fit)),
        Probe(
            "a weighted input z_j of exactly 0",
            (*whole, torch.tensor([4.0, -2.0]), torch.tensor([[2.0, 3.0], [-1.0, 2.0]]), 0.5),
        ),
        Probe("as many samples as inputs and outputs", first(draw(4, 4, 4, 0.5), fit)),
        Probe("a tiny eps", first(draw(3, 5, 2, 1e-6), fit)),
        Probe("one output and no bias", (*unbiased[:2], torch.zeros(1), *unbiased[3:])),
        Probe(
            "large numbers in double precision",
            first(draw(3, 5, 4, 2.0, size=50.0), fit, torch.float64),
        ),
    ]
    slips = [
        Slip(
            "the bias is missing in the denominator; it must stay there and keep its share",
            lambda a, w, b, R, eps: equation(a, w, [0.0] * len(b), R, eps),
        ),
        Slip(
            "the share of the bias is handed to the inputs; it must be kept",
            lambda a, w, b, R, eps: _shared(
                R,
                len(w),
                lambda n, i, j: a[n][i] * w[i][j] + b[j] / len(w),
                lambda n, j: z(a, w, b)(n, j) + eps * sign(z(a, w, b)(n, j)),
            ),
        ),
        Slip(
            (
                "eps is added without the sign of z_j: it must carry s(z_j), so that the "
                "denominator moves away from zero"
            ),
            lambda *probe: equation(*probe, lambda z, eps: z + eps),
        ),
        Slip(
            "eps is missing in the denominator", lambda *probe: equation(*probe, lambda z, eps: z)
        ),
        Slip(
            "the sign of eps is wrong: it moves the denominator towards zero",
            lambda *probe: equation(*probe, lambda z, eps: z - eps * sign(z)),
        ),
        Slip(
            "where z_j is exactly 0 the sign s(z_j) must be +1",
            lambda *probe: equation(*probe, lambda z, eps: z + eps * (1.0 if z > 0 else -1.0)),
        ),
        Slip(
            "where z_j is exactly 0 the sign s(z_j) must be +1; nothing is skipped there",
            lambda *probe: equation(
                *probe, lambda z, eps: z + eps * sign(z) if z else float("inf")
            ),
        ),
        Slip(
            "the denominator is made positive; it keeps the sign of z_j",
            lambda *probe: equation(*probe, lambda z, eps: abs(z) + eps),
        ),
        *_about_batches(equation),
    ]
    judge(
        "lrp_epsilon",
        answer,
        probes,
        equation,
        slips,
        (
            "the shares are not those of the equation; look at z_j, at the sign of eps, and over "
            "which index you sum"
        ),
    )


def check_lrp_alphabeta(answer: Callable[[Tensor, Tensor, Tensor, float, float], Tensor]) -> None:
    """(a (N, I) >= 0, w (I, J), R (N, J), alpha, beta) -> (N, I): alpha times the positive shares
    minus beta times the negative shares.
    """

    def side(a: Matrix, w: Matrix, keep: Callable) -> Callable[[int, int, int], float]:
        return lambda n, i, j: keep(a[n][i] * w[i][j], 0.0)

    def mixed(a: Matrix, w: Matrix, R: Matrix, alpha: float, beta: float, **how: object) -> Matrix:
        positive, negative = (_shared(R, len(w), side(a, w, keep), **how) for keep in (max, min))
        return [[alpha * p - beta * q for p, q in zip(*rows)] for rows in zip(positive, negative)]

    def equation(a: Matrix, w: Matrix, R: Matrix, alpha: float, beta: float) -> Matrix:
        return mixed(a, w, R, alpha, beta)

    def draw(
        n: int, i: int, j: int, alpha: float, beta: float, size: float = 1.0, zeros: bool = False
    ) -> Callable[[Draw], tuple]:
        def drawn(d: Draw) -> tuple:
            a = d.uniform(0, 2 * size, n, i)
            return (
                _with_zeros(a) if zeros else a,
                d.uniform(-1, 1, i, j),
                d.uniform(-2, 3, n, j),
                alpha,
                beta,
            )

        return drawn

    def fit(a: Matrix, w: Matrix, R: Matrix, *_: float) -> bool:
        return all(_least(R, _total(len(w), side(a, w, keep))) > CLEAR for keep in (max, min))

    probes = [
        Probe("one sample, alpha 2 and beta 1", first(draw(1, 5, 3, 2, 1), fit)),
        Probe("several samples, alpha 1.5 and beta 0.5", first(draw(4, 3, 5, 1.5, 0.5), fit)),
        Probe("alpha 1 and beta 0", first(draw(3, 6, 2, 1.0, 0.0), fit)),
        Probe(
            "zeros among the activations, alpha 3 and beta 2",
            first(draw(3, 7, 2, 3, 2, zeros=True), fit),
        ),
        Probe(
            "as many samples as inputs and outputs, alpha 2 and beta 1",
            first(draw(4, 4, 4, 2.0, 1.0), fit),
        ),
        Probe("one output, alpha 2 and beta 1", first(draw(3, 5, 1, 2, 1), fit)),
        Probe(
            "large numbers in double precision, alpha 2 and beta 1",
            first(draw(3, 5, 4, 2, 1, size=100.0), fit, torch.float64),
        ),
    ]
    slips = [
        Slip(
            (
                "the negative shares are added; beta times the negative shares is subtracted, so "
                "that relevance is conserved"
            ),
            lambda a, w, R, alpha, beta: mixed(a, w, R, alpha, -beta),
        ),
        Slip(
            "alpha and beta have changed places",
            lambda a, w, R, alpha, beta: mixed(a, w, R, beta, alpha),
        ),
        Slip(
            "the two sides have changed places: alpha goes with the positive shares",
            lambda a, w, R, alpha, beta: mixed(a, w, R, -beta, -alpha),
        ),
        *(
            Slip(
                "alpha and beta are rounded to whole numbers; they can be 1.5 and 0.5",
                lambda a, w, R, alpha, beta, whole=whole: mixed(a, w, R, whole(alpha), whole(beta)),
            )
            for whole in (int, round)
        ),
        Slip(
            "alpha multiplies both sides", lambda a, w, R, alpha, beta: mixed(a, w, R, alpha, alpha)
        ),
        Slip("alpha and beta are not used", lambda a, w, R, alpha, beta: mixed(a, w, R, 1, 1)),
        Slip("beta is not used", lambda a, w, R, alpha, beta: mixed(a, w, R, alpha, 1)),
        Slip(
            "alpha and beta are not used; any values with alpha - beta = 1 may come",
            lambda a, w, R, alpha, beta: mixed(a, w, R, 2, 1),
        ),
        Slip(
            "the negative side is left out", lambda a, w, R, alpha, beta: mixed(a, w, R, alpha, 0)
        ),
        Slip(
            "both sides are divided by z_j; each is normalised by its own sum",
            lambda a, w, R, alpha, beta: mixed(
                a, w, R, alpha, beta, total=_total(len(w), lambda n, i, j: a[n][i] * w[i][j])
            ),
        ),
        Slip(
            (
                "both sides are divided by the sum of absolute values; each is normalised by its "
                "own sum"
            ),
            lambda a, w, R, alpha, beta: mixed(
                a, w, R, alpha, -beta, total=_total(len(w), lambda n, i, j: abs(a[n][i] * w[i][j]))
            ),
        ),
        Slip(
            "what is normalised runs over j; it must run over the inputs i",
            lambda a, w, R, alpha, beta: mixed(a, w, R, alpha, beta, by_input=True),
        ),
        *_about_batches(equation),
    ]
    judge(
        "lrp_alphabeta",
        answer,
        probes,
        equation,
        slips,
        (
            "the result is not that of the equation; each side is divided by its own sum over i, "
            "then alpha multiplies the positive side and beta the negative one"
        ),
    )


def check_lrp_zb(answer: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """(x (N, I), w (I, J), R (N, J), l (I,), h (I,)) -> (N, I): shares of x_i w_ij - l_i w+_ij -
    h_i w-_ij, normalised over i.
    """

    def part(
        x: Matrix, w: Matrix, l: list[float], h: list[float]
    ) -> Callable[[int, int, int], float]:
        return lambda n, i, j: (
            x[n][i] * w[i][j] - l[i] * max(w[i][j], 0.0) - h[i] * min(w[i][j], 0.0)
        )

    def equation(x: Matrix, w: Matrix, R: Matrix, l: list[float], h: list[float]) -> Matrix:
        return _shared(R, len(w), part(x, w, l, h))

    def draw(n: int, i: int, j: int, box: str = "", size: float = 1.0) -> Callable[[Draw], tuple]:
        def drawn(d: Draw) -> tuple:
            l, h = d.uniform(-2 * size, -0.1, i), d.uniform(0.1, 2 * size, i)
            if box == "pixels":
                l, h = 0 * l, 0 * h + 1
            if box == "flat":
                l[0], h[0], l[1], h[2] = 0, 0, 0, 0
            place = d.uniform(0, 1, n, i)
            if box == "edges":
                place = place.round()
            x = (l + place * (h - l)).clamp(l, h)
            return x, d.uniform(-1, 1, i, j), d.uniform(-2, 3, n, j), l, h

        return drawn

    def fit(x: Matrix, w: Matrix, R: Matrix, l: list[float], h: list[float]) -> bool:
        return _least(R, _total(len(w), part(x, w, l, h))) > CLEAR

    probes = [
        Probe("one sample and a box around zero", first(draw(1, 4, 3), fit)),
        Probe("several samples, pixels between 0 and 1", first(draw(5, 6, 2, "pixels"), fit)),
        Probe("another box for each input", first(draw(3, 3, 5), fit)),
        Probe("inputs on the edge of their box", first(draw(4, 5, 3, "edges"), fit)),
        Probe("as many samples as inputs and outputs", first(draw(4, 4, 4), fit)),
        Probe("bounds that are zero", first(draw(3, 5, 2, "flat"), fit)),
        Probe(
            "large numbers in double precision", first(draw(3, 5, 4, size=50.0), fit, torch.float64)
        ),
    ]
    slips = [
        Slip(
            "l and h have changed places: l goes with w+, h with w-",
            lambda x, w, R, l, h: equation(x, w, R, h, l),
        ),
        Slip(
            "the bounds do not take part in the numerator and the denominator",
            lambda x, w, R, l, h: equation(x, w, R, [0.0] * len(l), [0.0] * len(l)),
        ),
        Slip(
            "the upper bound h does not take part",
            lambda x, w, R, l, h: equation(x, w, R, l, [0.0] * len(l)),
        ),
        Slip(
            "the lower bound l does not take part",
            lambda x, w, R, l, h: equation(x, w, R, [0.0] * len(l), h),
        ),
        Slip(
            "the box is not always from 0 to 1",
            lambda x, w, R, l, h: equation(x, w, R, [0.0] * len(l), [1.0] * len(l)),
        ),
        Slip(
            "each input has bounds of its own",
            lambda x, w, R, l, h: equation(x, w, R, [min(l)] * len(l), [max(h)] * len(l)),
        ),
        Slip(
            "the bounds are added; they are subtracted",
            lambda x, w, R, l, h: equation(x, w, R, [-v for v in l], [-v for v in h]),
        ),
        Slip(
            "the denominator lacks the bounds; it is the sum over i of the whole numerator",
            lambda x, w, R, l, h: _shared(
                R, len(w), part(x, w, l, h), _total(len(w), lambda n, i, j: x[n][i] * w[i][j])
            ),
        ),
        Slip(
            "the numerator lacks the bounds",
            lambda x, w, R, l, h: _shared(
                R, len(w), lambda n, i, j: x[n][i] * w[i][j], _total(len(w), part(x, w, l, h))
            ),
        ),
        Slip(
            "what is normalised runs over j; it must run over the inputs i",
            lambda x, w, R, l, h: _shared(R, len(w), part(x, w, l, h), by_input=True),
        ),
        Slip(
            "results depend on the other samples of the batch: the denominator is summed over them",
            lambda x, w, R, l, h: _shared(
                R,
                len(w),
                part(x, w, l, h),
                lambda n, j: sum(_total(len(w), part(x, w, l, h))(m, j) for m in range(len(x))),
            ),
        ),
        *_about_batches(equation),
    ]
    judge(
        "lrp_zb",
        answer,
        probes,
        equation,
        slips,
        (
            "the shares are not those of the equation; every numerator must be >= 0 and the "
            "shares of each j must sum to 1"
        ),
    )


def check_absorbed_by_bias(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """(a (N, I), w (I, J), b (J,), R (N, J)) -> (N,): what the biases keep under LRP-0, sum_j b_j /
    z_j R_j.
    """

    def kept(a: Matrix, w: Matrix, b: list[float], R: Matrix, bias: bool = True) -> Matrix:
        total = [
            [sum(row[i] * w[i][j] for i in range(len(w))) + bias * b[j] for j in range(len(b))]
            for row in a
        ]
        return [[b[j] / total[n][j] * R[n][j] for j in range(len(b))] for n in range(len(R))]

    def equation(a: Matrix, w: Matrix, b: list[float], R: Matrix) -> list[float]:
        return [sum(row) for row in kept(a, w, b, R)]

    def draw(n: int, i: int, j: int) -> Callable[[Draw], tuple]:
        return lambda d: (
            d.uniform(-1, 2, n, i),
            d.uniform(-1, 1, i, j),
            d.uniform(-2, 2, j),
            d.uniform(-2, 3, n, j),
        )

    def fit(a: Matrix, w: Matrix, b: list[float], R: Matrix) -> bool:
        return _least(R, lambda n, j: sum(a[n][i] * w[i][j] for i in range(len(w))) + b[j]) > CLEAR

    evidence = first(draw(3, 4, 6), lambda a, w, b, R: fit(a, w, b, R) and min(map(abs, b)) > CLEAR)
    unbiased = first(
        lambda d: (
            d.uniform(0.5, 2, 3, 5),
            d.uniform(0.2, 1, 5, 2),
            torch.zeros(2),
            d.uniform(-2, 3, 3, 2),
        ),
        fit,
    )
    probes = [
        Probe("one sample", first(draw(1, 4, 3), fit)),
        Probe("several samples, more outputs than inputs", first(draw(5, 3, 6), fit)),
        Probe("as many samples as inputs and outputs", first(draw(4, 4, 4), fit)),
        Probe("no evidence but the bias", (torch.zeros(3, 4), *evidence[1:])),
        Probe("biases of zero", unbiased),
        Probe("one output", first(draw(3, 5, 1), fit)),
        Probe("double precision", first(draw(3, 5, 4), fit, torch.float64)),
    ]
    slips = [
        Slip(
            "the sign is wrong: what is absorbed is what is missing below, sum_j R_j - sum_i R_i",
            lambda *probe: [-v for v in equation(*probe)],
        ),
        Slip(
            "this is what reaches the inputs, not what the biases keep",
            lambda a, w, b, R: [sum(r) - v for r, v in zip(R, equation(a, w, b, R))],
        ),
        *(
            Slip("absolute values are taken; a bias can also give relevance away", slip)
            for slip in (
                lambda *probe: list(map(abs, equation(*probe))),
                lambda *probe: [sum(map(abs, row)) for row in kept(*probe)],
            )
        ),
        Slip(
            "the bias is missing in the denominator z_j",
            lambda *probe: [sum(row) for row in kept(*probe, bias=False)],
        ),
        Slip(
            "the biases are summed as they are; their share in R_j is asked for",
            lambda a, w, b, R: [sum(b)] * len(R),
        ),
        Slip(
            "the mean over the neurons is taken; the sum is asked for",
            lambda *probe: [sum(row) / len(row) for row in kept(*probe)],
        ),
        Slip(
            "results are pooled over the batch; every sample has its own",
            lambda *probe: [sum(equation(*probe))] * len(probe[0]),
        ),
    ]
    judge(
        "absorbed_by_bias",
        answer,
        probes,
        equation,
        slips,
        (
            "what the biases keep and what LRP-0 hands to the inputs must sum to sum_j R_j, "
            "sample by sample"
        ),
    )


def check_lrp_mlp(answer: Callable[[nn.Sequential, Tensor, Tensor], Tensor]) -> None:
    """(m, x (N, D), c (N,)) -> (N, D): LRP-0 through Linear, ReLU, Linear, ReLU, Linear, started at
    the logit f_c(x).
    """

    def equation(
        m: nn.Sequential,
        x: Matrix,
        c: list[int],
        start: Callable | None = None,
        bias: bool = True,
        eps: float = 0.0,
    ) -> Matrix:
        layers = [
            (to_plain(layer.weight), to_plain(layer.bias))
            for layer in m
            if isinstance(layer, nn.Linear)
        ]
        return [
            _backward(layers, row, k, start or (lambda logits, k: {k: logits[k]}), bias, eps)
            for row, k in zip(x, c)
        ]

    def draw(n: int, widths: tuple[int, ...], **how: bool) -> Callable[[Draw], tuple]:
        return lambda d: (
            _network(d, widths, **how),
            d.uniform(-1, 2, n, widths[0]),
            d.index(widths[-1], n),
        )

    def fit(m: nn.Sequential, x: Matrix, c: list[int]) -> bool:
        chosen, values = [], []
        for row, k in zip(x, c):
            z = _forward(
                [
                    (to_plain(layer.weight), to_plain(layer.bias))
                    for layer in m
                    if isinstance(layer, nn.Linear)
                ],
                row,
            )
            chosen += [z[-1][k]]
            values += [
                v for layer in z[:-1] for v in layer if v > 0
            ]  # what a neuron at rest divides is 0
            best = max(z[-1])
        spread = len(x) == 1 or (min(chosen) < 0 < max(chosen) and len(set(c)) > 1)
        return (
            spread
            and (len(x) > 1 or chosen[0] < best)
            and min(map(abs, [*chosen, *values])) > CLEAR / 3
        )

    frozen = first(draw(3, (4, 6, 3, 5)), fit)
    frozen[0].requires_grad_(False)
    probes = [
        Probe(
            "one sample, a class that is not the predicted one", first(draw(1, (5, 7, 4, 3)), fit)
        ),
        Probe(
            "several samples, each with its class, and logits of both signs",
            first(draw(5, (3, 6, 5, 4)), fit),
        ),
        Probe("a model in evaluation mode with frozen parameters", (frozen[0].eval(), *frozen[1:])),
        Probe("as many samples as features and neurons", first(draw(4, (4, 4, 4, 4)), fit)),
        Probe(
            "a hidden neuron whose weighted input is exactly 0",
            first(draw(3, (4, 5, 6, 2), dead=True), fit),
        ),
        Probe(
            "layers with names, in double precision",
            first(draw(3, (6, 3, 5, 4), named=True), fit, torch.float64),
        ),
    ]
    slips = [
        Slip(
            "this is the gradient; relevance is what each input contributes to the logit",
            lambda m, x, c: [
                [r / v if v else 0.0 for r, v in zip(*rows)] for rows in zip(equation(m, x, c), x)
            ],
        ),
        Slip(
            "it starts with 1; relevance starts with the logit f_c(x)",
            lambda *probe: equation(*probe, start=lambda logits, k: {k: 1.0}),
        ),
        Slip(
            "it starts with a probability; relevance starts with the logit f_c(x)",
            lambda *probe: equation(
                *probe,
                start=lambda logits, k: {k: 1 / sum(math.exp(v - logits[k]) for v in logits)},
            ),
        ),
        Slip(
            "it starts with the predicted class; the class c of each sample is asked for",
            lambda *probe: equation(
                *probe, start=lambda logits, k: {logits.index(max(logits)): max(logits)}
            ),
        ),
        Slip(
            "it starts with all logits; only that of class c is explained",
            lambda *probe: equation(*probe, start=lambda logits, k: dict(enumerate(logits))),
        ),
        Slip(
            "every sample is explained for the class of the first one",
            lambda m, x, c: equation(m, x, [c[0]] * len(c)),
        ),
        Slip(
            "the biases are missing in the denominators; they must stay there and keep their share",
            lambda *probe: equation(*probe, bias=False),
        ),
        *(
            Slip(
                "the stabiliser eps is too large; LRP-0 is the limit eps -> 0, so at most 1e-6",
                lambda *probe, eps=eps: equation(*probe, eps=eps),
            )
            for eps in (1e-4, 1e-3, 1e-2, 0.1)
        ),
        Slip(
            "absolute values are taken; relevance has a sign",
            lambda *probe: [list(map(abs, row)) for row in equation(*probe)],
        ),
        *_about_batches(equation),
    ]
    judge(
        "lrp_mlp",
        answer,
        probes,
        equation,
        slips,
        (
            "the relevances are not those of LRP-0; does each layer divide by its own z_j, bias "
            "included?"
        ),
    )


# ---------------------------------------------------------------- the equations, one number at a
# time


def _total(inputs: int, part: Callable[[int, int, int], float]) -> Callable[[int, int], float]:
    return lambda n, j: sum(part(n, i, j) for i in range(inputs))


def _shared(
    R: Matrix,
    inputs: int,
    part: Callable,
    total: Callable | None = None,
    by_input: bool = False,
    eps: float = 0.0,
) -> Matrix:
    """R_i = sum_j part(n, i, j) / total(n, j) R_j, where total is the sum of part over the inputs
    unless given.

    Slips: by_input normalises over j instead, eps is added to the denominator.
    """
    total = total or _total(inputs, part)
    rows = []
    for n, above in enumerate(R):
        row = []
        for i in range(inputs):
            received = 0.0
            for j, relevance in enumerate(above):
                whole = sum(part(n, i, k) for k in range(len(above))) if by_input else total(n, j)
                received += part(n, i, j) / (whole + eps) * relevance
            row.append(received)
        rows.append(row)
    return rows


def _least(R: Matrix, total: Callable[[int, int], float]) -> float:
    """The smallest denominator."""
    return min(abs(total(n, j)) for n in range(len(R)) for j in range(len(R[0])))


def _forward(layers: list[tuple[Matrix, list[float]]], x: list[float]) -> list[list[float]]:
    """The weighted inputs z of every layer; weights are (J, I), as torch stores them."""
    z = []
    for weight, bias in layers:
        a = [max(v, 0.0) for v in z[-1]] if z else x
        z.append([sum(w * v for w, v in zip(row, a)) + b for row, b in zip(weight, bias)])
    return z


def _backward(
    layers: list[tuple[Matrix, list[float]]],
    x: list[float],
    k: int,
    start: Callable,
    bias: bool,
    eps: float,
) -> list[float]:
    z = _forward(layers, x)
    chosen = start(z[-1], k)
    relevance = [chosen.get(j, 0.0) for j in range(len(z[-1]))]
    for depth in reversed(range(len(layers))):
        a = [max(v, 0.0) for v in z[depth - 1]] if depth else x
        weight, biases = layers[depth]
        total = [v if bias else v - b for v, b in zip(z[depth], biases)]
        total = [v + (eps if v >= 0 else -eps) for v in total]
        relevance = [
            sum(v * weight[j][i] / total[j] * r for j, r in enumerate(relevance) if r)
            for i, v in enumerate(a)
        ]
    return relevance


def _pooled(rows: Matrix) -> Matrix:
    mean = [sum(column) / len(rows) for column in zip(*rows)]
    return [mean] * len(rows)


def _about_batches(equation: Callable) -> list[Slip]:
    return [
        Slip(
            "the relevances of a batch are averaged or summed; every sample has its own",
            lambda *probe: _pooled(equation(*probe)),
        )
    ]


# ---------------------------------------------------------------- parts of probes


def _with_zeros(a: Tensor) -> Tensor:
    """One input that is zero in every sample, and one zero more in each sample."""
    a = a.clone()
    a[:, 1] = 0
    for n in range(len(a)):
        a[n, (n + 2) % a.shape[1]] = 0
    return a


def _network(
    d: Draw, widths: tuple[int, ...], dead: bool = False, named: bool = False
) -> nn.Sequential:
    """Linear, ReLU, Linear, ReLU, Linear with drawn weights. dead: one neuron of the first layer
    has no weights and no bias.
    """
    parts: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:]):
        layer = nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=d.dtype)
        layer.load_state_dict(
            {"weight": d.uniform(-1, 1, outputs, inputs), "bias": d.uniform(-1, 1, outputs)}
        )
        parts += [layer, nn.ReLU()]
    if dead:
        with torch.no_grad():
            parts[0].weight[1], parts[0].bias[1] = 0, 0
    names = "first squash second bend third".split() if named else map(str, range(5))
    return nn.Sequential(OrderedDict(zip(names, parts[:5])))
