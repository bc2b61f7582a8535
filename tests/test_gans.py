"""The losses recomputed number by number, the Frechet distance where it is known, and a game that leaves the world as it was."""

import math

import pytest
import torch

from lib import gans


def log_sigmoid(v):
    return -math.log1p(math.exp(-v)) if v > -30 else v


REAL, FAKE = [0.3, -2.0, 200.0, -200.0, 0.0], [1.0, -200.0, 200.0]
WANTED = {
    "non-saturating": (lambda r, f: -log_sigmoid(r), lambda f: -log_sigmoid(-f), lambda f: -log_sigmoid(f)),
    "saturating": (lambda r, f: -log_sigmoid(r), lambda f: -log_sigmoid(-f), lambda f: log_sigmoid(-f)),
    "least squares": (lambda r, f: (r - 1) ** 2, lambda f: f**2, lambda f: (f - 1) ** 2),
    "hinge": (lambda r, f: max(0, 1 - r), lambda f: max(0, 1 + f), lambda f: -f),
    "wasserstein": (lambda r, f: -r, lambda f: f, lambda f: -f),
}


@pytest.mark.parametrize("kind", gans.KINDS)
def test_the_losses_are_their_formulas_and_finite_at_200(kind):
    of_real, of_fake, of_generator = WANTED[kind]
    real, fake = torch.tensor(REAL, dtype=torch.float64), torch.tensor(FAKE, dtype=torch.float64)
    wanted = sum(of_real(r, None) for r in REAL) / len(REAL) + sum(map(of_fake, FAKE)) / len(FAKE)
    assert gans.discriminator_loss(real, fake, kind).item() == pytest.approx(wanted, rel=1e-9)
    assert gans.generator_loss(fake, kind).item() == pytest.approx(sum(map(of_generator, FAKE)) / len(FAKE), rel=1e-9)


def test_the_non_saturating_gradient_lives_where_the_saturating_one_dies():
    logit = torch.tensor([-20.0], requires_grad=True)
    alive, dead = (torch.autograd.grad(gans.generator_loss(logit, kind), logit)[0].abs().item() for kind in ("non-saturating", "saturating"))
    assert alive == pytest.approx(1, abs=1e-6) and dead < 1e-8


@pytest.mark.parametrize("call", [lambda: gans.generator_loss(torch.zeros(1), "best"), lambda: gans.discriminator_loss(torch.zeros(1), torch.zeros(1), "best")])
def test_an_unknown_kind_is_named(call):
    with pytest.raises(ValueError, match="kind: expected one of"):
        call()


def test_the_frechet_distance_of_gaussians():
    """(m - m')^2 + (s - s')^2 in each direction, for Gaussians with the same axes."""
    draw = torch.randn(50_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    draw = (draw - draw.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(draw.T))).T  # exactly standard
    other = draw * torch.tensor([2.0, 1.0, 0.5]) + torch.tensor([0.0, 3.0, 0.0])
    assert gans.frechet_distance(draw, other) == pytest.approx(1 + 9 + 0.25, abs=1e-6)
    assert gans.frechet_distance(draw, draw) == pytest.approx(0, abs=1e-6)


def test_a_short_game_is_reproducible_and_leaves_the_random_state():
    x, labels = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10
    state, samples = torch.get_rng_state(), []
    for _ in range(2):
        generator, discriminator = gans.Generator(width=2), gans.Discriminator(width=2)
        history = gans.train(generator, discriminator, x, labels, steps=100, batch=8, progress=False)
        samples.append(generator(torch.zeros(3, 64), torch.tensor([0, 5, 9])).detach())
    assert torch.equal(torch.get_rng_state(), state) and history.steps == 100 and len(history.losses) == 1
    assert torch.equal(*samples) and samples[0].shape == (3, 1, 28, 28) and 0 <= samples[0].min() and samples[0].max() <= 1
    assert not generator.training and not discriminator.training
