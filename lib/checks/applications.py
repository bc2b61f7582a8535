"""The checks of the exercises on applications: sums over words, boxes, stages and truths."""

from collections.abc import Callable

from torch import Tensor, arange, cat, float64, ones, ones_like, tensor, where, zeros
from torch.nn.functional import one_hot

from ._helpers import Draw, drawn, exercise, judge, standard


def over(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, 0 where the whole is 0."""
    return where(whole == 0, 0.0, part / where(whole == 0, 1.0, whole))


@exercise
def check_topic_relevance(answer: Callable) -> None:
    """(R (N, T), topics (N, T) in -1..K-1, K) -> (N, K): the sum of R over the words of each
    topic.
    """

    def sums(R: Tensor, topics: Tensor, K: int) -> Tensor:
        return (R[:, :, None] * one_hot(topics + 1, K + 1)[..., 1:]).sum(1)

    def make(d: Draw, n: int, t: int, k: int) -> tuple:
        topics = d.index(k, n, t)
        topics[:, : 1 + t // 4] = -1
        return d.large(-1, 2, n, t), topics, k

    R, topics, K = drawn(make, 4, 9, 3)
    judge(
        answer,
        standard(make)
        | {"no padding": (R[:, 3:], topics[:, 3:], K)}
        | {"a topic without words": (tensor([[1, -2, 0.5]]), tensor([[0, 2, 0]]), 4)}
        | {
            "only padding in one review": (
                tensor([[1, -2], [3, 0.5]]),
                tensor([[-1, -1], [1, 1]]),
                2,
            )
        },
        sums,
        {
            "padding (topic -1) is added to the last topic": lambda R, t, K: sums(R, t % K, K),
            "padding (-1) is added to the first topic": lambda R, t, K: sums(R, t.clamp(min=0), K),
            "absolute values are added": lambda R, t, K: sums(R.abs(), t, K),
            "negative relevance is left out": lambda R, t, K: sums(R.relu(), t, K),
            "the words of a topic are averaged; add them": lambda R, t, K: over(
                sums(R, t, K), sums(ones_like(R), t, K)
            ),
        },
        "the values are not the sums over the words of each topic, padding left out",
    )


@exercise
def check_word_scores(answer: Callable) -> None:
    """(R (N, T, D), words (N, T) in 0..V-1, V) -> (V,): relevance of a word's vector, averaged over
    its occurrences; 0 for word 0.
    """

    def total(values: Tensor, words: Tensor, V: int) -> Tensor:
        return (values[..., None] * one_hot(words, V)).sum((0, 1))

    def mean(R: Tensor, words: Tensor, V: int) -> Tensor:
        return over(total(R.sum(2), words, V), total(ones(words.shape), words, V))

    def without_padding(scores: Tensor) -> Tensor:
        return scores * (arange(len(scores)) > 0)

    def equation(R: Tensor, words: Tensor, V: int) -> Tensor:
        return without_padding(mean(R, words, V))

    def make(d: Draw, n: int, t: int, i: int, v: int) -> tuple:
        words = d.index(v - 1, n, t)  # the last word never occurs
        words[:, :2] = 0
        return d.uniform(-1, 2, n, t, i), words, v

    twice = tensor([[[1.0], [3]], [[5], [7]]]), tensor([[1, 1], [1, 2]]), 4
    judge(
        answer,
        {
            "several sentences": drawn(make, 4, 8, 2, 6),
            "one sentence": drawn(make, 1, 6, 3, 5),
            "vectors of one number": drawn(make, 3, 7, 1, 4),
            "a word twice in one sentence and once in another": twice,
            "words in double precision": drawn(make, 5, 9, 4, 7, dtype=float64),
        },
        equation,
        {
            "a word's relevances are added up": lambda R, *v: without_padding(total(R.sum(2), *v)),
            "word 0 is padding, its score must be 0": mean,
            "it averages over sentences without the word, too": lambda R, *v: without_padding(
                total(R.sum(2), *v) / len(R)
            ),
            "the relevance of a vector is averaged": lambda R, *v: equation(R / R.shape[2], *v),
            "absolute values are taken": lambda R, *v: equation(R.abs(), *v),
        },
        "the scores are not the means over all occurrences; 0 for a word that never occurs",
    )


@exercise
def check_set_context_use(answer: Callable) -> None:
    """(R (N, H, W), boxes (N, 4)) -> number: positive relevance outside all boxes / inside, each
    added over the set first.
    """

    def inside(R: Tensor, boxes: Tensor) -> Tensor:
        y, x = arange(R.shape[1])[:, None], arange(R.shape[2])
        left, top, right, bottom = boxes.T[:, :, None, None]
        return (x >= left) & (x < right) & (y >= top) & (y < bottom)

    def ratio(R: Tensor, boxes: Tensor, *, change: Callable = Tensor.relu) -> Tensor:
        R, m = change(R), inside(R, boxes)
        return R[~m].sum() / R[m].sum()

    def each_first(R: Tensor, boxes: Tensor) -> Tensor:
        R, m = R.relu(), inside(R, boxes)
        return ((R * ~m).sum((1, 2)) / (R * m).sum((1, 2))).mean()

    def make(d: Draw, boxes: list, h: int, w: int) -> tuple:
        return d.large(-1, 2, len(boxes), h, w), tensor(boxes)

    empty = tensor([[[1.0, -2], [2, 4]], [[3, 1], [0.5, -1]]]), tensor([[1, 0, 2, 1], [0, 0, 2, 1]])
    against = tensor([[[-1.0, -2]], [[3, 1]]]), tensor([[0, 0, 1, 1], [1, 0, 2, 1]])
    three, two = [[0, 2, 3, 6], [1, 0, 2, 3], [2, 4, 4, 8]], [[1, 0, 4, 3], [2, 1, 3, 4]]
    judge(
        answer,
        {
            "several pictures, higher than wide": drawn(make, three, 8, 4),
            "one picture, wider than high": drawn(make, [[2, 1, 5, 3]], 4, 7),
            "boxes at the edges": drawn(make, [[0, 0, 2, 2], [3, 3, 5, 5]], 5, 5),
            "a picture with nothing in its box": empty,
            "a picture without positive relevance": against,
            "large numbers in double precision": drawn(make, two, 4, 6, dtype=float64, size=1e3),
        },
        ratio,
        {
            "the ratio is taken in each picture; add over the set first": each_first,
            "the ratio is turned round: outside / inside": lambda *v: 1 / ratio(*v),
            "it divides by all relevance": lambda *v: ratio(*v) / (1 + ratio(*v)),
            "negative relevance takes part": lambda *v: ratio(*v, change=lambda R: R),
            "absolute values are taken": lambda *v: ratio(*v, change=Tensor.abs),
            "right and bottom are exclusive": lambda R, boxes: ratio(
                R, boxes + tensor([0, 0, 1, 1])
            ),
            "rows, columns have changed places": lambda R, boxes: ratio(R, boxes[:, [1, 0, 3, 2]]),
            "the maps are added up too early": lambda R, boxes: ratio(
                R.sum(0, keepdim=True), boxes[:1]
            ),
        },
        "the value is not outside / inside of the whole set; where is each box?",
    )


@exercise
def check_evidence_balance(answer: Callable) -> None:
    """(R (N, D)) -> (N,): (for - against) / (for + against), 0 for a map of zeros."""

    def balance(R: Tensor) -> Tensor:
        return over(R.sum(1), R.abs().sum(1))

    def make(d: Draw, n: int, i: int, low: float = -1.5, high: float = 2.0) -> tuple:
        return (cat([d.large(high / 2, high, n, 1), d.large(low, high, n, i)], 1),)

    (R,) = small = drawn(make, 3, 7, dtype=float64, size=1e-7)
    judge(
        answer,
        standard(lambda d, n, i: make(d, n, i))
        | {"mostly against": drawn(make, 3, 5, -3.0, 1.0)}
        | {"only for, and only against": (tensor([[1.0, 2, 0], [-1, 0, -3]]),)}
        | {"a map of zeros": (tensor([[0.0, 0], [2, -1]]),)}
        | {"very small numbers in double precision": small}
        | {"smaller numbers": (1e-20 * R,)},
        balance,
        {
            "a small map is taken for one of zeros; it counts as any other": lambda R: where(
                R.abs().sum(1) > 1e-7, balance(R), 0.0
            ),
            "this is for minus against; divide by both together": lambda R: R.sum(1),
            "this is the share that speaks for": lambda R: over(R.relu().sum(1), R.abs().sum(1)),
            "inputs are counted; add their relevance": lambda R: balance(R.sign()),
            "it divides by the evidence against": lambda R: over(R.sum(1), (-R).relu().sum(1)),
            "something is added to the denominator; small maps count, too": tuple(
                lambda R, eps=eps: R.sum(1) / (R.abs().sum(1) + eps) for eps in (1e-6, 1e-8, 1e-12)
            ),
        },
        "the value is not (for - against) / (for + against); it lies between -1 and 1",
    )


@exercise
def check_mass_by_stage(answer: Callable) -> None:
    """(R (S, N, H, W), mask (N, H, W) bool) -> (S,): the share of |R| in the mask, averaged over
    the samples; a map of zeros counts 0.
    """

    def total(R: Tensor) -> Tensor:
        return R.sum((2, 3))

    def share(R: Tensor, mask: Tensor) -> Tensor:
        return over(total(R.abs() * mask), total(R.abs()))

    def make(d: Draw, s: int, n: int, h: int) -> tuple:
        mask = d.uniform(0, 1, n, h, 4) < 0.3
        mask[:, 0, 0] = True
        return d.large(-1, 2, s, n, h, 4), mask

    R, mask = drawn(make, 3, 2, 3)
    R[0, 1] = 0
    apart = tensor([[[[1.0, 3]], [[200, 100]]], [[[-1, 1]], [[10, -30]]]])
    judge(
        answer,
        standard(make)
        | {"a map of zeros": (R, mask), "a map of zeros and an empty mask": (R, mask & False)}
        | {"maps of very different size": (apart, tensor([[[True, False]], [[True, False]]]))}
        | {"very small maps": (1e-20 * R, mask)},
        lambda R, mask: share(R, mask).mean(1),
        {
            "a small map is taken for one of zeros; it counts as any other": lambda R, mask: where(
                total(R.abs()) > 1e-12, share(R, mask), 0.0
            ).mean(1),
            "samples are added before dividing; take each share": lambda R, mask: (
                total(R.abs() * mask).sum(1) / total(R.abs()).sum(1)
            ),
            "only positive relevance counts here": lambda R, mask: share(R.relu(), mask).mean(1),
            "it is added with its sign": lambda R, mask: over(total(R * mask), total(R)).mean(1),
            "a map of zeros is left out; it counts with share 0": lambda R, mask: (
                share(R, mask).sum(1) / (total(R.abs()) > 0).sum(1)
            ),
            "this is the share outside the mask": lambda R, mask: share(R, ~mask).mean(1),
            "it is not divided by all relevance": lambda R, mask: total(R.abs() * mask).mean(1),
        },
        "the values are not the mean shares of |R| in the mask, stage by stage",
    )


@exercise
def check_truth_auc(answer: Callable) -> None:
    """(R (N, D), truth (N, D) bool) -> (N,): how often a place of the truth beats one outside it,
    ties counting half.
    """

    def auc(
        R: Tensor, truth: Tensor, *, tie: float = 0.5, others: Callable = Tensor.bitwise_not
    ) -> Tensor:
        wins = (R[:, :, None] > R[:, None]) + tie * (R[:, :, None] == R[:, None])
        pairs = truth[:, :, None] & others(truth)[:, None]
        return (wins * pairs).sum((1, 2)) / pairs.sum((1, 2))

    def make(d: Draw, n: int, i: int) -> tuple:
        truth = d.uniform(0, 1, n, i) < 0.4
        truth[:, 0], truth[:, 1] = True, False
        return d.large(-1, 1, n, i), truth

    ties = tensor([[1.0, 1, 0, 2, 0, 0], [0, 0, 0, 0, 0, 3]])
    truths = tensor([[1, 0, 1, 0, 0, 1], [1, 0, 0, 1, 0, 0]]) > 0
    one = tensor([[True, False, False, False], [True, True, True, False]])
    judge(
        answer,
        standard(make, leave=["one feature"])
        | {"ties": (ties, truths), "a map of zeros": (zeros(2, 4), one)}
        | {"two places": (tensor([[3.0, -1], [-2, -1]]), one[:, [0, 3]])},
        auc,
        {
            "ties count nothing; they count half": lambda *v: auc(*v, tie=0),
            "ties count in full; they count half": lambda *v: auc(*v, tie=1),
            "the comparison is turned round": lambda *v: 1 - auc(*v),
            "absolute values are compared": lambda R, truth: auc(R.abs(), truth),
            "negative relevance is set to 0": lambda R, truth: auc(R.relu(), truth),
            "only the best place is looked at: the pointing game": lambda R, truth: truth.gather(
                1, R.argmax(1, keepdim=True)
            )[:, 0],
        },
        "the value is not the share of pairs, one in the truth, one outside, that it wins",
    )
