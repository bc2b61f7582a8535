"""The checks of the exercises on responsibility.

Each takes a student's function, returns None if it is right and raises AssertionError with a hint
if not. The references are loops over Python floats.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ._helpers_old import Draw, Probe, Slip, close, first, judge

Row = list[float]
Rows = list[Row]

_tensor, _tolist, _float32, _float64 = torch.tensor, Tensor.tolist, torch.float32, torch.float64


# ---------------------------------------------------------------- exercises


def check_merge_pair(answer: Callable[[Tensor, int, int, int], Tensor]) -> None:
    """(ids (T,) whole numbers, a, b, new) -> the ids with each a b, from left to right, replaced by
    new.
    """

    def padded(
        ids: Tensor, a: int, b: int, new: int
    ) -> object:  # so that results of every length can be compared
        result = answer(ids, a, b, new)
        values = _tolist(result) if isinstance(result, Tensor) else result
        if not isinstance(values, (list, tuple)) or not all(
            isinstance(v, (int, float, Tensor)) for v in values
        ):
            return result
        return [*values, *[-1] * (len(ids) + 4 - len(values))]

    def reference(merged: Callable[..., list]) -> Callable[..., list]:
        return lambda ids, a, b, new: (
            merged(ids, a, b, new) + [-1] * (len(ids) + 4 - len(merged(ids, a, b, new)))
        )

    def merged(
        ids: list[int], a: int, b: int, new: int, most: float = math.inf, either: bool = False
    ) -> list:
        result, i, done = [], 0, 0
        while i < len(ids):
            pair = ids[i : i + 2]
            hit = done < most and (pair == [a, b] or either and pair == [b, a])
            result, i, done = result + [new if hit else ids[i]], i + 1 + hit, done + hit
        return result

    def from_the_right(ids: list[int], a: int, b: int, new: int) -> list:
        return merged(ids[::-1], b, a, new)[::-1]

    def again(
        ids: list[int], a: int, b: int, new: int
    ) -> list:  # looks back at what has just been made
        result: list = []
        for v in ids:
            result = (
                result[:-1] + [new]
                if result and (result[-1], v) in ((a, b), (new, b))
                else result + [v]
            )
        return result

    slips = [
        Slip(
            "only the first occurrence is replaced; replace them all",
            reference(lambda *v: merged(*v, most=1)),
        ),
        Slip(
            "a run such as a a a is read from the right; read from left to right",
            reference(from_the_right),
        ),
        Slip(
            "b a is replaced too; the order of the pair matters",
            reference(lambda *v: merged(*v, either=True)),
        ),
        Slip(
            "the new token replaces a and b stays; it stands for both",
            reference(
                lambda ids, a, b, new: [
                    new if ids[i : i + 2] == [a, b] else v for i, v in enumerate(ids)
                ]
            ),
        ),
        Slip(
            "an id is used twice: in a a a the middle one belongs to one pair only",
            reference(
                lambda ids, a, b, new: [
                    new if ids[i : i + 2] == [a, b] else v
                    for i, v in enumerate(ids)
                    if ids[i : i + 2] == [a, b] or i == 0 or ids[i - 1 : i + 1] != [a, b]
                ]
            ),
        ),
        Slip(
            "what has just been made is merged again; new followed by b is no pair",
            reference(again),
        ),
        Slip(
            "every a and every b is replaced; only an a that is followed by b makes a pair",
            reference(lambda ids, a, b, new: [new if v in (a, b) else v for v in ids]),
        ),
        Slip("the ids come back unchanged", reference(lambda ids, a, b, new: ids)),
        Slip(
            "the pair is taken away and nothing stands in its place",
            reference(lambda *v: [k for k in merged(*v) if k != v[3]]),
        ),
        Slip("the last id is lost", reference(lambda *v: merged(*v)[:-1])),
    ]
    probes = [
        Probe("a pair in two places", (_tensor([5, 1, 2, 7, 1, 2, 2, 1]), 1, 2, 9)),
        Probe("a pair at the end", (_tensor([2, 1, 3, 1, 2]), 1, 2, 300)),
        Probe("a run of one id", (_tensor([4, 4, 4, 0, 4, 4, 4, 4, 4]), 4, 4, 8)),
        Probe("one id", (_tensor([3]), 3, 3, 9)),
        Probe("no such pair", (_tensor([2, 1, 0, 1]), 1, 2, 5)),
        Probe("a b b", (_tensor([1, 2, 2, 0, 1, 1, 2]), 1, 2, 6)),
    ]
    judge(
        "merge_pair",
        padded if callable(answer) else answer,
        probes,
        reference(merged),
        slips,
        "the ids are not those with each a b, from left to right, replaced by the new one",
    )


def check_language_premium(answer: Callable[[Tensor, int], Tensor]) -> None:
    """(T (L, S) tokens of each sentence in each language, base) -> (L,): all tokens of a language
    over all of the base language.
    """

    def per(ratio: Callable[[Row, Row], float]) -> Callable[[Rows, int], Row]:
        return lambda T, base: [ratio(row, T[base]) for row in T]

    def average(values: Row) -> float:
        return sum(values) / len(values)

    slips = [
        Slip(
            "this is the mean of the ratios of single sentences; divide the sums",
            per(lambda r, b: average([v / w for v, w in zip(r, b)])),
        ),
        Slip("numerator and denominator are exchanged", per(lambda r, b: sum(b) / sum(r))),
        Slip("it is given less 1; equal cost is 1", per(lambda r, b: sum(r) / sum(b) - 1)),
        Slip("it is given in percent; equal cost is 1", per(lambda r, b: 100 * sum(r) / sum(b))),
        Slip(
            "this is the difference of the means; a ratio is asked for",
            per(lambda r, b: average(r) - average(b)),
        ),
        Slip("it is not divided by the base language", per(lambda r, b: average(r))),
        Slip("it is not divided by the base language", per(lambda r, b: sum(r))),
        Slip("only the first sentence counts", per(lambda r, b: r[0] / b[0])),
        Slip(
            "the largest sentences are compared; compare the sums",
            per(lambda r, b: max(r) / max(b)),
        ),
        Slip(
            "it is relative to the first language; `base` says which",
            lambda T, base: [sum(row) / sum(T[0]) for row in T],
        ),
        Slip(
            "it is relative to the cheapest language; `base` says which",
            lambda T, base: [sum(row) / min(map(sum, T)) for row in T],
        ),
        Slip(
            "it is relative to the mean of all languages; `base` says which",
            lambda T, base: [sum(row) / average([sum(r) for r in T]) for row in T],
        ),
        Slip(
            "the sums run over the languages; sum over the sentences",
            lambda T, base: [sum(c) / sum(list(zip(*T))[0]) for c in zip(*T)],
        ),
    ]

    def draw(seed: int, L: int, S: int, dtype: torch.dtype) -> Tensor:
        return (1 + Draw(seed).index(60, L, S)).to(dtype)

    probes = [
        Probe("three languages, five sentences", (draw(1, 3, 5, _float32), 0)),
        Probe("another base", (draw(2, 4, 3, _float64), 2)),
        Probe("whole numbers", (draw(3, 3, 4, torch.int64), 1)),
        Probe("one sentence", (draw(4, 5, 1, _float32), 4)),
        Probe("one language", (draw(5, 1, 6, _float32), 0)),
    ]
    judge(
        "language_premium",
        answer,
        probes,
        per(lambda r, b: sum(r) / sum(b)),
        slips,
        "the values are not sum over sentences of a language / sum of the base language",
    )


def check_membership_advantage(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(losses (N,) of members, losses (M,) of strangers) -> scalar: true less false positive rate
    of loss <= mean loss of the members.
    """

    def mean(values: Row) -> float:
        return sum(values) / len(values)

    def rates(
        threshold: Callable, test: Callable = lambda v, t: v <= t
    ) -> Callable[[Row, Row], tuple[float, float]]:
        return lambda a, b: tuple(
            mean([float(test(v, threshold(a, b))) for v in part]) for part in (a, b)
        )

    of_members = rates(lambda a, b: mean(a))

    def gap(found: Callable) -> Callable[[Row, Row], float]:
        return lambda a, b: found(a, b)[0] - found(a, b)[1]

    slips = [
        Slip(
            "a negative advantage is possible: no absolute value",
            lambda a, b: abs(gap(of_members)(a, b)),
        ),
        Slip(
            "a negative advantage is possible: no clamp at 0",
            lambda a, b: max(0.0, gap(of_members)(a, b)),
        ),
        Slip(
            "a loss equal to the threshold counts as a member: <=",
            gap(rates(lambda a, b: mean(a), lambda v, t: v < t)),
        ),
        Slip(
            "the threshold is the mean of the strangers; it is that of the members",
            gap(rates(lambda a, b: mean(b))),
        ),
        Slip(
            "the threshold is the mean of all; it is that of the members",
            gap(rates(lambda a, b: mean(a + b))),
        ),
        Slip(
            "the threshold is a median; it is the mean",
            gap(rates(lambda a, b: sorted(a)[(len(a) - 1) // 2])),
        ),
        Slip(
            "the threshold is a median; it is the mean",
            gap(rates(lambda a, b: (sorted(a)[(len(a) - 1) // 2] + sorted(a)[len(a) // 2]) / 2)),
        ),
        Slip(
            "members have *small* losses: the sign is turned round",
            lambda a, b: -gap(of_members)(a, b),
        ),
        Slip(
            "this is the true positive rate; subtract the false positive rate",
            lambda a, b: of_members(a, b)[0],
        ),
        Slip(
            "this is a share of right guesses; the advantage is the difference of two rates",
            lambda a, b: (
                (of_members(a, b)[0] * len(a) + (1 - of_members(a, b)[1]) * len(b))
                / (len(a) + len(b))
            ),
        ),
        Slip(
            "this is a share of right guesses; the advantage is the difference of two rates",
            lambda a, b: (1 + gap(of_members)(a, b)) / 2,
        ),
        Slip(
            "each rate is divided by its own number: N for members, M for strangers",
            lambda a, b: (of_members(a, b)[0] * len(a) - of_members(a, b)[1] * len(b)) / len(a),
        ),
        Slip(
            "each rate is divided by its own number: N for members, M for strangers",
            lambda a, b: (
                (of_members(a, b)[0] * len(a) - of_members(a, b)[1] * len(b)) / (len(a) + len(b))
            ),
        ),
        Slip(
            "counts are subtracted; rates are asked for",
            lambda a, b: of_members(a, b)[0] * len(a) - of_members(a, b)[1] * len(b),
        ),
        Slip(
            "this is the difference of the mean losses; the threshold attack is asked for",
            lambda a, b: mean(b) - mean(a),
        ),
        Slip(
            "this is the AUC; one threshold is asked for",
            lambda a, b: mean([(v < w) + 0.5 * (v == w) for v in a for w in b]),
        ),
        Slip(
            "this is the best threshold; take the mean loss of the members",
            lambda a, b: max(gap(rates(lambda *_, t=t: t))(a, b) for t in a + b),
        ),
    ]

    def draw(seed: int, N: int, M: int, dtype: torch.dtype, shift: float = 1.0) -> tuple:
        def clear(a: Row, b: Row) -> bool:  # no loss so near the threshold that rounding decides
            return (
                gap(of_members)(a, b) > 0
                and all(abs(v - mean(a)) > 1e-3 for v in a + b)
                and _telling(slips[3:], a, b)
            )

        return first(
            lambda d: (d.uniform(0, 2, N) ** 2, shift * d.uniform(0, 3, M) ** 2), clear, dtype
        )

    probes = [
        Probe("19 members, 13 strangers", draw(1, 19, 13, _float32)),
        Probe("double precision", draw(2, 17, 11, _float64)),
        Probe(
            "strangers with smaller losses than members",
            (_tensor([1.0, 2.0, 4.5, 6.5]), _tensor([0.5, 0.25, 3.0])),
        ),
        Probe(
            "losses equal to the threshold",
            (_tensor([1.0, 1.0, 1.0]), _tensor([1.0, 2.0, 1.0, 0.5])),
        ),
        Probe(
            "one member with a loss of 200",
            (_tensor([0.0, 0.25, 0.5, 200.0]), _tensor([0.0, 60.0, 49.0, 100.0, 200.0])),
        ),
        Probe("one member, one stranger", (_tensor([0.25]), _tensor([0.75]))),
    ]
    judge(
        "membership_advantage",
        answer,
        probes,
        gap(of_members),
        slips,
        (
            "the value is not P(loss <= t | in) - P(loss <= t | out) with t the mean loss of the "
            "members"
        ),
    )


def check_private_sum(answer: Callable[[Tensor, float], Tensor]) -> None:
    """(G (N, P) one gradient a row, C) -> (P,): sum of g min(1, C / |g|)."""

    def norm(g: Row) -> float:
        return math.sqrt(sum(v * v for v in g))

    def added(change: Callable[[Row, float], Row]) -> Callable[[Rows, float], Row]:
        return lambda G, C: [sum(c) for c in zip(*(change(g, C) for g in G))]

    def clipped(g: Row, C: float) -> Row:
        return [v * (C / norm(g) if norm(g) > C else 1.0) for v in g]

    equation = added(clipped)
    slips = [
        Slip(
            "the sum or the mean is clipped; clip each row before adding",
            lambda G, C: clipped([sum(c) for c in zip(*G)], C),
        ),
        Slip(
            "the sum or the mean is clipped; clip each row before adding",
            lambda G, C: [len(G) * v for v in clipped([sum(c) / len(G) for c in zip(*G)], C)],
        ),
        Slip(
            "the sum or the mean is clipped; clip each row before adding",
            lambda G, C: clipped([sum(c) / len(G) for c in zip(*G)], C),
        ),
        Slip(
            "short gradients are stretched to C; they stay as they are",
            added(lambda g, C: [v * C / norm(g) if norm(g) else 0.0 for v in g]),
        ),
        Slip(
            "each number is clipped to [-C, C]; clip the length of the row",
            added(lambda g, C: [min(max(v, -C), C) for v in g]),
        ),
        Slip(
            "this is the mean; the sum is asked for",
            lambda G, C: [v / len(G) for v in equation(G, C)],
        ),
        Slip(
            "rows longer than C are left out; shorten them",
            added(lambda g, C: [v * (norm(g) <= C) for v in g]),
        ),
        Slip("nothing is clipped", added(lambda g, C: g)),
        Slip(
            "the length is the sum of absolute values; it is the root of the sum of squares",
            added(lambda g, C: [v * min(1.0, C / sum(map(abs, g)) if any(g) else 1.0) for v in g]),
        ),
        Slip(
            "the length is squared; take the root",
            added(lambda g, C: [v * min(1.0, C / norm(g) ** 2 if any(g) else 1.0) for v in g]),
        ),
        Slip(
            "the length is the largest absolute value; it is the root of the sum of squares",
            added(lambda g, C: [v * min(1.0, C / max(map(abs, g)) if any(g) else 1.0) for v in g]),
        ),
        Slip(
            (
                "the rows become shorter than C / |g| says: is it multiplied by C / |g| where "
                "min(1, C / |g|) is asked for, or C forgotten?"
            ),
            added(lambda g, C: [v * min(1.0, 1 / norm(g) if any(g) else 1.0) for v in g]),
        ),
    ]

    def draw(seed: int, N: int, P: int, C: float, dtype: torch.dtype = _float32) -> tuple:
        drawn = Draw(seed, dtype)
        return drawn.uniform(-2, 2, N, P) * drawn.uniform(0.1, 2, N, 1), C

    telling = first(
        lambda d: (d.uniform(-2, 2, 4, 3) * d.uniform(0.1, 2, 4, 1), 0.6),
        lambda G, C: _telling(slips, G, C),
    )

    probes = [
        Probe("four gradients of three numbers", telling),
        Probe("double precision", draw(2, 3, 5, 0.7, _float64)),
        Probe("one person", draw(3, 1, 4, 0.3)),
        Probe("one weight", draw(4, 6, 1, 0.8)),
        Probe("a gradient of zeros", (_tensor([[0.0, 0.0], [3.0, 4.0], [0.3, -0.4]]), 2.0)),
        Probe(
            "gradients of size 200",
            (_tensor([[200.0, -100.0], [3.0, 0.0], [-150.0, 200.0]]), 100.0),
        ),
    ]
    judge(
        "private_sum",
        answer,
        probes,
        equation,
        slips,
        "the values are not sum_n g_n min(1, C / |g_n|), with one length for each row",
    )


def check_epsilon_of(answer: Callable[[Tensor, Tensor, int, float], Tensor]) -> None:
    """(D (A,) Rényi divergences of one step, orders (A,), T, delta) -> scalar epsilon, the best
    over the orders.
    """

    def account(
        of_one: Callable[[float, float, int, float], float], choose: Callable = min
    ) -> Callable:
        return lambda D, orders, T, delta: choose(of_one(d, a, T, delta) for d, a in zip(D, orders))

    def one(d: float, a: float, T: int, delta: float) -> float:
        return T * d + math.log((a - 1) / a) - (math.log(delta) + math.log(a)) / (a - 1)

    def mean(values: object) -> float:
        values = list(values)
        return sum(values) / len(values)

    slips = [
        Slip(
            "the steps are not counted: their divergences add up",
            account(lambda d, a, T, delta: one(d, a, 1, delta)),
        ),
        Slip(
            "the whole is multiplied by T; only the divergences of the steps add up",
            account(lambda d, a, T, delta: T * one(d, a, 1, delta)),
        ),
        Slip(
            "the divergence grows with T, not with its root",
            account(lambda d, a, T, delta: one(d, a, T, delta) - T * d + math.sqrt(T) * d),
        ),
        Slip(
            "the largest over the orders is taken; each order is a valid bound, take the smallest",
            account(one, max),
        ),
        Slip(
            "the mean over the orders is taken; each order is a valid bound, take the smallest",
            account(one, mean),
        ),
        Slip(
            "only the first order is used; take the best of all",
            account(one, lambda values: next(iter(values))),
        ),
        Slip(
            "only the last order is used; take the best of all",
            account(one, lambda values: list(values)[-1]),
        ),
        Slip(
            "this is the older T D + log(1 / delta) / (a - 1); the terms with log a are missing",
            account(lambda d, a, T, delta: T * d - math.log(delta) / (a - 1)),
        ),
        Slip(
            "log((a - 1) / a) is missing",
            account(lambda d, a, T, delta: one(d, a, T, delta) - math.log((a - 1) / a)),
        ),
        Slip(
            "log((a - 1) / a) is turned upside down",
            account(lambda d, a, T, delta: one(d, a, T, delta) - 2 * math.log((a - 1) / a)),
        ),
        Slip(
            "log a in the last term is missing",
            account(lambda d, a, T, delta: one(d, a, T, delta) + math.log(a) / (a - 1)),
        ),
        Slip(
            "the last term has the wrong sign; delta < 1, so that -log delta is positive",
            account(
                lambda d, a, T, delta: (
                    T * d + math.log((a - 1) / a) + (math.log(delta) + math.log(a)) / (a - 1)
                )
            ),
        ),
        Slip(
            "the last term is divided by a; it is divided by a - 1",
            account(
                lambda d, a, T, delta: (
                    T * d + math.log((a - 1) / a) - (math.log(delta) + math.log(a)) / a
                )
            ),
        ),
        Slip(
            "the logarithms are not natural ones",
            account(lambda d, a, T, delta: T * d + (one(d, a, T, delta) - T * d) / math.log(10)),
        ),
        Slip(
            "the logarithms are not natural ones",
            account(lambda d, a, T, delta: T * d + (one(d, a, T, delta) - T * d) / math.log(2)),
        ),
    ]

    def gauss(noise: float, orders: Row, dtype: torch.dtype = _float32) -> tuple[Tensor, Tensor]:
        return _tensor([a / (2 * noise**2) for a in orders], dtype=dtype), _tensor(
            orders, dtype=dtype
        )

    probes = [
        Probe(
            "nine orders",
            (*gauss(20.0, [3.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 64.0, 32.0]), 50, 1e-5),
        ),
        Probe("double precision", (*gauss(8.0, [1.5, 2.5, 4.5, 10.5, 40.5], _float64), 7, 1e-3)),
        Probe("orders that fall", (*gauss(60.0, [40.0, 12.0, 5.0, 2.0]), 400, 1e-4)),
        Probe("one order", (*gauss(3.0, [5.0]), 4, 1e-6)),
        Probe("one step", (*gauss(2.0, [2.0, 4.0, 8.0, 32.0]), 1, 1e-5)),
        Probe("divergences near 200", (*gauss(0.1, [2.0, 4.0, 3.0]), 2, 1e-5)),
    ]
    judge(
        "epsilon_of",
        answer,
        probes,
        account(one),
        slips,
        "the value is not min_a T D_a + log((a - 1) / a) - (log delta + log a) / (a - 1)",
    )


def check_emissions(answer: Callable[[Tensor, Tensor, float, float], Tensor]) -> None:
    """(watts (R,), hours (R,) of each run, pue, grams of CO2e per kWh) -> scalar: kg of CO2e of all
    runs.
    """

    def total(
        energy: Callable[[Row, Row], float], pue: Callable = lambda v: v, scale: float = 1e-6
    ) -> Callable:
        return lambda watts, hours, p, grams: energy(watts, hours) * pue(p) * grams * scale

    def watt_hours(watts: Row, hours: Row) -> float:
        return sum(w * h for w, h in zip(watts, hours))

    equation = total(watt_hours)
    slips = [
        Slip("these are grams; kilograms are asked for", total(watt_hours, scale=1e-3)),
        Slip("watts are taken for kilowatts: 1,000 W are 1 kW", total(watt_hours, scale=1e-3)),
        Slip("neither watts become kilowatts nor grams kilograms", total(watt_hours, scale=1.0)),
        Slip("PUE is left out", total(watt_hours, lambda p: 1.0)),
        Slip(
            "it is divided by PUE; a data centre needs more, not less",
            total(watt_hours, lambda p: 1 / p),
        ),
        Slip(
            "PUE counts for the whole: PUE 1.5 is one half more, not 2.5 times as much",
            total(watt_hours, lambda p: 1 + p),
        ),
        Slip("only what is above 1 of the PUE is counted", total(watt_hours, lambda p: p - 1)),
        Slip(
            "this is energy in kWh; multiply by the grid's intensity",
            lambda w, h, p, g: watt_hours(w, h) * p / 1000,
        ),
        Slip(
            "all watts are multiplied by all hours; each run has its own",
            total(lambda w, h: sum(w) * sum(h)),
        ),
        Slip(
            "mean power times all hours; each run has its own",
            total(lambda w, h: sum(w) / len(w) * sum(h)),
        ),
        Slip(
            "all power times the mean of the hours; each run has its own",
            total(lambda w, h: sum(w) * sum(h) / len(h)),
        ),
        Slip(
            "this is the mean over the runs; the sum is asked for",
            total(lambda w, h: watt_hours(w, h) / len(w)),
        ),
        Slip(
            "only the last run is counted; failed and repeated ones count too",
            total(lambda w, h: w[-1] * h[-1]),
        ),
        Slip(
            "only the largest run is counted", total(lambda w, h: max(a * b for a, b in zip(w, h)))
        ),
        Slip("the hours are taken for seconds", total(lambda w, h: watt_hours(w, h) / 3600)),
    ]

    def draw(seed: int, R: int, pue: float, grams: float, dtype: torch.dtype = _float32) -> tuple:
        drawn = Draw(seed, dtype)
        return drawn.uniform(100, 12000, R), drawn.uniform(1, 90, R), pue, grams

    probes = [
        Probe("four runs", draw(1, 4, 1.58, 433.0)),
        Probe("double precision", draw(2, 3, 1.1, 820.0, _float64)),
        Probe("one run", draw(3, 1, 1.25, 11.0)),
        Probe("a run of no hours", (_tensor([300.0, 12041.5]), _tensor([0.0, 79.0]), 1.58, 432.7)),
        Probe("PUE 1", draw(4, 5, 1.0, 48.0)),
    ]
    judge(
        "emissions",
        answer,
        probes,
        equation,
        slips,
        (
            "the value is not PUE times the sum of watts times hours, in kWh, times the "
            "intensity, in kg"
        ),
    )


# ---------------------------------------------------------------- probes


def _telling(slips: Sequence[Slip], *arguments: object) -> bool:
    """No two slips with different hints have the same result here, so that each gets its own."""
    results = [(slip.hint, slip.compute(*arguments)) for slip in slips]
    return not any(
        hint != other and close(values, same, 1e-3)
        for (hint, values), (other, same) in itertools.combinations(results, 2)
    )
