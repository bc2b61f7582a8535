"""The chapter on adversarial networks: its equations on random input, the numbers of its prose."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from equations import check_covered, check_numbers, recomputes

from lib import gans, models

SEEDS = pytest.mark.parametrize("seed", range(3))


def two(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two distributions over 12 values."""
    return (
        torch.randn(2, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        .softmax(1)
        .unbind()
    )


@recomputes("gans", "game", "game 2", "game 3")
@SEEDS
def test_the_best_discriminator_and_the_value_of_the_game(seed):
    p, q = two(seed)

    def value(D: torch.Tensor) -> torch.Tensor:
        return (p * D.log()).sum() + (q * (1 - D).log()).sum()

    logits = torch.zeros(12, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [logits],
        max_iter=500,
        tolerance_grad=1e-12,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = -value(logits.sigmoid())
        loss.backward()
        return loss

    optimizer.step(closure)
    assert torch.allclose(logits.sigmoid(), p / (p + q), atol=1e-4)
    assert torch.allclose(gans.optimal_discriminator(p, q), p / (p + q))
    m = (p + q) / 2
    kl = scipy.stats.entropy
    jsd = 0.5 * kl(p, m) + 0.5 * kl(q, m)
    by_mean = (p * (p / (2 * m)).log()).sum() + (q * (q / (2 * m)).log()).sum()
    assert math.isclose(by_mean.item(), kl(p, m) + kl(q, m) - 2 * math.log(2), rel_tol=1e-9)
    assert math.isclose(by_mean.item(), value(p / (p + q)).item(), rel_tol=1e-9)
    assert math.isclose(value(p / (p + q)).item(), 2 * jsd - math.log(4), rel_tol=1e-9)
    assert math.isclose(gans.jensen_shannon(p, q).item(), jsd, rel_tol=1e-9)


@recomputes("gans", "by-turns", "by-turns 2")
@SEEDS
def test_the_two_losses_sample_by_sample(seed):
    real, fake = torch.randn(
        2, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    sigma = lambda v: 1 / (1 + math.exp(-v))
    L_D = (
        -sum(
            math.log(sigma(r)) + math.log(1 - sigma(f))
            for r, f in zip(real.tolist(), fake.tolist())
        )
        / 9
    )
    L_G = sum(math.log(1 - sigma(f)) for f in fake.tolist()) / 9
    assert math.isclose(gans.discriminator_loss(real, fake).item(), L_D) and math.isclose(
        gans.generator_loss(fake, "saturating").item(), L_G
    )


@recomputes("gans", "read-film")
def test_simultaneous_steps_of_the_bilinear_game_follow_its_slopes():
    path = gans.bilinear_game("simultaneous", 0.1, 50)
    players = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    for k in range(51):
        assert torch.allclose(path[k], players.detach())
        (slope,) = torch.autograd.grad(players[0] * players[1], players)
        players = (
            players.detach() + 0.1 * slope * torch.tensor([-1.0, 1.0], dtype=torch.float64)
        ).requires_grad_()


@recomputes("gans", "wgan")
@SEEDS
def test_the_wasserstein_distance_is_reached_by_a_critic_of_slope_one(seed):
    p, q = two(seed)
    places = np.sort(np.random.default_rng(seed).normal(size=12))
    gaps, between = np.diff(places), (q.cumsum(0) - p.cumsum(0)).numpy()[:-1]
    # rises or falls by 1, where it pays
    critic = np.concatenate([[0], np.cumsum(np.sign(between) * gaps)])
    reached = (p.numpy() * critic).sum() - (q.numpy() * critic).sum()
    assert math.isclose(
        reached, scipy.stats.wasserstein_distance(places, places, p, q), rel_tol=1e-9
    )
    for _ in range(50):  # no other one reaches more
        other = np.concatenate(
            [[0], np.cumsum(np.random.default_rng(seed).uniform(-1, 1, 11) * gaps)]
        )
        assert (p.numpy() * other).sum() - (q.numpy() * other).sum() <= reached + 1e-12


@recomputes("gans", "wgan 2")
@SEEDS
def test_no_critic_exceeds_a_plan(seed):
    """Any plan of two distributions over 12 places in the plane, and any function of slope 1."""
    generator = torch.Generator().manual_seed(seed)
    plan = torch.rand(12, 12, generator=generator, dtype=torch.float64)
    plan /= plan.sum()
    p, q = plan.sum(1), plan.sum(0)
    places, poles = torch.randn(2, 12, 2, generator=generator, dtype=torch.float64)
    distances = torch.cdist(places, places)
    critic = (torch.cdist(places, poles) + poles[:, 0]).amin(1)  # the lowest of twelve cones
    assert ((critic[:, None] - critic).abs() <= distances + 1e-12).all()
    gain = (p * critic).sum() - (q * critic).sum()
    carried = sum(plan[x, y] * (critic[x] - critic[y]) for x in range(12) for y in range(12))
    assert torch.isclose(gain, carried)
    assert gain <= (plan * distances).sum()


@recomputes("gans", "wgan 3")
@SEEDS
def test_the_penalty_by_finite_differences(seed):
    with models.seeded(seed):
        critic = models.mlp(3, (5,), 1, seed=seed).double()
        critic[2] = torch.nn.Tanh()
        real, fake = torch.randn(2, 6, 3, dtype=torch.float64)
    found = gans.gradient_penalty(
        lambda v: critic(v)[:, 0], real, fake, torch.Generator().manual_seed(seed)
    )
    u = torch.rand(6, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x, h = u * real + (1 - u) * fake, 1e-6
    slope = torch.stack(
        [
            (critic(x + h * e) - critic(x - h * e))[:, 0] / (2 * h)
            for e in torch.eye(3, dtype=torch.float64)
        ],
        1,
    )
    assert torch.allclose(found, ((slope.norm(dim=1) - 1) ** 2).mean(), atol=1e-6)


@recomputes("gans", "cycle")
@SEEDS
def test_the_cycle_loss_point_by_point(seed):
    generator = torch.Generator().manual_seed(seed)
    F, H = torch.randn(2, 2, 2, generator=generator, dtype=torch.float64)
    x, y = torch.randn(2, 7, 2, generator=generator, dtype=torch.float64)
    price = gans.cycle_loss(x, x @ F @ H) + gans.cycle_loss(y, y @ H @ F)
    by_points = (
        sum(((p @ F) @ H - p).abs().mean() for p in x) / 7
        + sum(((p @ H) @ F - p).abs().mean() for p in y) / 7
    )
    assert torch.isclose(price, by_points)


@recomputes("gans", "read-cheap")
@SEEDS
def test_the_frechet_distance_by_the_root_of_a_matrix(seed):
    generator = np.random.default_rng(seed)
    a, b = (
        generator.normal(size=(60, 4)),
        generator.normal(size=(50, 4)) @ generator.normal(size=(4, 4)) + 1,
    )
    C, D = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(
        C + D - 2 * np.real(scipy.linalg.sqrtm(C @ D))
    )
    assert math.isclose(
        gans.frechet_distance(torch.from_numpy(a), torch.from_numpy(b)), expected, rel_tol=1e-6
    )


def test_every_equation_is_covered():
    check_covered("gans")


def test_every_number_is_shown():
    check_numbers("gans", {})
