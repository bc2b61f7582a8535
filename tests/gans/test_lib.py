"""The losses recomputed number by number, the Fréchet distance where it is known, and a game that
leaves the world as it was.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import gans, models


def log_sigmoid(v):
    return -math.log1p(math.exp(-v)) if v > -30 else v


REAL, FAKE = [0.3, -2.0, 200.0, -200.0, 0.0], [1.0, -200.0, 200.0]
WANTED = {
    "non-saturating": (
        lambda r, f: -log_sigmoid(r),
        lambda f: -log_sigmoid(-f),
        lambda f: -log_sigmoid(f),
    ),
    "saturating": (
        lambda r, f: -log_sigmoid(r),
        lambda f: -log_sigmoid(-f),
        lambda f: log_sigmoid(-f),
    ),
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
    assert gans.generator_loss(fake, kind).item() == pytest.approx(
        sum(map(of_generator, FAKE)) / len(FAKE), rel=1e-9
    )


def test_the_non_saturating_gradient_lives_where_the_saturating_one_dies():
    logit = torch.tensor([-20.0], requires_grad=True)
    alive, dead = (
        torch.autograd.grad(gans.generator_loss(logit, kind), logit)[0].abs().item()
        for kind in ("non-saturating", "saturating")
    )
    assert alive == pytest.approx(1, abs=1e-6) and dead < 1e-8


@pytest.mark.parametrize(
    "call",
    [
        lambda: gans.generator_loss(torch.zeros(1), "best"),
        lambda: gans.discriminator_loss(torch.zeros(1), torch.zeros(1), "best"),
    ],
)
def test_an_unknown_kind_is_named(call):
    with pytest.raises(ValueError, match="kind: expected one of"):
        call()


def test_the_frechet_distance_of_gaussians():
    """(m - m')^2 + (s - s')^2 in each direction, for Gaussians with the same axes."""
    draw = torch.randn(50_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # exactly standard
    draw = (draw - draw.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(draw.T))).T
    other = draw * torch.tensor([2.0, 1.0, 0.5]) + torch.tensor([0.0, 3.0, 0.0])
    assert gans.frechet_distance(draw, other) == pytest.approx(1 + 9 + 0.25, abs=1e-6)
    assert gans.frechet_distance(draw, draw) == pytest.approx(0, abs=1e-6)


def test_a_short_game_is_reproducible_and_leaves_the_random_state():
    x, labels = (
        torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0)),
        torch.arange(64) % 10,
    )
    state, samples = torch.get_rng_state(), []
    for _ in range(2):
        generator, discriminator = gans.Generator(width=2), gans.Discriminator(width=2)
        history = gans.train(
            generator, discriminator, x, labels, steps=100, batch=8, progress=False
        )
        samples.append(generator(torch.zeros(3, 64), torch.tensor([0, 5, 9])).detach())
    assert (
        torch.equal(torch.get_rng_state(), state)
        and history.steps == 100
        and len(history.losses) == 1
    )
    assert (
        torch.equal(*samples)
        and samples[0].shape == (3, 1, 28, 28)
        and 0 <= samples[0].min()
        and samples[0].max() <= 1
    )
    assert not generator.training and not discriminator.training


# ---------------------------------------------------------------- the game on known densities


def densities(seed, K=6):
    random = np.random.default_rng(seed)
    p, q = (
        random.random(K) * (random.random(K) < 0.7) + 1e-9 * (np.arange(K) == 0) for _ in range(2)
    )
    return p / p.sum(), q / q.sum()


@pytest.mark.parametrize("seed", range(8))
def test_no_discriminator_is_better_than_the_optimal_one_and_its_value_is_the_divergence(seed):
    p, q = densities(seed)

    def value(d):
        return sum(
            (a * math.log(t) if a else 0) + (b * math.log(1 - t) if b else 0)
            for a, b, t in zip(p, q, d)
        )

    best = gans.optimal_discriminator(torch.tensor(p), torch.tensor(q)).tolist()
    divergence = sum(0.5 * a * math.log(2 * a / (a + b)) for a, b in zip(p, q) if a) + sum(
        0.5 * b * math.log(2 * b / (a + b)) for a, b in zip(p, q) if b
    )
    found = gans.jensen_shannon(torch.tensor(p), torch.tensor(q)).item()
    assert found == pytest.approx(divergence, abs=1e-12) and 0 <= found <= math.log(2) + 1e-12
    assert value(best) == pytest.approx(2 * divergence - math.log(4), abs=1e-12)
    random = np.random.default_rng(seed)
    assert all(value(random.uniform(0.01, 0.99, 6)) <= value(best) for _ in range(50))


def test_the_optimal_discriminator_where_there_is_nothing():
    zero = torch.zeros(2, 3)
    assert torch.equal(gans.optimal_discriminator(zero, zero), torch.full((2, 3), 0.5))


@pytest.mark.parametrize(
    ("method", "factor"),
    [("simultaneous", math.sqrt(1 + 0.3**2)), ("extragradient", math.sqrt(1 - 0.3**2 + 0.3**4))],
)
def test_the_bilinear_game_grows_and_shrinks_by_known_factors(method, factor):
    radius = gans.bilinear_game(method, 0.3, 20).norm(dim=1)
    assert radius[1:].tolist() == pytest.approx((radius[:-1] * factor).tolist(), rel=1e-12)


def test_the_alternating_game_stays_on_its_ellipse():
    w, theta = gans.bilinear_game("alternating", 0.3, 500).T
    kept = w**2 + theta**2 - 0.3 * w * theta  # what the map leaves as it is
    assert (kept - kept[0]).abs().max() < 1e-10
    with pytest.raises(ValueError, match="method: expected"):
        gans.bilinear_game("both", 0.3, 5)


# ---------------------------------------------------------------- penalty, coverage, sharpness


@pytest.mark.parametrize("shape", [(5, 2), (1, 3), (4, 1, 2, 3)])
def test_the_gradient_penalty_by_finite_differences(shape):
    draw = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(shape, generator=draw, dtype=torch.float64) for _ in range(2))
    critic = nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(shape[1:]), 7), nn.Tanh(), nn.Linear(7, 1), nn.Flatten(0)
    ).double()
    found = gans.gradient_penalty(critic, real, fake, torch.Generator().manual_seed(3))
    u = torch.rand(
        shape[0],
        *[1] * (len(shape) - 1),
        generator=torch.Generator().manual_seed(3),
        dtype=torch.float64,
    )
    total = 0.0
    for x in u * real + (1 - u) * fake:
        slope = 0.0
        for i in range(x.numel()):
            step = (
                torch.zeros(x.numel(), dtype=torch.float64)
                .index_fill(0, torch.tensor(i), 1e-6)
                .view(x.shape)
            )
            slope += ((critic((x + step)[None]) - critic((x - step)[None])).item() / 2e-6) ** 2
        total += (math.sqrt(slope) - 1) ** 2 / shape[0]
    assert found.item() == pytest.approx(total, rel=1e-6)
    found.backward()
    assert all(p.grad is not None for p in critic[1].parameters()) and not real.requires_grad
    with torch.no_grad():
        assert gans.gradient_penalty(
            critic, real, fake, torch.Generator().manual_seed(3)
        ).item() == pytest.approx(total, rel=1e-6)
    with pytest.raises(ValueError, match="real, fake: expected equal shapes"):
        gans.gradient_penalty(critic, real, fake[:0])


def test_mode_coverage_by_a_loop():
    draw = torch.Generator().manual_seed(1)
    samples, centres = 3 * torch.randn(300, 2, generator=draw), torch.randn(7, 2, generator=draw)
    near = [[math.dist(s, c) <= 0.8 for c in centres.tolist()] for s in samples.tolist()]
    found = gans.mode_coverage(samples, centres, 0.8, 9)
    assert found.counts.tolist() == [sum(column) for column in zip(*near)]
    assert found.covered == sum(
        sum(column) >= 9 for column in zip(*near)
    ) and found.quality == pytest.approx(sum(map(any, near)) / 300)
    with pytest.raises(ValueError, match="samples, centres: expected"):
        gans.mode_coverage(samples, centres[:, :1], 1.0)


@pytest.mark.parametrize("pixels", [1, 2, 5])
def test_the_sharpness_of_a_ramp_and_of_blurred_pictures(pixels):
    ramp = torch.cat([torch.zeros(4), torch.arange(1, pixels + 1) / pixels, torch.ones(3)]).repeat(
        2, 1, 6, 1
    )
    assert gans.sharpness(ramp).tolist() == pytest.approx([1 / pixels] * 2)
    assert gans.sharpness(torch.zeros(3, 1, 4, 5)).tolist() == [0, 0, 0]
    assert torch.allclose(gans.sharpness(ramp), gans.sharpness(ramp.mT))


# ---------------------------------------------------------------- many networks at once, and other
# games


@pytest.mark.parametrize("spectral", [False, True])
def test_a_member_of_a_crowd_is_a_network_of_its_own(spectral):
    crowd = gans.Crowd(3, (2, 5, 4, 2), spectral, seed=4).double()
    x = torch.randn(12, 2, generator=torch.Generator().manual_seed(0)).double()
    for _ in range(500):  # until the power iteration stands still
        crowd(x)
    alone, crowd = [], crowd.eval()
    for m, h in enumerate(x.view(3, 4, 2)):
        for k, (weight, bias) in enumerate(zip(crowd.weights, crowd.biases)):
            matrix = weight[m] / torch.linalg.matrix_norm(weight[m], 2) if spectral else weight[m]
            h = (h.clamp(min=0) if k else h) @ matrix + bias[m]
        alone.append(h)
    assert torch.allclose(crowd(x), torch.cat(alone), rtol=1e-8)
    with pytest.raises(ValueError, match="x: expected"):
        crowd(x[:5])


def test_a_crowd_learns_as_its_members_would_alone():
    """The gradient of one member does not depend on the rows of the others."""
    crowd, x = (
        gans.Crowd(2, (2, 6, 1)),
        torch.randn(8, 2, generator=torch.Generator().manual_seed(0)),
    )
    gans.generator_loss(crowd(x)).backward()
    before = crowd.weights[0].grad[0].clone()
    crowd.zero_grad()
    x[4:] += 1
    gans.generator_loss(crowd(x)).backward()
    assert torch.equal(crowd.weights[0].grad[0], before)


def test_a_ring_is_learned_and_coverage_counts_it():
    x, _ = gans.blobs(gans.ring(3, 1.0), 2000, 0.2)
    generator, critic = gans.Crowd(2, (2, 32, 2), seed=1), gans.Crowd(2, (2, 32, 1), seed=2)
    gans.train(
        generator,
        critic,
        x,
        None,
        800,
        batch=128,
        kind="wasserstein",
        penalty=0.1,
        critic_steps=2,
        critic_rate=2e-3,
        betas=(0.5, 0.9),
        progress=False,
    )
    samples = generator.shares(
        generator(torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))).detach()
    )
    assert [gans.mode_coverage(part, gans.ring(3, 1.0), 0.6, 30).covered for part in samples] == [
        3,
        3,
    ]


def test_blobs_are_where_they_should_be():
    x, chosen = gans.blobs(gans.grid(3), 20_000, 0.1, seed=5)
    for k, centre in enumerate(gans.grid(3)):
        assert (x[chosen == k].mean(0) - centre).abs().max() < 0.02 and abs(
            (x[chosen == k] - centre).std() - 0.1
        ) < 0.01
    assert torch.equal(x, gans.blobs(gans.grid(3), 20_000, 0.1, seed=5)[0])


def test_a_short_cycle_game_comes_back_and_leaves_the_random_state():
    a, b = (
        gans.blobs(gans.ring(4), 1000, 0.1)[0],
        gans.blobs(gans.ring(4) + 0.3, 1000, 0.1, seed=1)[0],
    )
    state, game = torch.get_rng_state(), gans.cycle_crowd(2, shift=True)
    gans.train_cycle(game, a, b, 200, 3.0, 128, progress=False)
    assert torch.equal(torch.get_rng_state(), state)
    x = a[:100].repeat(2, 1)
    assert (game.to_a(game.to_b(x)) - x).norm(dim=1).mean() < 0.1


def test_a_short_star_game_moves_points_to_their_domain():
    domain = torch.arange(900) % 3
    noise = torch.randn(900, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1.0, 0.1]
    )
    x = noise + torch.stack([torch.zeros(900), domain - 1.0], 1)
    translator, critic = (
        gans.Shift(gans.Crowd(2, (5, 32, 2))),
        gans.Star(gans.Crowd(2, (2, 32, 4), seed=1)),
    )
    state = torch.get_rng_state()
    gans.train_star(translator, critic, x, domain, 700, 1.0, 128, progress=False)
    assert torch.equal(torch.get_rng_state(), state)
    goal = (domain + 1) % 3
    moved = translator(x, torch.nn.functional.one_hot(goal, 3).float().view(900, 3)).detach()
    assert (moved[:, 1].round() + 1 == goal).float().mean() > 0.9


class Told(nn.Module):
    """A network of a point and its class."""

    def __init__(self, inputs: int, outputs: int, latent: int = 2) -> None:
        super().__init__()
        self.latent = latent
        self.layers = models.mlp(inputs + 2, (32,), outputs, seed=outputs)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.layers(torch.cat([x, F.one_hot(labels, 2).to(x)], 1)).squeeze(1)


def test_with_mismatched_labels_a_discriminator_learns_to_refuse_real_samples_of_another_class():
    labels = torch.arange(400) % 2
    x = (
        torch.randn(400, 2, generator=torch.Generator().manual_seed(0)) * 0.3
        + 2.0 * labels[:, None]
    )
    margin = {}
    for mismatch in (False, True):
        generator, discriminator = Told(2, 2), Told(2, 1)
        gans.train(generator, discriminator, x, labels, 600, mismatch=mismatch, progress=False)
        margin[mismatch] = discriminator(x, labels) - discriminator(x, 1 - labels)
    assert (margin[True] > 0).double().mean() > 0.99 and margin[True].mean() > 2 * margin[
        False
    ].mean()


def test_noise_is_drawn_from_the_seed_and_falls_to_nothing():
    seen = []

    class Watch(Told):
        def forward(self, x: Tensor, labels: Tensor) -> Tensor:
            seen.append(x.detach())
            return super().forward(x, labels)

    x, labels = torch.zeros(8, 2), torch.zeros(8, dtype=torch.long)
    gans.train(Told(2, 2), Watch(2, 1), x, labels, 100, noise=2.0, progress=False)
    real = torch.stack(seen[1::3])  # of each step: generated, real, generated
    spread = real.std((1, 2))
    assert abs(spread[:10].mean() - 1.9) < 0.3 and spread[-1] < 0.05
    again, seen[:] = real, []
    gans.train(Told(2, 2), Watch(2, 1), x, labels, 100, noise=2.0, progress=False)
    assert torch.equal(torch.stack(seen[1::3]), again)
