"""The network in the page equals torch: the functions of lib/live/js run in V8 (mini-racer) against
lib.lrp and numpy.
"""

import json
import pathlib
import time

import numpy as np
import py_mini_racer
import pytest
import torch
from torch import nn

from lib import live
from lib import lrp as reference
from lib.live import figures

JS = pathlib.Path(live.__file__).parent / "js"
EVERYWHERE = {
    "zero": ({"name": "zero"}, reference.Zero()),
    "epsilon": ({"name": "epsilon", "eps": 0.1}, reference.Epsilon(0.1)),
    "gamma": ({"name": "gamma", "gamma": 0.5}, reference.Gamma(0.5)),
    "alphaBeta": ({"name": "alphaBeta", "alpha": 3, "beta": 2}, reference.AlphaBeta(3, 2)),
    "zPlus": ({"name": "zPlus"}, reference.ZPlus()),
    "wSquare": ({"name": "wSquare"}, reference.WSquare()),
    "flat": ({"name": "flat"}, reference.Flat()),
}
COMPOSITES = {
    "epsilon_plus": "epsilon_plus",
    "epsilon_gamma_box": "epsilon_gamma_box",
    "epsilon_alpha2_beta1": "epsilon_alpha2_beta1",
    "epsilon": reference.Epsilon(),
    "zero": reference.Zero(),
    "gamma": reference.Gamma(0.25),
}


@pytest.fixture(scope="module")
def js():
    engine = py_mini_racer.MiniRacer()
    for name in ("lrpnet.js", "strokes.js"):
        engine.eval((JS / name).read_text(encoding="utf-8"))
    engine.eval(
        """function read(layers, weights) {
             const own = (place) => Float64Array.from(weights[place]);
             return layers.map((l) => (l.kind === "linear" ? {...l, w: own(l.w), b: own(l.b)} : l));
           }
           function explain(net, x, start, rules) {
             const inputs = forward(net, x), scores = [...inputs.at(-1)];
             const from = start ?? scores.map((s, k) => (k === 3 ? s : 0));
             return {scores, relevance: [...lrp(net, inputs, from, rules)]};
           }"""
    )
    return lambda code: json.loads(engine.eval(f"JSON.stringify({code})"))


def small():
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU()),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Conv2d(6, 8, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def large():
    return nn.Sequential(
        nn.Conv2d(1, 4, (5, 3), stride=2, padding=(2, 0)),
        nn.ReLU(),
        nn.Conv2d(4, 6, 4, stride=(1, 2)),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Flatten(),
        nn.Linear(108, 20),
        nn.ReLU(),
        nn.Linear(20, 10),
    )


def case(build, side):
    """(model in double precision, one image in [0, 1], the JavaScript expression of the same
    network and image).
    """
    torch.manual_seed(side)
    model, x = build().eval(), torch.rand(1, 1, side, side).round(decimals=2)
    figure = live.DrawDigit(model, key="case", examples=x)
    weights = [w.flatten().tolist() for w in figure.weights]
    net = f"read({json.dumps(figure.layers)}, {json.dumps(weights)})"
    return model.double(), x.double(), net, json.dumps(x.double().flatten().tolist())


def signed():
    """Without rectifiers: inputs and outputs of either sign."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 12), nn.Linear(12, 10)
    )


CASES = {"8x8": case(small, 8), "28x28": case(large, 28), "either sign": case(signed, 8)}


def close(found, expected):
    expected = expected.detach().flatten().numpy()
    np.testing.assert_allclose(
        np.array(found), expected, rtol=0, atol=1e-5 * max(np.abs(expected).max(), 1e-30)
    )


@pytest.mark.parametrize("size", CASES)
def test_scores(js, size):
    model, x, net, image = CASES[size]
    close(js(f"[...forward({net}, {image}).at(-1)]"), model(x))


@pytest.mark.parametrize("rule", EVERYWHERE)
@pytest.mark.parametrize("size", CASES)
def test_each_rule_everywhere(js, size, rule):
    model, x, net, image = CASES[size]
    ours, theirs = EVERYWHERE[rule]
    found = js(
        f"((net) => explain(net, {image}, null, net.filter((l) => l.w).map(() => "
        f"({json.dumps(ours)}))))({net})"
    )
    close(found["relevance"], reference.lrp(model, x, 3, rules=theirs))


@pytest.mark.parametrize("name", COMPOSITES)
@pytest.mark.parametrize("size", CASES)
def test_each_composite(js, size, name):
    model, x, net, image = CASES[size]
    found = js(f"((net) => explain(net, {image}, null, composite('{name}', net, 0.25)))({net})")
    close(found["relevance"], reference.lrp(model, x, 3, rules=COMPOSITES[name]))


def test_box_rule_with_other_bounds(js):
    model, x, net, image = CASES["8x8"]
    box = {"name": "zBox", "low": -1, "high": 2}
    found = js(
        f"((net) => explain(net, {image}, null, [{json.dumps(box)}, ...composite('zero', "
        f"net).slice(1)]))({net})"
    )
    close(
        found["relevance"],
        reference.lrp(
            model, x, 3, rules=[reference.ZBox(-1, 2), reference.Zero(), reference.Zero()]
        ),
    )


def test_contrast_is_the_difference(js):
    model, x, net, image = CASES["8x8"]
    scores = model(x)[0].tolist()
    start = [scores[3] * (k == 3) - scores[8] * (k == 8) for k in range(10)]
    found = js(f"((net) => explain(net, {image}, {start}, composite('epsilon_plus', net)))({net})")
    three, eight = (reference.lrp(model, x, k, rules="epsilon_plus") for k in (3, 8))
    close(found["relevance"], three - eight)


def test_signed_inputs(js):
    """Inputs below zero: what is positive is a_i w_ij, not w_ij."""
    torch.manual_seed(1)
    model, x = (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10)),
        torch.randn(1, 1, 8, 8),
    )
    figure = live.DrawDigit(model, key="signed", examples=x)
    net = (
        f"read({json.dumps(figure.layers)}, "
        f"{json.dumps([w.flatten().tolist() for w in figure.weights])})"
    )
    found = js(
        f"explain({net}, {x.flatten().tolist()}, null, [{{name: 'zPlus'}}, {{name: 'zPlus'}}])"
    )
    close(found["relevance"], reference.lrp(model.double(), x.double(), 3, rules=reference.ZPlus()))


def test_blank_image_has_no_relevance(js):
    _, _, net, _ = CASES["8x8"]
    found = js(
        f"((net) => explain(net, new Array(64).fill(0), null, composite('epsilon_plus', "
        f"net)))({net})"
    )
    assert np.abs(found["relevance"]).max() == 0


def test_fast_enough(js):
    """Forward and relevance of a network 1 -> 16 -> 32 -> 32 of 3 x 3 on 8 x 8 pixels: 20 ms, the
    best of ten.
    """
    torch.manual_seed(0)
    conv = lambda i, o: [nn.Conv2d(i, o, 3, padding=1), nn.ReLU()]
    model = nn.Sequential(
        *conv(1, 16),
        *conv(16, 32),
        *conv(32, 32),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    figure = live.DrawDigit(model, key="fast", examples=torch.rand(1, 1, 8, 8))
    js(
        f"(globalThis.net = read({json.dumps(figure.layers)}, "
        f"{json.dumps([w.flatten().tolist() for w in figure.weights])}), 1)"
    )
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        js(
            "explain(net, new Array(64).fill(0.5), null, composite('epsilon_gamma_box', "
            "net)).scores"
        )
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.020, f"{1000 * min(times):.1f} ms"


def test_uci_counts(js):
    bitmap = (np.random.default_rng(0).random((32, 32)) < 0.3).astype(int)
    ours = figures.uci_counts(bitmap)
    assert ours.shape == (8, 8) and ours[2, 5] == bitmap[8:12, 20:24].sum() / 16
    np.testing.assert_array_equal(
        np.reshape(js(f"[...uciCounts({bitmap.flatten().tolist()})]"), (8, 8)), ours
    )
    for wrong in (np.zeros((8, 8)), np.full((32, 32), 0.5)):
        with pytest.raises(ValueError, match="bitmap"):
            figures.uci_counts(wrong)


def test_drawing_is_fitted_to_the_box(js):
    """The same digit, drawn small in a corner or large, is the same to the network; without fitting
    it is not.
    """
    large = [[[0.3, 0.1], [0.5, 0.1], [0.5, 0.9]]]
    tiny = [[[0.1 + x / 4, 0.2 + y / 4] for x, y in large[0]]]
    for side in (8, 28):
        fitted = [js(f"[...networkInput({s}, {side}, true)]") for s in (large, tiny)]
        np.testing.assert_allclose(*fitted, atol=0.07)
        unfitted = [js(f"[...networkInput({s}, {side}, false)]") for s in (large, tiny)]
        assert np.abs(np.subtract(*unfitted)).max() > 0.5
    image = np.reshape(js(f"[...networkInput({large}, 8, true)]"), (8, 8))
    assert (
        image[0].max() > 0.5 and image[7].max() > 0.5 and np.all(image * 16 == np.round(image * 16))
    )


def test_mnist_drawings_are_centred_by_mass(js):
    image = np.reshape(
        js("[...networkInput([[[0.1, 0.1], [0.1, 0.8], [0.3, 0.8]]], 28, true)]"), (28, 28)
    )
    place = (np.arange(28) + 0.5) @ np.stack([image.sum(1), image.sum(0)], 1) / image.sum()
    np.testing.assert_allclose(place, 14, atol=0.1)
    rows = np.flatnonzero(image.max(1) > 0.5)
    assert 19 <= rows[-1] - rows[0] + 1 <= 21


def test_empty_drawing_and_single_dot(js):
    assert max(js("[...networkInput([], 8, true)]")) == 0
    dot = np.reshape(js("[...networkInput([[[0.9, 0.1]]], 8, true)]"), (8, 8))
    assert dot[3:5, 3:5].min() > 0 and dot.sum() == pytest.approx(dot[3:5, 3:5].sum())
