"""Uncertainty and its parts, ensembles, calibration, conformal sets, Laplace, annotators: against
slow loops, scikit-learn, SciPy and exact posteriors.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from drawn import Net
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import calibration as sk_calibration
from sklearn import metrics
from torch import nn

from lib import models, training, uncertainty
from lib.uncertainty import noisy

torch.set_num_threads(1)


def rows(*shape, seed=0, sharp=2.0):
    return (
        sharp
        * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ).softmax(-1)


def points(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- the identity


def slow_entropy(p):
    return -sum(v * math.log(v) for v in p if v > 0)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 6), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_total_is_aleatoric_and_epistemic(S, N, C, seed):
    P = rows(S, N, C, seed=seed, sharp=5.0)
    parts = uncertainty.decompose(P)
    for n in range(N):
        mean = [sum(P[s, n, c].item() for s in range(S)) / S for c in range(C)]
        inner = sum(slow_entropy(P[s, n].tolist()) for s in range(S)) / S
        divergence = (
            sum(
                p * math.log(p / m)
                for s in range(S)
                for p, m in zip(P[s, n].tolist(), mean)
                if p > 0
            )
            / S
        )
        assert parts.total[n].item() == pytest.approx(slow_entropy(mean), abs=1e-12)
        assert parts.aleatoric[n].item() == pytest.approx(inner, abs=1e-12)
        # the mean divergence of p_s from their mean
        assert parts.epistemic[n].item() == pytest.approx(divergence, abs=1e-12)
        assert (
            -1e-15 <= parts.epistemic[n] <= math.log(S) + 1e-12
            and parts.total[n] <= math.log(C) + 1e-12
        )


def test_entropy_at_the_corners_and_of_scipy():
    assert uncertainty.entropy(torch.eye(3)).tolist() == [0, 0, 0]
    P = rows(7, 4)
    assert np.allclose(uncertainty.entropy(P), stats.entropy(P.numpy(), axis=1))
    assert torch.allclose(uncertainty.entropy(P.float()), uncertainty.entropy(P).float(), atol=1e-6)


def test_variance_of_a_mixture_is_that_of_its_draws():
    mean, variance = points(5, 3).double(), points(5, 3, 1).double() ** 2
    parts = uncertainty.decompose_variance(mean, variance)
    for n in range(3):
        m = sum(mean[:, n]) / 5
        second = sum(variance[k, n] + mean[k, n] ** 2 for k in range(5)) / 5
        assert parts.total[n].item() == pytest.approx((second - m**2).item(), abs=1e-12)
    assert torch.equal(parts.total, parts.aleatoric + parts.epistemic)


def test_gaussian_nll_is_that_of_torch():
    out, y = points(9, 2), points(9, 1)[:, 0]
    dist = torch.distributions.Normal(out[:, 0], (out[:, 1] / 2).exp())
    assert uncertainty.gaussian_nll(out, y).item() == pytest.approx(
        (-dist.log_prob(y).mean() - 0.5 * math.log(2 * math.pi)).item(), abs=1e-5
    )


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: uncertainty.entropy(torch.randn(3, 4)), ValueError, "logits"),
        (lambda: uncertainty.entropy([0.5, 0.5]), TypeError, "list"),
        (lambda: uncertainty.entropy(torch.ones(2, 2, dtype=torch.long)), TypeError, "int64"),
        (lambda: uncertainty.decompose(rows(3, 4)), ValueError, "S, N, C"),
        (
            lambda: uncertainty.decompose_variance(torch.ones(2, 3), torch.ones(2, 2)),
            ValueError,
            "same shape",
        ),
        (
            lambda: uncertainty.decompose_variance(torch.ones(2, 3), -torch.ones(2, 3)),
            ValueError,
            "negative",
        ),
    ],
)
def test_bad_probabilities_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---------------------------------------------------------------- dropout


def dropout_net(p=0.4):
    with models.seeded(3):
        return nn.Sequential(
            nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(p), nn.Linear(6, 3)
        )


def test_mc_dropout_tends_to_the_mean_over_all_masks():
    net, x = dropout_net().double().eval(), points(2, 4).double()
    hidden, exact = net[:3](x), torch.zeros(2, 3, dtype=torch.float64)
    for mask in itertools.product((0, 1), repeat=6):
        weight = math.prod(0.6 if k else 0.4 for k in mask)
        exact += weight * net[4](hidden * torch.tensor(mask) / 0.6).softmax(1)
    P = uncertainty.mc_dropout(net, x, samples=20_000)
    assert torch.allclose(P.mean(0), exact, atol=5 * 0.5 / 20_000**0.5)


def test_mc_dropout_leaves_everything_as_it_was():
    net, x = dropout_net().train(), points(5, 4)
    net[1].eval()
    before, modes, state = (
        {k: v.clone() for k, v in net.state_dict().items()},
        [m.training for m in net.modules()],
        torch.get_rng_state(),
    )
    P = uncertainty.mc_dropout(net, x, samples=7)
    assert (
        P.shape == (7, 5, 3) and not P.requires_grad and torch.allclose(P.sum(-1), torch.ones(7, 5))
    )
    assert modes == [m.training for m in net.modules()] and torch.equal(
        state, torch.get_rng_state()
    )
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in before.items())
    assert torch.equal(P, uncertainty.mc_dropout(net, x, samples=7)) and not torch.equal(
        P, uncertainty.mc_dropout(net, x, samples=7, seed=1)
    )
    with pytest.raises(ValueError, match=r"x: the model cannot read an input of shape \(5, 9\)"):
        uncertainty.mc_dropout(net, points(5, 9))
    assert modes == [m.training for m in net.modules()]


def test_mc_dropout_draws_masks_for_each_row_and_in_chunks():
    net, x = dropout_net().eval(), points(1, 4).repeat(40, 1)
    P = uncertainty.mc_dropout(net, x, samples=9, at_once=100)
    assert P.shape == (9, 40, 3) and len(P[0].unique(dim=0)) > 1 and len(P[:, 0].unique(dim=0)) > 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: uncertainty.mc_dropout(models.mlp(4), points(2, 4)), ValueError, "dropout"),
        (lambda: uncertainty.mc_dropout(dropout_net(), points(2, 4), 0), ValueError, "samples"),
        (lambda: uncertainty.mc_dropout(len, points(2, 4)), TypeError, "model"),
        (lambda: uncertainty.mc_dropout(dropout_net(), [1]), TypeError, "x"),
    ],
)
def test_mc_dropout_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---------------------------------------------------------------- ensembles


def residual(seed):
    return Net(
        lambda self, x: self.b(torch.relu(self.a(x))) + self.a(x),
        a=nn.Linear(3, 5),
        b=nn.Linear(5, 5),
    )


MAKERS = {
    "matrices": lambda seed: models.mlp(3, (8, 6), 5, seed=seed),
    "no bias, nested, tanh": lambda seed: nn.Sequential(
        nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh()), nn.Linear(4, 5)
    ),
    "functional": residual,
    "large": lambda seed: models.mlp(3, (300, 200), 5, seed=seed),
    "layer norm": lambda seed: nn.Sequential(
        nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 5)
    ),
    "batch norm": lambda seed: nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 5)
    ),
    "convolutions": lambda seed: nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 5)
    ),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_an_ensemble_is_a_loop_over_its_members(kind, weight_decay):
    x, y = points(37, 3), torch.arange(37) % 5
    ensemble = uncertainty.Ensemble(MAKERS[kind], 4, seed=7)
    ensemble.fit(x, y, epochs=4, batch=10, weight_decay=weight_decay, progress=False)
    alone = []
    for seed in range(7, 11):
        with models.seeded(seed):
            member = MAKERS[kind](seed)
        training.fit(
            member, x, y, epochs=4, batch=10, seed=seed, weight_decay=weight_decay, progress=False
        )
        alone.append(member)
    scores = torch.stack([member(x) for member in alone])
    assert torch.allclose(ensemble(x), scores, atol=1e-5, rtol=0)
    assert torch.allclose(ensemble.probabilities(x), scores.softmax(-1), atol=1e-5, rtol=0)
    for m in range(4):
        assert torch.allclose(ensemble.member(m)(x), scores[m], atol=1e-5, rtol=0)
    with torch.no_grad():
        assert torch.allclose(ensemble(x[:1])[:, 0], scores[:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("rows", [1900, 2500], ids=["in parts", "member by member"])
def test_many_rows_and_many_members_give_the_same(rows):
    ensemble, x = uncertainty.Ensemble(MAKERS["matrices"], 30), points(rows, 3)
    assert torch.allclose(ensemble.probabilities(x), ensemble.eval()(x).softmax(-1), atol=1e-6)


@pytest.mark.parametrize("kind", ["matrices", "large"])
def test_a_member_taken_out_is_a_copy(kind):
    ensemble, x = uncertainty.Ensemble(MAKERS[kind], 2), points(5, 3)
    member, before = ensemble.member(1), ensemble(x).detach()
    training.fit(member, x, torch.arange(5), 2, progress=False)
    assert torch.equal(ensemble(x), before) and not torch.allclose(member(x), before[1], atol=1e-3)
    ensemble.fit(x, torch.arange(5), 2, progress=False)
    assert torch.allclose(ensemble(x)[0], ensemble.member(0)(x), atol=1e-6) and not torch.allclose(
        ensemble(x)[0], before[0], atol=1e-3
    )


def test_vectorised_and_one_by_one_agree_in_both_precisions():
    x, y = points(20, 3).double(), torch.arange(20) % 5
    made = [
        uncertainty.Ensemble(lambda seed: MAKERS[kind](seed).double(), 3, vectorised=v)
        for kind in ("matrices", "functional")
        for v in (True, False)
    ]
    for ensemble in made:
        ensemble.fit(x, y, 3, progress=False)
    for fast, slow in (made[:2], made[2:]):
        assert torch.allclose(fast(x), slow(x), atol=1e-12)


def test_bootstrap_members_see_their_own_samples():
    x, y = points(30, 1), torch.randint(2, (30,), generator=torch.Generator().manual_seed(2))
    seen = []

    def spy(scores, labels):
        seen.append(labels)
        return nn.functional.cross_entropy(scores, labels)

    a, b = (uncertainty.Ensemble(lambda seed: models.mlp(1, (4,), 2, seed=0), 3) for _ in range(2))
    a.fit(x, y, 5, batch=30, loss=spy, progress=False)
    # one start and full batches: nothing differs
    assert torch.allclose(a(x)[0], a(x)[1], atol=1e-5)
    b.fit(x, y, 5, batch=30, bootstrap=True, progress=False)
    assert not torch.allclose(b(x)[0], b(x)[1], atol=1e-4) and seen[0].shape == (90,)


def test_an_ensemble_with_dropout_and_a_frozen_layer():
    def make(seed):
        net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2))
        net[0].requires_grad_(False)
        return net

    ensemble = uncertainty.Ensemble(make, 3)
    first = ensemble.stacked[0].weight.clone()
    state = torch.get_rng_state()
    ensemble.fit(points(20, 3), torch.arange(20) % 2, 2, progress=False)
    assert torch.equal(state, torch.get_rng_state()) and torch.equal(
        first, ensemble.stacked[0].weight
    )
    assert not ensemble.training and torch.equal(ensemble(points(2, 3)), ensemble(points(2, 3)))
    ensemble.train()
    assert not torch.equal(ensemble(points(2, 3)), ensemble(points(2, 3)))
    ensemble.probabilities(points(2, 3))
    assert ensemble.training and all(module.training for module in ensemble.modules())


def test_members_differ_only_by_their_seed():
    def make(seed):
        return nn.Linear(2, 2)  # draws from torch's global state

    torch.manual_seed(5)
    a = uncertainty.Ensemble(make, 3)
    torch.manual_seed(6)
    b = uncertainty.Ensemble(make, 3)
    assert torch.equal(a.stacked.weight, b.stacked.weight) and not torch.equal(
        a.stacked.weight[0], a.stacked.weight[1]
    )


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: uncertainty.Ensemble(MAKERS["matrices"], 0), ValueError, "members"),
        (lambda: uncertainty.Ensemble(lambda s: nn.Linear(2, s + 1), 3), ValueError, "differ"),
        (lambda: uncertainty.Ensemble(lambda s: None, 3), TypeError, "NoneType"),
        (lambda: uncertainty.Ensemble(lambda s: nn.ReLU(), 3), ValueError, "parameters"),
        (
            lambda: uncertainty.Ensemble(
                lambda s: nn.Sequential(nn.Linear(2, 2), nn.ReLU() if s else nn.Tanh()), 2
            ),
            ValueError,
            "differ",
        ),
        (lambda: uncertainty.Ensemble(MAKERS["matrices"], 2).member(2), IndexError, "0..1"),
        (
            lambda: uncertainty.Ensemble(MAKERS["matrices"], 2).fit(points(3, 3), torch.zeros(2)),
            ValueError,
            "x, y",
        ),
        (
            lambda: uncertainty.Ensemble(MAKERS["matrices"], 2).fit(
                points(3, 3), torch.zeros(3).long(), 0
            ),
            ValueError,
            "epochs",
        ),
        (
            lambda: uncertainty.Ensemble(MAKERS["matrices"], 2).fit(
                points(3, 3) / 0, torch.zeros(3).long(), 1, progress=False
            ),
            ValueError,
            "loss",
        ),
    ],
)
def test_ensembles_refuse(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---------------------------------------------------------------- calibration and decisions


def slow_ece(P, y, bins):
    total = 0.0
    for b in range(bins):
        inside = [n for n in range(len(y)) if b / bins < max(P[n].tolist()) <= (b + 1) / bins]
        if inside:
            right = sum(P[n].argmax().item() == y[n].item() for n in inside) / len(inside)
            total += (
                len(inside)
                / len(y)
                * abs(right - sum(max(P[n].tolist()) for n in inside) / len(inside))
            )
    return total


@given(st.integers(1, 40), st.integers(2, 5), st.integers(1, 20), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_calibration_error_is_that_of_a_loop(N, C, bins, seed):
    P, y = (
        rows(N, C, seed=seed, sharp=3.0),
        torch.randint(C, (N,), generator=torch.Generator().manual_seed(seed)),
    )
    assert uncertainty.calibration_error(P, y, bins) == pytest.approx(
        slow_ece(P, y, bins), abs=1e-12
    )


def test_reliability_is_that_of_scikit_learn():
    P, y = (
        rows(500, 3, sharp=1.5),
        torch.randint(3, (500,), generator=torch.Generator().manual_seed(1)),
    )
    r, (confidence, predicted) = uncertainty.reliability(P, y, 10), P.max(1)
    true, said = sk_calibration.calibration_curve(predicted == y, confidence, n_bins=10)
    assert (
        np.allclose(r.accuracy[r.count > 0], true)
        and np.allclose(r.confidence[r.count > 0], said)
        and r.count.sum() == 500
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_certain_predictions_and_edges_fall_into_one_bin(dtype):
    P = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0.5, 0.3, 0.2], [0.6, 0.2, 0.2]], dtype=dtype)
    r = uncertainty.reliability(P, torch.tensor([0, 0, 0, 0]), 10)
    assert r.count.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 2]
    assert r.error == pytest.approx((2 * 0.5 + 0.5 + 0.4) / 4, abs=1e-6)


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.7])
def test_the_temperature_that_spoilt_the_scores_is_found(truth):
    z = 2 * points(20_000, 4).double()
    with models.seeded(0):
        y = torch.distributions.Categorical(logits=z).sample()
    assert uncertainty.fit_temperature(z * truth, y) == pytest.approx(truth, rel=0.03)
    T = uncertainty.fit_temperature(z[:200] * truth, y[:200])
    losses = [
        nn.functional.cross_entropy(z[:200] * truth / t, y[:200]).item()
        for t in (T * 0.999, T, T * 1.001)
    ]
    assert losses[1] == min(losses)
    assert uncertainty.fit_temperature(z[:200].float() + 100, y[:200]) == pytest.approx(
        uncertainty.fit_temperature(z[:200], y[:200]), rel=1e-4
    )


def test_rejection_is_a_mean_over_the_orders_of_equal_scores():
    u, e = torch.tensor([0.2, 0.1, 0.2, 0.3, 0.2]), torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0])
    curve, mean = uncertainty.rejection_curve(u, e), torch.zeros(5, dtype=torch.float64)
    orders = [
        o for o in itertools.permutations(range(5)) if all(u[a] <= u[b] for a, b in zip(o, o[1:]))
    ]
    for order in orders:
        mean += e[list(order)].double().cumsum(0) / torch.arange(1, 6) / len(orders)
    assert torch.allclose(curve.error, mean) and torch.allclose(
        curve.coverage, torch.arange(1, 6) / 5
    )
    assert curve.error[-1].item() == pytest.approx(0.4) and curve.area == pytest.approx(
        mean.mean().item()
    )


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
)
@settings(max_examples=40, deadline=None)
def test_auroc_is_that_of_scikit_learn(a, b):
    want = metrics.roc_auc_score([1] * len(a) + [0] * len(b), a + b)
    assert uncertainty.auroc(torch.tensor(a).float(), torch.tensor(b).float()) == pytest.approx(
        want, abs=1e-12
    )


P3, Y3 = rows(3, 2), torch.tensor([0, 1, 0])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: uncertainty.calibration_error(points(3, 2), Y3), ValueError, "logits"),
        (lambda: uncertainty.calibration_error(P3, Y3.float()), TypeError, "y"),
        (lambda: uncertainty.calibration_error(P3, Y3[:2]), ValueError, "shape"),
        (lambda: uncertainty.calibration_error(P3, Y3 + 2), ValueError, "0..1"),
        (lambda: uncertainty.calibration_error(P3, Y3, 0), ValueError, "bins"),
        (lambda: uncertainty.calibration_error(rows(2, 3, 2), Y3), ValueError, "N, C"),
        (
            lambda: uncertainty.fit_temperature(torch.eye(2) * 9, torch.tensor([0, 1])),
            ValueError,
            "all right",
        ),
        (
            lambda: uncertainty.fit_temperature(torch.eye(2), torch.tensor([1, 0])),
            ValueError,
            "favour",
        ),
        (
            lambda: uncertainty.fit_temperature(torch.eye(2) / 0, torch.tensor([1, 0])),
            ValueError,
            "finite",
        ),
        (lambda: uncertainty.fit_temperature([1], Y3), TypeError, "logits"),
        (
            lambda: uncertainty.rejection_curve(torch.ones(2), torch.ones(3)),
            ValueError,
            "same shape",
        ),
        (lambda: uncertainty.auroc(torch.ones(0), torch.ones(3)), ValueError, "unknown"),
        (lambda: uncertainty.conformal_quantile(torch.ones(3), 1.0), ValueError, "alpha"),
        (lambda: uncertainty.conformal_quantile(torch.ones(0), 0.1), ValueError, "scores"),
        (lambda: uncertainty.conformal_sets(P3, Y3, rows(2, 3)), ValueError, "classes"),
        (lambda: uncertainty.conformal_sets(P3, Y3, P3, score="x"), ValueError, "score"),
    ],
)
def test_decisions_refuse(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---------------------------------------------------------------- conformal sets


@given(st.integers(1, 60), st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_conformal_quantile_is_the_smallest_that_is_large_enough(n, alpha):
    scores = points(n, 1, seed=n)[:, 0].double()
    q = uncertainty.conformal_quantile(scores, alpha)
    enough = [
        s
        for s in scores.tolist()
        if sum(v <= s for v in scores.tolist()) >= (n + 1) * (1 - alpha) - 1e-9
    ]
    assert q == min(enough, default=math.inf)


def test_ten_samples_and_one_tenth_do_not_suffer_from_rounding():
    assert (
        uncertainty.conformal_quantile(torch.arange(1.0, 10), 0.1) == 9
        and uncertainty.conformal_quantile(torch.arange(1.0, 9), 0.1) == math.inf
    )


@pytest.mark.parametrize("score", ["threshold", "cumulative"])
def test_conformal_sets_are_those_of_a_loop(score):
    P, y, new = (
        rows(40, 4),
        torch.randint(4, (40,), generator=torch.Generator().manual_seed(0)),
        rows(15, 4, seed=2),
    )

    def strange(p, c):
        return 1 - p[c] if score == "threshold" else sum(v for v in p if v >= p[c])

    q = sorted(strange(p, c) for p, c in zip(P.tolist(), y.tolist()))[math.ceil(41 * 0.8) - 1]
    want = [[strange(p, c) <= q + 1e-12 for c in range(4)] for p in new.tolist()]
    assert uncertainty.conformal_sets(P, y, new, 0.2, score).tolist() == want


@pytest.mark.parametrize("score", ["threshold", "cumulative"])
def test_coverage_follows_its_law(score):
    """The number covered among m new samples is beta-binomial, whatever the model: 1,000 splits, a
    chi-square test on their counts.
    """
    n, m, alpha, g = 50, 40, 0.2, torch.Generator().manual_seed(0)
    P = rows(90, 3, seed=5, sharp=1.0)
    y = torch.randint(3, (90,), generator=g)
    covered = []
    for _ in range(1000):
        order = torch.randperm(90, generator=g)
        a, b = order[:n], order[n:]
        sets = uncertainty.conformal_sets(P[a], y[a], P[b], alpha, score)
        covered.append(sets.gather(1, y[b][:, None]).sum().item())
    k = math.ceil((n + 1) * (1 - alpha))
    law = stats.betabinom(m, k, n + 1 - k)
    edges = [0, *range(26, 39), m + 1]
    counts, expected = np.histogram(covered, edges)[0], 1000 * np.diff(law.cdf(np.array(edges) - 1))
    if score == "threshold":
        assert stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue > 1e-3
    assert np.mean(covered) / m >= 1 - alpha - 5 * law.std() / m / 1000**0.5


# ---------------------------------------------------------------- Laplace


def test_laplace_is_the_posterior_of_linear_regression():
    x, w, noise, precision = points(30, 4).double(), points(5, 1).double(), 0.3, 2.0
    X = torch.cat([x, torch.ones(30, 1)], 1)
    y = X @ w + noise * points(30, 1, 3).double()
    covariance = torch.linalg.inv(X.T @ X / noise**2 + precision * torch.eye(5).double())
    mean = covariance @ X.T @ y / noise**2
    model = nn.Linear(4, 1).double()
    model.weight.data, model.bias.data = mean[:4].T, mean[4]
    for layers in ("last", "all"):
        fit = uncertainty.laplace(model, x, precision, layers, noise)
        assert torch.allclose(fit.covariance, covariance, atol=1e-12)
        new = points(6, 4, 9).double()
        f, variance = fit.outputs(new)
        N = torch.cat([new, torch.ones(6, 1)], 1)
        assert torch.allclose(f, N @ mean) and torch.allclose(
            variance[:, 0, 0], (N @ covariance @ N.T).diagonal()
        )


def logistic(precision=0.5, n=40):
    """Logistic regression at the mode of its posterior: logits 0 and w x."""
    x = points(n, 1, 4).double()
    y = (
        torch.rand(n, generator=torch.Generator().manual_seed(5)).double()
        < torch.sigmoid(1.5 * x[:, 0])
    ).long()
    model = Net(
        lambda self, t: torch.cat([torch.zeros_like(t), self.w(t)], 1),
        w=nn.Linear(1, 1, bias=False),
    ).double()
    model.w.weight.data.zero_()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-14
    )

    def closure():
        optimizer.zero_grad()
        loss = (
            nn.functional.cross_entropy(model(x), y, reduction="sum")
            + precision / 2 * model.w.weight.square().sum()
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    return model, x, y, precision


def test_laplace_is_near_the_exact_posterior_of_logistic_regression():
    model, x, y, precision = logistic()
    w = torch.linspace(-6, 8, 20_001, dtype=torch.float64)
    log_post = (
        nn.functional.logsigmoid((2 * y - 1).double()[:, None] * x * w).sum(0)
        - precision / 2 * w**2
    )
    post = log_post.softmax(0)
    spread = (post * (w - (post * w).sum()) ** 2).sum().sqrt()
    fit = uncertainty.laplace(model, x, precision)
    p = torch.sigmoid(model.w.weight.detach()[0, 0] * x)
    # the Hessian, exact
    assert fit.covariance.item() == pytest.approx(
        1 / ((p * (1 - p) * x**2).sum().item() + precision), rel=1e-9
    )
    assert fit.covariance.sqrt().item() == pytest.approx(spread.item(), rel=0.1)
    new = torch.tensor([[0.5], [3.0]]).double()
    exact = torch.stack([(post * torch.sigmoid(w * v)).sum() for v in new[:, 0]])
    assert torch.allclose(fit.sample(new, 40_000).softmax(-1)[..., 1].mean(0), exact, atol=0.02)


@pytest.mark.parametrize("layers", ["last", "all"])
def test_laplace_of_a_network_is_the_sum_over_samples(layers):
    model, x = models.mlp(3, (5,), 4, seed=1).double(), points(7, 3).double()
    names = [name for name, _ in model.named_parameters()][(2 if layers == "last" else 0) :]
    parameters = [model.get_parameter(name) for name in names]
    total = 0.7 * torch.eye(sum(p.numel() for p in parameters)).double()
    for n in range(7):
        f = model(x[n : n + 1])[0]
        J = torch.stack(
            [
                torch.cat(
                    [g.flatten() for g in torch.autograd.grad(v, parameters, retain_graph=True)]
                )
                for v in f
            ]
        )
        p = f.softmax(0).detach()
        total += J.T @ (torch.diag(p) - p[:, None] * p) @ J
    before = [p.requires_grad for p in model.parameters()]
    fit = uncertainty.laplace(model.train(), x, 0.7, layers)
    assert torch.allclose(fit.covariance, torch.linalg.inv(total), atol=1e-9)
    assert (
        model.training
        and before == [p.requires_grad for p in model.parameters()]
        and all(p.grad is None for p in model.parameters())
    )
    mean, covariance = fit.outputs(x)
    draws = fit.sample(x, 20_000)
    assert torch.allclose(draws.mean(0), mean, atol=0.1) and torch.allclose(
        draws[:, 0].T.cov(), covariance[0], atol=0.1, rtol=0.1
    )
    one, _ = fit.outputs(x[:1])
    assert torch.allclose(one[0], mean[0]) and torch.equal(fit.sample(x, 3), fit.sample(x, 3))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: uncertainty.laplace(models.mlp(3), points(2, 3), 0.0), ValueError, "precision"),
        (
            lambda: uncertainty.laplace(models.mlp(3, (4,)), points(2, 3), layers="x"),
            ValueError,
            "layers",
        ),
        (
            lambda: uncertainty.laplace(models.mlp(3, (99, 99)), points(2, 3), layers="all"),
            ValueError,
            "6,000",
        ),
        (lambda: uncertainty.laplace(nn.ReLU(), points(2, 3)), ValueError, "Linear"),
        (lambda: uncertainty.laplace(models.mlp(3), [1]), TypeError, "x"),
    ],
)
def test_laplace_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---------------------------------------------------------------- annotators


def test_vote_entropy_and_its_correction():
    counts = torch.tensor([[3, 1, 0], [5, 0, 0]])
    H = slow_entropy([0.75, 0.25])
    assert uncertainty.vote_entropy(counts).tolist() == pytest.approx([H, 0])
    assert uncertainty.vote_entropy(counts, corrected=True).tolist() == pytest.approx(
        [H + 1 / 8, 0]
    )


def test_the_correction_takes_most_of_the_bias():
    p, g = torch.tensor([0.6, 0.3, 0.1]), torch.Generator().manual_seed(0)
    votes = torch.multinomial(p.expand(20_000, 3), 10, replacement=True, generator=g)
    counts = (votes[:, :, None] == torch.arange(3)).sum(1)
    plain, corrected = (
        uncertainty.vote_entropy(counts, c).mean().item() - slow_entropy(p.tolist())
        for c in (False, True)
    )
    assert plain < -0.05 and abs(corrected) < abs(plain) / 3


def crowd(N=1500, seed=0):
    g = torch.Generator().manual_seed(seed)
    confusion = torch.tensor(
        [
            [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]],
            [[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.4, 0.1, 0.5]],
            [[0.2, 0.7, 0.1], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8]],
            [[1 / 3] * 3] * 3,
            [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.2, 0.2, 0.6]],
        ]
    )
    truth = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), N, replacement=True, generator=g)
    votes = torch.stack([torch.multinomial(c[truth], 1, generator=g)[:, 0] for c in confusion], 1)
    return truth, votes, confusion


def test_labels_and_confusions_are_recovered():
    truth, votes, confusion = crowd()
    found = uncertainty.dawid_skene(votes, 3)
    majority = (votes[:, :, None] == torch.arange(3)).sum(1).argmax(1)
    assert (found.labels.argmax(1) == truth).float().mean() > (
        majority == truth
    ).float().mean() + 0.05
    assert (found.confusion - confusion).abs().max() < 0.08 and (
        found.prior - torch.tensor([0.5, 0.3, 0.2])
    ).abs().max() < 0.05
    gaps = torch.rand(votes.shape, generator=torch.Generator().manual_seed(1)) < 0.2
    votes = votes.masked_fill(gaps & (gaps.sum(1) < 5)[:, None], -1)
    assert (uncertainty.dawid_skene(votes, 3).confusion - confusion).abs().max() < 0.12


def test_one_step_of_em_is_that_of_a_loop():
    _, votes, _ = crowd(30)
    found = uncertainty.dawid_skene(votes, 3, iterations=1, smoothing=0.1)
    share = [[sum(v == c for v in row) / 5 for c in range(3)] for row in votes.tolist()]
    prior = [sum(s[c] for s in share) / 30 for c in range(3)]
    for n, row in enumerate(votes.tolist()):
        weight = []
        for c in range(3):
            w = prior[c]
            for a, v in enumerate(row):
                seen = [
                    sum(s[c] for s, r in zip(share, votes.tolist()) if r[a] == k) + 0.1
                    for k in range(3)
                ]
                w *= seen[v] / sum(seen)
            weight.append(w)
        assert found.labels[n].tolist() == pytest.approx(
            [w / sum(weight) for w in weight], abs=1e-9
        )


@pytest.mark.parametrize(
    ("votes", "error", "words"),
    [
        (torch.zeros(3, 2), TypeError, "float32"),
        (torch.full((3, 2), 5), ValueError, "-1..2"),
        (torch.full((3, 2), -1), ValueError, "one vote"),
        (torch.zeros(3).long(), ValueError, "N, A"),
    ],
)
def test_annotators_refuse(votes, error, words):
    with pytest.raises(error, match=words):
        uncertainty.dawid_skene(votes, 3)
    with pytest.raises(ValueError, match="vote"):
        uncertainty.vote_entropy(torch.zeros(2, 3))


# ---------------------------------------------------------------- the worlds


def test_the_curve_has_its_gap_and_its_noise():
    x, y = noisy.curve(20_000, gap=0.7)
    assert x.shape == (20_000, 1) and x.abs().min() >= 0.7 and x.abs().max() <= 3
    for side, spread in ((x[:, 0] < 0, 0.1), (x[:, 0] > 0, 0.4)):
        assert (y - torch.sin(2 * x[:, 0]))[side].std().item() == pytest.approx(spread, rel=0.05)
    with pytest.raises(ValueError, match="gap"):
        noisy.curve(5, gap=3)


def test_the_truth_of_the_clouds_is_bayes_rule():
    x, y = noisy.clouds(40_000)
    normal = [stats.multivariate_normal([m, 0]).pdf(x) for m in (-1, 1)]
    assert np.allclose(noisy.clouds_truth(x)[:, 1], normal[1] / sum(normal), atol=1e-6)
    near = x[:, 0].abs() < 0.2
    assert y[near].float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_glyphs_people_and_votes():
    assert (
        noisy.glyphs(5).shape == (5, 1, 8, 8)
        and 0 <= noisy.glyphs(5).min()
        and noisy.glyphs(5).max() <= 1
    )
    people, y = noisy.people(), torch.arange(10).repeat(3000)
    assert torch.allclose(people.sum(2), torch.ones(5, 10))
    said = noisy.votes(y, people)
    found = torch.stack(
        [
            torch.stack(
                [(said[y == c, a][:, None] == torch.arange(10)).float().mean(0) for c in range(10)]
            )
            for a in range(5)
        ]
    )
    assert (found - people).abs().max() < 0.05


# ---------------------------------------------------------------- shifts


def test_a_quarter_turn_is_exact():
    x = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    for quarter in range(4):
        turned = uncertainty.rotated(x, 90 * quarter)
        assert torch.allclose(turned, x.rot90(quarter, (2, 3)), atol=1e-5)


def test_a_half_turn_of_an_oblong_picture_is_exact():
    x = torch.rand(1, 1, 4, 7, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(uncertainty.rotated(x, 180), x.flip(2, 3), atol=1e-5)


@pytest.mark.parametrize("beyond, corner", [("zeros", 0.0), ("border", 1.0), ("reflection", 1.0)])
def test_what_stands_beyond_a_picture(beyond, corner):
    assert uncertainty.rotated(torch.ones(1, 1, 9, 9), 45, beyond)[0, 0, 0, 0] == pytest.approx(
        corner
    )


def test_blur_is_a_gaussian_mean():
    """By a loop in float64, on a picture so wide that the edge plays no part."""
    x = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = {
        (i, j): math.exp(-(i * i + j * j) / (2 * 0.9**2))
        for i in range(-3, 4)
        for j in range(-3, 4)
    }
    here = sum(w * x[0, 0, 4 + i, 4 + j] for (i, j), w in weights.items()) / sum(weights.values())
    assert torch.isclose(uncertainty.blurred(x, 0.9)[0, 0, 4, 4], here)
    assert torch.allclose(
        uncertainty.blurred(torch.full_like(x, 0.3), 2.0), torch.full_like(x, 0.3)
    )


def test_noise_has_its_spread_and_its_seed():
    x = torch.full((4, 1, 100, 100), 0.5)
    moved = uncertainty.noised(x, 0.1, seed=1)
    assert float((moved - x).std()) == pytest.approx(0.1, abs=0.002)
    assert torch.equal(moved, uncertainty.noised(x, 0.1, seed=1))
    assert not torch.equal(moved, uncertainty.noised(x, 0.1, seed=2))
    assert 0 <= uncertainty.noised(x, 5.0).min() and uncertainty.noised(x, 5.0).max() <= 1


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda x: uncertainty.rotated(x, 10, "nothing"), "beyond: expected one of"),
        (lambda x: uncertainty.rotated(x[0], 10), r"x: expected pictures \(N, C, H, W\)"),
        (lambda x: uncertainty.blurred(x, -1), "sd: expected a number from 0, got -1"),
        (lambda x: uncertainty.noised(x, math.nan), "sd: expected a number from 0, got nan"),
    ],
)
def test_what_is_no_shift_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call(torch.zeros(1, 1, 4, 4))


def test_whole_numbers_are_no_picture():
    with pytest.raises(TypeError, match=r"x: expected a floating-point tensor"):
        uncertainty.blurred(torch.zeros(1, 1, 4, 4, dtype=torch.long), 1.0)


# ---------------------------------------------------------------- conformal: classes, numbers


@pytest.mark.parametrize("score", ["threshold", "cumulative", "adaptive"])
@pytest.mark.parametrize("by_class", [False, True])
def test_coverage_over_many_draws(score, by_class):
    """At least 1 - alpha, and not much more, over all and, if asked for, in each class."""
    total, count = torch.zeros(3), torch.zeros(3)
    for draw in range(300):
        P = rows(180, 3, seed=draw)
        y = torch.multinomial(P, 1, generator=torch.Generator().manual_seed(draw))[:, 0]
        old, new = slice(0, 90), slice(90, 180)
        sets = uncertainty.conformal_sets(P[old], y[old], P[new], 0.2, score, by_class, 2 * draw)
        hit = sets.gather(1, y[new][:, None])[:, 0]
        for c in range(3):
            total[c] += hit[y[new] == c].sum()
            count[c] += (y[new] == c).sum()
    assert 0.79 < total.sum() / count.sum() < 0.84
    if by_class:
        assert (total / count > 0.79).all()


def test_a_class_without_samples_and_one_with_few():
    P, y = rows(20, 3), torch.tensor([0, 1] * 10)
    with pytest.raises(ValueError, match="y_calibration: expected samples of every class.* of 2"):
        uncertainty.conformal_sets(P, y, P, by_class=True)
    y[0] = 2  # one sample allows no miss in ten
    assert uncertainty.conformal_sets(P, y, P, by_class=True)[:, 2].all()


def test_intervals_cover_over_many_draws():
    hits, n = 0, 0
    for draw in range(300):
        generator = torch.Generator().manual_seed(draw)
        sd = torch.rand(100, generator=generator) + 0.1
        y = 1.5 * sd * torch.randn(100, generator=generator)
        calibration = torch.zeros(50), sd[:50], y[:50]
        low, high = uncertainty.conformal_intervals(calibration, torch.zeros(50), sd[50:], 0.2)
        hits, n = hits + int(((low <= y[50:]) & (y[50:] <= high)).sum()), n + 50
    assert 0.79 < hits / n < 0.82


@pytest.mark.parametrize(
    "sd, said",
    [
        (torch.zeros(3), "mean, sd: expected an sd above 0, got 0"),
        (torch.ones(2), r"mean, sd: expected numbers of one shape \(n,\), got \[\(3,\), \(2,\)\]"),
    ],
)
def test_intervals_without_a_spread_are_refused(sd, said):
    one = torch.ones(4)
    with pytest.raises(ValueError, match=said):
        uncertainty.conformal_intervals((one, one, one), torch.ones(3), sd)
