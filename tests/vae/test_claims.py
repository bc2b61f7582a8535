"""What the chapter concludes from one start, on three that it does not use."""

import pytest
import torch

from lib import data, training, vae

pytestmark = pytest.mark.slow
SEEDS = range(10, 13)
DEEP = {"skip": False, "hidden": (128,) * 5}


@pytest.fixture(scope="module")
def pictures():
    digits = data.digits()
    draw = lambda grey: torch.bernoulli(grey, generator=torch.Generator().manual_seed(1))
    return draw(digits.x_train.repeat(20, 1, 1, 1)), draw(digits.x_test)


def bound(pictures, seed, steps, **options):
    train, test = pictures
    model = vae.dense_vae(**options, seed=seed)
    vae.fit(model, train, steps, average=0.99, seed=seed, progress=False)
    found = vae.elbo(model, test, 20)
    return found.total.mean().item(), found.kl.mean().item()


def test_collapse_was_slowness(pictures):
    """Without a cure the deep network codes little after 1,200 steps and two nats after 3,000; with
    skip links it codes at once, and its bound is higher by more than half a nat.
    """
    for seed in SEEDS:
        (early, little), (late, more) = (bound(pictures, seed, s, **DEEP) for s in (1200, 3000))
        assert little < 1.6 < more and late > early + 1
        linked, _ = bound(pictures, seed, 3000, **DEEP | {"skip": True})
        assert linked > late + 0.5


def test_autoregressive_and_vae_are_close(pictures):
    """With 3,000 steps each the autoregressive model is ahead of the VAE's bound by less than half
    a nat.
    """
    train, test = pictures
    unlikely = lambda logits, x: -vae.bernoulli_log_likelihood(x, logits).mean()
    for seed in SEEDS:
        auto = vae.Autoregressive()
        settings = {"epochs": 27, "batch": 256, "weight_decay": 1e-4, "progress": False}
        training.fit(auto, train, train.flatten(1), loss=unlikely, seed=seed, **settings)
        model = vae.dense_vae(seed=seed)
        vae.fit(model, train, 3000, average=0.99, seed=seed, progress=False)
        gap = auto.log_likelihood(test) - vae.importance_weighted_bound(model, test, 1000)
        assert 0 < gap.mean() < 0.5
