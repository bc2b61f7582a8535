"""Bias: each equation recomputed by a loop, fairlearn, scikit-learn and SciPy where they define the
same, and worlds that are what they say.
"""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from lib import bias, data
from lib.bias import vectors, worlds

torch.set_num_threads(1)


def points(n, d, seed=0, dtype=torch.float64):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def people(n, seed=0, groups=2):
    g = torch.Generator().manual_seed(seed)
    return (
        torch.randint(2, (n,), generator=g),
        torch.randint(2, (n,), generator=g),
        torch.randint(groups, (n,), generator=g),
    )


# ---------------------------------------------------------------- words


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(
        sum(x * x for x in a) * sum(y * y for y in b)
    )


def slow_association(w, A, B):
    return sum(cosine(w, a) for a in A) / len(A) - sum(cosine(w, b) for b in B) / len(B)


@pytest.mark.parametrize(("n", "m"), [(3, 3), (2, 4), (5, 3)])
def test_weat_is_that_of_a_loop_over_all_partitions(n, m):
    X, Y, A, B = points(n, 4, 1), points(m, 4, 2), points(3, 4, 3), points(2, 4, 4)
    s = [slow_association(w, A.tolist(), B.tolist()) for w in X.tolist() + Y.tolist()]
    mean = sum(s) / (n + m)
    spread = math.sqrt(sum((v - mean) ** 2 for v in s) / (n + m - 1))
    observed = sum(s[:n]) / n - sum(s[n:]) / m
    found = bias.weat(X, Y, A, B)
    assert found.effect == pytest.approx(observed / spread, abs=1e-10) and found.exact
    every = [
        sum(s[i] for i in c) / n - sum(s[i] for i in range(n + m) if i not in c) / m
        for c in itertools.combinations(range(n + m), n)
    ]
    assert found.p == pytest.approx(sum(v >= observed - 1e-12 for v in every) / len(every))
    scipy = stats.permutation_test(
        (s[:n], s[n:]),
        lambda a, b: np.mean(a) - np.mean(b),
        alternative="greater",
        n_resamples=np.inf,
    )
    assert found.p == pytest.approx(scipy.pvalue)
    assert bias.weat(Y, X, A, B).effect == pytest.approx(-found.effect) and bias.weat(
        X, Y, B, A
    ).effect == pytest.approx(-found.effect)
    assert bias.weat(3 * X, 0.1 * Y, A, 7 * B).effect == pytest.approx(found.effect)
    assert bias.weat(X.float(), Y.float(), A.float(), B.float()).effect == pytest.approx(
        found.effect, abs=1e-5
    )


def test_a_sampled_p_is_near_the_exact_one(monkeypatch):
    X, Y, A, B = points(6, 3, 1) + 0.5, points(6, 3, 2), points(3, 3, 3) + 1, points(3, 3, 4) - 1
    exact, state = bias.weat(X, Y, A, B), torch.get_rng_state()
    monkeypatch.setattr(vectors, "PARTITIONS", 10)
    sampled = bias.weat(X, Y, A, B, samples=40_000)
    assert not sampled.exact and sampled.effect == exact.effect
    assert abs(sampled.p - exact.p) < 5 * math.sqrt(exact.p * (1 - exact.p) / 40_000) + 1e-4
    assert (
        torch.equal(torch.get_rng_state(), state)
        and bias.weat(X, Y, A, B, samples=50).p == bias.weat(X, Y, A, B, samples=50).p
    )


def test_wefat_is_that_of_a_loop_and_one_row_that_of_a_batch():
    W, A, B = points(7, 5), points(4, 5, 1), points(3, 5, 2)
    for w, value in zip(W.tolist(), bias.wefat(W, A, B).tolist()):
        every = [cosine(w, a) for a in A.tolist() + B.tolist()]
        assert value == pytest.approx(
            slow_association(w, A.tolist(), B.tolist()) / np.std(every, ddof=1), abs=1e-10
        )
    assert torch.allclose(bias.wefat(W[2:3], A, B), bias.wefat(W, A, B)[2:3])
    same = torch.ones(1, 5).double()
    assert bias.wefat(W, same, same).abs().max() == 0


def test_the_effect_of_equal_associations_is_zero():
    one = torch.ones(2, 3)
    assert bias.weat(one, one, one, one).effect == 0 and bias.weat(one, one, one, one).p == 1


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 50), st.floats(0.05, 1))
@settings(max_examples=40, deadline=None)
def test_the_bias_direction_holds_its_share(pairs, D, seed, share):
    first, second = points(pairs, D, seed), points(pairs, D, seed + 100)
    B = bias.bias_direction(first, second, share)
    C = (first - second) / 2
    assert torch.allclose(B.T @ B, torch.eye(B.shape[1]).double(), atol=1e-10)
    held = ((C @ B) ** 2).sum() / (C**2).sum()
    assert held >= share - 1e-5 and ((C @ B).sum(0) >= -1e-12).all()
    values = np.sort(np.linalg.eigvalsh((C.T @ C).numpy()))[::-1]
    assert B.shape[1] == next(
        k for k in range(1, D + 1) if values[:k].sum() / values.sum() >= share - 1e-6
    )
    assert ((C @ B) ** 2).sum().item() == pytest.approx(values[: B.shape[1]].sum())


@given(st.integers(1, 5), st.integers(2, 6), st.integers(1, 3), st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_projection_splits_each_vector(N, D, k, seed):
    phi, B = points(N, D, seed), points(D, k, seed + 1)
    left = bias.remove_projection(phi, B)
    want = phi - phi @ B @ torch.linalg.pinv(B)
    assert torch.allclose(left, want.double(), atol=1e-8)
    assert (left @ B).abs().max() < 1e-9 * (1 + B.abs().max()) * 10
    gone = phi - left
    assert torch.allclose(phi.square().sum(1), left.square().sum(1) + gone.square().sum(1))
    assert torch.allclose(bias.remove_projection(left, B), left, atol=1e-9)


def test_projection_on_one_vector_of_any_length_and_on_a_rank_that_is_not_full():
    phi, v = points(4, 3), points(3, 1)[:, 0]
    u = v / v.norm()
    want = phi - (phi @ u)[:, None] * u
    for B in (v, -3 * v, v[:, None], torch.stack([v, 2 * v], 1)):
        assert torch.allclose(bias.remove_projection(phi, B), want)
    assert torch.allclose(bias.remove_projection(phi.float(), v.float()), want.float(), atol=1e-5)


def test_the_penalty_is_a_sum_of_squares_with_its_gradient():
    N, B = points(4, 3).requires_grad_(), points(3, 2, 1)
    value = bias.projection_penalty(N, B)
    assert value.item() == pytest.approx(
        sum(
            sum(n * b for n, b in zip(row, column)) ** 2
            for row in N.tolist()
            for column in B.T.tolist()
        )
    )
    value.backward()
    assert torch.allclose(N.grad, 2 * N.detach() @ B @ B.T)


W3 = torch.ones(3, 4)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: bias.weat(W3[:1], W3, W3, W3), ValueError, "two words"),
        (lambda: bias.weat(W3, W3, W3, W3[:, :2]), ValueError, "width"),
        (lambda: bias.weat(W3.long(), W3, W3, W3), TypeError, "X"),
        (lambda: bias.weat(W3, 0 * W3, W3, W3), ValueError, "zeros"),
        (lambda: bias.wefat(W3 / 0, W3, W3), ValueError, "finite"),
        (lambda: bias.wefat([1], W3, W3), TypeError, "list"),
        (lambda: bias.bias_direction(W3, W3), ValueError, "differ"),
        (lambda: bias.bias_direction(W3, W3[:2]), ValueError, "pairs"),
        (lambda: bias.bias_direction(W3, 2 * W3, 0), ValueError, "share"),
        (lambda: bias.remove_projection(W3, torch.zeros(4)), ValueError, "not zero"),
        (lambda: bias.remove_projection(W3, torch.ones(3)), ValueError, "phi, B"),
        (lambda: bias.corpus(1.5), ValueError, "bias"),
        (lambda: bias.word_vectors(torch.zeros(2, 3).long(), 1, 2), ValueError, "word 1"),
    ],
)
def test_words_refuse(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---------------------------------------------------------------- decisions


def slow_rates(y, yhat, g, k):
    rows = [(a, b) for a, b, c in zip(y.tolist(), yhat.tolist(), g.tolist()) if c == k]

    def share(event, given):
        inside = [row for row in rows if given(*row)]
        return sum(event(*row) for row in inside) / len(inside) if inside else math.nan

    anyone = lambda a, b: True  # noqa: E731
    return [
        len(rows),
        share(lambda a, b: a, anyone),
        share(lambda a, b: b, anyone),
        share(lambda a, b: a == b, anyone),
        share(lambda a, b: b, lambda a, b: a),
        share(lambda a, b: b, lambda a, b: not a),
        share(lambda a, b: not b, lambda a, b: a),
        share(lambda a, b: a, lambda a, b: b),
    ]


@given(st.integers(4, 60), st.integers(0, 1000), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_group_rates_are_those_of_a_loop(n, seed, groups):
    y, yhat, g = people(n, seed, groups)
    g[:groups] = torch.arange(groups)
    rates = bias.group_rates(y, yhat, g)
    found = torch.stack(list(vars(rates).values())).T.tolist()
    for k in range(groups):
        assert found[k] == pytest.approx(slow_rates(y, yhat, g, k), nan_ok=True)


def test_the_criteria_are_those_of_fairlearn():
    fair = pytest.importorskip("fairlearn.metrics")
    for seed in range(5):
        y, yhat, g = people(300, seed, 3)
        rates, named = bias.group_rates(y, yhat, g), {"sensitive_features": g.numpy()}
        assert (
            rates.gaps["selected"]
            == rates.demographic_parity
            == pytest.approx(fair.demographic_parity_difference(y, yhat, **named))
        )
        assert rates.equalised_odds == pytest.approx(
            fair.equalized_odds_difference(y, yhat, **named)
        )
        assert rates.equal_opportunity == pytest.approx(
            fair.equal_opportunity_difference(y, yhat, **named)
        )
        frame = fair.MetricFrame(
            metrics={"fpr": fair.false_positive_rate, "ppv": metrics.precision_score},
            y_true=y,
            y_pred=yhat,
            **named,
        )
        assert rates.fpr.tolist() == pytest.approx(
            frame.by_group["fpr"].tolist()
        ) and rates.predictive_parity == pytest.approx(frame.difference()["ppv"])


def test_compas_has_its_published_rates():
    counts = [torch.tensor(pair) for pair in ((990, 1139), (805, 349), (532, 461), (1369, 505))]
    rates = bias.rates_from_counts(*counts)
    for values, want in (
        (rates.fpr, (44.85, 23.45)),
        (rates.fnr, (27.99, 47.72)),
        (rates.ppv, (62.97, 59.13)),
        (rates.base, (51.43, 39.36)),
    ):
        assert (100 * values).tolist() == pytest.approx(want, abs=0.005)
    assert torch.allclose(bias.implied_fpr(rates.base, rates.ppv, rates.fnr), rates.fpr, atol=1e-12)


@given(st.integers(8, 60), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_three_rates_imply_the_fourth(n, seed):
    y, yhat, g = people(n, seed)
    y[:4], yhat[:4], g[:] = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1]), 0
    rates = bias.group_rates(y, yhat, g)
    assert bias.implied_fpr(rates.base, rates.ppv, rates.fnr).item() == pytest.approx(
        rates.fpr.item()
    )


@given(st.integers(6, 60), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_with_the_weights_label_and_group_are_independent(n, seed):
    y, _, g = people(n, seed)
    y[:4], g[:4] = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    w = bias.reweighing(y, g).double()
    for n_, value in enumerate(w.tolist()):
        both = sum(a == y[n_] and b == g[n_] for a, b in zip(y, g))
        assert value == pytest.approx(
            float((y == y[n_]).sum() * (g == g[n_]).sum() / both / n), rel=1e-5
        )
    joint = torch.zeros(2, 2).double().index_put((g, y), w, accumulate=True) / n
    assert torch.allclose(
        joint, joint.sum(1, keepdim=True) * joint.sum(0), atol=1e-6
    ) and w.mean().item() == pytest.approx(1)


def best_by_search(score, y, g, criterion):
    """The best pair of deterministic thresholds whose rates agree exactly: a lower bound."""
    best = 0.0
    cuts = [[-math.inf, *score[g == k].unique().tolist()] for k in (0, 1)]
    for a, b in itertools.product(*cuts):
        yhat = torch.where(g == 0, score > a, score > b).long()
        rates = bias.group_rates(y, yhat, g)
        gap = 0 if criterion == "none" else getattr(rates, criterion)
        if gap < 1e-9:
            best = max(best, (yhat == y).double().mean().item())
    return best


@pytest.mark.parametrize("criterion", bias.CRITERIA)
@pytest.mark.parametrize("seed", range(3))
def test_thresholds_meet_their_criterion_and_are_the_best(criterion, seed):
    score, y, g = worlds.scores(60, (0.3, 0.6), seed=seed)
    policy = bias.fair_thresholds(score, y, g, criterion)
    low = best_by_search(score, y, g, criterion)
    assert policy.accuracy >= low - 1e-9 and (
        criterion != "none" or policy.accuracy == pytest.approx(low)
    )
    base = torch.stack([y[g == k].double().mean() for k in (0, 1)])
    rate = {
        "none": torch.zeros(2),
        "demographic_parity": base * policy.tpr + (1 - base) * policy.fpr,
    }.get(criterion, policy.tpr)
    if criterion == "equalised_odds":
        assert policy.fpr[0].item() == pytest.approx(policy.fpr[1].item(), abs=1e-9)
    assert rate[0].item() == pytest.approx(rate[1].item(), abs=1e-9)
    drawn = [bias.group_rates(y, bias.decide(policy, score, g, seed=s), g) for s in range(400)]
    assert torch.allclose(torch.stack([r.tpr for r in drawn]).mean(0), policy.tpr, atol=0.03)
    assert torch.allclose(torch.stack([r.fpr for r in drawn]).mean(0), policy.fpr, atol=0.03)


@pytest.mark.parametrize(
    ("criterion", "theirs"),
    [
        ("demographic_parity", "demographic_parity"),
        ("equal_opportunity", "true_positive_rate_parity"),
        ("equalised_odds", "equalized_odds"),
    ],
)
def test_thresholds_are_those_of_fairlearn(criterion, theirs):
    post = pytest.importorskip("fairlearn.postprocessing")
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Score(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = [0, 1]
            return self

        def predict_proba(self, X):
            return np.stack([1 - X[:, 0], X[:, 0]], 1)

    score, y, g = worlds.scores(400, (0.3, 0.6), seed=4)
    X, named = score.double().numpy()[:, None], {"sensitive_features": g.numpy()}
    other = post.ThresholdOptimizer(
        estimator=Score().fit(None, None),
        constraints=theirs,
        prefit=True,
        predict_method="predict_proba",
        grid_size=4000,
    ).fit(X, y.numpy(), **named)
    p = other._pmf_predict(X, **named)[:, 1]
    expected = np.where(y.numpy() == 1, p, 1 - p).mean()
    policy = bias.fair_thresholds(score, y, g, criterion)
    assert (
        policy.accuracy == pytest.approx(expected, abs=2e-3) and policy.accuracy >= expected - 1e-6
    )


ONE, SCORE = torch.tensor([0, 1, 1]), torch.tensor([0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: bias.group_rates(ONE.float(), ONE, ONE), TypeError, "y"),
        (lambda: bias.group_rates(ONE, ONE + 1, ONE), ValueError, "yhat"),
        (lambda: bias.group_rates(ONE, ONE, ONE[:2]), ValueError, "same shape"),
        (lambda: bias.group_rates(ONE, ONE, ONE + 1), ValueError, "member"),
        (lambda: bias.group_rates(ONE, ONE, ONE - 1), ValueError, "from 0"),
        (lambda: bias.reweighing(ONE, ONE[:1]), ValueError, "same shape"),
        (
            lambda: bias.rates_from_counts(*torch.tensor([[-1], [1], [1], [1]])),
            ValueError,
            "counts",
        ),
        (lambda: bias.fair_thresholds(SCORE, ONE, ONE), ValueError, "both labels"),
        (lambda: bias.fair_thresholds(SCORE, ONE, 0 * ONE, "x"), ValueError, "criterion"),
        (lambda: bias.adjusted_effect(ONE, SCORE, ONE), ValueError, "z = 0"),
        (lambda: bias.adjusted_effect(ONE + 1, SCORE, ONE), ValueError, "t"),
        (lambda: bias.naive_effect(ONE, SCORE[:2]), ValueError, "same shape"),
        (lambda: worlds.shoes(3, strength=2.0), ValueError, "strength"),
    ],
)
def test_decisions_and_effects_refuse(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---------------------------------------------------------------- effects


@given(st.integers(0, 1000), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_the_adjusted_effect_is_that_of_a_loop(seed, strata):
    t, _, z = people(60, seed, strata)
    t[: 2 * strata], z[: 2 * strata] = (
        torch.arange(2).repeat(strata),
        torch.arange(strata).repeat_interleave(2),
    )
    y = points(60, 1, seed)[:, 0]
    want = 0.0
    for stratum in range(strata):
        parts = [
            [v for v, a, c in zip(y.tolist(), t.tolist(), z.tolist()) if c == stratum and a == k]
            for k in (0, 1)
        ]
        want += (
            sum(map(len, parts))
            / 60
            * (sum(parts[1]) / len(parts[1]) - sum(parts[0]) / len(parts[0]))
        )
    assert bias.adjusted_effect(t, y, z) == pytest.approx(want)
    assert bias.naive_effect(t, y) == pytest.approx((y[t == 1].mean() - y[t == 0].mean()).item())


def test_kidney_stones_turn_round():
    # (open surgery, large stone): healed, all
    cells = {
        (1, 0): (81, 87),
        (1, 1): (192, 263),
        (0, 0): (234, 270),
        (0, 1): (55, 80),
    }
    rows = [(t, k < healed, z) for (t, z), (healed, n) in cells.items() for k in range(n)]
    t, y, z = (torch.tensor([int(row[i]) for row in rows]) for i in range(3))
    assert bias.naive_effect(t, y) == pytest.approx(273 / 350 - 289 / 350) and bias.adjusted_effect(
        t, y, z
    ) == pytest.approx(0.833 - 0.779, abs=1e-3)


# ---------------------------------------------------------------- worlds


def test_shoes_are_adjusted_and_intervened_upon():
    for strength, effect in ((0.0, 0.0), (0.6, 0.0), (1.0, 0.1)):
        z, t, y = worlds.shoes(200_000, strength, effect=effect)
        assert bias.adjusted_effect(t, y, z) == pytest.approx(effect, abs=0.015)
        done = [
            worlds.shoes(200_000, strength, do=k, effect=effect)[2].double().mean().item()
            for k in (0, 1)
        ]
        assert done[1] - done[0] == pytest.approx(effect, abs=0.01)
    a = 0.4 * 0.6
    z, t, y = worlds.shoes(200_000, 0.6)
    p1 = [0.4 * (0.5 + a), 0.6 * (0.5 - a)]  # shoes on: with drink, without
    p0 = [0.4 * (0.5 - a), 0.6 * (0.5 + a)]
    want = sum(w * h for w, h in zip(p1, (0.5 + a, 0.5 - a))) / sum(p1) - sum(
        w * h for w, h in zip(p0, (0.5 + a, 0.5 - a))
    ) / sum(p0)
    assert bias.naive_effect(t, y) == pytest.approx(want, abs=0.015)


def test_the_other_worlds_are_what_they_say():
    hours, replied, p = worlds.survey(100_000, 0.5)
    assert (
        torch.allclose(p, torch.sigmoid((hours - 20) / 5))
        and (replied.float() - p).mean().abs() < 0.01
    )
    x, y = worlds.wave(20_000, 0.7, 1, 2)
    assert (
        1 <= x.min()
        and x.max() <= 2
        and (y - x / 2 - 0.7 * torch.sin(2 * x)).std().item() == pytest.approx(0.1, rel=0.05)
    )
    x, y, g = worlds.dispenser(50_000, 0.8)
    assert g.float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert torch.allclose(
        x[(y == 1) & (g == 1)].mean(0), torch.tensor([0.0] * 4 + [1.5] * 4), atol=0.1
    )
    assert torch.allclose(x[y == 0].mean(0), torch.zeros(8), atol=0.05)
    digits = data.digits()
    for strength, share in ((1.0, 1.0), (0.5, 0.75), (0.0, 0.5), (-1.0, 0.0)):
        marked = worlds.cued(digits.x_train, digits.y_train, strength)
        left, even = marked[:, 0, 0, 0] == 1, digits.y_train % 2 == 0
        assert (left == even).float().mean().item() == pytest.approx(share, abs=0.05) and (
            marked[:, 0, 0, [0, 7]].sum(1) == 1
        ).all()
    x, y, label, g = worlds.observed(100_000, 0.5)
    near = x.abs() < 0.05
    assert (label != y)[near].float().mean().item() == pytest.approx(0.25, abs=0.02) and (
        label == y
    )[y == g].all()
    chosen = worlds.kept(digits.y_train, 8, 0.5)
    eight = digits.y_train == 8
    assert (
        chosen[~eight].all()
        and chosen[eight].float().mean().item() == pytest.approx(0.5, abs=0.01)
        and not worlds.kept(digits.y_train, 8)[eight].any()
    )


def test_hiring_and_scores_are_what_they_say():
    world = worlds.hiring(100_000, 1.0)
    rates = bias.group_rates(world.y, world.decided, world.g)
    assert rates.base.tolist() == pytest.approx(
        [0.5, 0.5], abs=0.01
    ) and rates.selected.tolist() == pytest.approx([0.5, stats.norm.sf(1.5)], abs=0.01)
    score, y, g = worlds.scores(100_000, (0.3, 0.5))
    for k, base in ((0, 0.3), (1, 0.5)):
        mine = score[g == k]
        assert (
            y[g == k].float().mean().item() == pytest.approx(base, abs=0.01)
            and stats.kstest(mine.numpy(), stats.beta(3 * base, 3 * (1 - base)).cdf).pvalue > 1e-3
        )
        for low in (0.1, 0.4, 0.7):
            inside = (g == k) & (score > low) & (score < low + 0.2)
            assert y[inside].float().mean().item() == pytest.approx(
                score[inside].mean().item(), abs=0.02
            )


def test_translation_follows_bayes_rule():
    x, woman = worlds.nurses(100_000, 0.8, 0.7)
    his_nurse = (x == torch.tensor([1.0, 0, 1, 0])).all(1)
    assert woman[his_nurse].float().mean().item() == pytest.approx(
        0.9 * 0.3 / (0.9 * 0.3 + 0.1 * 0.7), abs=0.01
    )


def test_the_corpus_has_its_bias():
    C = bias.corpus(0.6, n=200_000)
    first = bias.INDEX[bias.JOBS[0]]
    with_person = C.sentences[(C.sentences[:, 0] >= first) & (C.sentences[:, 3] < 16)]
    job, female = with_person[:, 0] - first, with_person[:, 3] < 8
    for low in (-1.0, -0.2, 0.6):
        inside = (C.lean[job] >= low) & (C.lean[job] <= low + 0.4)
        assert female[inside].float().mean().item() == pytest.approx(
            (1 + 0.6 * C.lean[job][inside].mean().item()) / 2, abs=0.02
        )
    swapped = bias.corpus(0.6, n=2000, swapped=True).sentences
    F_, M_ = (swapped < 8).sum(), ((swapped >= 8) & (swapped < 16)).sum()
    assert F_ == M_ and len(swapped) == 4000 and len(set(bias.WORDS)) == len(bias.WORDS)


def test_word_vectors_are_those_of_a_loop():
    sentences = torch.tensor([[0, 1, 2], [2, 3, 0], [1, 1, 3]])
    counts = np.zeros((4, 4))
    for row in sentences.tolist():
        for i, j in itertools.permutations(range(3), 2):
            counts[row[i], row[j]] += 1
    joint = counts / counts.sum()
    alone = joint.sum(1)
    with np.errstate(divide="ignore"):
        information = np.maximum(np.log(joint / np.outer(alone, alone)), 0)
    V = bias.word_vectors(sentences, 4, 4)
    U, S, _ = np.linalg.svd(information)
    assert np.allclose(V @ V.T, U * S @ U.T, atol=1e-5)


def found(strength, seed):
    V = bias.word_vectors(bias.corpus(strength, seed=seed).sentences)
    assert torch.equal(bias.jobs(V)[3], V[bias.INDEX[bias.JOBS[3]]]) and torch.equal(
        bias.weat_sets(V)[2][1], V[bias.INDEX["her"]]
    )
    return bias.weat(*bias.weat_sets(V))


def test_weat_finds_the_bias_that_is_there_and_none_at_zero():
    p = [found(0, seed).p for seed in range(20)]
    assert stats.kstest(p, "uniform").pvalue > 1e-3 and 0.2 < np.mean(p) < 0.8
    assert all(found(0.3, seed).p < 1e-3 and found(0.3, seed).effect > 1.5 for seed in range(3))


def test_next_words_and_their_model():
    sentences = torch.tensor([[1, 2, 3], [4, 5, 0]])
    before, after = worlds.next_words(sentences)
    assert before.tolist() == [[1, -1], [1, 2], [4, -1], [4, 5]] and after.tolist() == [2, 3, 5, 0]
    model = worlds.NextWord(6, 3)
    E = model.vectors.weight
    mean = torch.stack([E[1], (E[1] + E[2]) / 2])
    assert torch.allclose(
        model(before[:2]),
        torch.tanh(F.linear(mean, model.mix.weight, model.mix.bias)) @ E.T + model.bias,
        atol=1e-6,
    )


def test_a_model_that_knows_the_corpus_has_its_shares():
    class Knows(torch.nn.Module):
        def forward(self, before):
            first, filler = bias.INDEX[bias.JOBS[0]], bias.INDEX["f0"]
            assert ((before[:, 1:3] >= filler) & (before[:, 1:3] < filler + 30)).all() and (
                before[:, 3] == -1
            ).all()
            z = torch.zeros(len(before), len(bias.WORDS))
            z[:, :8] = ((before[:, :1] - first + 1) / 50.0).log()
            return z

    share = worlds.female_share(Knows())
    want = torch.arange(1, 101) / 50
    assert torch.allclose(share, want / (want + 1), atol=1e-5)


@pytest.mark.parametrize(
    "world",
    [
        lambda s: worlds.shoes(20, 0.5, seed=s),
        lambda s: worlds.survey(20, 0.5, s),
        lambda s: worlds.wave(20, 0.5, seed=s),
        lambda s: worlds.dispenser(20, 0.5, s),
        lambda s: worlds.observed(20, 0.5, s),
        lambda s: vars(worlds.hiring(20, 0.5, s)).values(),
        lambda s: worlds.scores(20, seed=s),
        lambda s: worlds.nurses(20, seed=s),
        lambda s: [bias.corpus(0.5, 20, s).sentences],
    ],
)
def test_one_seed_gives_one_world(world):
    state = torch.get_rng_state()
    assert all(torch.equal(a, b) for a, b in zip(world(1), world(1))) and not all(
        torch.equal(a, b) for a, b in zip(world(1), world(2))
    )
    assert torch.equal(torch.get_rng_state(), state)
