"""The checks of the exercises on applications: sums of relevance over words, boxes, stages and
truths.

Each takes a student's function, returns None if it is right and raises AssertionError with a hint
if not. The references are the definitions as loops over Python floats.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ._helpers_old import Draw, Probe, Slip, judge

Matrix = list[list[float]]

_tensor, _ones, _zeros = (
    torch.tensor,
    torch.ones,
    torch.zeros,
)  # bound here, whatever the notebook does to torch


def check_topic_relevance(answer: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    """(R (N, T), topics (N, T) in -1..K-1, K) -> (N, K): the sum of R over the words of each
    topic.
    """

    def sums(
        R: Matrix,
        topics: list[list[int]],
        K: int,
        change: Callable = lambda r: r,
        divide: Callable | None = None,
    ) -> Matrix:
        rows = []
        for row, own in zip(R, topics):
            total, count = [0.0] * K, [0] * K
            for r, k in zip(row, own):
                if k >= 0:
                    total[k] += change(r)
                    count[k] += 1
            rows.append(
                [t if divide is None else divide(t, n, total) for t, n in zip(total, count)]
            )
        return rows

    def last_takes_padding(R: Matrix, topics: list[list[int]], K: int) -> Matrix:
        return sums(R, [[k % K for k in own] for own in topics], K)

    def first_takes_padding(R: Matrix, topics: list[list[int]], K: int) -> Matrix:
        return sums(R, [[max(k, 0) for k in own] for own in topics], K)

    def overwritten(R: Matrix, topics: list[list[int]], K: int) -> Matrix:
        rows = []
        for row, own in zip(R, topics):
            total = [0.0] * K
            for r, k in zip(row, own):
                if k >= 0:
                    total[k] = r
            rows.append(total)
        return rows

    def draw(
        seed: int,
        n: int,
        t: int,
        K: int,
        padding: bool = True,
        dtype: torch.dtype = torch.float32,
        size: float = 1.0,
    ) -> tuple:
        d = Draw(seed, dtype)
        topics = d.index(K, n, t)
        if padding:
            topics[:, : 1 + t // 4] = -1
        return d.uniform(-size, 2 * size, n, t), topics, K

    probes = [
        Probe("one review", draw(0, 1, 5, 2)),
        Probe("no padding", draw(1, 3, 6, 3, padding=False)),
        Probe("several reviews", draw(2, 4, 9, 3)),
        Probe("a topic without words", (_tensor([[1.0, -2.0, 0.5]]), _tensor([[0, 2, 0]]), 4)),
        Probe(
            "only padding in one review",
            (_tensor([[1.0, -2.0], [3.0, 0.5]]), _tensor([[-1, -1], [1, 1]]), 2),
        ),
        Probe("one topic", draw(3, 3, 4, 1)),
        Probe("large numbers in double precision", draw(4, 3, 8, 3, dtype=torch.float64, size=1e3)),
    ]
    slips = [
        Slip(
            "padding (topic -1) is added to the last topic; it belongs to none", last_takes_padding
        ),
        Slip(
            "padding (topic -1) is added to the first topic; it belongs to none",
            first_takes_padding,
        ),
        Slip("absolute values are added; relevance has a sign", lambda *p: sums(*p, abs)),
        Slip(
            "negative relevance is left out; relevance has a sign",
            lambda *p: sums(*p, lambda r: max(r, 0.0)),
        ),
        Slip(
            (
                "the words of a topic are averaged; add them, so that the topics together hold "
                "what the words hold"
            ),
            lambda *p: sums(*p, divide=lambda t, n, _: t / max(n, 1)),
        ),
        Slip("words are counted; add their relevance", lambda *p: sums(*p, lambda r: 1.0)),
        Slip(
            "the result is normalised over the topics; the plain sums are asked for",
            lambda *p: sums(*p, divide=lambda t, n, total: t / sum(total)),
        ),
        Slip(
            (
                "only the last word of each topic counts: where words share a topic their "
                "relevances must add up"
            ),
            overwritten,
        ),
        Slip(
            "reviews are added or averaged together; each has its own row",
            lambda *p: _pooled(sums(*p)),
        ),
    ]
    judge(
        "topic_relevance",
        answer,
        probes,
        sums,
        slips,
        (
            "the values are not the sums over the words of each topic; do the topics of a review "
            "together hold all that is not padding?"
        ),
    )


def check_word_scores(answer: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    """(R (N, T, D), words (N, T) in 0..V-1, V) -> (V,): relevance of a word's vector, averaged over
    its occurrences; 0 for word 0.
    """

    def equation(
        R: list[Matrix],
        words: list[list[int]],
        V: int,
        padding: bool = False,
        mean: Callable = lambda total, n: total / n,
        of_vector: Callable = sum,
    ) -> list[float]:
        total, count = [0.0] * V, [0] * V
        for sentence, row in zip(R, words):
            for vector, word in zip(sentence, row):
                total[word] += of_vector(vector)
                count[word] += 1
        scores = [mean(t, n) if n else 0.0 for t, n in zip(total, count)]
        return scores if padding else [0.0, *scores[1:]]

    def by_sentence(R: list[Matrix], words: list[list[int]], V: int) -> list[float]:
        """The mean within each sentence first, then over the sentences that have the word."""
        means = [[] for _ in range(V)]
        for sentence, row in zip(R, words):
            for word in set(row):
                own = [sum(vector) for vector, w in zip(sentence, row) if w == word]
                means[word].append(sum(own) / len(own))
        return [0.0, *(sum(m) / len(m) if m else 0.0 for m in means[1:])]

    def draw(
        seed: int, n: int, t: int, D: int, V: int, dtype: torch.dtype = torch.float32
    ) -> tuple:
        d = Draw(seed, dtype)
        words = d.index(V - 1, n, t)  # the last word never occurs
        words[:, :2] = 0
        return d.uniform(-1, 2, n, t, D), words, V

    probes = [
        Probe("several sentences", draw(1, 4, 8, 2, 6)),
        Probe("one sentence", draw(0, 1, 6, 3, 5)),
        Probe("vectors of one number", draw(2, 3, 7, 1, 4)),
        Probe(
            "a word twice in one sentence and once in another",
            (_tensor([[[1.0], [3.0]], [[5.0], [7.0]]]), _tensor([[1, 1], [1, 2]]), 4),
        ),
        Probe("words in double precision", draw(3, 5, 9, 4, 7, torch.float64)),
    ]
    slips = [
        Slip(
            "the relevances of a word are added up; take the mean over its occurrences",
            lambda *p: equation(*p, mean=lambda t, n: t),
        ),
        Slip("word 0 is padding, its score must be 0", lambda *p: equation(*p, padding=True)),
        Slip(
            "it averages over all sentences or places, also those without the word",
            lambda R, w, V: equation(R, w, V, mean=lambda t, n: t / len(R)),
        ),
        Slip(
            "it averages over all sentences or places, also those without the word",
            lambda R, w, V: equation(R, w, V, mean=lambda t, n: t / (len(R) * len(w[0]))),
        ),
        Slip(
            (
                "the relevance of a vector is averaged; the relevance of a word is the sum of "
                "that of its vector"
            ),
            lambda *p: equation(*p, of_vector=lambda v: sum(v) / len(v)),
        ),
        Slip(
            "absolute values are taken; relevance has a sign",
            lambda *p: equation(*p, of_vector=lambda v: sum(map(abs, v))),
        ),
        Slip(
            "absolute values are taken; relevance has a sign",
            lambda *p: equation(*p, of_vector=lambda v: abs(sum(v))),
        ),
        Slip(
            "only the first number of the vector counts; add all D",
            lambda *p: equation(*p, of_vector=lambda v: v[0]),
        ),
        Slip(
            "it takes the mean of each sentence first; every occurrence counts the same",
            by_sentence,
        ),
    ]
    judge(
        "word_scores",
        answer,
        probes,
        equation,
        slips,
        (
            "the scores are not the means over all occurrences of each word; a word that never "
            "occurs has score 0"
        ),
    )


def check_set_context_use(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(R (N, H, W), boxes (N, 4)) -> number: positive relevance outside all boxes / inside, each
    added over the set first.
    """

    def sums(
        R: list[Matrix], boxes: list[list[int]], change: Callable, inside: Callable
    ) -> list[tuple[float, float]]:
        """(outside, inside) of each picture."""
        both = []
        for picture, box in zip(R, boxes):
            out = sum(
                change(r)
                for y, row in enumerate(picture)
                for x, r in enumerate(row)
                if not inside(x, y, *box)
            )
            both.append(
                (
                    out,
                    sum(
                        change(r)
                        for y, row in enumerate(picture)
                        for x, r in enumerate(row)
                        if inside(x, y, *box)
                    ),
                )
            )
        return both

    def positive(r: float) -> float:
        return max(r, 0.0)

    def exact(x: int, y: int, left: int, top: int, right: int, bottom: int) -> bool:
        return left <= x < right and top <= y < bottom

    def equation(
        R: list[Matrix],
        boxes: list[list[int]],
        change: Callable = positive,
        inside: Callable = exact,
        divide: Callable = lambda o, i: o / i,
    ) -> float:
        both = sums(R, boxes, change, inside)
        return divide(sum(o for o, _ in both), sum(i for _, i in both))

    def each_first(R: list[Matrix], boxes: list[list[int]]) -> float:
        ratios = [o / i for o, i in sums(R, boxes, positive, exact)]
        return sum(ratios) / len(ratios)

    def added_first(R: list[Matrix], boxes: list[list[int]]) -> float:
        """The maps of the set added before negative values are left out."""
        total = [
            [sum(picture[y][x] for picture in R) for x in range(len(R[0][0]))]
            for y in range(len(R[0]))
        ]
        return equation([total], boxes[:1])

    def per_pixel(R: list[Matrix], boxes: list[list[int]]) -> float:
        area = sum((b[2] - b[0]) * (b[3] - b[1]) for b in boxes)
        return equation(R, boxes) * area / (len(R) * len(R[0]) * len(R[0][0]) - area)

    def draw(
        seed: int,
        boxes: list[list[int]],
        height: int,
        width: int,
        dtype: torch.dtype = torch.float32,
        size: float = 1.0,
    ) -> tuple:
        return Draw(seed, dtype).uniform(-size, 2 * size, len(boxes), height, width), _tensor(boxes)

    probes = [
        Probe("one picture, wider than high", draw(0, [[2, 1, 5, 3]], 4, 7)),
        Probe(
            "several pictures, higher than wide",
            draw(1, [[0, 2, 3, 6], [1, 0, 2, 3], [2, 4, 4, 8]], 8, 4),
        ),
        Probe("boxes at the edges", draw(2, [[0, 0, 2, 2], [3, 3, 5, 5]], 5, 5)),
        Probe(
            "a picture with nothing in its box",
            (
                _tensor([[[1.0, -2.0], [2.0, 4.0]], [[3.0, 1.0], [0.5, -1.0]]]),
                _tensor([[1, 0, 2, 1], [0, 0, 2, 1]]),
            ),
        ),
        Probe(
            "a picture without positive relevance",
            (_tensor([[[-1.0, -2.0]], [[3.0, 1.0]]]), _tensor([[0, 0, 1, 1], [1, 0, 2, 1]])),
        ),
        Probe(
            "large numbers in double precision",
            draw(3, [[1, 0, 4, 3], [2, 1, 3, 4]], 4, 6, torch.float64, 1e3),
        ),
    ]
    slips = [
        Slip(
            (
                "the ratio is taken in each picture and then averaged; add over the set first, "
                "then divide"
            ),
            each_first,
        ),
        Slip(
            "the ratio is turned round: outside / inside",
            lambda *p: equation(*p, divide=lambda o, i: i / o),
        ),
        Slip(
            "it divides by all relevance; divide by what is inside the boxes",
            lambda *p: equation(*p, divide=lambda o, i: o / (o + i)),
        ),
        Slip(
            "this is the share inside; outside / inside is asked for",
            lambda *p: equation(*p, divide=lambda o, i: i / (o + i)),
        ),
        Slip(
            "negative relevance takes part; only positive relevance counts here",
            lambda *p: equation(*p, lambda r: r),
        ),
        Slip(
            "absolute values are taken; only positive relevance counts here",
            lambda *p: equation(*p, abs),
        ),
        Slip(
            "right and bottom belong to the box here; they are exclusive",
            lambda *p: equation(*p, inside=lambda x, y, l, t, r, b: l <= x <= r and t <= y <= b),
        ),
        Slip(
            (
                "rows and columns have changed places: a box is left, top, right, bottom, and a "
                "picture has rows first"
            ),
            lambda *p: equation(*p, inside=lambda x, y, l, t, r, b: exact(y, x, l, t, r, b)),
        ),
        Slip(
            "a box is read as left, top, width, height; it is left, top, right, bottom",
            lambda *p: equation(
                *p, inside=lambda x, y, l, t, w, h: exact(x, y, l, t, l + w, t + h)
            ),
        ),
        Slip(
            (
                "the maps are added before negative values are left out; leave them out pixel by "
                "pixel, and use the box of each picture"
            ),
            added_first,
        ),
        Slip("it divides by the areas; the sums of relevance are asked for", per_pixel),
    ]
    judge(
        "set_context_use",
        answer,
        probes,
        equation,
        slips,
        (
            "the value is not outside / inside of the whole set; where is each box, and what is "
            "added first?"
        ),
    )


def check_evidence_balance(answer: Callable[[Tensor], Tensor]) -> None:
    """(R (N, D)) -> (N,): (for - against) / (for + against), 0 for a map of zeros."""

    def equation(
        R: Matrix, top: Callable = lambda p, m: p - m, bottom: Callable = lambda p, m: p + m
    ) -> list[float]:
        values = []
        for row in R:
            plus, minus = sum(r for r in row if r > 0), -sum(r for r in row if r < 0)
            values.append(top(plus, minus) / bottom(plus, minus) if plus + minus else 0.0)
        return values

    def counted(R: Matrix) -> list[float]:
        return equation([[(r > 0) - (r < 0) for r in row] for row in R])

    def draw(
        seed: int,
        n: int,
        D: int,
        dtype: torch.dtype = torch.float32,
        low: float = -1.5,
        high: float = 2.0,
    ) -> tuple:
        R = Draw(seed, dtype).uniform(low, high, n, D)
        R[:, 0], R[:, 1] = high / 2, low / 2  # evidence on both sides
        return (R,)

    probes = [
        Probe("one sample", draw(0, 1, 6)),
        Probe("several samples", draw(1, 4, 9)),
        Probe("mostly against", draw(2, 3, 5, low=-3.0, high=1.0)),
        Probe("only for, and only against", (_tensor([[1.0, 2.0, 0.0], [-1.0, 0.0, -3.0]]),)),
        Probe("a map of zeros", (_tensor([[0.0, 0.0], [2.0, -1.0]]),)),
        Probe("large numbers in double precision", draw(3, 3, 7, torch.float64, -2e3, 3e3)),
        Probe("very small numbers in double precision", draw(4, 3, 7, torch.float64, -2e-7, 3e-7)),
    ]
    slips = [
        Slip(
            "this is for minus against; divide by both together",
            lambda R: equation(R, bottom=lambda p, m: 1.0),
        ),
        Slip(
            "this is the share that speaks for; the balance runs from -1 to 1",
            lambda R: equation(R, top=lambda p, m: p),
        ),
        Slip(
            "the sign is turned round: for minus against",
            lambda R: equation(R, top=lambda p, m: m - p),
        ),
        Slip(
            (
                "it divides by the sum of relevance, which can be 0 or negative; divide by the "
                "sum of absolute values"
            ),
            lambda R: [1.0 if sum(map(abs, row)) else 0.0 for row in R],
        ),
        Slip("inputs are counted; add their relevance", counted),
        Slip(
            "it divides by the evidence against alone", lambda R: equation(R, bottom=lambda p, m: m)
        ),
        Slip("it divides by the evidence for alone", lambda R: equation(R, bottom=lambda p, m: p)),
        Slip(
            (
                "the mean is taken instead of the sum in one place: the number of inputs must not "
                "matter"
            ),
            lambda R: [v / len(R[0]) for v in equation(R)],
        ),
        Slip(
            (
                "something is added to the denominator, so that small maps are all balanced; only "
                "a map of zeros gives 0"
            ),
            lambda R: equation(R, bottom=lambda p, m: p + m + 1e-6),
        ),
        Slip(
            (
                "something is added to the denominator, so that small maps are all balanced; only "
                "a map of zeros gives 0"
            ),
            lambda R: equation(R, bottom=lambda p, m: p + m + 1e-8),
        ),
        Slip(
            "samples are added together; each has its own balance",
            lambda R: equation([[r for row in R for r in row]]) * len(R),
        ),
    ]
    judge(
        "evidence_balance",
        answer,
        probes,
        equation,
        slips,
        "the value is not (for - against) / (for + against); it lies between -1 and 1",
    )


def check_mass_by_stage(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(R (S, N, H, W), mask (N, H, W) bool) -> (S,): the share of |R| in the mask, averaged over
    the samples; a map of zeros counts 0.
    """

    def shares(R: list, mask: list, change: Callable = abs) -> list[list[tuple[float, float]]]:
        """(inside, whole) for each stage and sample."""

        def one(picture: Matrix, where: list[list[bool]]) -> tuple[float, float]:
            pairs = [(change(r), m) for row, ms in zip(picture, where) for r, m in zip(row, ms)]
            return sum(r for r, m in pairs if m), sum(r for r, _ in pairs)

        return [[one(picture, where) for picture, where in zip(stage, mask)] for stage in R]

    def equation(R: list, mask: list, change: Callable = abs) -> list[float]:
        return [
            sum(i / w if w else 0.0 for i, w in stage) / len(stage)
            for stage in shares(R, mask, change)
        ]

    def added_first(R: list, mask: list) -> list[float]:
        return [sum(i for i, _ in stage) / sum(w for _, w in stage) for stage in shares(R, mask)]

    def without_zeros(R: list, mask: list) -> list[float]:
        kept = [[i / w for i, w in stage if w] for stage in shares(R, mask)]
        return [sum(stage) / len(stage) for stage in kept]

    def outside(R: list, mask: list) -> list[float]:
        return equation(R, [[[not m for m in row] for row in where] for where in mask])

    def draw(
        seed: int,
        S: int,
        n: int,
        height: int,
        width: int,
        dtype: torch.dtype = torch.float32,
        size: float = 1.0,
    ) -> tuple:
        d = Draw(seed, dtype)
        mask = d.uniform(0, 1, n, height, width) < 0.3
        mask[:, 0, 0] = True
        return d.uniform(-size, 2 * size, S, n, height, width), mask

    zeros = draw(3, 3, 2, 3, 4)
    zeros[0][0, 1] = 0
    flat = _ones(2, 2, 2, 3)
    flat[0, 1] = 0
    probes = [
        Probe("one stage, one sample", draw(0, 1, 1, 3, 5)),
        Probe("several stages, more samples than stages", draw(1, 3, 5, 4, 3)),
        Probe("as many stages as samples", draw(2, 4, 4, 3, 5)),
        Probe("a map of zeros", zeros),
        Probe(
            "an empty mask",
            (flat, _tensor([[[True, False, False], [False, False, False]], [[False] * 3] * 2])),
        ),
        Probe(
            "maps of very different size",
            (
                _tensor([[[[1.0, 3.0]], [[200.0, 100.0]]], [[[-1.0, 1.0]], [[10.0, -30.0]]]]),
                _tensor([[[True, False]], [[True, False]]]),
            ),
        ),
        Probe("large numbers in double precision", draw(4, 2, 3, 3, 4, torch.float64, 1e3)),
    ]
    slips = [
        Slip(
            (
                "samples are added before dividing, so that maps with large scores rule; each "
                "sample's share counts the same"
            ),
            added_first,
        ),
        Slip(
            (
                "only positive relevance counts here; take absolute values, since a decision is "
                "made of both signs"
            ),
            lambda *p: equation(*p, lambda r: max(r, 0.0)),
        ),
        Slip(
            "relevance is added with its sign; take absolute values",
            lambda *p: equation(*p, lambda r: r),
        ),
        Slip("squares are taken; take absolute values", lambda *p: equation(*p, lambda r: r * r)),
        Slip("a map of zeros is left out; it counts with share 0", without_zeros),
        Slip("this is the share outside the mask", outside),
        Slip(
            "it is the sum over the samples; take the mean",
            lambda R, mask: [v * len(mask) for v in equation(R, mask)],
        ),
        Slip(
            "stages are averaged; each stage has its own number", lambda *p: _repeated(equation(*p))
        ),
        Slip(
            "it is not divided by all relevance of the map",
            lambda R, mask: [sum(i for i, _ in stage) / len(stage) for stage in shares(R, mask)],
        ),
    ]
    judge(
        "mass_by_stage",
        answer,
        probes,
        equation,
        slips,
        "the values are not the mean shares of |R| in the mask, stage by stage",
    )


def check_truth_auc(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(R (N, D), truth (N, D) bool) -> (N,): how often a place of the truth beats one outside it,
    ties counting half.
    """

    def equation(
        R: Matrix, truth: list[list[bool]], tie: float = 0.5, change: Callable = lambda r: r
    ) -> list[float]:
        values = []
        for row, own in zip(R, truth):
            inside, outside = (
                [change(r) for r, t in zip(row, own) if t == side] for side in (True, False)
            )
            wins = [1.0 if p > q else tie if p == q else 0.0 for p in inside for q in outside]
            values.append(sum(wins) / len(wins))
        return values

    def all_pairs(R: Matrix, truth: list[list[bool]]) -> list[float]:
        values = []
        for row, own in zip(R, truth):
            inside = [r for r, t in zip(row, own) if t]
            wins = [1.0 if p > q else 0.5 if p == q else 0.0 for p in inside for q in row]
            values.append(sum(wins) / len(wins))
        return values

    def best_only(R: Matrix, truth: list[list[bool]]) -> list[float]:
        return [float(own[row.index(max(row))]) for row, own in zip(R, truth)]

    def draw(
        seed: int, n: int, D: int, dtype: torch.dtype = torch.float32, size: float = 1.0
    ) -> tuple:
        d = Draw(seed, dtype)
        truth = d.uniform(0, 1, n, D) < 0.4
        truth[:, 0], truth[:, 1] = True, False
        return d.uniform(-size, size, n, D), truth

    ties = _tensor([[1.0, 1.0, 0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 3.0]])
    probes = [
        Probe("one sample", draw(0, 1, 7)),
        Probe("several samples", draw(1, 5, 12)),
        Probe(
            "ties",
            (
                ties,
                _tensor(
                    [
                        [True, False, True, False, False, True],
                        [True, False, False, True, False, False],
                    ]
                ),
            ),
        ),
        Probe(
            "a map of zeros",
            (_zeros(2, 4), _tensor([[True, False, False, False], [True, True, True, False]])),
        ),
        Probe("as many samples as places", draw(2, 4, 4)),
        Probe(
            "two places",
            (_tensor([[3.0, -1.0], [-2.0, -1.0]]), _tensor([[True, False], [True, False]])),
        ),
        Probe("large numbers in double precision", draw(3, 3, 9, torch.float64, 1e3)),
    ]
    slips = [
        Slip("ties count nothing; they count half", lambda *p: equation(*p, tie=0.0)),
        Slip("ties count in full; they count half", lambda *p: equation(*p, tie=1.0)),
        Slip(
            "the comparison is turned round: the truth should have the higher relevance",
            lambda *p: [1 - v for v in equation(*p)],
        ),
        Slip(
            "absolute values are compared; relevance has a sign",
            lambda *p: equation(*p, change=abs),
        ),
        Slip(
            "negative relevance is set to 0; relevance has a sign",
            lambda *p: equation(*p, change=lambda r: max(r, 0.0)),
        ),
        Slip(
            (
                "places of the truth are compared with all places; compare them with those "
                "outside the truth"
            ),
            all_pairs,
        ),
        Slip("only the most relevant place is looked at; that is the pointing game", best_only),
        Slip(
            "samples are put together; each has its own AUC",
            lambda R, truth: (
                equation([[r for row in R for r in row]], [[t for row in truth for t in row]])
                * len(R)
            ),
        ),
    ]
    judge(
        "truth_auc",
        answer,
        probes,
        equation,
        slips,
        (
            "the value is not the share of pairs (one place in the truth, one outside) in which "
            "the truth wins"
        ),
    )


def _pooled(rows: Matrix) -> Matrix:
    """Every row replaced by the mean of all."""
    mean = [sum(column) / len(rows) for column in zip(*rows)]
    return [mean] * len(rows)


def _repeated(values: list[float]) -> list[float]:
    return [sum(values) / len(values)] * len(values)
