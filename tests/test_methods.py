"""The cards of the methods: each is complete, and its code does what the library does."""

import re

import pytest
import torch
from conftest import ROOT
from torch import nn

from lib import interpretability as it
from lib import lrp as wing
from lib import sensitivity as se
from lib.lrp import AlphaBeta, Epsilon, Gamma, ZBox, ZPlus, lrp

PAGE = (ROOT / "methods.md").read_text(encoding="utf-8")
OPENING, *CARDS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
MOST_LINES = 9

pytestmark = pytest.mark.filterwarnings("ignore:relevance")

CODE: dict = {}
for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
    exec(block, CODE)


@pytest.fixture
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _network():
    """Features of the same size as the pictures, and a head."""
    features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
    return features, nn.Sequential(nn.Flatten(), nn.Linear(4 * 64, 3))


def _pictures(count=2):
    features, head = _network()
    return nn.Sequential(features, head), torch.rand(count, 1, 8, 8), torch.arange(count)


def _neurons():
    """Non-negative inputs, one layer, relevance above where its neurons are active."""
    a, layer = torch.rand(2, 5), nn.Linear(5, 3)
    return a, layer, layer(a).detach()


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.split("\n")[0])
def test_a_card_is_complete(card):
    assert re.search(r"^\*\*[^*]+[?.:]\*\*", card.split("\n", 2)[2])
    assert "$$" in card and "- **Fails:**" in card and re.search(r"- \*\*Use it\*\* ", card)
    for code in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        for function in code.split("\n\n\n"):
            assert len(function.strip().splitlines()) <= MOST_LINES
    (words, picture), *others = re.findall(r"!\[(.*?)\]\((images/methods/.*?\.png)\)", card)
    assert len(words.split()) >= 6 and not others and (ROOT / picture).exists()


@pytest.mark.parametrize("name", ["gradient", "sensitivity", "gradient_x_input"])
def test_slopes(name, seeded):
    model, x, c = _pictures()
    torch.testing.assert_close(CODE[name](model, x, c), getattr(se, name)(model, x, c))


def test_smoothgrad(seeded):
    model, x, c = _pictures()
    drawn = torch.Generator().manual_seed(3)
    noise = torch.stack([torch.randn(x[0].shape, generator=drawn) for _ in range(7)])
    want = se.smoothgrad(model, x, c, samples=7, sigma=0.1, seed=3)
    torch.testing.assert_close(CODE["smoothgrad"](model, x, c, noise), want)


def test_integrated_gradients(seeded):
    model, x, c = _pictures()
    want = se.integrated_gradients(model, x, c, baseline=0.5, steps=9)
    got = CODE["integrated_gradients"](model, x, c, baseline=0.5, steps=9)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("name", ["guided_backprop", "deconvnet"])
def test_what_a_relu_sends_back(name, seeded):
    first, last, x = nn.Linear(4, 6), nn.Linear(6, 2), torch.randn(3, 4)
    z, g = first(x).detach(), last.weight[1].expand(3, 6).detach()
    want = getattr(se, name)(nn.Sequential(first, nn.ReLU(), last), x, 1)
    torch.testing.assert_close(CODE[name](g, z) @ first.weight, want)


def test_grad_cam(seeded):
    (features, head), x = _network(), torch.rand(2, 1, 8, 8)
    want = se.grad_cam(nn.Sequential(features, head), x, torch.tensor([2, 0]))
    torch.testing.assert_close(CODE["grad_cam"](features, head, x, torch.tensor([2, 0])), want)


def test_occlusion(seeded):
    model, x, c = _pictures()
    torch.testing.assert_close(
        CODE["occlusion"](model, x, c, 3), it.occlusion(model, x, c, window=3)
    )


def test_prediction_difference(seeded):
    model, x, _ = _pictures(1)
    other = torch.rand(1, 1, 8, 8).expand(2, -1, -1, -1)  # whatever is drawn, it is the same
    want = it.prediction_difference(model, x, 1, reference=other, window=4)
    got = CODE["prediction_difference"](model, x, 1, slice(4, 8), slice(0, 4), other)
    torch.testing.assert_close(got, want[0, 0, 4, 0])


def test_lime(seeded):
    model, x, _ = _pictures(1)
    regions = torch.arange(8)[:, None] // 4 * 2 + torch.arange(8) // 4
    z = torch.rand(60, 4, generator=torch.Generator().manual_seed(5)) < 0.5
    want = it.lime(model, x, 2, regions, samples=60, seed=5)
    got = CODE["lime"](model, x, 2, regions, z.float())
    torch.testing.assert_close(got[regions] / 16, want[0, 0], rtol=1e-4, atol=1e-5)


def test_shapley(seeded):
    model, x = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), torch.rand(1, 4)

    def v(players):
        present = torch.tensor([float(i in players) for i in range(4)])
        return model(present * x)[0, 1].item()

    want = it.shapley(model, x, 1, method="exact")[0]
    torch.testing.assert_close(CODE["shapley"](v, 4), want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("epsilon", Epsilon(0.25)),
        ("z_plus", ZPlus()),
        ("gamma", Gamma(0.25)),
        ("alpha_beta", AlphaBeta(2, 1)),
    ],
)
def test_rules_of_one_layer(name, rule, seeded):
    a, layer, z = _neurons()
    for j in range(3):
        R = torch.zeros_like(z)
        R[:, j] = z[:, j]
        got = CODE[name](a, layer.weight, layer.bias, R).detach()
        want = lrp(layer, a, j, rules=rule)
        shown = z[:, j] > 0 if name == "gamma" else torch.tensor([True, True])
        torch.testing.assert_close(got[shown], want[shown])


def test_the_rule_for_pixels(seeded):
    a, layer = torch.rand(2, 5), nn.Linear(5, 3, bias=False)
    R = torch.zeros(2, 3)
    R[:, 1] = layer(a).detach()[:, 1]
    got = CODE["z_box"](a, layer.weight, R).detach()
    torch.testing.assert_close(got, lrp(layer, a, 1, rules=ZBox(0, 1)))


def test_excitation_backprop(seeded):
    a, layer, _ = _neurons()
    layer.weight.data[:, 0] = 0.5  # each neuron has something that excites it
    got = CODE["excitation_backprop"](a, layer.weight, torch.eye(3)[[2, 2]]).detach()
    torch.testing.assert_close(got, wing.excitation_backprop(layer, a, 2))


def test_deep_lift(seeded):
    first, last, x, x0 = nn.Linear(4, 6), nn.Linear(6, 2), torch.randn(3, 4), torch.zeros(1, 4)
    m = last.weight[1] * CODE["deep_lift"](first(x), first(x0))
    want = wing.deep_lift(nn.Sequential(first, nn.ReLU(), last), x, 1, x0)
    torch.testing.assert_close(((m @ first.weight) * (x - x0)).detach(), want)


def test_pattern(seeded):
    x, w = torch.randn(50, 3), torch.randn(3)
    layer = nn.Linear(3, 1, bias=False)
    layer.weight.data = w[None]
    (want,) = wing.estimate_patterns(layer, x, "linear")
    torch.testing.assert_close(CODE["pattern"](x, w), want.reshape(-1), rtol=1e-4, atol=1e-5)
