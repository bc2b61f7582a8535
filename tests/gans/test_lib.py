"""The losses recomputed number by number, the Fréchet distance where it is known, and a game that
leaves the world as it was.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import applications, data, gans, models, vae


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


# ---------------------------------------------------------------- pictures


def test_a_shift_of_pictures_sees_the_domain_at_every_place():
    seen = []
    shift = gans.Shift(lambda both: seen.append(both) or both[:, :3])
    x = torch.rand(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(shift(x, torch.tensor([[1.0, 0.0], [0.0, 1.0]])), 2 * x)
    assert seen[0].shape == (2, 5, 4, 6)
    assert (seen[0][0, 3] == 1).all() and (seen[0][1, 3] == 0).all()


def test_the_same_faces_differ_where_their_signs_are_and_are_read_as_drawn():
    drawn = gans.same_faces(20, seed=5)
    regions = applications.faces(20, seed=5).regions
    for place, signs in enumerate(gans.COMBINATIONS):
        assert torch.equal(gans.signs_of(drawn[place], drawn), signs.expand(20, 4))
        changed = (drawn[place] != drawn[0]).any(1)
        assert not (changed & ~regions[:, signs].any(1)).any()


def test_the_faces_of_a_star_show_their_domain():
    pictures, domain = gans.star_faces(30, seed=3)
    for old in (0, 1):
        asked = applications.faces(30, 6 + old, wrinkles=bool(old), grey_hair=bool(old))
        part = slice(30 * old, 30 * old + 30)
        assert torch.equal(pictures[part], asked.images)
        assert torch.equal(domain[part], 2 * old + asked.signs[:, 3])


def test_the_identity_loss_keeps_what_is_there_already():
    """Beside a critic that says nothing, it alone is lowered: old faces stay."""
    draw = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 50, 3, 8, 8, generator=draw).unbind()

    class Silent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            return self.weight * x.flatten(1).sum(1).detach() * 0

    nets = [gans.picture_translator(width=4, seed=k) for k in (0, 1)]
    game = gans.CycleGAN(*nets, Silent(), Silent())
    before = (game.to_b(b) - b).abs().mean()
    gans.train_cycle(game, a, b, 150, 0.0, 16, progress=False, identity=1.0)
    assert (game.to_b(b) - b).abs().mean() < 0.5 * before


def test_judges_of_each_domain_move_points_to_it():
    domain = torch.arange(900) % 3
    noise = 0.1 * torch.randn(900, 2, generator=torch.Generator().manual_seed(0))
    x = noise + torch.stack([torch.zeros(900), domain - 1.0], 1)
    translator = gans.Shift(gans.Crowd(2, (5, 32, 2)))
    critic = gans.Star(gans.Crowd(2, (2, 32, 4), seed=1))
    gans.train_star(translator, critic, x, domain, 1200, 0.3, 128, progress=False, judges=True)
    goal = (domain + 1) % 3
    moved = translator(x, F.one_hot(goal, 3).float()).detach()
    assert (moved[:, 1].round() + 1 == goal).float().mean() > 0.9


def test_small_pictures_are_means_of_blocks_and_error_alone_lowers_the_error():
    x = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert gans.smaller(x)[3, 0, 2, 5].item() == pytest.approx(
        sum(x[3, 0, i, j].item() for i in range(8, 12) for j in range(20, 24)) / 16, rel=1e-5
    )
    x, state = x.round(), torch.get_rng_state()
    net, critic = gans.Enlarger(8), gans.picture_critic(1, 1, 28, 4)
    error = lambda: ((net(gans.smaller(x)) - x) ** 2).mean().item()
    before = error()
    gans.train_enlarger(net, critic, x, 60, 0.0, progress=False)
    assert error() < before and torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match=r"x: expected \(N, 1, 28, 28\)"):
        gans.train_enlarger(net, critic, x[:, 0], 1, 0.0, progress=False)


def test_the_gram_matrix_and_the_distances_by_loops():
    draw = torch.Generator().manual_seed(0)
    f, g = ([torch.randn(1, 3, 2, 4, generator=draw).double() for _ in range(2)] for _ in range(2))

    def of(x):
        at = [(i, j) for i in range(2) for j in range(4)]
        return [
            [sum(x[0, a, i, j] * x[0, b, i, j] for i, j in at).item() / 8 for b in range(3)]
            for a in range(3)
        ]

    assert torch.allclose(gans.gram(f[0])[0], torch.tensor(of(f[0])).double())
    shares = []
    for x, y in zip(f, g):
        pairs = [(p, q) for row, other in zip(of(x), of(y)) for p, q in zip(row, other)]
        shares.append(sum((p - q) ** 2 for p, q in pairs) / sum(q**2 for _, q in pairs))
    assert gans.style_distance(f, g).item() == pytest.approx(sum(shares) / 2, rel=1e-6)
    content = sum((p - q) ** 2 for p, q in zip(f[1].flatten(), g[1].flatten()))
    wanted = content / sum(q**2 for q in g[1].flatten())
    assert gans.content_distance(f, g).item() == pytest.approx(wanted.item(), rel=1e-9)


def test_a_restyled_picture_nears_the_style_within_the_range_of_both():
    draw = torch.Generator().manual_seed(0)
    content, style = torch.rand(2, 1, 3, 8, 8, generator=draw)
    layer = nn.Conv2d(3, 6, 3).requires_grad_(False)
    seen = lambda x: [x, layer(x).relu()]
    made = gans.restyled(seen, content, style**2, steps=40, weight=0.1)
    before, after = (gans.style_distance(seen(x), seen(style**2)) for x in (content, made))
    assert after < 0.5 * before
    assert 0 <= made.min() and made.max() <= 1 and not torch.equal(made, content)


def test_a_vae_gan_reconstructs_and_leaves_the_random_state():
    x = data.digits().x_train[:300]
    model, critic = vae.dense_vae(seed=3), models.mlp(64, (32,), 1, seed=4)
    error = lambda: ((model.expected(model.encode(x)[0]) - x.flatten(1)) ** 2).mean().item()
    before, state = error(), torch.get_rng_state()
    gans.train_both(model, critic, x, 150, 32, 3e-3, progress=False)
    assert error() < 0.7 * before and torch.equal(torch.get_rng_state(), state)
    with pytest.raises(TypeError, match="model: expected an encoder"):
        gans.train_both(vae.VAE(lambda x: x, lambda z: z), critic, x, 1, progress=False)
