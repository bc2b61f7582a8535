"""The bound, its parts and the families, recomputed by slow loops in double precision and on models
whose p(x) is known.
"""

import itertools
import math
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import pooch
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lib import data, vae
from lib.data import downloads

torch.set_num_threads(1)


def linear_world(pixels=5, latent=2, sigma=0.7, seed=0, spoilt=0.0):
    """A VAE whose decoder is linear and whose encoder gives the exact posterior, and its exact log
    p(x).
    """
    g = torch.Generator().manual_seed(seed)
    W, b = (
        torch.randn(pixels, latent, generator=g).double(),
        torch.randn(pixels, generator=g).double(),
    )
    # orthogonal columns: the posterior's covariance is diagonal, as q's is
    W, _ = torch.linalg.qr(W)
    W = W * torch.tensor([1.5, 0.8, 0.4])[:latent].double()
    decoder = nn.Linear(latent, pixels).double()
    decoder.weight.data, decoder.bias.data = W, b
    precision = torch.eye(latent).double() + W.T @ W / sigma**2
    covariance = torch.linalg.inv(precision)

    class Posterior(nn.Module):
        def forward(self, x):
            mean = (x - b) @ W @ covariance / sigma**2
            return torch.cat(
                [mean + spoilt, covariance.diagonal().log().expand_as(mean) - spoilt], 1
            )

    exact = torch.distributions.MultivariateNormal(
        b, W @ W.T + sigma**2 * torch.eye(pixels).double()
    )
    return vae.VAE(Posterior(), decoder, sigma), exact, covariance


def binary_vae(seed=0, pixels=6, latent=2):
    return vae.dense_vae(pixels, (7,), latent, seed=seed).double()


def some_binary(n, pixels=6, seed=0):
    return torch.bernoulli(
        torch.full((n, 1, pixels // 2, 2), 0.4).double(),
        generator=torch.Generator().manual_seed(seed),
    )


# ---------------------------------------------------------------- the bound


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-4, 3)), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_kl_is_that_of_an_integral(pairs):
    mean, log_variance = torch.tensor(pairs, dtype=torch.float64).T
    total = 0.0
    for m, v in pairs:
        s = math.exp(v / 2)
        z = torch.linspace(m - 12 * s, m + 12 * s, 4001, dtype=torch.float64)
        log_q, log_p = -0.5 * ((z - m) / s) ** 2 - math.log(s), -0.5 * z**2
        total += torch.trapezoid(
            torch.exp(log_q) / math.sqrt(2 * math.pi) * (log_q - log_p), z
        ).item()
    assert vae.kl_standard_normal(mean[None], log_variance[None]).item() == pytest.approx(
        total, abs=1e-6
    )


def test_reparameterised_samples_have_the_moments_and_the_derivatives():
    mean, log_variance = (
        torch.tensor([[0.5, -2.0]]).double().requires_grad_(),
        torch.tensor([[1.0, -1.0]]).double().requires_grad_(),
    )
    z = vae.reparameterize(
        mean.expand(200_000, 2), log_variance.expand(200_000, 2), torch.Generator().manual_seed(0)
    )
    spread = torch.exp(log_variance / 2)
    assert ((z.mean(0) - mean).abs() < 5 * spread / 200_000**0.5).all()
    assert ((z.var(0) / log_variance.exp() - 1).abs() < 5 * (2 / 200_000) ** 0.5).all()
    one = vae.reparameterize(mean, log_variance, torch.Generator().manual_seed(3))
    assert torch.allclose(
        torch.autograd.grad(one.sum(), mean, retain_graph=True)[0], torch.ones_like(mean)
    )
    assert torch.allclose(torch.autograd.grad(one.sum(), log_variance)[0], (one - mean) / 2)


def test_likelihoods_are_products_over_pixels():
    x, l = (
        some_binary(3).flatten(1),
        torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).double() * 3,
    )
    for row, logits, value in zip(x.tolist(), l.tolist(), vae.bernoulli_log_likelihood(x, l)):
        assert value.item() == pytest.approx(
            sum(math.log(1 / (1 + math.exp(-v if p else v))) for p, v in zip(row, logits))
        )
    assert torch.isfinite(vae.bernoulli_log_likelihood(x, 200 * l)).all()
    normal = torch.distributions.Normal(l, 0.3)
    assert torch.allclose(vae.gaussian_log_likelihood(x, l, 0.3), normal.log_prob(x).sum(1))


def test_the_bound_by_a_loop_and_against_an_integral():
    model, x = binary_vae(latent=1), some_binary(3)
    bound = vae.elbo(model, x, samples=4000)
    grid = torch.linspace(-9, 9, 3001, dtype=torch.float64)
    for n, image in enumerate(x):
        mean, log_variance = (part.item() for part in model.encode(image[None]))
        z, s = mean + math.exp(log_variance / 2) * grid, math.exp(log_variance / 2)
        log_px_z = torch.stack(
            [model.log_likelihood(image[None], model.decode(v.view(1, 1)))[0] for v in z]
        )
        weight = torch.exp(-0.5 * grid**2) / math.sqrt(2 * math.pi)
        reconstruction = torch.trapezoid(weight * log_px_z, grid)
        wide = torch.stack(
            [model.log_likelihood(image[None], model.decode(v.view(1, 1)))[0] for v in grid]
        )
        log_p = torch.log(torch.trapezoid(weight * wide.exp(), grid))
        assert bound.reconstruction[n].item() == pytest.approx(reconstruction.item(), abs=0.05)
        log_q, log_prior = -0.5 * ((z - mean) / s) ** 2 - math.log(s), -0.5 * z**2
        # KL(q || p(z|x))
        gap = torch.trapezoid(weight * (log_q - (log_px_z + log_prior - log_p)), grid)
        assert (log_p - reconstruction + bound.kl[n]).item() == pytest.approx(gap.item(), abs=1e-6)
        assert vae.importance_weighted_bound(model, x, 20_000)[n].item() == pytest.approx(
            log_p.item(), abs=0.02
        )
    assert torch.equal(bound.total, bound.reconstruction - bound.kl)


def test_with_the_exact_posterior_the_bound_is_log_p_and_every_weight_is_the_same():
    model, exact, _ = linear_world()
    x = exact.sample((6,))
    assert torch.allclose(vae.importance_weighted_bound(model, x, 1), exact.log_prob(x), atol=1e-10)
    assert torch.allclose(vae.importance_weighted_bound(model, x, 7), exact.log_prob(x), atol=1e-10)
    bound = vae.elbo(model, x, samples=20_000)
    assert torch.allclose(bound.total, exact.log_prob(x), atol=0.1)


def test_the_gap_is_the_divergence_of_q_from_the_posterior():
    model, exact, covariance = linear_world(spoilt=0.4)
    x = exact.sample((4,))
    mean, log_variance = model.encode(x)
    right, W = linear_world()[0], model.decoder.weight
    other, other_log_variance = right.encode(x)
    gap = 0.5 * (
        (mean - other) ** 2 / other_log_variance.exp()
        + (log_variance - other_log_variance).exp()
        - 1
        - log_variance
        + other_log_variance
    ).sum(1)
    reconstruction = vae.gaussian_log_likelihood(x, model.decode(mean), 0.7) - 0.5 / 0.7**2 * (
        (W**2).sum(0) * log_variance.exp()
    ).sum(1)
    bound = reconstruction - vae.kl_standard_normal(mean, log_variance)
    assert torch.allclose(exact.log_prob(x) - bound, gap, atol=1e-10)


def test_more_samples_raise_the_bound_and_never_above_the_truth():
    model, exact, _ = linear_world(spoilt=0.8)
    x = exact.sample((1,)).expand(20_000, -1)
    truth = exact.log_prob(x[0]).item()
    values = [vae.importance_weighted_bound(model, x, k, seed=k) for k in (1, 4, 16)]
    means = [v.mean().item() for v in values]
    errors = [v.std().item() / 20_000**0.5 for v in values]
    assert means[0] < means[1] < means[2] < truth + 5 * errors[2]


def test_in_groups_the_result_is_the_same():
    """With the exact posterior all weights are equal, so that no draw matters, only that each group
    counts once.
    """
    model, exact, _ = linear_world()
    x = exact.sample((5,))
    for at_once in (1, 60, 2**20):
        assert torch.allclose(
            vae.importance_weighted_bound(model, x, 11, at_once=at_once),
            exact.log_prob(x),
            atol=1e-10,
        )


@pytest.mark.parametrize(
    "bound", [lambda m, x: vae.elbo(m, x).total, partial(vae.importance_weighted_bound, samples=5)]
)
def test_state_is_left_alone_and_precision_agrees(bound):
    model, x = binary_vae(), some_binary(4)
    before, copy = torch.get_rng_state(), {k: v.clone() for k, v in model.state_dict().items()}
    first = bound(model, x)
    assert torch.equal(first, bound(model, x)) and torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(v, copy[k]) for k, v in model.state_dict().items()) and all(
        p.grad is None for p in model.parameters()
    )
    assert bound(model.float(), x.float()).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda m, x: (m, 0.5 * x), ValueError, "x: expected black and white"),
        (lambda m, x: (m, x.long()), TypeError, "x: expected a floating-point"),
        (lambda m, x: (m, x.tolist()), TypeError, "x: expected a floating-point tensor .* list"),
        (lambda m, x: (m.decoder, x), TypeError, "vae: expected a VAE"),
        (lambda m, x: (m, x, 0), ValueError, "samples: expected at least 1"),
    ],
)
def test_bad_arguments_are_named(make, error, message):
    for bound in (vae.elbo, vae.importance_weighted_bound):
        with pytest.raises(error, match=message):
            bound(*make(binary_vae(), some_binary(2)))


def test_a_sigma_must_be_positive():
    with pytest.raises(ValueError, match="sigma: expected None or a number above 0, got 0"):
        vae.dense_vae(sigma=0)


# ---------------------------------------------------------------- networks that are told a class


def conditional():
    return vae.dense_vae(6, (5,), 2, classes=3).double(), some_binary(4).flatten(1)[:, :6]


def test_a_decoder_reads_the_class_behind_the_code():
    model, _ = conditional()
    z, y = torch.randn(3, 2).double(), torch.tensor([2, 0, 1])
    behind = torch.cat([z, torch.eye(3).double()[y]], 1)
    assert torch.equal(model.decode(z, y), model.decoder(behind))
    assert torch.equal(model.expected(z, y), model.decoder(behind).sigmoid())


def test_a_class_is_given_where_one_is_read_and_only_there():
    z, y = torch.randn(3, 2), torch.tensor([0, 1, 2])
    with pytest.raises(ValueError, match=r"y: expected classes \(N,\) from 0 to 2, got None"):
        vae.dense_vae(classes=3, latent=2).decode(z)
    with pytest.raises(ValueError, match="y: expected None, got classes"):
        vae.dense_vae(latent=2).decode(z, y)


def test_a_class_that_says_all_leaves_nothing_to_the_code():
    """Two pictures, one of each class: told the class, the decoder needs no code."""
    x = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]])[:, None]
    y = torch.tensor([0, 1])
    model = vae.dense_vae(4, (8,), 2, classes=2)
    vae.fit(model, x, 400, learning_rate=1e-2, y=y, progress=False)
    bound = vae.elbo(model, x, 20, y=y)
    assert bound.total.min() > -0.1 and bound.kl.max() < 0.05
    assert (model.expected(torch.zeros(2, 2), y).round() == x.flatten(1)).all()


def test_without_noise_and_divergence_a_plain_autoencoder_is_trained():
    x = torch.eye(6)[:, None]
    model = vae.dense_vae(6, (16,), 2)
    before = [p.clone() for p in model.encoder[-1].parameters()]
    vae.fit(model, x, 1500, learning_rate=1e-2, beta=0, noise=False, progress=False)
    back = model.expected(model.encode(x)[0])
    assert (back.argmax(1) == torch.arange(6)).all() and back.amax(1).min() > 0.9
    # nothing asked for the log-variances, so nothing moved them
    after = [*model.encoder[-1].parameters()]
    assert all(torch.equal(a[2:], b[2:]) for a, b in zip(before, after))


def test_a_loss_that_is_not_finite_ends_the_training():
    with pytest.raises(ValueError, match="loss: expected a finite value, got nan in step 0"):
        vae.fit(vae.dense_vae(sigma=1.0), torch.full((4, 64), float("nan")), 10, progress=False)


def test_the_committed_planes_hold_digits():
    planes = vae.mnist_planes()
    assert tuple(planes.networks) == vae.PLANES
    assert torch.bincount(planes.classes, minlength=10).min() > 80
    assert torch.isfinite(planes.codes).all()
    inside = planes.codes[1].norm(dim=1) < 3  # of the VAE: near the prior
    assert inside.float().mean() > 0.95


# ---------------------------------------------------------------- codes


def test_a_traversal_moves_one_number():
    model, z = binary_vae(latent=3), torch.randn(2, 3).double()
    pictures = vae.latent_traversal(model, z, 1, [-1, 0.5])
    for n, t in itertools.product(range(2), range(2)):
        code = z[n].clone()
        code[1] = (-1, 0.5)[t]
        assert torch.allclose(pictures[n, t], model.decode(code[None])[0].sigmoid())
    with pytest.raises(IndexError):
        vae.latent_traversal(model, z, 3, [0])


def test_active_units_are_those_that_vary():
    class Encoder(nn.Module):
        def forward(self, x):
            return torch.cat([x[:, :1], 0.01 * x[:, 1:2], 0 * x[:, :2]], 1)

    model = vae.VAE(Encoder(), nn.Linear(2, 3))
    assert vae.active_units(model, torch.randn(100, 3)).tolist() == [True, False]


def test_the_kl_splits_into_information_and_distance():
    model, x = binary_vae(), some_binary(40)
    information, distance = vae.kl_parts(model, x, samples=3, seed=1)
    mean, log_variance = model.encode(x)
    generator, slow = torch.Generator().manual_seed(1), []
    for _ in range(3):
        z = vae.reparameterize(mean, log_variance, generator)
        q = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
        for n in range(40):
            each = q.log_prob(z[n]).sum(1)
            slow.append((each[n] - each.exp().mean().log()).item())
    assert information.item() == pytest.approx(sum(slow) / len(slow), abs=1e-9)
    parts = [
        sum(vae.kl_parts(model, x, samples=2000)).item(),
        vae.kl_standard_normal(mean, log_variance).mean().item(),
    ]
    assert parts[0] == pytest.approx(parts[1], abs=0.02)


# ---------------------------------------------------------------- training


def test_training_raises_the_bound_and_keeps_the_random_state():
    x, model = data.digits().x_train, vae.dense_vae(64, (32,), 4)
    pixels = torch.bernoulli(data.digits().x_test, generator=torch.Generator().manual_seed(0))
    state, before = torch.get_rng_state(), vae.elbo(model, pixels).total.mean().item()
    history = vae.fit(model, x, 300, progress=False)
    assert (
        torch.equal(state, torch.get_rng_state())
        and not model.training
        and len(history.losses) == 3
    )
    assert vae.elbo(model, pixels).total.mean().item() > before + 10
    again = vae.dense_vae(64, (32,), 4)
    vae.fit(again, x, 300, progress=False)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters()))


def test_a_linear_vae_finds_as_many_directions_as_eigenvalues_exceed_the_noise():
    """Tipping and Bishop (1999): the directions whose variance exceeds sigma^2 are kept; all others
    collapse.
    """
    g = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 5, generator=g) * torch.tensor([3.0, 2.0, 0.5, 0.4, 0.3])
    model = vae.dense_vae(5, (), 3, sigma=1.0)
    vae.fit(model, x, 1500, learning_rate=1e-2, progress=False)
    assert vae.active_units(model, x).sum() == 2
    best = torch.distributions.MultivariateNormal(
        torch.zeros(5), torch.diag(torch.tensor([9.0, 4.0, 1.0, 1.0, 1.0]))
    )
    assert vae.elbo(model, x, 20).total.mean().item() == pytest.approx(
        best.log_prob(x).mean().item(), abs=0.05
    )


def test_the_committed_weights_read_real_digits():
    model = vae.mnist_vae()
    z = torch.randn(50, 32, generator=torch.Generator().manual_seed(0))
    ink = model.expected(z).mean().item()
    assert 0.09 < ink < 0.17  # that of the training images is 0.13


# ---------------------------------------------------------------- the families


def everything(pixels):
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * pixels)


def test_an_autoregressive_model_is_a_product_of_conditionals():
    model, x = vae.Autoregressive(6, 10, seed=1).double(), everything(6)
    assert model.log_likelihood(x).exp().sum().item() == pytest.approx(1)
    logits = model(x)
    for i in range(6):
        changed = x.clone()
        changed[:, i:] = 1 - changed[:, i:]
        assert torch.allclose(logits[:, i], model(changed)[:, i]), (
            "pixel i reads only the pixels before it"
        )
    assert not torch.allclose(logits[:, 5], model(1 - x)[:, 5])
    p = model.log_likelihood(x).exp()
    drawn = model.sample(20_000)
    place = (drawn.long() * 2 ** torch.arange(5, -1, -1)).sum(1)
    share = torch.bincount(place, minlength=64) / 20_000
    assert ((share - p).abs() < 5 * (p * (1 - p) / 20_000).sqrt() + 1e-9).all()


def test_an_rbm_by_enumerating_both_layers():
    model = vae.RBM(4, 3, seed=1).double()
    model.a.data, model.b.data = (
        torch.tensor([0.3, -1, 0.5, 2]).double(),
        torch.tensor([1.0, -0.5, 0.2]).double(),
    )
    x, h = everything(4), everything(3)
    W, a, b = (p.detach() for p in (model.W, model.a, model.b))
    energy = torch.tensor(
        [
            [
                sum(v[i] * W[i, j] * s[j] for i in range(4) for j in range(3)) + v @ a + s @ b
                for s in h
            ]
            for v in x
        ]
    )
    Z = energy.exp().sum()
    assert model.log_partition().item() == pytest.approx(math.log(Z))
    assert torch.allclose(model.log_likelihood(x), (energy.exp().sum(1) / Z).log())
    p = energy.exp().sum(1) / Z
    drawn = model.sample(20_000, steps=50)
    share = (
        torch.bincount((drawn.long() * 2 ** torch.arange(3, -1, -1)).sum(1), minlength=16) / 20_000
    )
    assert ((share - p).abs() < 5 * (p * (1 - p) / 20_000).sqrt() + 1e-9).all()


def test_an_rbm_learns_and_refuses_what_it_cannot_sum():
    x = torch.bernoulli(data.digits().x_train, generator=torch.Generator().manual_seed(0))
    model = vae.RBM(64, 8)
    before = model.log_likelihood(x).mean()
    state = torch.get_rng_state()
    vae.fit_rbm(model, x, 600)
    assert model.log_likelihood(x).mean() > before + 10 and torch.equal(
        state, torch.get_rng_state()
    )
    with pytest.raises(ValueError, match="hidden: expected at most 20 neurons .* got 21"):
        vae.RBM(4, 21).log_partition()


def test_a_flow_is_invertible_and_knows_its_determinant():
    model, x = vae.Flow(5, 7, seed=1).double(), torch.randn(3, 5).double()
    z, log_det = model(x)
    assert torch.allclose(model.inverse(z), x)
    for k in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda v: model(v[None])[0][0], x[k])
        assert log_det[k].item() == pytest.approx(jacobian.det().abs().log().item())
    normal = torch.distributions.Normal(0.0, 1.0)
    assert torch.allclose(model.log_density(x), normal.log_prob(z).sum(1) + log_det)


@torch.no_grad()
def test_a_flow_gives_pictures_probabilities_that_sum_to_one():
    model, x = vae.Flow(3, 7, seed=1).double(), everything(3)
    noise = torch.Generator().manual_seed(0)
    p = model.log_likelihood(x, 20_000, noise).exp()
    assert p.sum().item() == pytest.approx(1, abs=0.03)
    one = torch.stack([model.log_likelihood(x, 1, noise) for _ in range(2000)]).mean(0)
    assert (one < p.log() + 0.05).all()  # a single draw bounds from below
    drawn = model.float().sample(20_000)
    place = (drawn.long() * 2 ** torch.arange(2, -1, -1)).sum(1)
    share = torch.bincount(place, minlength=8) / 20_000
    assert ((share - p).abs() < 0.02).all()


def test_a_belief_network_by_enumerating_both_layers():
    bottom, top = (vae.RBM(*sizes, seed=k).double() for k, sizes in enumerate([(4, 3), (3, 2)]))
    for p in (*bottom.parameters(), *top.parameters()):
        p.data = torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())).double()
    x, h = everything(4), everything(3)
    belief, prior = vae.DeepBelief(bottom, top), top.log_likelihood(h).exp()
    p = (h @ bottom.W.T + bottom.a).sigmoid().detach()
    for n in range(len(x)):
        given_h = (x[n] * p + (1 - x[n]) * (1 - p)).prod(1)
        assert belief.log_likelihood(x[[n]]).exp().item() == pytest.approx((given_h @ prior).item())
    same = vae.DeepBelief(bottom)
    assert torch.allclose(same.log_likelihood(x), bottom.log_likelihood(x))
    exact, drawn = belief.log_likelihood(x).exp(), belief.sample(20_000, steps=100)
    place = (drawn.long() * 2 ** torch.arange(3, -1, -1)).sum(1)
    share = torch.bincount(place, minlength=16) / 20_000
    assert ((share - exact).abs() < 5 * (exact * (1 - exact) / 20_000).sqrt() + 1e-9).all()


# ---------------------------------------------------------------- real data


def test_mnist_is_read_where_it_is():
    folder = downloads.given("mnist/train-images-idx3-ubyte.gz")
    if folder is None:
        pytest.skip("BOOK_DATA does not name a folder that holds mnist/")
    split = data.mnist()
    assert split.x_train.shape == (60000, 1, 28, 28) and split.x_test.shape == (10000, 1, 28, 28)
    assert (
        split.x_train.dtype == torch.float32
        and 0 <= split.x_train.min()
        and split.x_train.max() == 1
    )
    assert torch.bincount(split.y_test).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]


CONTENT = b"some data"
SHA = "1307990e6ba5ca145eb35e99182a9bec46531bc54ddf656a602c780fa0240dee"


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path.startswith("/good") else 404)
            self.end_headers()
            self.wfile.write(CONTENT if self.path == "/good" else b"other data")

        def log_message(self, *arguments):
            pass

    running = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("BOOK_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


def test_a_file_is_downloaded_from_the_first_mirror_that_has_it_and_kept(server, cache):
    assert (
        downloads.file("set/part", SHA, [f"{server}/missing", f"{server}/good"]).read_bytes()
        == CONTENT
    )
    assert downloads.file("set/part", SHA, []).read_bytes() == CONTENT, (
        "from the cache, with no network"
    )


def test_when_all_mirrors_fail_each_is_named_and_what_to_do(server, cache):
    with pytest.raises(
        OSError,
        match=(
            r"set/part could not be downloaded from .*/missing .*/good-but-other .*by "
            r"hand.*BOOK_DATA"
        ),
    ):
        downloads.file("set/part", SHA, [f"{server}/missing", f"{server}/good-but-other"])


def test_a_file_put_by_hand_is_used_and_verified(cache, tmp_path, monkeypatch):
    (cache / "set").mkdir(parents=True)
    (cache / "set/part").write_bytes(CONTENT)
    assert downloads.file("set/part", SHA, []) == cache / "set/part"
    (cache / "set/part").write_bytes(b"broken")
    with pytest.raises(OSError, match="set/part"):
        downloads.file("set/part", SHA, [])
    (tmp_path / "mine/set").mkdir(parents=True)
    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "mine"))
    (tmp_path / "mine/set/part").write_bytes(CONTENT)
    assert downloads.file("set/part", SHA, []) == tmp_path / "mine/set/part"
    (tmp_path / "mine/set/part").write_bytes(b"broken")
    with pytest.raises(OSError, match="expected a file with the sha256"):
        downloads.file("set/part", SHA, [])


def test_a_file_of_another_format_is_refused(tmp_path):
    import gzip

    (tmp_path / "x.gz").write_bytes(gzip.compress(b"\0\0\x0d\x01"))
    with pytest.raises(OSError, match="expected an IDX file of bytes"):
        downloads.idx(tmp_path / "x.gz")


def test_a_code_that_holds_each_factor_alone_is_disentangled():
    x, factors = vae.spots(400, seed=3)
    assert x.shape == (400, 1, 10, 10) and 0 <= x.min() and x.max() <= 1
    rows, columns = x.amax(3).flatten(1).argmax(1), x.amax(2).flatten(1).argmax(1)
    assert (rows - (1.5 + 6 * factors[:, 0])).abs().max() <= 0.5 + 1e-6
    assert (columns - (1.5 + 6 * factors[:, 1])).abs().max() <= 0.5 + 1e-6
    noise = torch.randn(400, 1, generator=torch.Generator().manual_seed(0))

    class Coded:
        def __init__(self, code):
            self.code = code

        def encode(self, x):
            return self.code, None

    alone = Coded(torch.cat([2 * factors + 1, noise], 1))
    mixed = Coded(torch.stack([factors.sum(1), factors[:, 0] - factors[:, 1]], 1))
    assert vae.disentanglement(alone, x, factors) > 0.95
    assert vae.disentanglement(mixed, x, factors) < 0.2
