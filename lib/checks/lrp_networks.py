"""The checks of the exercises on what is no plain layer: differences to a reference, a memory cell,
a kernel machine.

Built like those of `lib.checks.lrp`, which passes them on.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ._helpers import Draw, Probe, Slip, first, judge

Vector = list[float]
Matrix = list[Vector]

CLEAR = 0.3  # no denominator of a probe that was drawn is smaller, if it is not exactly 0


def check_deep_lift_layer(
    answer: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor],
) -> None:
    """(a (N, I), a0 (N, I), w (I, J), b (J,), m (N, J)) -> (N, I): R_i = sum_j (a_i - a0_i) w_ij
    s_j m_j, s_j the slope of the ReLU from z0_j to z_j.
    """

    def weighted(a: Vector, w: Matrix, b: Vector) -> Vector:
        return [sum(v * row[j] for v, row in zip(a, w)) + b[j] for j in range(len(b))]

    def relu(z: float) -> float:
        return max(z, 0.0)

    def step(z: float) -> float:
        return 1.0 if z > 0 else 0.0

    def rescale(z: float, z0: float, at_rest: Callable[[float], float] = step) -> float:
        return at_rest(z) if z == z0 else (relu(z) - relu(z0)) / (z - z0)

    def equation(
        a: Matrix,
        a0: Matrix,
        w: Matrix,
        b: Vector,
        m: Matrix,
        slope: Callable = rescale,
        moved: Callable = lambda v, v0: v - v0,
    ) -> Matrix:
        rows = []
        for own, own0, multipliers in zip(a, a0, m):
            s = [
                slope(z, z0) * v
                for z, z0, v in zip(weighted(own, w, b), weighted(own0, w, b), multipliers)
            ]
            rows.append(
                [
                    moved(v, v0) * sum(weight * v for weight, v in zip(row, s))
                    for v, v0, row in zip(own, own0, w)
                ]
            )
        return rows

    def draw(n: int, i: int, j: int, size: float = 1.0) -> Callable[[Draw], tuple]:
        return lambda d: (
            d.uniform(-size, 2 * size, n, i),
            d.uniform(-size, 2 * size, n, i),
            d.uniform(-1, 1, i, j),
            d.uniform(-1, 1, j),
            d.uniform(-2, 3, n, j),
        )

    def fit(a: Matrix, a0: Matrix, w: Matrix, b: Vector, m: Matrix) -> bool:
        pairs = [
            pair
            for own, own0 in zip(a, a0)
            for pair in zip(weighted(own, w, b), weighted(own0, w, b))
        ]
        switched = {z > 0 for z, z0 in pairs if z * z0 < 0}
        return (
            switched == ({True, False} if len(pairs) > 3 else {True})
            and min(abs(v) for z, z0 in pairs for v in (z - z0, z, z0)) > CLEAR / 3
        )

    w, b = (
        torch.tensor([[1.0, 2.0, 1.0, 1.0], [1.0, -1.0, 0.0, 1.0], [3.0, 0.0, 1.0, 1.0]]),
        torch.tensor([-4.0, -5.0, -3.0, -3.0]),
    )
    a0 = torch.tensor([[1.0, -1.0, 2.0], [0.0, 1.0, 1.0], [2.0, 0.5, -1.0]])
    at_rest = (
        a0 + torch.tensor([[1.0, 2.0, -1.0], [2.0, -1.0, 0.0], [-1.0, -2.0, 1.0]]),
        a0,
        w,
        b,
        torch.tensor([[1.0, -2.0, 3.0, 2.0], [2.0, 1.0, -1.0, 1.0], [-3.0, 1.0, 2.0, 0.5]]),
    )
    probes = [
        Probe("one sample", first(draw(1, 4, 5), fit)),
        Probe("several samples, more outputs than inputs", first(draw(5, 3, 6), fit)),
        Probe("as many samples as inputs and outputs", first(draw(4, 4, 4), fit)),
        Probe("one output", first(draw(3, 5, 1), fit)),
        Probe(
            "a reference of zeros",
            first(lambda d: ((p := draw(4, 6, 2)(d))[0], 0 * p[1], *p[2:]), fit),
        ),
        Probe("neurons with z_j exactly z0_j though the inputs differ", at_rest),
        Probe("an input that is its reference", (a0, a0, w, b, at_rest[-1])),
        Probe(
            "large numbers in double precision", first(draw(3, 5, 4, size=50.0), fit, torch.float64)
        ),
    ]
    slips = [
        Slip(
            (
                "the slope is that of the ReLU at z_j, as in a gradient (h_j / z_j is the same); "
                "the rescale rule takes the slope from z0_j to z_j"
            ),
            lambda *probe: equation(*probe, lambda z, z0: step(z)),
        ),
        Slip(
            (
                "the slope is that of the ReLU at z0_j, as in a gradient; the rescale rule takes "
                "the slope from z0_j to z_j"
            ),
            lambda *probe: equation(*probe, lambda z, z0: step(z0)),
        ),
        Slip(
            (
                "the ReLU does not take part: its slope from z0_j to z_j is (h_j - h0_j) / (z_j - "
                "z0_j)"
            ),
            lambda *probe: equation(*probe, lambda z, z0: 1.0),
        ),
        Slip(
            "each input is multiplied by a_i; what it contributes is in proportion to a_i - a0_i",
            lambda *probe: equation(*probe, moved=lambda v, v0: v),
        ),
        Slip(
            (
                "the sign is wrong: the difference is taken from the reference to the input, a_i "
                "- a0_i"
            ),
            lambda *probe: equation(*probe, moved=lambda v, v0: v0 - v),
        ),
        Slip(
            "the differences a_i - a0_i are missing: these are the multipliers of the inputs",
            lambda *probe: equation(*probe, moved=lambda v, v0: 1.0),
        ),
        Slip(
            "the bias is missing in z_j and z0_j; it decides where the ReLU switches",
            lambda a, a0, w, b, m: equation(a, a0, w, [0.0] * len(b), m),
        ),
        Slip(
            "h0_j is missing in the numerator of the slope",
            lambda *probe: equation(*probe, lambda z, z0: relu(z) / (z - z0)),
        ),
        Slip(
            "z0_j is missing in the denominator of the slope",
            lambda *probe: equation(*probe, lambda z, z0: (relu(z) - relu(z0)) / z),
        ),
        Slip(
            "the slope is upside down",
            lambda *probe: equation(*probe, lambda z, z0: (z - z0) / (relu(z) - relu(z0))),
        ),
        Slip(
            "the reference is not always zero",
            lambda a, a0, *rest: equation(a, [[0.0] * len(row) for row in a0], *rest),
        ),
        Slip(
            (
                "each difference h_j - h0_j is shared by a_i w_ij / z_j; the shares are those of "
                "the differences, (a_i - a0_i) w_ij / (z_j - z0_j)"
            ),
            lambda *probe: equation(
                *probe, lambda z, z0: (relu(z) - relu(z0)) / z, lambda v, v0: v
            ),
        ),
        *(
            Slip(
                "where z_j = z0_j the slope must be 1 if z_j > 0 and else 0",
                lambda *probe, at=at: equation(*probe, lambda z, z0: rescale(z, z0, at)),
            )
            for at in (lambda z: 0.0, lambda z: 1.0, lambda z: 0.5, lambda z: float(z >= 0), relu)
        ),
        Slip(
            "m does not take part",
            lambda a, a0, w, b, m: equation(a, a0, w, b, [[1.0] * len(b)] * len(a)),
        ),
        Slip(
            "negative m_j are dropped; the contributions have a sign",
            lambda a, a0, w, b, m: equation(a, a0, w, b, [list(map(relu, row)) for row in m]),
        ),
        Slip(
            "absolute values are taken; the contributions have a sign",
            lambda *probe: _absolute(equation(*probe)),
        ),
        Slip(
            "the mean over the neurons is taken; the sum over j is asked for",
            lambda a, a0, w, b, m: equation(a, a0, w, b, [[v / len(b) for v in row] for row in m]),
        ),
        _about_batches(equation),
    ]
    judge(
        "deep_lift_layer",
        answer,
        probes,
        equation,
        slips,
        (
            "for each sample the contributions must sum to sum_j m_j (h_j - h0_j), each in "
            "proportion to (a_i - a0_i) w_ij"
        ),
    )


def check_lstm_word_relevance(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """(g (T, H), i (T, H), f (T, H), R (H,)) -> (T, H): relevance of each i_t g_t, where c_t = f_t
    c_{t-1} + i_t g_t shares by LRP-0 and gates take nothing.
    """

    def memory(g: Matrix, i: Matrix, f: Matrix) -> Matrix:
        c = [[0.0] * len(g[0])]
        for new, take, keep in zip(g, i, f):
            c.append([k * before + t * v for k, before, t, v in zip(keep, c[-1], take, new)])
        return c[1:]

    def share(part: float, whole: float) -> float:
        return part / whole if whole else 0.0

    def to_new(g: float, i: float, f: float, before: float, c: float) -> float:
        return share(i * g, c)

    def to_old(g: float, i: float, f: float, before: float, c: float) -> float:
        return share(f * before, c)

    def equation(
        g: Matrix,
        i: Matrix,
        f: Matrix,
        R: Vector,
        new: Callable = to_new,
        old: Callable = to_old,
        forward: bool = False,
        c: Matrix | None = None,
    ) -> Matrix:
        c = c or memory(g, i, f)
        rows = [[0.0] * len(R) for _ in g]
        for h, relevance in enumerate(R):
            for t in range(len(g)) if forward else reversed(range(len(g))):
                terms = g[t][h], i[t][h], f[t][h], c[t - 1][h] if t else 0.0, c[t][h]
                rows[t][h], relevance = new(*terms) * relevance, old(*terms) * relevance
        return rows

    def absolute_share(*terms: float) -> tuple[float, float]:
        g, i, f, before, _ = terms
        parts = abs(i * g), abs(f * before)
        return share(parts[0], sum(parts)), share(parts[1], sum(parts))

    def unrolled(g: Matrix, i: Matrix, f: Matrix, R: Vector) -> Matrix:
        last = memory(g, i, f)[-1]
        return [
            [
                share(i[t][h] * g[t][h] * math.prod(row[h] for row in f[t + 1 :]), last[h]) * r
                for h, r in enumerate(R)
            ]
            for t in range(len(g))
        ]

    def draw(
        t: int, h: int, gates: bool = False, low: float = -1.0, size: float = 1.0
    ) -> Callable[[Draw], tuple]:
        def drawn(d: Draw) -> tuple:
            g, i, f = d.uniform(low, 1, t, h), d.uniform(0.2, 1, t, h), d.uniform(0.2, 1, t, h)
            if gates:
                f[2], i[1, 0], f[3, 1], i[3, 1] = 0, 0, 1, 1
            return g, i, f, d.uniform(-2 * size, 3 * size, h)

        return drawn

    def fit(g: Matrix, i: Matrix, f: Matrix, R: Vector) -> bool:
        return (
            min(abs(v) for row in memory(g, i, f) for v in row) > CLEAR / 3
            and min(map(abs, R)) > CLEAR
        )

    def padded(d: Draw) -> tuple:
        g, *rest = draw(6, 3)(d)
        return torch.cat([0 * g[:2], g[2:]]), *rest

    half = torch.full((4, 3), 0.5)
    cancelled = (
        torch.tensor([[0.5, 0.5, 1.0], [-0.25, 0.5, 1.0], [1.0, -0.375, 1.0], [0.5, 0.75, -0.875]]),
        half,
        half.clone(),
        torch.tensor([2.0, -3.0, 1.5]),
    )
    probes = [
        Probe("one memory cell and three steps", first(draw(3, 1), fit)),
        Probe("several memory cells", first(draw(5, 3), fit)),
        Probe("one step", first(draw(1, 4), fit)),
        Probe("as many steps as memory cells", first(draw(4, 4), fit)),
        Probe("gates that are exactly 0 or 1", first(draw(5, 2, gates=True), fit)),
        Probe(
            "nothing in memory at the first steps",
            first(padded, lambda g, i, f, R: fit(g[2:], i[2:], f[2:], R)),
        ),
        Probe("a c_t of exactly 0 where two terms cancel", cancelled),
        Probe(
            "many steps, and large relevances in double precision",
            first(draw(12, 2, low=-0.3, size=1e3), fit, torch.float64),
        ),
    ]
    slips = [
        Slip(
            (
                "the forget gate is multiplied in once more: f_t is in the term f_t c_{t-1} "
                "already, so that the two shares of c_t sum to 1"
            ),
            lambda *probe: equation(*probe, old=lambda *terms: terms[2] * to_old(*terms)),
        ),
        Slip(
            (
                "the input gate is multiplied in once more: i_t is in the term i_t g_t already, "
                "so that the two shares of c_t sum to 1"
            ),
            lambda *probe: equation(*probe, new=lambda *terms: terms[1] * to_new(*terms)),
        ),
        *(
            Slip(
                "a part of the relevance stays at the gates; gates take nothing",
                lambda *probe, x=x, y=y: equation(
                    *probe, lambda *v: x * to_new(*v), lambda *v: y * to_old(*v)
                ),
            )
            for x, y in ((0.5, 0.5), (0.5, 1.0), (1.0, 0.5))
        ),
        Slip(
            "the forget gate f_t is missing: the term of c_t is f_t c_{t-1}, not c_{t-1}",
            lambda *probe: equation(*probe, old=lambda g, i, f, before, c: share(before, c)),
        ),
        Slip(
            "the input gate i_t is missing: the term of c_t is i_t g_t, not g_t",
            lambda *probe: equation(*probe, new=lambda g, i, f, before, c: share(g, c)),
        ),
        Slip(
            "the two terms get equal halves; LRP-0 shares in proportion to what each adds to c_t",
            lambda *probe: equation(*probe, lambda *_: 0.5, lambda *_: 0.5),
        ),
        Slip(
            (
                "every step starts from R; what is shared out at step t is what c_t has received "
                "from the later steps"
            ),
            lambda *probe: equation(*probe, old=lambda *_: 1.0),
        ),
        Slip(
            (
                "the steps are taken forwards; R arrives at the last cell state and goes back "
                "from there"
            ),
            lambda *probe: equation(*probe, forward=True),
        ),
        Slip(
            "the steps are in the wrong order in the result", lambda *probe: equation(*probe)[::-1]
        ),
        Slip(
            "the relevance of f_t c_{t-1} is returned; that of i_t g_t is asked for",
            lambda *probe: equation(*probe, old=to_old, new=to_old),
        ),
        Slip(
            "c_t is built without its gates",
            lambda g, i, f, R: equation(
                g, i, f, R, c=memory(g, [[1.0] * len(R)] * len(g), [[1.0] * len(R)] * len(g))
            ),
        ),
        Slip(
            "absolute values are shared; the terms of c_t have signs",
            lambda *probe: equation(
                *probe, lambda *v: absolute_share(*v)[0], lambda *v: absolute_share(*v)[1]
            ),
        ),
        *(
            Slip(
                "where c_t = 0 nothing is passed on, neither to i_t g_t nor to the steps before",
                slip,
            )
            for slip in (
                unrolled,
                lambda *probe: equation(*probe, old=lambda *v: to_old(*v) if v[-1] else 1.0),
                lambda *probe: equation(*probe, new=lambda *v: to_new(*v) if v[-1] else 1.0),
                lambda *probe: equation(
                    *probe,
                    lambda *v: to_new(*v) if v[-1] else 0.5,
                    lambda *v: to_old(*v) if v[-1] else 0.5,
                ),
            )
        ),
        *(
            Slip(
                "something is added to c_t in the denominator; LRP-0 divides by c_t itself",
                lambda *probe, eps=eps: equation(
                    *probe,
                    lambda g, i, f, before, c: i * g / (c + math.copysign(eps, c)),
                    lambda g, i, f, before, c: f * before / (c + math.copysign(eps, c)),
                ),
            )
            for eps in (1e-4, 1e-3, 1e-2, 0.1)
        ),
        *(
            Slip(
                (
                    "where c_t = 0 nothing is passed on; a small number in the denominator makes "
                    "the shares huge there"
                ),
                lambda *probe, eps=eps: equation(
                    *probe,
                    lambda g, i, f, before, c: i * g / (c + eps),
                    lambda g, i, f, before, c: f * before / (c + eps),
                ),
            )
            for eps in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6)
        ),
        Slip(
            "absolute values are taken; relevance has a sign",
            lambda *probe: _absolute(equation(*probe)),
        ),
        Slip(
            "the memory cells are pooled; each shares out its own R",
            lambda g, i, f, R: equation(g, i, f, [sum(R)] * len(R)),
        ),
    ]
    judge(
        "lstm_word_relevance",
        answer,
        probes,
        equation,
        slips,
        (
            "where no c_t is 0 the relevances of a memory cell must sum over the steps to its R, "
            "shared at each step as i_t g_t and f_t c_{t-1} share in c_t"
        ),
    )


def check_one_class_relevance(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """(x (N, D), u (M, D), alpha (M,) > 0 of sum 1, gamma) -> (N, D): R_i = sum_j p_j o(x) (x_i -
    u_ij)^2 / d_j, the soft minimum o of d_j = |x - u_j|^2.
    """

    def squares(x: Vector, u: Matrix) -> Matrix:
        return [[(v - c) ** 2 for v, c in zip(x, vector)] for vector in u]

    def soft(d: Vector, alpha: Vector, gamma: float) -> tuple[Vector, float]:
        least = min(d)
        e = [a * math.exp(-gamma * (v - least)) for a, v in zip(alpha, d)]
        return [v / sum(e) for v in e], least - math.log(sum(e)) / gamma

    def held(d: Vector, alpha: Vector, gamma: float) -> Vector:
        p, o = soft(d, alpha, gamma)
        return [v * o for v in p]

    def by_square(moved: Vector) -> Vector:
        whole = sum(v * v for v in moved)
        return [v * v / whole if whole else 0.0 for v in moved]

    def equation(
        x: Matrix,
        u: Matrix,
        alpha: Vector,
        gamma: float,
        vectors: Callable = held,
        shares: Callable = by_square,
    ) -> Matrix:
        rows = []
        for own in x:
            R = vectors([sum(row) for row in squares(own, u)], alpha, gamma)
            parts = [shares([v - c for v, c in zip(own, vector)]) for vector in u]
            rows.append([sum(r * part[i] for r, part in zip(R, parts)) for i in range(len(own))])
        return rows

    def even(alpha: Vector) -> Vector:
        return [1 / len(alpha)] * len(alpha)

    def nearest(d: Vector) -> Vector:
        return [float(k == d.index(min(d))) for k in range(len(d))]

    def mixed(p: Callable, o: Callable) -> Callable:
        return lambda *probe: equation(
            *probe, lambda d, alpha, gamma: [v * o(d, alpha, gamma) for v in p(d, alpha, gamma)]
        )

    def p_of(d: Vector, alpha: Vector, gamma: float) -> Vector:
        return soft(d, alpha, gamma)[0]

    def o_of(d: Vector, alpha: Vector, gamma: float) -> float:
        return soft(d, alpha, gamma)[1]

    def conserved(x: Matrix, u: Matrix, alpha: Vector, gamma: float) -> Matrix:
        scores = [o_of([sum(row) for row in squares(own, u)], alpha, gamma) for own in x]
        return [
            [v * o / sum(row) if sum(row) else 0.0 for v in row]
            for row, o in zip(equation(x, u, alpha, gamma), scores)
        ]

    def draw(n: int, m: int, d: int, gamma: float, far: float = 0.0) -> Callable[[Draw], tuple]:
        def drawn(draw: Draw) -> tuple:
            alpha = draw.uniform(0.3, 2, m)
            return (
                far + draw.uniform(-1, 1, n, d),
                draw.uniform(-1, 1, m, d),
                alpha / alpha.sum(),
                gamma,
            )

        return drawn

    def fit(x: Matrix, u: Matrix, alpha: Vector, gamma: float) -> bool:
        d = [[sum(row) for row in squares(own, u)] for own in x]
        return all(
            min(row) > CLEAR
            and (len(u) == 1 or max(p_of(row, alpha, gamma)) < 0.9)
            and o_of(row, alpha, gamma) > CLEAR
            for row in d
        )

    def lonely(x: Matrix, u: Matrix, alpha: Vector, gamma: float) -> bool:
        return all(
            max(p_of([sum(row) for row in squares(own, u)], alpha, gamma)) > 1 - 1e-5 for own in x
        )

    u = torch.tensor([[0.0, 1.0], [2.0, 0.0], [-1.0, -1.0]])
    alpha = torch.tensor([0.25, 0.25, 0.5])
    probes = [
        Probe("one sample, three vectors", first(draw(1, 3, 2, 0.7), fit)),
        Probe("several samples, more vectors than features", first(draw(4, 6, 3, 1.5), fit)),
        Probe("as many samples as vectors and features", first(draw(4, 4, 4, 0.4), fit)),
        Probe(
            "one vector and one feature",
            (torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5]]), torch.tensor([1.0]), 0.5),
        ),
        Probe(
            "samples that are themselves a vector, d_j = 0",
            (torch.cat([u[:2], torch.tensor([[1.0, 1.0]])]), u, alpha, 0.5),
        ),
        Probe(
            "a sample that is the only vector",
            (
                torch.tensor([[1.0, -2.0], [0.5, 1.0]]),
                torch.tensor([[1.0, -2.0]]),
                torch.tensor([1.0]),
                2.0,
            ),
        ),
        Probe(
            "a sample far from all vectors, gamma d about 2000",
            (
                torch.tensor([[0.0, 0.0], [4.0, 0.0]]),
                torch.tensor([[16.0, 8.0], [-8.0, 16.0], [16.0, -8.0]]),
                alpha,
                6.25,
            ),
        ),
        Probe(
            "samples far from all vectors, in double precision",
            first(draw(3, 5, 4, 5.0, far=10.0), lonely, torch.float64),
        ),
    ]
    slips = [
        *(
            Slip(
                (
                    "only the nearest vector gets relevance; the soft minimum has a weight p_j "
                    "for each"
                ),
                slip,
            )
            for slip in (
                mixed(lambda d, alpha, gamma: nearest(d), o_of),
                mixed(lambda d, alpha, gamma: nearest(d), lambda d, alpha, gamma: min(d)),
            )
        ),
        Slip(
            "o(x) is a hard minimum; it is the soft one, -1/gamma log of the sum",
            mixed(p_of, lambda d, alpha, gamma: min(d)),
        ),
        Slip(
            "alpha is missing from the weights p_j",
            mixed(lambda d, alpha, gamma: p_of(d, even(alpha), gamma), o_of),
        ),
        *(
            Slip(
                "alpha is missing from o(x)",
                mixed(p_of, lambda d, alpha, gamma, c=c: o_of(d, [c(alpha)] * len(d), gamma)),
            )
            for c in (lambda alpha: 1 / len(alpha), lambda alpha: 1.0)
        ),
        *(
            Slip(
                "alpha is missing, from o(x) and from the weights p_j",
                lambda x, u, alpha, gamma, c=c: equation(x, u, [c(alpha)] * len(alpha), gamma),
            )
            for c in (lambda alpha: 1 / len(alpha), lambda alpha: 1.0)
        ),
        Slip(
            "the weights are alpha alone; p_j also falls with the distance",
            mixed(lambda d, alpha, gamma: alpha, o_of),
        ),
        Slip(
            "the vectors are weighted evenly; p_j falls with the distance",
            mixed(lambda d, alpha, gamma: even(d), o_of),
        ),
        Slip(
            "each vector gets p_j o(x), not p_j d_j: with p_j d_j the sum is not the score",
            lambda *probe: equation(
                *probe, lambda d, alpha, gamma: [p * v for p, v in zip(p_of(d, alpha, gamma), d)]
            ),
        ),
        Slip(
            (
                "each vector gets all of o(x); the weights p_j are missing, or do not sum to 1 "
                "over the vectors"
            ),
            mixed(lambda d, alpha, gamma: [1.0] * len(d), o_of),
        ),
        Slip(
            "o(x) is missing: the sum over the inputs must be the score",
            mixed(p_of, lambda *_: 1.0),
        ),
        Slip(
            "the sign is wrong: o(x) is minus the logarithm, divided by gamma",
            mixed(p_of, lambda *v: -o_of(*v)),
        ),
        Slip(
            "the factor 1/gamma of o(x) is missing",
            mixed(p_of, lambda d, alpha, gamma: gamma * o_of(d, alpha, gamma)),
        ),
        Slip("gamma does not take part", lambda x, u, alpha, gamma: equation(x, u, alpha, 1.0)),
        Slip(
            "gamma does not take part in the weights p_j",
            mixed(lambda d, alpha, gamma: p_of(d, alpha, 1.0), o_of),
        ),
        Slip(
            "gamma is taken for a width; the exponent is -gamma d_j",
            lambda x, u, alpha, gamma: equation(x, u, alpha, 1 / (2 * gamma**2)),
        ),
        Slip(
            "the distances are not squared: d_j = |x - u_j|^2",
            lambda *probe: equation(
                *probe, lambda d, alpha, gamma: held([math.sqrt(v) for v in d], alpha, gamma)
            ),
        ),
        *(
            Slip(
                "each vector shares by absolute differences; the terms of d_j are their squares",
                lambda *probe, shares=shares: equation(*probe, shares=shares),
            )
            for shares in (
                lambda moved: [abs(v) / math.hypot(*moved) if any(moved) else 0.0 for v in moved],
                lambda moved: [abs(v) / sum(map(abs, moved)) if any(moved) else 0.0 for v in moved],
            )
        ),
        Slip(
            "the squared differences are not divided by d_j",
            lambda *probe: equation(*probe, shares=lambda moved: [v * v for v in moved]),
        ),
        Slip(
            "the shares have the sign of x_i - u_ij; the terms of d_j are squares",
            lambda *probe: equation(
                *probe,
                shares=lambda moved: [math.copysign(s, v) for s, v in zip(by_square(moved), moved)],
            ),
        ),
        *(
            Slip(
                (
                    "a vector with d_j = 0 keeps its share; nothing of it goes to the inputs or "
                    "to other vectors"
                ),
                slip,
            )
            for slip in (
                lambda *probe: equation(
                    *probe,
                    shares=lambda moved: (
                        by_square(moved) if any(moved) else [1 / len(moved)] * len(moved)
                    ),
                ),
                conserved,
            )
        ),
        _about_batches(equation),
    ]
    judge(
        "one_class_relevance",
        answer,
        probes,
        equation,
        slips,
        (
            "where no d_j is 0 the relevances of a sample must sum to o(x): by p_j to the "
            "vectors, then by the terms of d_j to the inputs"
        ),
    )


# ---------------------------------------------------------------- parts of slips


def _absolute(rows: Matrix) -> Matrix:
    return [list(map(abs, row)) for row in rows]


def _about_batches(equation: Callable) -> Slip:
    def pooled(*probe: object) -> Matrix:
        rows = equation(*probe)
        return [[sum(column) / len(rows) for column in zip(*rows)]] * len(rows)

    return Slip("the results of a batch are averaged; every sample has its own", pooled)
