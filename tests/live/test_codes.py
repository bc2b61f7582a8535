"""Codes of two numbers in the page: the functions of js/codes.js equal torch's on the same weights
of 8 bits, which cost little; what does not fit is refused.
"""

import json
import pathlib

import numpy as np
import py_mini_racer
import pytest
import torch
from torch import nn

from lib import live, vae

JS = pathlib.Path(live.__file__).parent / "js"
DIGITS = torch.arange(10)


@pytest.fixture(scope="module")
def js():
    engine = py_mini_racer.MiniRacer()
    # V8 alone has no atob
    engine.eval(
        """const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
           function atob(text) {
             const bits = [...text.replace(/=+$/, "")].map((c) => letters.indexOf(c));
             let out = "";
             for (let k = 0; k + 1 < bits.length; k++) if (k % 4 < 3) {
               const shift = 2 * (k % 4) + 2;
               const byte = (bits[k] << shift) | (bits[k + 1] >> (6 - shift));
               out += String.fromCharCode(byte & 255);
             }
             return out;
           }"""
    )
    engine.eval((JS / "codes.js").read_text(encoding="utf-8"))
    return lambda code: json.loads(engine.eval(f"JSON.stringify({code})"))


def pictures(count: int) -> torch.Tensor:
    """Digits that nobody wrote, in steps of 1 / 255 as a page holds them."""
    codes = torch.randn(count, 32, generator=torch.Generator().manual_seed(3))
    grey = vae.mnist_vae().expected(codes).detach().view(-1, 1, 28, 28)
    return torch.round(255 * grey) / 255


def plane(name: str) -> tuple[nn.Module, dict]:
    """A committed network with weights of 8 bits, and what the page holds of it."""
    planes = vae.mnist_planes()
    network, codes = planes.networks[name], planes.codes[[vae.PLANES.index(name)]]
    shown = live.CodePlane(
        {name: network}, codes, planes.classes, pictures(1), DIGITS[:1], key="case"
    )
    return live.eight_bits(network), shown._network(0, shown._ends())


@pytest.mark.parametrize("name", vae.PLANES)
def test_encoder_and_decoder_equal_torch(js, name):
    network, held = plane(name)
    x, y = pictures(4), torch.tensor([0, 3, 8, 9])
    with torch.no_grad():
        mean, log_variance = network.encode(x)
        back = network.expected(mean, y if network.classes else None)
    for k in range(4):
        held_x, digit = json.dumps(x[k].flatten().tolist()), int(y[k])
        found = js(
            f"((net) => {{ const q = encodeImage(net, {held_x}); return {{q, "
            f"back: decodeCode(net, q.mean, {digit}), kl: klOf(q)}}; }})"
            f"(decodeNetwork({json.dumps(held)}))"
        )
        kl = vae.kl_standard_normal(mean[[k]], log_variance[[k]])
        np.testing.assert_allclose(found["q"]["mean"], mean[k], rtol=1e-3, atol=1e-3)
        spread = (log_variance[k] / 2).exp()
        np.testing.assert_allclose(found["q"]["spread"], spread, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found["back"], back[k], atol=1e-3)
        assert found["kl"] == pytest.approx(kl.item(), rel=1e-3, abs=1e-3)


@torch.no_grad()
def test_eight_bits_cost_less_than_a_hundredth_of_the_bound():
    """On digits that the larger VAE made, black or white: no data set is needed."""
    planes, x = vae.mnist_planes(), torch.bernoulli(pictures(500))
    for name in ("VAE", "VAE, β = 4"):
        network = planes.networks[name]
        full, page = (vae.elbo(n, x).total.mean() for n in (network, live.eight_bits(network)))
        assert abs(page - full) < 0.01 * abs(full), name


def test_half_a_step_is_the_most_that_a_weight_is_off():
    layer = nn.Linear(50, 7)
    error = (live.eight_bits(layer).weight - layer.weight).abs()
    assert (error <= 1.001 * layer.weight.abs().amax(1, keepdim=True) / 254).all()
    assert torch.equal(live.eight_bits(layer).bias, layer.bias)


def test_what_does_not_fit_is_refused():
    networks = {"small": vae.dense_vae(784, (8,), 2)}
    given = {
        "codes": torch.randn(1, 10, 2),
        "classes": DIGITS,
        "examples": torch.zeros(1, 1, 28, 28),
    }
    given |= {"digits": DIGITS[:1], "key": "case"}
    assert live.CodePlane(networks, **given).names == ["small"]
    for wrong, message in (
        ({"codes": torch.randn(2, 10, 2)}, "codes, classes: expected"),
        ({"classes": torch.zeros(10, dtype=torch.long)}, "every digit"),
        ({"examples": torch.zeros(1, 1, 8, 8)}, "examples, digits: expected"),
    ):
        with pytest.raises(ValueError, match=message):
            live.CodePlane(networks, **given | wrong)
    with pytest.raises(TypeError, match="dense layers with SiLU"):
        other = nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 4))
        live.CodePlane({"other": vae.VAE(other, networks["small"].decoder)}, **given)
    large = {"large": vae.dense_vae(784, (600,), 2)}
    with pytest.raises(ValueError, match="at most 1000 kB"):
        live.CodePlane(large, **given)
