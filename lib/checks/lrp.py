"""The checks of the exercises on layer-wise relevance propagation."""

from collections.abc import Callable
from typing import Any

from torch import (
    Tensor,
    cat,
    double,
    full,
    nn,
    ones_like,
    stack,
    tensor,
    where,
    zeros,
    zeros_like,
)
from torch.nn.functional import one_hot

from ._helpers import Draw, drawn, exercise, judge, network, standard

# No denominator of a probe is smaller: a guard such as 1e-6 in an answer then makes no difference.
CLEAR = 0.05


def plus(t: Tensor) -> Tensor:
    return t.clamp(min=0)


def minus(t: Tensor) -> Tensor:
    return t.clamp(max=0)


def sign(z: Tensor) -> Tensor:
    """s(z), which is +1 at 0."""
    return where(z >= 0, 1.0, -1.0).to(z)


def parts(a: Tensor, w: Tensor) -> Tensor:
    """a_i w_ij of each sample, (N, I, J)."""
    return a[:, :, None] * w


def shared(z: Tensor, R: Tensor, total: Tensor | None = None) -> Tensor:
    """R_i = sum_j z_ij / total_j R_j; total is the sum of z over i, unless given."""
    total = z.sum(1) if total is None else total
    return (z / total[:, None] * R[:, None]).sum(2)


def with_zeros(a: Tensor) -> Tensor:
    """One input that is zero in every sample, and one zero more in each sample."""
    a = a.clone()
    a[:, 1] = 0
    for n in range(len(a)):
        a[n, (n + 2) % a.shape[1]] = 0
    return a


def away(*values: Tensor) -> bool:
    """No value is near 0."""
    return all(bool(v.abs().min() > CLEAR) for v in values)


# ---------------------------------------------------------------- rules for one layer


@exercise
def check_lrp_zplus(answer: Callable) -> None:
    """(a (N, I) >= 0, w (I, J), R (N, J)) -> (N, I): R_i = sum_j a_i w+_ij / sum_i' a_i' w+_i'j
    R_j.
    """

    def make(d: Draw, n: int, i: int, j: int) -> tuple:
        return d.large(0, 2, n, i), d.uniform(-1, 1, i, j), d.large(-2, 3, n, j)

    def clear(a: Tensor, w: Tensor, R: Tensor) -> bool:
        return away(with_zeros(a) @ plus(w) if a.shape[1] > 3 else a @ plus(w))

    a, w, R = drawn(make, 4, 6, 2, clear=clear)
    judge(
        answer,
        standard(make, clear, 1e3) | {"zeros among the activations": (with_zeros(a), w, R)},
        lambda a, w, R: shared(parts(a, plus(w)), R),
        {
            "negative weights take part; use only w+": lambda a, w, R: shared(parts(a, w), R),
            "the numerator has w, not w+": lambda a, w, R: shared(parts(a, w), R, a @ plus(w)),
            "the last factor a_i is missing": lambda a, w, R: R / (a @ plus(w)) @ plus(w).T,
            "negative R_j are set to 0": lambda a, w, R: shared(parts(a, plus(w)), plus(R)),
            "something is added to the denominator": lambda a, w, R: shared(
                parts(a, plus(w)), R, a @ plus(w) + 0.01
            ),
        },
        "the shares of the inputs are not those of the equation; do they sum to R_j for each j?",
    )


@exercise
def check_lrp_epsilon(answer: Callable) -> None:
    """(a (N, I), w (I, J), b (J,), R (N, J), eps) -> (N, I): R_i = sum_j a_i w_ij / (z_j + eps
    s(z_j)) R_j, z_j = sum_i a_i w_ij + b_j.
    """

    def make(d: Draw, n: int, i: int, j: int) -> tuple:
        a, w, b = d.large(-1, 2, n, i), d.uniform(-1, 1, i, j), d.uniform(-2, 2, j)
        return a, w, b, d.uniform(-2, 3, n, j), 0.25

    def clear(a: Tensor, w: Tensor, b: Tensor, R: Tensor, eps: float) -> bool:
        z = a @ w + b
        return away(z) and bool(z.min() < 0 < z.max())

    def divided(stabilised: Callable) -> Callable:
        return lambda a, w, b, R, eps: shared(parts(a, w), R, stabilised(a @ w + b, eps))

    whole = tensor([[1.0, 2, -1], [2, 1, 3]]), tensor([[1.0, 2], [-2, 1], [1, -1]])
    at_zero = (*whole, tensor([4.0, -2]), tensor([[2.0, 3], [-1, 2]]), 0.5)
    a, w, b, R, eps = drawn(make, 3, 6, 1, clear=clear)
    equation = divided(lambda z, eps: z + eps * sign(z))
    judge(
        answer,
        standard(make, clear, 50)
        | {"a weighted input z_j of exactly 0": at_zero}
        | {"a tiny eps": (*drawn(make, 3, 5, 2, clear=clear)[:4], 1e-6)}
        | {"one output and no bias": (a, w, 0 * b, R, eps)},
        equation,
        {
            "the bias is missing in the denominator": lambda a, w, b, *v: equation(a, w, 0 * b, *v),
            "the share of the bias is handed to the inputs": lambda a, w, b, R, eps: shared(
                parts(a, w) + b / len(w), R, (a @ w + b) + eps * sign(a @ w + b)
            ),
            "eps is added without the sign of z_j": divided(lambda z, eps: z + eps),
            "eps is missing in the denominator": divided(lambda z, eps: z),
            "where z_j is exactly 0 the sign s(z_j) must be +1; nothing is skipped there": (
                divided(lambda z, eps: z - eps * sign(-z)),
                divided(lambda z, eps: where(z == 0, float("inf"), z + eps * sign(z))),
            ),
        },
        "the shares are not those of the equation; look at z_j and at the sign of eps",
    )


@exercise
def check_lrp_alphabeta(answer: Callable) -> None:
    """(a (N, I) >= 0, w (I, J), R (N, J), alpha, beta) -> (N, I): alpha times the positive shares
    minus beta times the negative shares.
    """

    def mixed(
        a: Tensor, w: Tensor, R: Tensor, alpha: float, beta: float, *, by: Any = shared
    ) -> Any:
        return alpha * by(parts(a, plus(w)), R) - beta * by(parts(a, minus(w)), R)

    def make(d: Draw, n: int, i: int, j: int) -> tuple:
        return d.large(0, 2, n, i), d.uniform(-1, 1, i, j), d.uniform(-2, 3, n, j), 2, 1

    def clear(a: Tensor, w: Tensor, *_: object) -> bool:
        a = with_zeros(a) if a.shape[1] > 4 else a
        return away(a @ plus(w), a @ minus(w))

    a, w, R, *_ = drawn(make, 3, 7, 2, clear=clear)
    judge(
        answer,
        standard(make, clear, leave=("one feature",))
        | {"alpha 1.5 and beta 0.5": (a, w, R, 1.5, 0.5), "alpha 1 and beta 0": (a, w, R, 1.0, 0.0)}
        | {"zeros among the activations, alpha 3 and beta 2": (with_zeros(a), w, R, 3, 2)},
        mixed,
        {
            "negative shares must be subtracted": lambda a, w, R, p, q: mixed(a, w, R, p, -q),
            "alpha and beta have changed places": lambda a, w, R, p, q: mixed(a, w, R, q, p),
            "they are rounded to whole numbers": lambda a, w, R, p, q: mixed(
                a, w, R, int(p), int(q)
            ),
            "alpha and beta are not used": lambda a, w, R, p, q: mixed(a, w, R, 2, 1),
            "both sides are divided by z_j; each has its own sum": lambda a, w, R, p, q: mixed(
                a, w, R, p, q, by=lambda z, R: shared(z, R, a @ w)
            ),
        },
        "each side is divided by its own sum over i, then multiplied by alpha or beta",
    )


@exercise
def check_lrp_zb(answer: Callable) -> None:
    """(x (N, I), w (I, J), R (N, J), l (I,), h (I,)) -> (N, I): shares of x_i w_ij - l_i w+_ij -
    h_i w-_ij, normalised over i.
    """

    def numerator(x: Tensor, w: Tensor, l: Tensor, h: Tensor) -> Tensor:
        return parts(x, w) - l[:, None] * plus(w) - h[:, None] * minus(w)

    def equation(x: Tensor, w: Tensor, R: Tensor, l: Tensor, h: Tensor) -> Tensor:
        return shared(numerator(x, w, l, h), R)

    def clear(x: Tensor, w: Tensor, R: Tensor, l: Tensor, h: Tensor) -> bool:
        return away(numerator(x, w, l, h).sum(1))

    def make(d: Draw, n: int, i: int, j: int, *, kind: str = "") -> tuple:
        l, h, place = d.large(-2, -0.1, i), d.large(0.1, 2, i), d.uniform(0, 1, n, i)
        if kind == "pixels":
            l, h = 0 * l, 0 * h + 1
        if kind == "flat":
            l[0], h[0], l[1], h[2] = 0, 0, 0, 0
        if kind == "edges":
            place = place.round()
        x = (l + place * (h - l)).clamp(l, h)
        return x, d.uniform(-1, 1, i, j), d.uniform(-2, 3, n, j), l, h

    def box(kind: str, *sizes: int) -> tuple:
        return drawn(lambda d: make(d, *sizes, kind=kind), clear=clear)

    judge(
        answer,
        standard(make, clear, 50)
        | {"pixels between 0 and 1": box("pixels", 5, 6, 2)}
        | {"inputs on the edge of their box": box("edges", 4, 5, 3)}
        | {"bounds that are zero": box("flat", 3, 5, 2)},
        equation,
        {
            "l and h have changed places": lambda x, w, R, l, h: equation(x, w, R, h, l),
            "the bounds do not take part": lambda x, w, R, l, h: shared(parts(x, w), R),
            "the upper bound does not take part": lambda x, w, R, l, h: equation(x, w, R, l, 0 * h),
            "the lower bound does not take part": lambda x, w, R, l, h: equation(x, w, R, 0 * l, h),
            "the bounds are not subtracted": lambda x, w, R, l, h: equation(x, w, R, -l, -h),
            "the total lacks bounds": lambda x, w, R, l, h: shared(numerator(x, w, l, h), R, x @ w),
        },
        "every numerator must be >= 0, and the shares of each j must sum to 1",
    )


@exercise
def check_absorbed_by_bias(answer: Callable) -> None:
    """(a (N, I), w (I, J), b (J,), R (N, J)) -> (N,): what the biases keep under LRP-0, sum_j b_j /
    z_j R_j.
    """

    def kept(a: Tensor, w: Tensor, b: Tensor, R: Tensor) -> Tensor:
        return b / (a @ w + b) * R

    def make(d: Draw, n: int, i: int, j: int) -> tuple:
        a, w = d.uniform(-1, 2, n, i), d.uniform(-1, 1, i, j)
        return a, w, d.uniform(-2, 2, j), d.uniform(-2, 3, n, j)

    def clear(a: Tensor, w: Tensor, b: Tensor, R: Tensor) -> bool:
        return away(a @ w + b, b)

    a, w, b, R = drawn(make, 3, 4, 3, clear=clear)
    judge(
        answer,
        standard(make, clear)
        | {"no evidence but the bias": (0 * a, w, b, R), "biases of zero": (a, w, 0 * b, R)},
        lambda *v: kept(*v).sum(1),
        {
            "this is what reaches the inputs": lambda *v: (v[3] - kept(*v)).sum(1),
            "absolute values are taken; a bias can give, too": lambda *v: kept(*v).abs().sum(1),
            "the bias is missing in the denominator": lambda a, w, b, R: (b / (a @ w) * R).sum(1),
            "the biases are summed as they are": lambda a, w, b, R: b.sum().expand(len(a)),
        },
        "what the biases keep and what the inputs get under LRP-0 must sum to sum_j R_j",
    )


# ---------------------------------------------------------------- networks


def forward(m: nn.Sequential, x: Tensor) -> tuple[list, list[Tensor], list[Tensor]]:
    """The linear layers, what enters each, and its weighted inputs z."""
    layers, enter, z = [m[0], m[2], m[4]], [x], []
    for layer in layers:
        z.append(layer(enter[-1]).detach())
        enter.append(plus(z[-1]))
    return layers, enter[:3], z


@exercise
def check_lrp_mlp(answer: Callable) -> None:
    """(m, x (N, D), c (N,)) -> (N, D): LRP-0 through Linear, ReLU, Linear, ReLU, Linear, started at
    the logit f_c(x).
    """

    def chosen(f: Tensor, c: Tensor) -> Tensor:
        return f * one_hot(c, f.shape[1])

    def backward(
        m: nn.Sequential,
        x: Tensor,
        c: Tensor,
        *,
        start: Callable = chosen,
        eps: float = 0.0,
        bias: bool = True,
    ) -> Tensor:
        layers, enter, z = forward(m, x)
        R = start(z[-1], c)
        for layer, a, total in zip(layers[::-1], enter[::-1], z[::-1], strict=True):
            total = total if bias else total - layer.bias
            s = where(R == 0, 0.0, R / where(R == 0, 1.0, total + eps * sign(total)))
            R = a * (s @ layer.weight)
        return R

    def started(start: Callable) -> Callable:
        return lambda *v: backward(*v, start=start)

    def make(d: Draw, n: int, *widths: int, dead: bool = False, names: str = "0 1 2 3 4") -> tuple:
        m = network(d, widths, names=names.split())
        if dead:
            for value in m[0].state_dict().values():
                value[1] = 0
        return m, d.uniform(-1, 2, n, widths[0]), d.index(widths[-1], n)

    def clear(m: nn.Sequential, x: Tensor, c: Tensor) -> bool:
        """One sample is not explained for its best class; several have two classes or more, and
        logits of both signs. A neuron at rest is divided by nothing.
        """
        z = forward(m, x)[2]
        own = z[-1].gather(1, c[:, None])
        if len(x) == 1 and own == z[-1].max():
            return False
        if len(x) > 1 and not (own.min() < 0 < own.max() and len(c.unique()) > 1):
            return False
        return away(own, *(layer[layer > 0] for layer in z[:-1] if (layer > 0).any()))

    def probe(*sizes: int, **how: Any) -> tuple:
        return drawn(lambda d: make(d, *sizes, **how), clear=clear)

    frozen = probe(3, 4, 6, 3, 5)
    frozen[0].requires_grad_(False)
    judge(
        answer,
        {
            "several samples, each with its class": probe(5, 3, 6, 5, 4),
            "one sample, a class that is not the predicted one": probe(1, 5, 7, 4, 3),
            "a model in evaluation mode with frozen parameters": (frozen[0].eval(), *frozen[1:]),
            "as many samples as features and neurons": probe(4, 4, 4, 4, 4),
            "a hidden neuron whose weighted input is exactly 0": probe(3, 4, 5, 6, 2, dead=True),
            "layers with names, in double precision": drawn(
                lambda d: make(d, 3, 6, 3, 5, 4, names="first squash second bend third"),
                clear=clear,
                dtype=double,
            ),
        },
        backward,
        {
            "this is the gradient": lambda m, x, c: backward(m, x, c) / x,
            "it starts with 1, not with f_c(x)": started(lambda f, c: chosen(ones_like(f), c)),
            "it starts with a probability, not f_c": started(lambda f, c: chosen(f.softmax(1), c)),
            "it starts with the predicted class": started(lambda f, c: chosen(f, f.argmax(1))),
            "the biases are missing in the denominators": lambda *v: backward(*v, bias=False),
            "the stabiliser eps is too large; at most 1e-6": lambda *v: backward(*v, eps=0.01),
        },
        "these are not those of LRP-0; does each layer divide by its own z_j, bias included?",
    )


# ---------------------------------------------------------------- beyond layers


@exercise
def check_deep_lift_layer(answer: Callable) -> None:
    """(a (N, I), a0 (N, I), w (I, J), b (J,), m (N, J)) -> (N, I): R_i = sum_j (a_i - a0_i) w_ij
    s_j m_j, s_j the slope of the ReLU from z0_j to z_j.
    """

    def step(z: Tensor) -> Tensor:
        return (z > 0).to(z)

    def rescale(z: Tensor, z0: Tensor, at_rest: Callable = step) -> Tensor:
        same = z == z0
        return where(same, at_rest(z), (plus(z) - plus(z0)) / where(same, 1.0, z - z0))

    def lifted(slope: Callable, moved: Callable = lambda a, a0: a - a0) -> Callable:
        return lambda a, a0, w, b, m: moved(a, a0) * ((slope(a @ w + b, a0 @ w + b) * m) @ w.T)

    def make(d: Draw, n: int, i: int, j: int) -> tuple:
        a, a0 = d.large(-1, 2, n, i), d.large(-1, 2, n, i)
        return a, a0, d.uniform(-1, 1, i, j), d.uniform(-1, 1, j), d.uniform(-2, 3, n, j)

    def clear(a: Tensor, a0: Tensor, w: Tensor, b: Tensor, m: Tensor) -> bool:
        """Some neurons switch on, and, of several, some off."""
        z, z0 = a @ w + b, a0 @ w + b
        on, off = ((z > 0) & (z0 < 0)).any(), ((z < 0) & (z0 > 0)).any()
        return away(z - z0) and bool(on and (off or z.numel() < 4))

    w = tensor([[1.0, 2, 1, 1], [1, -1, 0, 1], [3, 0, 1, 1]])
    b, a0 = tensor([-4.0, -5, -3, -3]), tensor([[1.0, -1, 2], [0, 1, 1], [2, 0.5, -1]])
    m = tensor([[1.0, -2, 3, 2], [2, 1, -1, 1], [-3, 1, 2, 0.5]])
    at_rest = a0 + tensor([[1.0, 2, -1], [2, -1, 0], [-1, -2, 1]])

    def small_clear(a: Tensor, a0: Tensor, w: Tensor, b: Tensor, m: Tensor) -> bool:
        z, z0 = a @ w + b, a0 @ w + b
        return bool(((z > 0) & (z0 < 0)).any() and ((z - z0).abs().min() > 1e-7))

    def from_zero(d: Draw, *sizes: int) -> tuple:
        a, a0, *rest = make(d, *sizes)
        return a, 0 * a0, *rest

    def small(d: Draw, n: int, i: int, j: int) -> tuple:
        """z and z0 on the two sides of the step, near it: multipliers make up for the size."""
        a, a0, w, b, m = make(d, n, i, j)
        return 1e-5 * a, 1e-5 * a0, w, 1e-6 * b, 1e5 * m

    equation = lifted(rescale)
    judge(
        answer,
        standard(make, clear, 50)
        | {"a reference of zeros": drawn(from_zero, 4, 6, 2, clear=clear)}
        | {"neurons with z_j exactly z0_j though the inputs differ": (at_rest, a0, w, b, m)}
        | {"an input that is its reference": (a0, a0.clone(), w, b, m)}
        | {"small differences": drawn(small, 4, 5, 6, clear=small_clear, dtype=double)},
        equation,
        {
            "the slope is a derivative where z_j is near z0_j; only where they are equal": tuple(
                lifted(
                    lambda z, z0, near=near: where((z - z0).abs() < near, step(z), rescale(z, z0))
                )
                for near in (1e-4, 1e-3, 1e-2, 1e-1)
            ),
            "the slope is that at z_j; take the slope from z0_j to z_j": lifted(
                lambda z, z0: step(z)
            ),
            "each input is multiplied by a_i, not by a_i - a0_i": lifted(rescale, lambda a, a0: a),
            "the bias is missing in z_j, z0_j": lambda a, a0, w, b, m: equation(a, a0, w, 0 * b, m),
            "the reference is not always zero": lambda a, a0, *v: equation(a, 0 * a0, *v),
            "h0_j is missing in the slope": lifted(lambda z, z0: plus(z) / (z - z0)),
            "where z_j = z0_j the slope must be 1 if z_j > 0 and else 0": tuple(
                lifted(lambda z, z0, at=at: rescale(z, z0, at))
                for at in (zeros_like, ones_like, lambda z: (z >= 0).to(z))
            ),
        },
        "the sum must be sum_j m_j (h_j - h0_j), in proportion to (a_i - a0_i) w_ij",
    )


def memory(g: Tensor, i: Tensor, f: Tensor) -> Tensor:
    """c_0 = 0, c_1, ..., c_T."""
    c = [0 * g[0]]
    for t in range(len(g)):
        c.append(f[t] * c[-1] + i[t] * g[t])
    return stack(c)


def to_new(g: Any, i: Any, f: Tensor, before: Tensor, c: Tensor) -> Tensor:
    return where(c == 0, 0.0, i * g / where(c == 0, 1.0, c))


def to_old(g: Any, i: Any, f: Any, before: Tensor, c: Tensor) -> Tensor:
    return where(c == 0, 0.0, f * before / where(c == 0, 1.0, c))


def back(new: Callable = to_new, old: Callable = to_old) -> Callable:
    """The way back, where c_t hands new(...) of its relevance to i_t g_t and old(...) on."""

    def result(g: Tensor, i: Tensor, f: Tensor, R: Tensor) -> Tensor:
        c, rows = memory(g, i, f), []
        for t in reversed(range(len(g))):
            terms = g[t], i[t], f[t], c[t], c[t + 1]
            rows.append(new(*terms) * R)
            R = old(*terms) * R
        return stack(rows[::-1])

    return result


@exercise
def check_lstm_word_relevance(answer: Callable) -> None:
    """(g (T, H), i (T, H), f (T, H), R (H,)) -> (T, H): relevance of each i_t g_t, where c_t = f_t
    c_{t-1} + i_t g_t shares by LRP-0 and gates take nothing.
    """

    def unrolled(g: Tensor, i: Tensor, f: Tensor, R: Tensor) -> Tensor:
        after = stack([f[t + 1 :].prod(0) for t in range(len(g))])
        return to_new(g, i * after, f, R, memory(g, i, f)[-1]) * R

    def guarded(eps: Callable) -> Callable:
        return back(
            lambda g, i, f, before, c: i * g / (c + eps(c)),
            lambda g, i, f, before, c: f * before / (c + eps(c)),
        )

    def make(d: Draw, t: int, h: int, low: float = -1.0) -> tuple:
        g, i, f = d.uniform(low, 1, t, h), d.uniform(0.2, 1, t, h), d.uniform(0.2, 1, t, h)
        return g, i, f, d.large(-2, 3, h)

    def clear(g: Tensor, i: Tensor, f: Tensor, R: Tensor) -> bool:
        c = memory(g, i, f)[1:]
        return away(c[c != 0], R)

    def gates(d: Draw) -> tuple:
        g, i, f, R = make(d, 5, 2)
        f[2], i[1, 0], f[3, 1], i[3, 1] = 0, 0, 1, 1
        return g, i, f, R

    def padded(d: Draw) -> tuple:
        g, *rest = make(d, 6, 3)
        return cat([zeros(2, 3), g[2:]]), *rest

    half = full((4, 3), 0.5)
    g = tensor([[0.5, 0.5, 1], [-0.25, 0.5, 1], [1, -0.375, 1], [0.5, 0.75, -0.875]])
    judge(
        answer,
        standard(make, clear)
        | {"gates that are exactly 0 or 1": drawn(gates, clear=clear)}
        | {"nothing in memory at the first steps": drawn(padded, clear=clear)}
        | {"a c_t of exactly 0 where two terms cancel": (g, half, half.clone(), g[0] - 3)}
        | {"many steps": drawn(lambda d: make(d, 12, 2, -0.3), clear=clear, dtype=double)},
        back(),
        {
            "the forget gate is multiplied in once more": back(old=lambda *v: v[2] * to_old(*v)),
            "the input gate is multiplied in once more": back(lambda *v: v[1] * to_new(*v)),
            "gates take nothing": back(lambda *v: to_new(*v) / 2, lambda *v: to_old(*v) / 2),
            "the forget gate f_t is missing": back(old=lambda g, i, f, *v: to_old(g, i, 1, *v)),
            "every step starts from R": back(old=lambda *v: 1),
            "where c_t = 0 nothing is passed on": unrolled,
            "where c_t = 0 a small number makes the shares huge": guarded(lambda c: 1e-9),
            "something is added to c_t in the denominator": guarded(lambda c: 1e-3 * sign(c)),
        },
        "where no c_t is 0 the relevances of a memory cell must sum over the steps to its R, "
        "shared at each step as i_t g_t and f_t c_{t-1} share in c_t",
    )


def p_of(d: Tensor, alpha: Tensor, gamma: float) -> Tensor:
    return (alpha.log() - gamma * d).softmax(1)


def o_of(d: Tensor, alpha: Tensor, gamma: float) -> Tensor:
    return -(alpha.log() - gamma * d).logsumexp(1, keepdim=True) / gamma


def by_square(moved: Tensor, d: Tensor) -> Tensor:
    return moved**2 / where(d == 0, 1.0, d)[..., None]


def relevance(p: Callable = p_of, o: Callable = o_of, shares: Callable = by_square) -> Callable:
    def result(x: Tensor, u: Tensor, alpha: Tensor, gamma: float) -> Tensor:
        moved = x[:, None] - u
        d = (moved**2).sum(2)
        held = p(d, alpha, gamma) * o(d, alpha, gamma)
        return (held[..., None] * shares(moved, d)).sum(1)

    return result


@exercise
def check_one_class_relevance(answer: Callable) -> None:
    """(x (N, D), u (M, D), alpha (M,) > 0 of sum 1, gamma) -> (N, D): R_i = sum_j p_j o(x) (x_i -
    u_ij)^2 / d_j, the soft minimum o of d_j = |x - u_j|^2.
    """

    def nearest(d: Tensor, *_: object) -> Tensor:
        return (d == d.min(1, keepdim=True).values).to(d)

    even = tensor(1.0)

    def make(d: Draw, n: int, i: int, m: int, gamma: float = 0.7, far: float = 0.0) -> tuple:
        x, u, alpha = far + d.uniform(-1, 1, n, i), d.uniform(-1, 1, m, i), d.uniform(0.3, 2, m)
        return x, u, alpha / alpha.sum(), gamma

    def clear(x: Tensor, u: Tensor, alpha: Tensor, gamma: float) -> bool:
        d = ((x[:, None] - u) ** 2).sum(2)
        shared_out = len(u) == 1 or bool(p_of(d, alpha, gamma).max() < 0.9)
        return away(d) and shared_out and bool(o_of(d, alpha, gamma).min() > CLEAR)

    def lonely(x: Tensor, u: Tensor, alpha: Tensor, gamma: float) -> bool:
        """One vector has nearly all the weight."""
        p = p_of(((x[:, None] - u) ** 2).sum(2), alpha, gamma)
        return bool(p.max(1).values.min() > 1 - 1e-5)

    u, alpha = tensor([[0.0, 1], [2, 0], [-1, -1]]), tensor([0.25, 0.25, 0.5])
    far_x, far_u = tensor([[0.0, 0], [4, 0]]), tensor([[16.0, 8], [-8, 16], [16, -8]])
    alone = tensor([[1.0, -2], [0.5, 1]]), tensor([[1.0, -2]]), tensor([1.0]), 2.0
    equation = relevance()
    judge(
        answer,
        standard(make, clear)
        | {"another gamma": drawn(lambda d: make(d, 4, 3, 6, 1.5), clear=clear)}
        | {"samples that are a vector, d_j = 0": (cat([u[:2], tensor([[1.0, 1]])]), u, alpha, 0.5)}
        | {"a sample that is the only vector": alone}
        | {"a sample far from all vectors, gamma d about 2000": (far_x, far_u, alpha, 6.25)}
        | {
            "samples far from all vectors, in double precision": drawn(
                lambda d: make(d, 3, 4, 5, 5.0, 10.0), clear=lonely, dtype=double
            )
        },
        equation,
        {
            "only the nearest vector gets relevance": relevance(nearest),
            "alpha is missing from the weights p_j": relevance(lambda d, *v: p_of(d, even, v[1])),
            "alpha is missing": lambda x, u, alpha, gamma: equation(x, u, ones_like(alpha), gamma),
            "each vector gets p_j o(x), not p_j d_j": relevance(o=lambda d, *_: d),
            "the weights p_j are missing": relevance(lambda d, *_: ones_like(d)),
            "o(x) is missing: the sum must be the score": relevance(o=lambda *v: 1),
            "the factor 1/gamma of o(x) is missing": lambda *v: v[3] * equation(*v),
            "a vector with d_j = 0 keeps its share": relevance(
                shares=lambda v, d: by_square(v, d) + (d == 0)[..., None] / v.shape[2]
            ),
        },
        "where no d_j is 0 the relevances of a sample must sum to o(x): by p_j to the vectors, "
        "then by the terms of d_j to the inputs",
    )


def split(a: Tensor, g: Tensor, R: Tensor, total: Tensor) -> Tensor:
    return stack([a / total * R, g / total * R])


@exercise
def check_residual_relevance(answer: Callable) -> None:
    """(a (N, D), g (N, D), R (N, D), eps) -> (2, N, D): what the two summands of z = a + g get by
    the epsilon rule, a / (z + eps s(z)) R and g / (z + eps s(z)) R.
    """

    def make(d: Draw, n: int, i: int) -> tuple:
        return d.large(-2, 2, n, i), d.large(-2, 2, n, i), d.uniform(-2, 3, n, i), 0.25

    def clear(a: Tensor, g: Tensor, R: Tensor, eps: float) -> bool:
        return away(a + g) and (a.numel() < 4 or bool((a + g).min() < 0 < (a + g).max()))

    def by(total: Callable) -> Callable:
        return lambda a, g, R, eps: split(a, g, R, total(a + g, eps))

    a, g, R, _ = drawn(make, 3, 4, clear=clear)
    cancelled = tensor([[1.0, -2, 0], [3, 1, 2]]), tensor([[-1.0, 2, 0], [-3, 2, 1]])
    equation = by(lambda z, eps: z + eps * sign(z))
    judge(
        answer,
        standard(make, clear, 50)
        | {"a tiny eps": (a, g, R, 1e-6), "a branch that adds nothing": (a, 0 * g, R, 0.25)}
        | {"a sum of exactly 0": (*cancelled, tensor([[2.0, 3, 1], [-1, 2, 1]]), 0.5)},
        equation,
        {
            "each gets half; the shares are those of the summands": lambda a, g, R, eps: stack(
                [R / 2, R / 2]
            ),
            "the shares are those of the absolute values": lambda a, g, R, eps: split(
                a.abs(), g.abs(), R, a.abs() + g.abs() + eps
            ),
            "the two parts have changed places": lambda a, g, *v: equation(g, a, *v),
            "eps is added without the sign of z": by(lambda z, eps: z + eps),
            "eps is missing in the denominator": by(lambda z, eps: z),
            "where z is exactly 0 the sign s(z) must be +1": by(lambda z, eps: z - eps * sign(-z)),
        },
        "each part is its summand, divided by z + eps s(z), times R",
    )


@exercise
def check_folded(answer: Callable) -> None:
    """(w (I, J), b (J,), gamma, beta, mean, var (J,), eps) -> (I + 1, J): the weights of a dense
    layer and its batch normalisation as one layer, and below them its biases.
    """

    def joined(w: Tensor, b: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return cat([w * scale, (b * scale + shift)[None]])

    def equation(w: Tensor, b: Tensor, gamma: Tensor, beta: Tensor, *stored: Any) -> Tensor:
        mean, var, eps = stored
        scale = gamma / (var + eps) ** 0.5
        return joined(w, b, scale, beta - mean * scale)

    def make(d: Draw, i: int, j: int) -> tuple:
        w, b, gamma, beta = (d.large(-2, 2, *s) for s in ((i, j), (j,), (j,), (j,)))
        return w, b, gamma, beta, d.large(-2, 2, j), d.uniform(0.3, 3, j), 0.1

    w, b, gamma, beta, mean, var, _ = drawn(make, 4, 3)
    judge(
        answer,
        standard(make, size=20)
        | {"the usual eps, 1e-5": (w, b, gamma, beta, mean, var, 1e-5)}
        | {"a neuron that never varied": (w, b, gamma, beta, mean, 0 * var, 0.04)},
        equation,
        {
            "eps stands under the root, beside the variance": lambda w, b, g, t, m, v, eps: joined(
                w, b, g / (v**0.5 + eps), t - m * g / (v**0.5 + eps)
            ),
            "eps is missing": lambda *v: equation(*v[:6], 0.0),
            "it is divided by the variance, not by its root": lambda w, b, g, t, m, v, eps: joined(
                w, b, g / (v + eps), t - m * g / (v + eps)
            ),
            "the mean is not subtracted": lambda w, b, g, t, m, *v: equation(w, b, g, t, 0 * m, *v),
            "beta is missing": lambda w, b, g, t, *v: equation(w, b, g, 0 * t, *v),
            "gamma is missing": lambda w, b, g, *v: equation(w, b, ones_like(g), *v),
            "the bias is not scaled": lambda w, b, g, t, m, v, eps: joined(
                w, 0 * b, g / (v + eps) ** 0.5, b + t - m * g / (v + eps) ** 0.5
            ),
            "the bias of the dense layer is missing": lambda w, b, *v: equation(w, 0 * b, *v),
        },
        "the one layer must give what the two give, for each input: put z = a w + b into the "
        "normalisation",
    )


@exercise
def check_pattern(answer: Callable) -> None:
    """(x (N, D), w (D,)) -> (D,): the covariance of each input with s = x w, divided by the
    variance of s.
    """

    def centred(v: Tensor) -> Tensor:
        return v - v.mean(0)

    def equation(x: Tensor, w: Tensor) -> Tensor:
        s = centred(x @ w)
        return (centred(x) * s[:, None]).mean(0) / (s**2).mean()

    def make(d: Draw, n: int, i: int, shift: float = 0.0) -> tuple:
        mixed = d.large(-1, 1, n, i) @ d.uniform(-1, 1, i, i)
        return shift + mixed, d.uniform(-1, 1, i)

    def clear(x: Tensor, w: Tensor) -> bool:
        return bool(centred(x @ w).square().mean() > 0.1)

    def still(d: Draw) -> tuple:
        x, w = make(d, 9, 4)
        x[:, 2] = 1.5
        return x, w

    judge(
        answer,
        {
            "many samples": drawn(make, 40, 3, clear=clear),
            "two samples": drawn(make, 2, 4, clear=clear),
            "as many samples as inputs": drawn(make, 5, 5, clear=clear),
            "one input": drawn(make, 6, 1, clear=clear),
            "means far from 0": drawn(lambda d: make(d, 12, 3, 4.0), clear=clear),
            "an input that never changes": drawn(still, clear=clear),
            "large numbers in double precision": drawn(
                make, 20, 4, clear=clear, dtype=double, size=50.0
            ),
        },
        equation,
        {
            "these are the weights": lambda x, w: w,
            "the means are not subtracted": lambda x, w: (
                (x * (x @ w)[:, None]).mean(0) / (x @ w).square().mean()
            ),
            "the variance of s is missing below": lambda x, w: (
                equation(x, w) * centred(x @ w).square().mean()
            ),
            "it is divided by the standard deviation": lambda x, w: (
                equation(x, w) * centred(x @ w).square().mean() ** 0.5
            ),
            "covariance and variance count the samples differently": lambda x, w: (
                equation(x, w) * len(x) / (len(x) - 1)
            ),
            "these are correlations; the unit of each input stays": lambda x, w: (
                equation(x, w)
                * centred(x @ w).square().mean() ** 0.5
                / centred(x).square().mean(0) ** 0.5
            ),
        },
        "each entry is cov(x_i, s) / var(s) with s = x w: how much of x_i comes with one unit of s",
    )


def guarded(z: Tensor, R: Tensor) -> Tensor:
    """Shares in proportion to z (N, I, J); what has no relevance shares out nothing."""
    return shared(z, R, where(R == 0, 1.0, z.sum(1)))


def boxed(layer: nn.Linear, x: Tensor, l: Tensor, h: Tensor) -> Tensor:
    """The numerators of the z-B rule, (N, I, J)."""
    w = layer.weight.T
    return parts(x, w) - l[:, None] * plus(w) - h[:, None] * minus(w)


def logit(f: Tensor, c: Tensor) -> Tensor:
    return f * one_hot(c, f.shape[1])


def composed(
    start: Callable = logit,
    middle: Callable = lambda layer, a: parts(a, plus(layer.weight.T)),
    first: Callable = boxed,
    bias: float = 1.0,
    stabilised: float = 1.0,
) -> Callable:
    """The way back through three layers. What slips change: what it starts with, the numerators
    of the middle and of the first layer, the bias and eps of the last.
    """

    def backward(
        m: nn.Sequential, x: Tensor, c: Tensor, l: Tensor, h: Tensor, eps: float
    ) -> Tensor:
        layers, enter, z = forward(m, x)
        last = z[2] + (bias - 1) * layers[2].bias
        total = last + stabilised * eps * sign(last)
        R = shared(parts(enter[2], layers[2].weight.T), start(z[2], c), total)
        R = guarded(middle(layers[1], enter[1]), R)
        return guarded(first(layers[0], x, l, h), R)

    return backward


@exercise
def check_composite(answer: Callable) -> None:
    """(m, x (N, D), c (N,), l (D,), h (D,), eps) -> (N, D): the epsilon rule at the last of three
    layers, z-plus in the middle, z-B at the first, started at the logit f_c(x).
    """

    def make(d: Draw, n: int, *widths: int) -> tuple:
        m, l, h = network(d, widths), d.uniform(-2, -0.5, widths[0]), d.uniform(0.5, 2, widths[0])
        x = l + d.uniform(0, 1, n, widths[0]) * (h - l)
        return m, x, d.index(widths[-1], n), l, h, 0.1

    def clear(m: nn.Sequential, x: Tensor, c: Tensor, l: Tensor, h: Tensor, eps: float) -> bool:
        """Not every class is the predicted one, and no denominator is near 0."""
        layers, enter, z = forward(m, x)
        if bool((z[2].argmax(1) == c).all()) or not bool((enter[2].sum(1) > CLEAR).all()):
            return False
        totals = enter[1] @ plus(layers[1].weight.T), boxed(layers[0], x, l, h).sum(1)
        return away(z[2].gather(1, c[:, None]), *totals)

    def probe(*sizes: int, **how: Any) -> tuple:
        return drawn(make, *sizes, clear=clear, **how)

    judge(
        answer,
        {
            "several samples, each with its class": probe(5, 4, 6, 5, 3),
            "one sample, a class that is not the predicted one": probe(1, 5, 7, 4, 3),
            "as many samples as features and neurons": probe(4, 4, 4, 4, 4),
            "double precision": probe(3, 6, 5, 5, 4, dtype=double),
        },
        composed(),
        {
            "it starts with 1, not with f_c(x)": composed(lambda f, c: logit(ones_like(f), c)),
            "it starts with the predicted class": composed(lambda f, c: logit(f, f.argmax(1))),
            "the bias is missing at the last layer": composed(bias=0.0),
            "eps is missing at the last layer": composed(stabilised=0.0),
            "the bounds l and h have changed places": composed(
                first=lambda layer, x, l, h: boxed(layer, x, h, l)
            ),
            "the first layer has the rule of the middle": composed(
                first=lambda layer, x, l, h: parts(x, plus(layer.weight.T))
            ),
            "the middle layer uses its negative weights, too": composed(
                middle=lambda layer, a: parts(a, layer.weight.T)
            ),
        },
        "last layer epsilon, middle z-plus, first z-B; each hands its result to the layer below",
    )
