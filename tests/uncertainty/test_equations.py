"""The chapter on uncertainty: its equations on random input, the numbers of its prose."""

import math

import pytest
import torch
from equations import check_covered, check_numbers, recomputes
from torch import nn
from torch.distributions import Normal

from lib import models
from lib import uncertainty as U
from lib.uncertainty import laplace

SEEDS = pytest.mark.parametrize("seed", range(3))


def probabilities(seed: int, *shape: int) -> torch.Tensor:
    return (
        torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        .mul(2)
        .softmax(-1)
    )


@recomputes("uncertainty", "text-04")
@SEEDS
def test_far_away_a_network_of_relus_is_linear_along_a_ray(seed):
    model = models.mlp(4, (12, 12), 3, seed=seed).double()
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    f = [model(1e4 * k * x) for k in (1, 2, 3)]
    # delta V x + a: equal steps of delta, equal steps of f
    assert torch.allclose(f[2] - f[1], f[1] - f[0])
    ordered = f[2].sort(1).values
    assert (
        (ordered[:, 2] - ordered[:, 1])
        > 2 * (f[0].sort(1).values[:, 2] - f[0].sort(1).values[:, 1])
    ).all()


@recomputes("uncertainty", "text-06", "text-06 2")
@SEEDS
def test_the_loss_of_a_gaussian_and_the_law_of_total_variance(seed):
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance, y = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    output = torch.stack([mean, log_variance], 1)
    exact = -Normal(mean, (log_variance / 2).exp()).log_prob(y).mean() - 0.5 * math.log(2 * math.pi)
    formula = (0.5 * log_variance + (y - mean) ** 2 / (2 * log_variance.exp())).mean()
    assert torch.isclose(formula, exact) and torch.isclose(
        U.gaussian_nll(output, y), formula, atol=1e-3
    )
    mu, variance = (
        torch.randn(5, 4, generator=generator, dtype=torch.float64),
        torch.rand(5, 4, generator=generator, dtype=torch.float64),
    )
    parts = U.decompose_variance(mu, variance)
    bar = sum(mu) / 5
    assert torch.allclose(parts.aleatoric, sum(variance) / 5) and torch.allclose(
        parts.epistemic, sum((m - bar) ** 2 for m in mu) / 5
    )
    second = sum(variance + mu**2) / 5  # E[y^2] of the mixture
    assert torch.allclose(parts.total, second - bar**2)


@recomputes("uncertainty", "text-10")
@SEEDS
def test_entropy_is_aleatoric_plus_mutual_information(seed):
    P = probabilities(seed, 6, 4, 3)
    parts, bar = U.decompose(P), P.mean(0)
    H = lambda p: -(p * p.log()).sum(-1)
    divergence = sum((p * (p / bar).log()).sum(-1) for p in P) / 6
    assert (
        torch.allclose(parts.total, H(bar))
        and torch.allclose(parts.aleatoric, H(P).mean(0))
        and torch.allclose(parts.epistemic, divergence)
    )


@recomputes("uncertainty", "text-18")
@SEEDS
def test_votes_of_annotators_by_bayes_rule(seed):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(3, (400,), generator=generator)
    theta = torch.eye(3, dtype=torch.float64) * 3 + torch.rand(
        4, 3, 3, generator=generator, dtype=torch.float64
    )
    theta = theta / theta.sum(2, keepdim=True)
    votes = torch.stack(
        [torch.multinomial(theta[a][truth], 1, generator=generator)[:, 0] for a in range(4)], 1
    )
    found = U.dawid_skene(votes, classes=3, iterations=100)
    for n in range(20):
        weight = [
            found.prior[c] * math.prod(found.confusion[a, c, votes[n, a]].item() for a in range(4))
            for c in range(3)
        ]
        assert torch.allclose(found.labels[n], torch.stack(weight) / sum(weight), atol=1e-3)


@recomputes("uncertainty", "text-20")
@SEEDS
def test_the_covariance_of_laplace_by_the_hessian(seed):
    model = nn.Sequential(nn.Linear(3, 2, bias=False)).double()
    model[0].weight.data = torch.randn(
        2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)

    def loss(
        w: torch.Tensor,
    ) -> torch.Tensor:  # linear in the weights: the Hessian is J^T H J, whatever the labels
        return torch.logsumexp(x @ w.view(2, 3).T, 1).sum() + 0.5 * 0.7 * (w**2).sum()

    hessian = torch.autograd.functional.hessian(loss, model[0].weight.data.flatten())
    assert torch.allclose(
        laplace(model, x, precision=0.7).covariance, torch.linalg.inv(hessian), atol=1e-8
    )


@recomputes("uncertainty", "text-25", "text-26")
@SEEDS
def test_calibration_error_by_bins_and_the_best_temperature(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(300, 4, generator=generator, dtype=torch.float64)
    y = torch.multinomial((logits / 2).softmax(1), 1, generator=generator)[:, 0]
    P = logits.softmax(1)
    confidence, right, error = P.amax(1), P.argmax(1) == y, 0.0
    for b in range(10):
        inside = (confidence > b / 10) & (confidence <= (b + 1) / 10)
        if inside.any():
            error += inside.double().mean() * abs(
                right[inside].double().mean() - confidence[inside].mean()
            )
    assert abs(U.calibration_error(P, y, bins=10) - error) < 1e-6
    T = U.fit_temperature(logits, y)
    nll = lambda t: nn.functional.cross_entropy(logits / t, y)
    assert all(nll(T) <= nll(t) + 1e-9 for t in torch.linspace(0.3, 6, 400).tolist())


@recomputes("uncertainty", "conformal-text")
@SEEDS
@pytest.mark.parametrize("alpha", [0.1, 0.25])
def test_the_conformal_quantile_is_an_order_statistic(seed, alpha):
    P, y = (
        probabilities(seed, 39, 4),
        torch.randint(4, (39,), generator=torch.Generator().manual_seed(seed)),
    )
    s = sorted(1 - P[n, y[n]].item() for n in range(39))
    q = s[math.ceil(40 * (1 - alpha)) - 1]
    assert math.isclose(U.conformal_quantile(1 - P[torch.arange(39), y], alpha), q)
    new = probabilities(seed + 9, 50, 4)
    assert torch.equal(U.conformal_sets(P, y, new, alpha), 1 - new <= q)


@recomputes("uncertainty", "text-33")
@SEEDS
def test_each_class_has_a_quantile_of_its_own(seed):
    P, y = probabilities(seed, 90, 3), torch.arange(90) % 3
    new = probabilities(seed + 9, 50, 3)
    for c in range(3):
        s = sorted(1 - P[n, c].item() for n in range(90) if y[n] == c)
        q = s[math.ceil(31 * 0.8) - 1]
        found = U.conformal_sets(P, y, new, 0.2, by_class=True)[:, c]
        assert found.tolist() == [1 - p <= q for p in new[:, c].tolist()]


@recomputes("uncertainty", "adaptive-text")
@SEEDS
def test_the_adaptive_score_adds_what_is_likelier_and_a_part_of_its_own(seed):
    P, y = probabilities(seed, 39, 4), torch.arange(39) % 4
    new = probabilities(seed + 9, 20, 4)
    drawn = [
        torch.rand(len(Q), 1, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        for k, Q in ((5, P), (6, new))
    ]

    def score(p, u, c):
        return sum(other for other in p if other > p[c]) + u * p[c]

    s = sorted(score(P[n].tolist(), drawn[0][n].item(), int(y[n])) for n in range(39))
    q = s[math.ceil(40 * 0.8) - 1]
    found = U.conformal_sets(P, y, new, 0.2, "adaptive", seed=5)
    for n in range(20):
        want = [score(new[n].tolist(), drawn[1][n].item(), c) <= q for c in range(4)]
        assert found[n].tolist() == want


@recomputes("uncertainty", "adaptive-read")
@SEEDS
def test_an_interval_is_as_wide_as_the_error_in_units_of_the_spread(seed):
    generator = torch.Generator().manual_seed(seed)
    mu, sigma, y = torch.randn(3, 39, generator=generator, dtype=torch.float64)
    sigma = sigma.exp()
    q = sorted(abs(y[n] - mu[n]).item() / sigma[n].item() for n in range(39))[32 - 1]
    low, high = U.conformal_intervals((mu, sigma, y), mu[:5], sigma[:5], alpha=0.2)
    assert torch.allclose(low, mu[:5] - q * sigma[:5])
    assert torch.allclose(high, mu[:5] + q * sigma[:5])


def test_every_equation_is_covered():
    check_covered("uncertainty")


def test_every_number_is_shown():
    check_numbers("uncertainty", {})
