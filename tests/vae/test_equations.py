"""The chapter on variational autoencoders: its equations on random input, the numbers of its
prose.
"""

import itertools
import math

import pytest
import torch
from equations import check_covered, check_numbers, recomputes
from torch.distributions import Normal, kl_divergence

from lib import models, vae

SEEDS = pytest.mark.parametrize("seed", range(3))


def known(seed: int) -> tuple[float, float, torch.Tensor]:
    """A world where all is known, z ~ N(0, 1), x ~ N(a z, s): a, s and some x (4,)."""
    a, s, *x = (
        torch.randn(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).abs()
        + 0.3
    ).tolist()
    return a, s, torch.tensor(x, dtype=torch.float64)


@recomputes("vae", "s1")
def test_a_model_of_pictures_gives_probabilities_that_sum_to_one():
    rbm = vae.RBM(4, 3, seed=0)
    pictures = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4)))
    p = rbm.log_likelihood(pictures).exp()
    assert ((0 <= p) & (p <= 1)).all() and math.isclose(p.sum().item(), 1, rel_tol=1e-5)


@recomputes("vae", "mnist-read", "algebra", "two-forms")
@SEEDS
def test_the_algebra_of_the_bound_in_a_known_world(seed):
    a, s, x = known(seed)
    log_p = Normal(0, (a**2 + s**2) ** 0.5).log_prob(x)
    posterior = Normal(a * x / (a**2 + s**2), s / (a**2 + s**2) ** 0.5)
    z = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    joint = Normal(0, 1).log_prob(z) + Normal(a * z, s).log_prob(x)
    assert torch.allclose(joint - posterior.log_prob(z), log_p.expand(7, 4))
    q = Normal(torch.full_like(x, 0.4), 0.7)
    # expectations over q by quadrature
    grid = torch.linspace(-12, 12, 40_001, dtype=torch.float64)[:, None]
    weight = q.log_prob(grid).exp() * (grid[1] - grid[0])
    elbo = (
        weight * (Normal(0, 1).log_prob(grid) + Normal(a * grid, s).log_prob(x) - q.log_prob(grid))
    ).sum(0)
    gap = (weight * (q.log_prob(grid) - posterior.log_prob(grid))).sum(0)
    assert torch.allclose(elbo + gap, log_p, atol=1e-6) and torch.allclose(
        gap, kl_divergence(q, posterior), atol=1e-6
    )
    reconstruction = (weight * Normal(a * grid, s).log_prob(x)).sum(0)
    assert torch.allclose(
        elbo, reconstruction - kl_divergence(q, Normal(torch.zeros_like(x), 1.0)), atol=1e-6
    )


@recomputes("vae", "two-forms 2", "two-forms 3")
@SEEDS
def test_the_loss_and_the_divergence_of_gaussians(seed):
    with models.seeded(seed):
        mean, log_variance = torch.randn(2, 5, 3, dtype=torch.float64)
        x = torch.bernoulli(torch.full((4, 1, 3, 3), 0.5))
    sigma = (log_variance / 2).exp()
    formula = 0.5 * sum(
        mean[:, d] ** 2 + sigma[:, d] ** 2 - 1 - (sigma[:, d] ** 2).log() for d in range(3)
    )
    assert torch.allclose(vae.kl_standard_normal(mean, log_variance), formula)
    assert torch.allclose(formula, kl_divergence(Normal(mean, sigma), Normal(0, 1)).sum(1))
    coder = vae.dense_vae(pixels=9, hidden=(6,), latent=2, seed=seed)
    bound = vae.elbo(coder, x, samples=1, seed=seed)
    m, v = coder.encode(x)
    z = m + (v / 2).exp() * torch.randn(4, 2, generator=torch.Generator().manual_seed(seed))
    logits, pixels = coder.decode(z), x.flatten(1)
    log_p = (pixels * logits.sigmoid().log() + (1 - pixels) * (-logits).sigmoid().log()).sum(1)
    loss = kl_divergence(Normal(m, (v / 2).exp()), Normal(0.0, 1.0)).sum(1) - log_p
    assert torch.allclose(-bound.total, loss, atol=1e-4)


@recomputes("vae", "two-forms 4")
@SEEDS
def test_two_gradients_through_a_draw_have_the_same_mean(seed):
    generator = torch.Generator().manual_seed(seed)
    mu, sigma, n = 0.7, 1.3, 400_000
    eps = torch.randn(n, generator=generator, dtype=torch.float64)
    z = mu + sigma * eps
    for h, slope, truth in (
        (z**2, 2 * z, 2 * mu),
        (z.sin(), z.cos(), math.cos(mu) * math.exp(-(sigma**2) / 2)),
    ):
        for estimate in (h * (z - mu) / sigma**2, slope):
            assert abs(estimate.mean() - truth) < 5 * estimate.std() / n**0.5


@recomputes("vae", "aggregate")
@SEEDS
def test_the_mean_divergence_splits_into_information_and_distance(seed):
    coder = vae.dense_vae(pixels=9, hidden=(6,), latent=2, seed=seed)
    with models.seeded(seed):
        x = torch.bernoulli(torch.full((40, 1, 3, 3), 0.5))
    information, distance = vae.kl_parts(coder, x, samples=400, seed=seed)
    assert abs(information + distance - vae.kl_standard_normal(*coder.encode(x)).mean()) < 0.02
    assert -0.01 < information < math.log(40) and distance > -0.01


@recomputes("vae", "traverse-read")
@SEEDS
def test_a_gaussian_decoder_of_variance_one_is_half_the_squared_error(seed):
    coder = vae.dense_vae(pixels=6, hidden=(5,), latent=2, sigma=1.0, seed=seed)
    x, z = torch.rand(2, 4, 6, generator=torch.Generator().manual_seed(seed))
    decoded = coder.decode(z[:, :2])
    constant = coder.log_likelihood(x, decoded) + 0.5 * ((x - decoded) ** 2).sum(1)
    assert torch.allclose(constant, constant[0].expand(4), atol=1e-5)
    assert math.isclose(constant[0].item(), -3 * math.log(2 * math.pi), rel_tol=1e-5)


@recomputes("vae", "disentangle-read")
@SEEDS
def test_the_weighted_bound_by_a_loop(seed):
    coder = vae.dense_vae(pixels=9, hidden=(6,), latent=2, seed=seed)
    with models.seeded(seed):
        x = torch.bernoulli(torch.full((2, 1, 3, 3), 0.5))
    m, v = coder.encode(x)

    weights = []
    for eps in torch.randn(20 * len(x), 2, generator=torch.Generator().manual_seed(seed)).view(
        20, len(x), 2
    ):
        z = m + (v / 2).exp() * eps
        log_q = Normal(m, (v / 2).exp()).log_prob(z).sum(1)
        weights.append(
            coder.log_likelihood(x, coder.decode(z)) + Normal(0.0, 1.0).log_prob(z).sum(1) - log_q
        )
    expected = torch.logsumexp(torch.stack(weights), 0) - math.log(20)
    assert torch.allclose(
        vae.importance_weighted_bound(coder, x, 20, seed=seed), expected, atol=1e-4
    )


@recomputes("vae", "families-text")
@SEEDS
def test_a_boltzmann_machine_by_summing_over_everything(seed):
    rbm = vae.RBM(5, 3, seed=seed).double()
    with models.seeded(seed), torch.no_grad():
        for p in rbm.parameters():
            p.copy_(torch.randn_like(p))
    X, H = (
        torch.tensor(list(itertools.product((0.0, 1.0), repeat=k)), dtype=torch.float64)
        for k in (5, 3)
    )
    energies = torch.exp(
        X @ rbm.W.detach() @ H.T + (X @ rbm.a.detach())[:, None] + H @ rbm.b.detach()
    )
    p = energies.sum(1) / energies.sum()
    assert torch.allclose(rbm.log_likelihood(X).exp(), p)


def test_every_equation_is_covered():
    check_covered("vae")


def test_every_number_is_shown():
    check_numbers("vae", {})
