"""The checks of the exercises on bias."""

import itertools
from collections.abc import Callable

from torch import Tensor, arange, cartesian_prod, cat, float64, ones_like, stack, tensor, zeros
from torch.nn.functional import normalize

from ._helpers import Draw, drawn, exercise, judge, standard


def people(d: Draw, n: int, columns: int) -> tuple:
    """Columns of 0 and 1 in which all rows occur."""
    corners = cartesian_prod(*[arange(2)] * columns)
    return tuple(c.clone() for c in cat([d.index(2, n - len(corners), columns), corners]).T)


def bits(*columns: str) -> tuple:
    """Columns of 0 and 1, written down."""
    return tuple(tensor([int(bit) for bit in column]) for column in columns)


def mean(values: Tensor, where: Tensor | bool = True) -> Tensor:
    """The mean of those values, which may be whole numbers."""
    return values[where].double().mean()


# ---------------------------------------------------------------- gaps between groups


@exercise
def check_parity_gap(answer: Callable) -> None:
    """(yhat (N,), g (N,)) 0 or 1 -> scalar: |P(yhat = 1 | g = 1) - P(yhat = 1 | g = 0)|."""

    def gap(yhat: Tensor, g: Tensor) -> Tensor:
        return (mean(yhat, g == 1) - mean(yhat, g == 0)).abs()

    def number(yhat: Tensor, g: Tensor) -> Tensor:
        return (yhat * (2 * g - 1)).sum().abs()

    judge(
        answer,
        {
            "a drawn sample": drawn(people, 40, 2),
            "ten people": bits("1011001011", "1110000001"),
            "group 1 selected less": bits("0011101", "1110000"),
            "one member in group 0": bits("01100", "01111"),
            "nobody selected": bits("000", "011"),
        },
        gap,
        {
            "the sign is kept; the absolute value is asked for": lambda *v: -gap(*v),
            "numbers of people are compared; divide each by the size of its group": (
                number,
                lambda yhat, g: number(yhat, g) / len(g),
            ),
            "yhat and g are exchanged: this is P(g = 1 | yhat)": lambda yhat, g: gap(g, yhat),
        },
        "the value is not |P(yhat = 1 | g = 1) - P(yhat = 1 | g = 0)|",
    )


@exercise
def check_opportunity_gap(answer: Callable) -> None:
    """(y (N,), yhat (N,), g (N,)) 0 or 1 -> scalar: |TPR of group 1 - TPR of group 0|."""

    def between(rate: Callable) -> Callable:
        """The difference of a rate of y and yhat between the groups."""
        return lambda y, yhat, g: (
            rate(y[g == 1], yhat[g == 1]) - rate(y[g == 0], yhat[g == 0])
        ).abs()

    gap = between(lambda y, yhat: mean(yhat, y == 1))
    judge(
        answer,
        {
            "a drawn sample": drawn(people, 40, 3),
            "another drawn sample": drawn(people, 25, 3),
            "eight people": bits("11001110", "10101110", "00001111"),
            "group 1 at a disadvantage": bits("11011101", "11111010", "00001111"),
            "one positive in each group": bits("10010", "11000", "00111"),
        },
        gap,
        {
            "the sign is kept; the absolute value is asked for": lambda *v: -gap(*v),
            "this is demographic parity; count only y = 1": between(lambda y, yhat: mean(yhat)),
            "this is the false positive rate": between(lambda y, yhat: mean(yhat, y == 0)),
            "y and yhat are exchanged": between(lambda y, yhat: mean(y, yhat == 1)),
            "it is divided by the size of the group": between(lambda y, yhat: mean(y * yhat)),
        },
        "the value is not |TPR of group 1 - TPR of group 0|, TPR = P(yhat = 1 | y = 1)",
    )


# ---------------------------------------------------------------- vectors of words


@exercise
def check_remove_direction(answer: Callable) -> None:
    """(phi (N, D), v (D,)) -> (N, D): phi - (phi . u) u with u = v / |v|."""

    def less(factor: Callable[[Tensor, Tensor], Tensor]) -> Callable:
        """phi less so much of v, by phi . v and |v|."""
        return lambda phi, v: phi - factor((phi @ v)[:, None], v.norm()) * v

    def make(d: Draw, n: int, i: int) -> tuple:
        return d.uniform(-2, 2, n, i), d.large(-2, 2, i)

    along = tensor([[2.0, 4, -4], [-1, -2, 2]]), tensor([1.0, 2, -2])
    equation = less(lambda p, length: p / length**2)
    judge(
        answer,
        standard(make, size=10)
        | {"a direction of length 0.02": drawn(make, 3, 5, dtype=float64, size=0.01)}
        | {"vectors along v, of which nothing is left": along}
        | {"vectors at right angles to v": (tensor([[0.0, 3], [0, -1]]), tensor([0.5, 0]))},
        equation,
        {
            "v is not divided by its length; it may have any length": less(lambda p, length: p),
            "v is divided by its length only once": less(lambda p, length: p / length),
            "this is the part along v; the rest is asked for": lambda *v: v[0] - equation(*v),
            "the part along v is added, or subtracted twice: a mirror image": (
                less(lambda p, length: -p / length**2),
                less(lambda p, length: 2 * p / length**2),
            ),
            "the direction itself is subtracted; subtract (phi . u) u": (
                less(lambda p, length: ones_like(p)),
                less(lambda p, length: 1 / length),
            ),
        },
        "the values are not phi - (phi . u) u with u = v / |v|: only the part along v must go",
    )


@exercise
def check_weat(answer: Callable) -> None:
    """(X (n, D), Y (n, D), A (m, D), B (m, D)) -> scalar: the effect size of the WEAT."""

    def cosine(W: Tensor, A: Tensor) -> Tensor:
        return normalize(W) @ normalize(A).T

    def effect(
        spread: Callable = lambda x, y: cat([x, y]).std(), like: Callable = cosine
    ) -> Callable:
        """The difference of the mean associations of X and Y, divided by their spread."""

        def size(X: Tensor, Y: Tensor, A: Tensor, B: Tensor) -> Tensor:
            x, y = (like(W, A).mean(1) - like(W, B).mean(1) for W in (X, Y))
            return (x.mean() - y.mean()) / spread(x, y)

        return size

    def make(d: Draw, n: int, i: int, m: int) -> tuple:
        return tuple(d.uniform(-2, 2, k, i) for k in (n, n, m, m))

    def clear(*v: Tensor) -> bool:
        return bool(equation(*v) > 0.3)

    equation = effect()
    X, Y, A, B = drawn(make, 3, 3, 2, clear=clear, dtype=float64)
    lengths = tensor([[0.01], [1], [30]], dtype=float64)
    judge(
        answer,
        standard(make, clear, 1, leave=["one feature"])
        | {"vectors of very different lengths": (X * lengths, 5 * Y, 0.1 * A, B * lengths[1:])}
        | {"the sets turned round": (Y, X, A, B)},
        equation,
        {
            "the standard deviation divides by n; the sample's one divides by n - 1": effect(
                lambda x, y: cat([x, y]).std(correction=0)
            ),
            "the scalar product is taken; take the cosine": effect(like=lambda W, A: W @ A.T),
            "it is not divided by the standard deviation": (
                effect(lambda x, y: 1),
                effect(lambda x, y: cat([x, y]).var()),
            ),
            "the standard deviation is that of X and Y together, not of each alone": (
                effect(lambda x, y: x.std()),
                effect(lambda x, y: (x.std() + y.std()) / 2),
                effect(lambda x, y: ((x.var() + y.var()) / 2).sqrt()),
            ),
            "words are averaged before the cosine; average the cosines": lambda X, Y, *v: equation(
                X, Y, *(W.mean(0, keepdim=True) for W in v)
            ),
        },
        "the value is not (mean s(X) - mean s(Y)) / std s(X and Y); s compares mean cosines",
    )


# ---------------------------------------------------------------- weights and chance


@exercise
def check_reweighing(answer: Callable) -> None:
    """(y (N,), g (N,)) 0 or 1 -> (N,): P(g) P(y) / P(g, y) from counts."""

    def weights(of: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable:
        """By P(g), P(y) and P(g, y) of each person."""

        def result(y: Tensor, g: Tensor) -> Tensor:
            like_y, like_g = y[:, None] == y, g[:, None] == g
            return of(*(like.double().mean(1) for like in (like_g, like_y, like_g & like_y)))

        return result

    equation = weights(lambda pg, py, both: pg * py / both)
    judge(
        answer,
        {
            "a drawn sample": drawn(people, 31, 2),
            "ten people": bits("0111001110", "1010010010"),
            "one positive in group 1": bits("1110000", "0011101"),
            "a pair that never occurs": bits("00110", "11000"),
            "one person": bits("1", "0"),
        },
        equation,
        {
            "the fraction is turned round: weigh rare pairs more": lambda *v: 1 / equation(*v),
            "P(g) or P(y) is left out; the weight is P(g) P(y) / P(g, y)": (
                weights(lambda pg, py, both: pg / both),
                weights(lambda pg, py, both: py / both),
                weights(lambda pg, py, both: 1 / both),
            ),
            "all pairs have the same total weight": weights(lambda pg, py, both: 0.25 / both),
            "counts stand in for shares: the weights average to 1": (
                lambda *v: len(v[0]) * equation(*v),
                lambda *v: equation(*v) / len(v[0]),
            ),
        },
        "the weights are not P(g) P(y) / P(g, y), which make label and group independent",
    )


@exercise
def check_adjusted_effect(answer: Callable) -> None:
    """(t (N,), y (N,), z (N,)) -> scalar: sum_z P(z) (E[y | t = 1, z] - E[y | t = 0, z])."""

    def gap(t: Tensor, y: Tensor, inside: Tensor) -> Tensor:
        return mean(y, (t == 1) & inside) - mean(y, (t == 0) & inside)

    def weighed(share: Callable) -> Callable:
        return lambda t, y, z: sum(share(t, z == k) * gap(t, y, z == k) for k in (0, 1))

    def make(d: Draw, n: int, shift: float = 0.0) -> tuple:
        z = d.index(3, n).clamp(max=1)
        t = (d.uniform(0, 1, n) < 0.3 + 0.5 * z).long()
        return t, shift + d.uniform(-1, 1, n) + 2 * z + (1 + z) * t, z

    def clear(t: Tensor, y: Tensor, z: Tensor) -> bool:
        return len((2 * t + z).unique()) == 4

    four, (confounded, half) = arange(4), bits("00010111", "00001111")
    opposite = tensor([0, 1, 0, 1, 1]), tensor([0.0, 1, 4, 1, 0]), tensor([0, 0, 1, 1, 1])
    judge(
        answer,
        {
            "a drawn sample": drawn(make, 30, clear=clear),
            "double precision": drawn(make, 17, clear=clear, dtype=float64),
            "outcomes near 100": drawn(make, 24, 100.0, clear=clear, dtype=float64),
            "one person in each cell": (four % 2, tensor([1.0, 3, -2, -1]), four // 2),
            "a confounder and no effect": (confounded, 1.0 + 4 * half, half),
            "effects of opposite sign": opposite,
        },
        weighed(lambda t, inside: mean(inside)),
        {
            "nothing is adjusted; compare within each z": lambda t, y, z: gap(t, y, z >= 0),
            "the strata count the same; weigh each by its share P(z)": weighed(lambda *v: 0.5),
            "the strata are summed without their shares P(z)": weighed(lambda *v: 1),
            "the shares are P(z | t = 1) or P(z | t = 0); take P(z) over all": (
                weighed(lambda t, inside: mean(inside, t == 1)),
                weighed(lambda t, inside: mean(inside, t == 0)),
            ),
            "one stratum alone is used; sum over both": (
                lambda t, y, z: gap(t, y, z == 1),
                lambda t, y, z: gap(t, y, z == 0),
            ),
        },
        "the value is not sum_z P(z) (E[y | t = 1, z] - E[y | t = 0, z])",
    )


@exercise
def check_permutation_p(answer: Callable) -> None:
    """(s (M,), n) -> scalar: the share of all choices of n that differ as much as the first n."""

    def differences(s: Tensor, n: int) -> Tensor:
        """Of all partitions, the one that was seen first."""
        total = s[tensor(list(itertools.combinations(range(len(s)), n)))].sum(1)
        return total / n - (s.sum() - total) / (len(s) - n)

    def share(
        test: Callable[[Tensor], Tensor] = lambda d: d >= d[0] - 1e-9, more: int = 0
    ) -> Callable:
        def p(s: Tensor, n: int) -> Tensor:
            counted = test(differences(s, n))
            return (counted.sum() + more) / (len(counted) + more)

        return p

    def make(d: Draw, m: int, n: int) -> tuple:
        return d.uniform(-1, 1, m) + 0.5 * (arange(m) < n), n

    def clear(s: Tensor, n: int) -> bool:
        """No tie, and a p that is neither small nor large where there are many partitions."""
        d = differences(s, n)
        return bool((d - d[0]).abs().sort().values[1] > 1e-3) and (
            len(s) < 7 or 3 <= int((d >= d[0]).sum()) <= 9
        )

    # In either precision, and by means as by sums, some of the four ties are lost.
    tenths = tensor([-5, 10, -1, -2, 7, -5, -4], dtype=float64) / 10
    equation = share()
    judge(
        answer,
        {
            "7 words, the first 3 of them in X": drawn(make, 7, 3, clear=clear, dtype=float64),
            "large and small values on both sides": (tensor([0.25, 1, -0.5, 0.8, 0.6, 0.1]), 3),
            "5 words, the first 4 of them in X": drawn(make, 5, 4, clear=clear),
            "5 words, the first of them in X": drawn(make, 5, 1, clear=clear),
            "a difference that is negative": (tensor([-1.0, -2, 1.5, 0.25]), 2),
            "values that are equal": (tensor([1.0, 0.5, 1, 0.5]), 2),
            "all values the same": (tensor([0.5, 0.5, 0.5, 0.5]), 2),
            "tenths, whose ties are broken by rounding": (tenths, 3),
        },
        equation,
        {
            "rounding breaks ties: compare with the difference seen less a little": share(
                lambda d: d >= d[0]
            ),
            "equality counts too, so that p is never 0": share(lambda d: d > d[0] + 1e-9),
            "the partition that was seen is one of all; it is neither left out nor added": (
                share(more=-1),
                share(more=1),
            ),
            "the differences that are smaller are counted": share(lambda d: d <= d[0] + 1e-9),
            "p is one-sided here: nothing is doubled, and no absolute value compared": (
                share(lambda d: d.abs() >= d[0].abs() - 1e-9),
                lambda *v: (2 * equation(*v)).clamp(max=1),
            ),
        },
        "the value is not the share of all choices of n words that differ as much as the first n",
    )


# ---------------------------------------------------------------- who is missing, what is left


@exercise
def check_mean_of_all(answer: Callable) -> None:
    """(values (N,), chance (N,)) -> scalar: the mean of a population, of people who each had this
    chance to be asked: sum of values / chance over the sum of 1 / chance.
    """

    def weighted(values: Tensor, weights: Tensor) -> Tensor:
        return (weights * values).sum() / weights.sum()

    def make(d: Draw, n: int) -> tuple:
        chance = d.uniform(0.1, 1, n)
        return d.large(-2, 3, n) + 2 * chance, chance

    def moved(values: Tensor, chance: Tensor) -> bool:
        return len(values) == 1 or float((weighted(values, 1 / chance) - values.mean()).abs()) > 0.1

    judge(
        answer,
        {
            "several people": drawn(make, 7, clear=moved),
            "one person": (tensor([3.0]), tensor([0.2])),
            "the same chance for all": (tensor([1.0, 2, 6]), tensor([0.25, 0.25, 0.25])),
            "a chance of nearly 0": (tensor([1.0, 5, 2]), tensor([1.0, 1e-4, 0.5])),
            "many people in double precision": drawn(
                make, 40, clear=moved, dtype=float64, size=50.0
            ),
        },
        lambda values, chance: weighted(values, 1 / chance),
        {
            "this is the mean of those who were asked": lambda v, c: v.mean(),
            "those who are often asked count more; they must count less": lambda v, c: weighted(
                v, c
            ),
            "the weights are 1 / chance, not 1 - chance": lambda v, c: weighted(v, 1 - c),
            "divided by the number of those asked; the weights do not sum to it": lambda v, c: (
                v / c
            ).mean(),
        },
        "each person asked stands for 1 / chance people; what is the mean of all of these?",
    )


@exercise
def check_recovered(answer: Callable) -> None:
    """(x (N, D), g (N,), new (M, D), h (M,)) -> scalar: the share of the new words whose group is
    that of the nearer of the two means of x.
    """

    def nearer(x: Tensor, g: Tensor, new: Tensor) -> Tensor:
        means = stack([x[g == k].mean(0) for k in (0, 1)])
        return ((new[:, None] - means) ** 2).sum(2)

    def share(x: Tensor, g: Tensor, new: Tensor, h: Tensor) -> Tensor:
        return (nearer(x, g, new).argmin(1) == h).double().mean()

    def make(d: Draw, n: int, i: int) -> tuple:
        g, h = d.index(2, n + 4), d.index(2, n + 7)
        apart, off = d.uniform(-0.7, 0.7, i), d.uniform(1, 2, i)
        x = off + g[:, None] * apart + d.large(-1, 1, n + 4, i)
        return x, g, off + h[:, None] * apart + d.large(-1, 1, n + 7, i), h

    def clear(x: Tensor, g: Tensor, new: Tensor, h: Tensor) -> bool:
        """Groups of other sizes, some right and some wrong, none on the line."""
        if min(int(g.sum()), int((1 - g).sum())) < 2 or 2 * int(g.sum()) == len(g):
            return False
        d = nearer(x, g, new)
        others = by_neighbour, by_angle
        right, *slips = (float(of(x, g, new, h)) for of in (share, *others))
        known = float((d[:, 0] - d[:, 1]).abs().min()) > 0.01
        return known and 0.5 < right < 0.95 and right not in slips

    def by_neighbour(x: Tensor, g: Tensor, new: Tensor, h: Tensor) -> Tensor:
        d = ((new[:, None] - x) ** 2).sum(2)
        return (g[d.argmin(1)] == h).double().mean()

    def by_angle(x: Tensor, g: Tensor, new: Tensor, h: Tensor) -> Tensor:
        means = stack([x[g == k].mean(0) for k in (0, 1)])
        return ((new @ means.T).argmax(1) == h).double().mean()

    x, g, new, h = drawn(make, 7, 4, clear=clear)
    judge(
        answer,
        {
            "three dimensions": drawn(make, 5, 3, clear=clear),
            "one dimension": drawn(make, 6, 1, clear=clear),
            "many dimensions": drawn(make, 9, 12, clear=clear),
            "groups that are further from their own mean": (x, g, new, 1 - h),
            "double precision": drawn(make, 20, 4, clear=clear, dtype=float64),
        },
        share,
        {
            "a reader that errs more often than not is not turned round": lambda *v: share(
                *v
            ).clamp(min=1 - share(*v)),
            "this is the share of errors": lambda *v: 1 - share(*v),
            "the words that made the means are judged; judge the new ones": lambda x, g, new, h: (
                share(x, g, x, g)
            ),
            "the new words make the means; only x and g may": lambda x, g, new, h: share(
                new, h, new, h
            ),
            "this is the group of the nearest word, not of the nearer mean": by_neighbour,
            "the larger product is not the nearer mean": by_angle,
        },
        "for each new word: is it nearer to the mean of group 0 or of group 1, and is that right?",
    )


@exercise
def check_swapped(answer: Callable) -> None:
    """(words (N, T), pairs (P, 2)) -> (N, T): each word that is one of a pair becomes the other;
    all others stay.
    """

    def other(words: Tensor, pairs: Tensor) -> Tensor:
        partner = {a: b for a, b in pairs.tolist()} | {b: a for a, b in pairs.tolist()}
        return tensor([[partner.get(w, w) for w in row] for row in words.tolist()])

    def forwards(words: Tensor, pairs: Tensor) -> Tensor:
        partner = {a: b for a, b in pairs.tolist()}
        return tensor([[partner.get(w, w) for w in row] for row in words.tolist()])

    def make(d: Draw, n: int, t: int) -> tuple:
        return d.index(9, n, t), tensor([[1, 4], [6, 2], [8, 0]])

    def both(words: Tensor, pairs: Tensor) -> bool:
        """Words of both sides of a pair, and one of none."""
        found = set(words.flatten().tolist())
        return bool(found & {1, 6, 8}) and bool(found & {4, 2, 0}) and bool(found & {3, 5, 7})

    judge(
        answer,
        {
            "several sentences": drawn(make, 4, 6, clear=both),
            "one sentence": drawn(make, 1, 8, clear=both),
            "sentences as long as they are many": drawn(make, 5, 5, clear=both),
            "no pairs": (tensor([[1, 2, 3]]), zeros(0, 2).long()),
            "numbers of words in the thousands": (
                tensor([[50_000, 7, 31_000], [31_000, 7, 7]]),
                tensor([[50_000, 31_000]]),
            ),
        },
        other,
        {
            "a pair is swapped in one direction only, or one replacement undoes the other": (
                forwards,
                lambda words, pairs: forwards(words, pairs.flip(1)),
            ),
            "nothing is swapped": lambda words, pairs: words,
        },
        "a word of a pair becomes the other one of its pair, and every other word stays",
    )
