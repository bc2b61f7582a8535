"""The checks of the exercises on responsibility."""

import math
from collections.abc import Callable
from typing import Any

import numpy
from torch import Tensor, cat, float64, int64, tensor
from torch.nn.functional import normalize

from ._helpers import Draw, drawn, exercise, judge

_tolist = Tensor.tolist


# ---------------------------------------------------------------- texts


@exercise
def check_merge_pair(answer: Callable) -> None:
    """(ids (T,), a, b, new) -> the ids with each a b, from left to right, replaced by new."""

    def padded(result: Any, ids: Tensor) -> Any:
        """The ids, filled up with -1: results of any length can be compared."""
        values = _tolist(result) if isinstance(result, Tensor) else result
        values = values.tolist() if isinstance(values, numpy.ndarray) else values
        if not isinstance(values, (list, tuple)) or any(
            not isinstance(v, (int, float, Tensor)) for v in values
        ):
            return result
        return [*values, *[-1] * (len(ids) + 4 - len(values))]

    def by_text(change: Callable[[str, str, str, str], str]) -> Callable:
        """What becomes of the ids where each of them is a letter."""

        def merged(ids: Tensor, *pair: int) -> list:
            text = change("".join(map(chr, ids.tolist())), *map(chr, pair))
            return padded([ord(letter) for letter in text], ids)

        return merged

    def by_figures(ids: Tensor, a: int, b: int, new: int) -> list:
        text = " ".join(map(str, ids.tolist())).replace(f"{a} {b}", str(new))
        return padded([int(figures) for figures in text.split()], ids)

    judge(
        lambda *v: padded(answer(*v), v[0]),
        {
            "a pair in two places": (tensor([5, 1, 2, 7, 1, 2, 2, 1]), 1, 2, 9),
            "a pair at the end": (tensor([2, 1, 3, 1, 2]), 1, 2, 300),
            "a run of one id": (tensor([4, 4, 4, 0, 4, 4, 4, 4, 4]), 4, 4, 8),
            "one id": (tensor([3]), 3, 3, 9),
            "no such pair": (tensor([2, 1, 0, 1]), 1, 2, 5),
            "a b b": (tensor([1, 2, 2, 0, 1, 1, 2]), 1, 2, 6),
            "ids whose figures hold others, 11 2 and 1 21": (
                *(tensor([11, 2, 0, 1, 21, 3, 1, 2]), 1, 2, 9),
            ),
        },
        by_text(lambda text, a, b, new: text.replace(a + b, new)),
        {
            "only the first occurrence is replaced; replace them all": by_text(
                lambda text, a, b, new: text.replace(a + b, new, 1)
            ),
            "a run such as a a a is read from the right; read from left to right": by_text(
                lambda text, a, b, new: text[::-1].replace(b + a, new)[::-1]
            ),
            "the new token replaces a and b stays; it stands for both": by_text(
                lambda text, a, b, new: text.replace(a + b, new + b)
            ),
            "the ids come back unchanged": by_text(lambda text, *pair: text),
            "figures are compared, and 11 2 holds 1 2; compare numbers": by_figures,
        },
        "the ids are not those with each a b, from left to right, replaced by the new one",
    )


@exercise
def check_language_premium(answer: Callable) -> None:
    """(T (L, S) tokens, base) -> (L,): all tokens of a language over those of language base."""

    def premium(T: Tensor, base: int) -> Tensor:
        return T.sum(1) / T[base].sum()

    def make(d: Draw, languages: int, sentences: int, base: int) -> tuple:
        return (1 + d.index(60, languages, sentences)).to(d.dtype), base

    judge(
        answer,
        {
            "three languages, five sentences": drawn(make, 3, 5, 0),
            "another base": drawn(make, 4, 3, 2, dtype=float64),
            "whole numbers": drawn(make, 3, 4, 1, dtype=int64),
            "one sentence": drawn(make, 5, 1, 4),
            "one language": drawn(make, 1, 6, 0),
        },
        premium,
        {
            "ratios of sentences are averaged; divide the sums": lambda T, b: (T / T[b]).mean(1),
            "numerator and denominator are exchanged": lambda *v: 1 / premium(*v),
            "equal cost is 1; nothing is subtracted, or given in percent": (
                lambda *v: premium(*v) - 1,
                lambda *v: 100 * premium(*v),
            ),
            "it is not divided by the base language": (
                lambda T, base: T.sum(1),
                lambda T, base: T.double().mean(1),
            ),
            "it is relative to another language; `base` says which": (
                lambda T, base: premium(T, 0),
                lambda T, base: T.sum(1) / T.sum(1).min(),
            ),
        },
        "the values are not sum over sentences of a language / sum of the base language",
    )


# ---------------------------------------------------------------- privacy and energy


@exercise
def check_membership_advantage(answer: Callable) -> None:
    """(losses (N,) in, losses (M,) out) -> scalar: the gap of the rates of loss <= mean loss in."""

    def gap(
        threshold: Callable = lambda a, b: a.mean(), test: Callable = Tensor.le
    ) -> Callable[[Tensor, Tensor], Tensor]:
        def found(a: Tensor, b: Tensor) -> Tensor:
            rates = [test(part, threshold(a, b)).double().mean() for part in (a, b)]
            return rates[0] - rates[1]

        return found

    def make(d: Draw, n: int, m: int) -> tuple:
        return d.uniform(0, 2, n) ** 2, d.uniform(0, 3, m) ** 2

    def clear(a: Tensor, b: Tensor) -> bool:
        """No loss is so near the threshold that rounding decides."""
        return bool(gap()(a, b) > 0.1 and (cat([a, b]) - a.mean()).abs().min() > 1e-3)

    apart = tensor([0.0, 0.25, 0.5, 200]), tensor([0.0, 60, 49, 100, 200])
    # The threshold is 0.10011; rounded it is another one for some of them.
    near = [tensor(k, dtype=float64) for k in ([0.0, 1, 2, 3, 5, 6, 7, 8], [2, 3.75, 5, 9, 20])]
    dense = tuple(0.10003 + 2e-5 * k for k in near)
    judge(
        answer,
        {
            "19 members, 13 strangers": drawn(make, 19, 13, clear=clear),
            "double precision": drawn(make, 17, 11, clear=clear, dtype=float64),
            "strangers with smaller losses": (tensor([1.0, 2, 4.5, 6.5]), tensor([0.5, 0.25, 3])),
            "losses equal to the threshold": (tensor([1.0, 1, 1]), tensor([1.0, 2, 1, 0.5])),
            "one member with a loss of 200": apart,
            "losses that are close together": dense,
            "one member, one stranger": (tensor([0.25]), tensor([0.75])),
        },
        gap(),
        {
            "a loss equal to the threshold counts as a member: <=": gap(test=Tensor.lt),
            "the threshold is rounded; take it as it is": tuple(
                gap(lambda a, b, digits=digits: a.mean().round(decimals=digits))
                for digits in (1, 2, 3, 4)
            ),
            "the threshold is the mean loss of the members, of them alone; no median": (
                gap(lambda a, b: b.mean()),
                gap(lambda a, b: cat([a, b]).mean()),
                gap(lambda a, b: a.median()),
            ),
            "subtract the false positive rate": lambda a, b: (a <= a.mean()).double().mean(),
            "each rate is divided by its own number: N for members, M for strangers": (
                lambda a, b: (a <= a.mean()).sum() - (b <= a.mean()).sum(),
                lambda a, b: ((a <= a.mean()).sum() - (b <= a.mean()).sum()) / len(a),
            ),
        },
        "the value is not P(loss <= t | in) - P(loss <= t | out) with t the members' mean loss",
    )


@exercise
def check_private_sum(answer: Callable) -> None:
    """(G (N, P) one gradient a row, C) -> (P,): sum of g min(1, C / |g|)."""

    def length(G: Tensor) -> Tensor:
        return G.norm(dim=1, keepdim=True)

    def clipped(G: Tensor, C: float, *, by: Callable = length) -> Tensor:
        return (G * (C / by(G)).clamp(max=1)).sum(0)

    def make(d: Draw, n: int, i: int, C: float) -> tuple:
        return d.uniform(-2, 2, n, i) * d.uniform(0.1, 2, n, 1), C

    def clear(G: Tensor, C: float) -> bool:
        return bool(G.mean(0).norm() > C)

    judge(
        answer,
        {
            "four gradients of three numbers": drawn(make, 4, 3, 0.6, clear=clear),
            "double precision": drawn(make, 3, 5, 0.7, dtype=float64),
            "one person": drawn(make, 1, 4, 0.3),
            "one weight": drawn(make, 6, 1, 0.8),
            "a gradient of zeros": (tensor([[0.0, 0], [3, 4], [0.3, -0.4]]), 2.0),
            "gradients of size 200": (tensor([[200.0, -100], [3, 0], [-150, 200]]), 100.0),
        },
        clipped,
        {
            "the sum or the mean is clipped; clip each row before adding": (
                lambda G, C: clipped(G.sum(0)[None], C),
                lambda G, C: clipped(G.mean(0)[None], C) * len(G),
            ),
            "short gradients are stretched; leave them": lambda G, C: C * normalize(G).sum(0),
            "each number is clipped; clip the row's length": lambda G, C: G.clamp(-C, C).sum(0),
            "this is the mean; the sum is asked for": lambda G, C: clipped(G, C) / len(G),
            "nothing is clipped; long rows are shortened to C": lambda G, C: G.sum(0),
            "the length of a row is the root of the sum of squares": (
                lambda *v: clipped(*v, by=lambda G: G.abs().sum(1, keepdim=True)),
                lambda *v: clipped(*v, by=lambda G: length(G) ** 2),
            ),
        },
        "the values are not sum_n g_n min(1, C / |g_n|), with one length for each row",
    )


@exercise
def check_epsilon_of(answer: Callable) -> None:
    """(D (A,) Rényi divergences of a step, orders (A,), T, delta) -> scalar: the best epsilon."""

    def bounds(D: Tensor, a: Tensor, T: float, delta: float) -> Tensor:
        return T * D + ((a - 1) / a).log() - (math.log(delta) + a.log()) / (a - 1)

    def epsilon(*v: Any) -> Tensor:
        return bounds(*v).min()

    def less(term: Callable[[Tensor, float], Tensor]) -> Callable:
        """What comes out less a term of a and delta."""
        return lambda D, a, T, delta: (bounds(D, a, T, delta) - term(a, delta)).min()

    def gauss(noise: float, orders: list, *rest: float, dtype: Any = None) -> tuple:
        a = tensor(orders, dtype=dtype)
        return a / (2 * noise**2), a, *rest

    judge(
        answer,
        {
            "nine orders": gauss(20, [3.0, 2, 4, 6, 8, 12, 16, 64, 32], 50, 1e-5),
            "double precision": gauss(8, [1.5, 2.5, 4.5, 10.5, 40.5], 7, 1e-3, dtype=float64),
            "orders that fall": gauss(60, [40.0, 12, 5, 2], 400, 1e-4),
            "one order": gauss(3, [5.0], 4, 1e-6),
            "one step": gauss(2, [2.0, 4, 8, 32], 1, 1e-5),
            "divergences near 200": gauss(0.1, [2.0, 4, 3], 2, 1e-5),
        },
        epsilon,
        {
            "the steps are not counted": lambda D, a, T, delta: epsilon(D, a, 1, delta),
            "only the divergences of the steps add up, and they grow with T": (
                lambda D, a, T, delta: T * epsilon(D, a, 1, delta),
                lambda D, a, T, delta: epsilon(D, a, T**0.5, delta),
            ),
            "each order is a valid bound; take the smallest of them all": (
                lambda *v: bounds(*v).max(),
                lambda *v: bounds(*v)[0],
                lambda *v: bounds(*v)[-1],
            ),
            "a term with log a is missing": (
                less(lambda a, delta: ((a - 1) / a).log() - a.log() / (a - 1)),
                less(lambda a, delta: ((a - 1) / a).log()),
                less(lambda a, delta: -a.log() / (a - 1)),
            ),
            "the last term has the wrong sign; -log delta is positive": less(
                lambda a, delta: -2 * (math.log(delta) + a.log()) / (a - 1)
            ),
        },
        "the value is not min_a T D_a + log((a - 1) / a) - (log delta + log a) / (a - 1)",
    )


@exercise
def check_emissions(answer: Callable) -> None:
    """(watts (R,), hours (R,), pue, grams of CO2e per kWh) -> scalar: kg of CO2e of all runs."""

    def emitted(w: Tensor, h: Tensor, pue: float, grams: float) -> Tensor:
        return (w @ h) * pue * grams / 1e6

    def make(d: Draw, runs: int, pue: float, grams: float) -> tuple:
        return d.uniform(100, 12000, runs), d.uniform(1, 90, runs), pue, grams

    judge(
        answer,
        {
            "four runs": drawn(make, 4, 1.58, 433.0),
            "double precision": drawn(make, 3, 1.1, 820.0, dtype=float64),
            "one run": drawn(make, 1, 1.25, 0.5),
            "a run of no hours": (tensor([300, 12041.5]), tensor([0.0, 79]), 1.58, 432.7),
            "PUE 1": drawn(make, 5, 1.0, 48.0),
        },
        emitted,
        {
            "watts and grams are asked for in kilowatts and kilograms": (
                lambda *v: 1e3 * emitted(*v),
                lambda *v: 1e6 * emitted(*v),
            ),
            "the energy is multiplied by PUE: 1.5 is one half more": (
                lambda w, h, pue, grams: emitted(w, h, 1, grams),
                lambda w, h, pue, grams: emitted(w, h, 1 / pue, grams),
                lambda w, h, pue, grams: emitted(w, h, 1 + pue, grams),
            ),
            "this is energy, and no mass": lambda w, h, pue, _: emitted(w, h, pue, 1e3),
            "each run has its own watts and hours; multiply before adding": (
                lambda w, h, *v: emitted(w.sum()[None], h.sum()[None], *v),
                lambda w, h, *v: emitted(w.mean()[None], h.sum()[None], *v),
            ),
            "all runs count, also the failed ones: the sum is asked for": (
                lambda *v: emitted(*v) / len(v[0]),
                lambda w, h, *v: emitted(w[-1:], h[-1:], *v),
            ),
        },
        "the value is not PUE times all watts times hours, in kWh, times the intensity, in kg",
    )


# ---------------------------------------------------------------- a run under the promise


@exercise
def check_private_training(answer: Callable) -> None:
    """(x (N, D), y (N,), noise (T, D), rate, C, sigma) -> (D,): the weights of a logistic
    regression after T steps from 0: each person's gradient clipped to C, summed, sigma C noise_t
    added, divided by N.
    """

    def trained(
        x: Tensor,
        y: Tensor,
        noise: Tensor,
        rate: float,
        C: float,
        sigma: float,
        *,
        clip: Callable,
        loud: float | None = None,
        after: bool = False,
        mean: bool = True,
    ) -> Tensor:
        w = 0 * x[0]
        for drawn_noise in noise:
            g = ((x @ w).sigmoid() - y)[:, None] * x
            extra = sigma * (C if loud is None else loud) * drawn_noise
            count = len(x) if mean else 1
            total = clip(g, C).sum(0)
            w = w - rate * (total / count + extra if after else (total + extra) / count)
        return w

    def norm(g: Tensor) -> Tensor:
        return (g**2).sum(1, keepdim=True) ** 0.5

    def each(g: Tensor, C: float) -> Tensor:
        return g * (C / norm(g)).clamp(max=1)

    def run(clip: Callable = each, **how: Any) -> Callable:
        return lambda *v: trained(*v, clip=clip, **how)

    def make(d: Draw, n: int, i: int, steps: int = 3, sigma: float = 0.8) -> tuple:
        y = d.index(2, n).to(d.dtype)
        return d.uniform(-2, 2, n, i), y, d.uniform(-1, 1, steps, i), 0.7, 0.6, sigma

    def clear(x: Tensor, y: Tensor, *_: Any) -> bool:
        """In the first step some gradients are longer than C, as their mean is, and of several some
        are not.
        """
        g = (0.5 - y)[:, None] * x
        long, mean = norm(g) > 0.6, norm(g.mean(0, keepdim=True))
        return bool(long.any()) and (len(x) == 1 or bool(mean > 0.65) and not bool(long.all()))

    judge(
        answer,
        {
            "several people, three steps": drawn(make, 6, 3, clear=clear),
            "one person": drawn(make, 1, 4, clear=clear),
            "one step": drawn(make, 5, 2, 1, clear=clear),
            "as many people as features and steps": drawn(make, 3, 3, 3, clear=clear),
            "no noise": drawn(make, 5, 3, 4, 0.0, clear=clear),
            "many steps in double precision": drawn(make, 8, 4, 12, clear=clear, dtype=float64),
        },
        run(),
        {
            "the mean gradient is clipped; clip each person's": run(
                lambda g, C: each(g.mean(0, keepdim=True), C).expand_as(g)
            ),
            "the sum of the gradients is clipped; clip each person's": run(
                lambda g, C: each(g.sum(0, keepdim=True), C) / len(g) + 0 * g
            ),
            "each number of a gradient is clipped; clip its length": run(
                lambda g, C: g.clamp(-C, C)
            ),
            "nothing is clipped": run(lambda g, C: g),
            "short gradients are made longer; they stay": run(lambda g, C: g * C / norm(g)),
            "the noise is sigma C noise: C is missing": run(loud=1.0),
            "the noise is added to the mean; add it to the sum, before dividing": run(after=True),
            "the sum is not divided by N": run(mean=False),
            "it climbs the loss": lambda x, y, noise, rate, *v: run()(x, y, noise, -rate, *v),
            "the noise is missing": lambda x, y, noise, *v: run()(x, y, 0 * noise, *v),
        },
        "the weights are not those of T steps: gradient of each person, clipped, summed, noise, "
        "divided by N, times the rate",
    )
