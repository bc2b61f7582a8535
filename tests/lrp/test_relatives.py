"""DeepLIFT, excitation backpropagation, contribution propagation and patterns: by hand, against
peers, state, bad inputs.
"""

import copy
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import Net, drawn
from torch import nn
from witness import result_of_an_undisturbing

from lib.lrp import (
    contribution_propagation,
    deep_lift,
    estimate_patterns,
    excitation_backprop,
    pattern_attribution,
    pattern_net,
    relatives,
)

torch.set_num_threads(1)
DOUBLE = torch.float64


def normal(*shape, seed=0, dtype=DOUBLE):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def conv(i, o, bias=True):
    return nn.Conv2d(i, o, 3, padding=1, bias=bias)


def multilayer(bias=True):
    return lambda: nn.Sequential(
        nn.Flatten(),
        nn.Linear(72, 16, bias),
        nn.ReLU(),
        nn.Linear(16, 8, bias),
        nn.ReLU(),
        nn.Linear(8, 3, bias),
    )


def pooled(bias=True, pool=nn.MaxPool2d, act=nn.ReLU):
    return lambda: nn.Sequential(
        conv(2, 4, bias),
        act(),
        pool(2),
        conv(4, 4, bias),
        act(),
        nn.Dropout(),
        nn.Flatten(),
        nn.Linear(36, 3, bias),
    )


def residual(bias=True):
    def forward(self, x):
        h = F.relu(self.a(x))
        s = h + self.n(self.b(h))
        s += self.c(h)
        return self.out(torch.flatten(F.relu(s, inplace=True), 1))

    return lambda: Net(
        forward,
        a=conv(2, 4, bias),
        b=conv(4, 4, bias),
        c=conv(4, 4, bias),
        n=nn.BatchNorm2d(4) if bias else nn.Identity(),
        out=nn.Linear(144, 3, bias),
    )


def reused(bias=True):
    def forward(self, x):
        h = x.flatten(1)[:, :8]
        for _ in range(3):
            h = self.act(self.a(h))
        return self.out(h)

    return lambda: Net(
        forward, a=nn.Linear(8, 8, bias), act=nn.ReLU(inplace=True), out=nn.Linear(8, 3, bias)
    )


def concatenated(bias=True):
    def forward(self, x):
        h, g = F.relu(self.a(x)), self.b(x)
        g.mul_(0.5)
        return (
            self.out(torch.cat([F.avg_pool2d(h, 2), F.max_pool2d(torch.relu(g), 2)], 1).flatten(1))
            + 0.25 * x.flatten(1)[:, :3]
        )

    return lambda: Net(forward, a=conv(2, 3, bias), b=conv(2, 3, bias), out=nn.Linear(54, 3, bias))


NETS = {
    "mlp": multilayer(),
    "cnn": pooled(),
    "average": pooled(pool=nn.AvgPool2d),
    "tanh": pooled(act=nn.Tanh),
    "residual": residual(),
    "reused": reused(),
    "concatenated": concatenated(),
}
ALL_NETS = pytest.mark.parametrize("make", NETS.values(), ids=NETS)
IMAGES, BASELINE = normal(3, 2, 6, 6, seed=1), normal(3, 2, 6, 6, seed=2)


def tiny():
    """The reference net 4-5-4-3, its weights from a formula."""
    layers = []
    for l, (i, o) in enumerate([(4, 5), (5, 4), (4, 3)]):
        layer = nn.Linear(i, o, dtype=DOUBLE)
        with torch.no_grad():
            layer.weight.copy_(
                torch.tensor(
                    [
                        [((7 * a + 5 * b + 3 * l + a * b) % 11 - 4) / 5 for a in range(i)]
                        for b in range(o)
                    ],
                    dtype=DOUBLE,
                )
            )
            layer.bias.copy_(
                torch.tensor([((4 * b + 3 * l) % 5 - 2) / 4 for b in range(o)], dtype=DOUBLE)
            )
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


POSITIVE, MIXED = (
    torch.tensor([[1, 0.5, 2, 0.25]], dtype=DOUBLE),
    torch.tensor([[-1, 0.5, 2, -0.25]], dtype=DOUBLE),
)


def totals(relevance):
    return relevance.flatten(1).sum(1)


# DeepLIFT.


@pytest.mark.parametrize(
    ("x", "expected", "total"),
    [
        (POSITIVE, "1.395440 .516626 1.152428 .053506", 3.118),
        (MIXED, "-.609185 .103407 1.557926 -.094148", 0.958),
    ],
    ids=["positive", "mixed"],
)
def test_deep_lift_equals_the_reference_table(x, expected, total):
    relevance = deep_lift(tiny(), x, 0)
    assert np.allclose(relevance[0], [float(v) for v in expected.split()], rtol=0, atol=6e-7)
    assert relevance.sum().item() == pytest.approx(total, abs=1e-12)


@ALL_NETS
@pytest.mark.parametrize(
    "baseline",
    [
        None,
        BASELINE,
        BASELINE[:1],
        torch.tensor(0.3, dtype=DOUBLE),
        torch.zeros(2, 1, 6, dtype=DOUBLE),
    ],
    ids=["zero", "each", "one", "number", "broadcast"],
)
def test_deep_lift_is_complete(make, baseline):
    model = drawn(make)
    x0 = torch.zeros_like(IMAGES) if baseline is None else baseline.expand_as(IMAGES)
    difference = (model(IMAGES) - model(x0.clone()))[:, 1].detach()
    assert torch.allclose(
        totals(deep_lift(model, IMAGES, 1, baseline)), difference, rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize(
    "act",
    [
        nn.ReLU6,
        nn.LeakyReLU,
        nn.PReLU,
        nn.ELU,
        nn.CELU,
        nn.SELU,
        nn.GELU,
        nn.SiLU,
        nn.Mish,
        nn.Softplus,
        nn.Softsign,
        nn.Sigmoid,
        nn.Tanh,
        nn.Hardtanh,
        nn.Hardswish,
        nn.Hardsigmoid,
        nn.Tanhshrink,
        nn.LogSigmoid,
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_deep_lift_is_complete_for_every_nonlinearity(act, dtype):
    model = drawn(pooled(act=act), dtype=dtype)
    x = IMAGES.to(dtype)
    # equal, or nearly so, in many places
    x0 = torch.where(IMAGES > 0.5, IMAGES, IMAGES + 1e-6 * BASELINE).to(dtype)
    for baseline in (x0, 3 * BASELINE.to(dtype)):
        difference = (model(x) - model(baseline.clone()))[:, 1].detach()
        assert torch.allclose(
            totals(deep_lift(model, x, 1, baseline)),
            difference,
            rtol=1e-4,
            atol=1e-12 if dtype == DOUBLE else 2e-6,
        )


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "make",
    [
        multilayer(),
        pooled(pool=nn.AvgPool2d),
        pooled(pool=nn.AvgPool2d, act=nn.Tanh),
        pooled(pool=nn.AvgPool2d, act=nn.Softplus),
    ],
    ids=["mlp", "cnn", "tanh", "softplus"],
)
def test_deep_lift_equals_captums_on_plain_networks(make, seed):
    """Without maximum pooling, after which captum's result is not complete."""
    from captum.attr import DeepLift

    model = drawn(make, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = (
            DeepLift(copy.deepcopy(model))
            .attribute(IMAGES.clone(), BASELINE.clone(), target=2)
            .detach()
        )
    assert (
        deep_lift(model, IMAGES, 2, BASELINE) - theirs
    ).abs().max() <= 1e-10 * theirs.abs().max()


@pytest.mark.parametrize(
    "make", [multilayer(), pooled(), pooled(act=nn.Tanh)], ids=["mlp", "cnn", "tanh"]
)
def test_deep_lift_equals_shaps_deep_explainer(make):
    shap = pytest.importorskip("shap")
    model = drawn(make)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = shap.DeepExplainer(copy.deepcopy(model), BASELINE[:1]).shap_values(
            IMAGES.clone(), check_additivity=False
        )[..., 2]
    assert np.allclose(deep_lift(model, IMAGES, 2, BASELINE[:1]), theirs, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "pairs",
    [
        (
            lambda: nn.Sequential(conv(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)),
            lambda plain: Net(
                lambda self, x: self.last(F.relu(self.first(x), inplace=True).flatten(1)),
                first=plain[0],
                last=plain[3],
            ),
        ),
        (
            lambda: nn.Sequential(
                nn.Flatten(),
                nn.Linear(72, 72),
                nn.ReLU(),
                nn.Linear(72, 72),
                nn.ReLU(),
                nn.Linear(72, 3),
            ),
            lambda plain: nn.Sequential(
                plain[0], plain[1], *[act := nn.ReLU(inplace=True)], plain[3], act, plain[5]
            ),
        ),
    ],
    ids=["functional", "reused"],
)
def test_deep_lift_does_not_depend_on_how_the_network_is_written(pairs):
    plain = drawn(pairs[0])
    assert torch.allclose(
        deep_lift(pairs[1](plain), IMAGES, 1, BASELINE),
        deep_lift(plain, IMAGES, 1, BASELINE),
        rtol=1e-10,
        atol=1e-13,
    )


def test_deep_lift_of_a_reused_layer_and_a_residual_sum_by_hand():
    """f(x) = relu(h + g) v, h = relu(x w), g = h w: every multiplier written out, for one
    number.
    """
    w, v, x, x0 = 0.5, 2.0, 3.0, -1.0
    model = Net(
        lambda self, x: self.v(F.relu((h := F.relu(self.w(x))) + self.w(h) - 1)),
        w=nn.Linear(1, 1, False),
        v=nn.Linear(1, 1, False),
    ).double()
    nn.init.constant_(model.w.weight, w), nn.init.constant_(model.v.weight, v)
    relu = lambda a: max(a, 0.0)
    h, h0 = relu(w * x), relu(w * x0)
    s, s0 = h + w * h - 1, h0 + w * h0 - 1
    multiplier = v * (relu(s) - relu(s0)) / (s - s0) * (1 + w) * (h - h0) / (w * x - w * x0) * w
    relevance = deep_lift(
        model, torch.tensor([[x]], dtype=DOUBLE), 0, torch.tensor(x0, dtype=DOUBLE)
    )
    assert relevance.item() == pytest.approx(multiplier * (x - x0), rel=1e-12)


@pytest.mark.parametrize(
    "operation",
    [
        lambda h: h.amax(2),
        lambda h: h.max(2)[0],
        lambda h: h.min(2).values,
        lambda h: torch.maximum(h[:, 0], h[:, 1]),
        lambda h: F.max_pool2d(h, 3, 1, 1),
        lambda h: F.adaptive_max_pool2d(h, 2),
        lambda h: h.amin((2, 3)),
        lambda h: torch.minimum(h[:, 0], torch.zeros_like(h[:, 0])),
        lambda h: -F.max_pool2d(-h, 2),
    ],
)
def test_maxima_and_minima_are_complete_and_their_slopes_lie_between_0_and_1(operation):
    model = Net(lambda self, x: operation(x).flatten(1).sum(1, keepdim=True))
    relevance = deep_lift(model, IMAGES, 0, BASELINE)
    assert torch.allclose(totals(relevance), (model(IMAGES) - model(BASELINE))[:, 0], rtol=1e-12)
    slope = relevance / (IMAGES - BASELINE)
    # at most nine windows of 3 x 3 read a pixel
    assert slope.min() >= 0 and slope.max() <= 9 + 1e-12


def test_maximum_pooling_by_hand():
    """Windows of three with one in common: each gives its change to the place of the larger
    maximum, and places add up.
    """
    x, x0, out = [1.0, 5.0, 2.0, 2.5, -1.0], [0.0, 1.0, 4.0, 3.0, 6.0], [2.0, -3.0]
    contributions = [0.0] * 5
    for window, weight in ((range(0, 3), out[0]), (range(2, 5), out[1])):
        highest, highest0 = max(window, key=lambda i: x[i]), max(window, key=lambda i: x0[i])
        change = x[highest] - x0[highest0]
        contributions[highest if change >= 0 else highest0] += weight * change
    model = Net(
        lambda self, x: self.out(F.max_pool1d(x, 3, 2)), out=nn.Linear(2, 1, False).double()
    )
    with torch.no_grad():
        model.out.weight.copy_(torch.tensor([out]))
    assert contributions == [0.0, 2.0, 0.0, 0.0, 10.5]
    assert torch.allclose(
        deep_lift(model, torch.tensor([x], dtype=DOUBLE), 0, torch.tensor([x0], dtype=DOUBLE)),
        torch.tensor([contributions], dtype=DOUBLE),
    )


@ALL_NETS
def test_deep_lift_between_neighbours_is_gradient_x_difference(make):
    """Where x0 is x up to rounding, or nearly so, slopes are derivatives."""
    model, x = drawn(make), IMAGES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x * 1)[:, 1].sum(), x)
    for step in (1e-7, 1e-17):
        change = step * BASELINE
        assert torch.allclose(
            deep_lift(model, IMAGES, 1, IMAGES - change),
            gradient * (IMAGES - (IMAGES - change)),
            rtol=1e-4,
            atol=1e-13,
        )


def test_deep_lift_of_a_linear_network_is_w_times_the_difference():
    model = drawn(lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 3)))
    assert torch.allclose(
        deep_lift(model, IMAGES, 1, BASELINE),
        model[1].weight[1].view(2, 6, 6).detach() * (IMAGES - BASELINE),
        rtol=1e-12,
    )


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda self, x: self.a(x * (x > 0)), "'mul' weighs its input by x"),
        (lambda self, x: self.a(x.sort(1).values), "do not add up"),
        (lambda self, x: self.a(x if x.sum() > 0 else x.relu()), "expected the same operations"),
        (lambda self, x: self.a(x * x.sigmoid()), "model: "),
        (lambda self, x: self.a(x.softmax(1)), "model: "),
        (lambda self, x: self.a(x * x.flip(1)), "'mul' has a rule in lib.lrp at most"),
    ],
    ids=["mask", "sort", "branch", "gate", "softmax", "product"],
)
def test_what_deep_lift_cannot_follow_is_refused(forward, message):
    model = drawn(lambda: Net(forward, a=nn.Linear(4, 3)))
    with pytest.raises(ValueError, match=message):
        deep_lift(model, normal(2, 4).abs(), 0, -normal(1, 4, seed=3).abs() - 0.1)


@pytest.mark.parametrize(
    "layer", [nn.LSTM(4, 4, batch_first=True), nn.GRU(4, 4, batch_first=True)], ids=["lstm", "gru"]
)
@pytest.mark.parametrize(
    "name", ["deep_lift", "excitation_backprop", "contribution_propagation", "pattern_net"]
)
def test_recurrent_layers_are_refused_by_name(name, layer):
    model = Net(
        lambda self, x: self.out(self.layer(x)[0][:, -1]), layer=layer, out=nn.Linear(4, 2)
    ).double()
    x = normal(2, 3, 4)
    options = {"patterns": estimate_patterns(model, x)} if name == "pattern_net" else {}
    with pytest.raises(ValueError, match="model: the operation .*(lstm|gru)"):
        getattr(relatives, name)(model, x, 0, **options)


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: self.out(self.layer(x)),
        lambda self, x: self.out(x * self.layer(x).sigmoid()),
    ],
    ids=["norm", "gate"],
)
def test_weights_that_depend_on_x_are_not_taken_for_constants(forward):
    model = Net(forward, layer=nn.LayerNorm(4), out=nn.Linear(4, 2)).double()
    for baseline in (None, normal(1, 4, seed=7)):
        with pytest.raises(
            ValueError, match="model: the operation .* (weighs its input by x|none here)"
        ):
            deep_lift(model, normal(2, 4), 0, baseline)


# Excitation backpropagation and contribution propagation.


def by_hand(model, x, chosen, share):
    """Plain loops through Linear and ReLU alone: `share(a, w, j)` lists what each input gets of
    neuron j's.
    """
    activations = [x.tolist()]
    layers = [m for m in model if isinstance(m, nn.Linear)]
    for layer in layers:
        a = [max(v, 0.0) for v in activations[-1]] if len(activations) > 1 else activations[-1]
        activations[-1] = a
        activations.append((layer.weight.tolist(), a, layer.bias.tolist()))
        w, a, b = activations.pop()
        activations.append([sum(p * q for p, q in zip(row, a)) + c for row, c in zip(w, b)])
    message = [1.0 if j == chosen else 0.0 for j in range(len(activations[-1]))]
    for layer, a in zip(layers[::-1], activations[-2::-1]):
        below = [0.0] * len(a)
        for j, row in enumerate(layer.weight.tolist()):
            for i, part in enumerate(share(a, row)):
                below[i] += part * message[j]
        message = below
    return message, activations[-1][chosen]


def winning(a, row):
    z = [max(p * q, 0.0) for p, q in zip(a, row)]
    return [v / sum(z) if sum(z) else 0.0 for v in z]


def contributing(a, row):
    z = [p * q for p, q in zip(a, row)]
    return [v / sum(z) if sum(z) else 0.0 for v in z]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sign", ["positive", "mixed"])
def test_probabilities_and_contributions_equal_plain_loops(seed, sign):
    model = drawn(
        lambda: nn.Sequential(
            nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)
        ),
        seed,
    )
    x = normal(6, seed=seed).abs() if sign == "positive" else normal(6, seed=seed)
    p, _ = by_hand(model, x, 1, winning)
    c, score = by_hand(model, x, 1, contributing)
    assert np.allclose(excitation_backprop(model, x[None], 1)[0], p, rtol=1e-10, atol=1e-13)
    assert np.allclose(
        contribution_propagation(model, x[None], 1)[0], np.array(c) * score, rtol=1e-7, atol=1e-10
    )


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize(
    "make",
    [multilayer, pooled, residual, concatenated],
    ids=["mlp", "cnn", "residual", "concatenated"],
)
def test_excitation_is_a_distribution_and_contributions_sum_to_the_score(make, bias):
    model, x = drawn(make(bias)), IMAGES.abs()
    p, c = excitation_backprop(model, x, 1), contribution_propagation(model, x, 1)
    assert p.min() >= 0 and torch.allclose(totals(p), torch.ones(3, dtype=DOUBLE), rtol=1e-12)
    assert torch.allclose(totals(c), model(x)[:, 1].detach(), rtol=1e-6)


@pytest.mark.parametrize(
    "make", [multilayer(), pooled(), pooled(pool=nn.AvgPool2d)], ids=["mlp", "cnn", "average"]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_excitation_equals_zennits_without_biases(make, seed):
    """Zennit keeps the positive part of biases in the denominator unless it is told to set them to
    zero.
    """
    from zennit.attribution import Gradient
    from zennit.composites import ExcitationBackprop

    model, x = drawn(make, seed), IMAGES.abs()
    with Gradient(model, ExcitationBackprop(stabilizer=1e-12, zero_params=["bias"])) as attributor:
        _, theirs = attributor(
            x.clone(), lambda scores: F.one_hot(torch.full((3,), 1), 3).to(scores)
        )
    assert (excitation_backprop(model, x, 1) - theirs).abs().max() <= 1e-6 * theirs.abs().max()


def test_without_biases_contributions_are_gradient_x_input():
    for make in (multilayer, pooled, residual, concatenated):
        model, x = drawn(make(False)), IMAGES.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(x * 1)[:, 1].sum(), x)
        assert torch.allclose(
            contribution_propagation(model, IMAGES, 1),
            (gradient * x).detach(),
            rtol=1e-6,
            atol=1e-9,
        )


def test_a_winner_without_evidence_keeps_its_probability():
    model = drawn(lambda: nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1)))
    with torch.no_grad():
        model[0].weight.fill_(-1), model[0].bias.fill_(5), model[2].weight.fill_(1)
    assert torch.equal(
        excitation_backprop(model, torch.ones(1, 2, dtype=DOUBLE)), torch.zeros(1, 2, dtype=DOUBLE)
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1, -1]]))
    assert torch.equal(
        contribution_propagation(model, torch.ones(1, 2, dtype=DOUBLE)),
        torch.zeros(1, 2, dtype=DOUBLE),
    )


def test_contrastive_excitation_is_the_difference_of_two_networks():
    model, x = drawn(pooled()), IMAGES.abs()
    opposite = copy.deepcopy(model)
    with torch.no_grad():
        opposite[-1].weight.neg_()
    expected = excitation_backprop(model, x, 1) - excitation_backprop(opposite, x, 1)
    assert torch.allclose(excitation_backprop(model, x, 1, contrastive=True), expected, atol=1e-14)
    assert totals(expected).abs().max() < 1e-12


def test_a_residual_sum_shares_probability_among_positive_parts_only():
    model = Net(lambda self, x: self.v(x[:, :1] + x[:, 1:2] - x[:, 2:]), v=nn.Linear(1, 1).double())
    nn.init.ones_(model.v.weight)
    p = excitation_backprop(model, torch.tensor([[1.0, 3.0, 2.0], [1.0, -3.0, -4.0]], dtype=DOUBLE))
    assert torch.allclose(p, torch.tensor([[0.25, 0.75, 0], [0, 0, 1]], dtype=DOUBLE))


# Patterns.

SIGNAL, DISTRACTOR = torch.tensor([1.0, 0.0], dtype=DOUBLE), torch.tensor([1.0, 1.0], dtype=DOUBLE)


def haufe(count=20_000):
    """x = s a + e d: the weight that reads s must cancel d, and so points away from a."""
    s, e = normal(count, 1, seed=5), normal(count, 1, seed=6)
    weight = torch.linalg.inv(torch.stack([SIGNAL, DISTRACTOR]))[:, 0]  # w.a = 1, w.d = 0
    model = nn.Linear(2, 1, bias=False, dtype=DOUBLE)
    with torch.no_grad():
        model.weight.copy_(weight)
    return model, s * SIGNAL + e * DISTRACTOR, s


@pytest.mark.parametrize("estimator", ["linear", "two_component"])
def test_the_pattern_finds_the_signal_where_the_weight_does_not(estimator):
    model, x, s = haufe()
    assert torch.allclose(model(x), s)
    body = (
        model
        if estimator == "linear"
        else nn.Sequential(model, nn.ReLU(), nn.Linear(1, 1, dtype=DOUBLE))
    )
    pattern = estimate_patterns(body, x, estimator)[0][0]
    assert (pattern - SIGNAL).abs().max() < 0.03
    assert (
        torch.cosine_similarity(pattern, SIGNAL, 0) > 0.999
        and torch.cosine_similarity(model.weight[0], SIGNAL, 0) < 0.8
    )


def test_pattern_net_returns_the_signal_and_pattern_attribution_its_share():
    model, x, s = haufe()
    patterns = estimate_patterns(model, x, "linear")
    assert (pattern_net(model, x[:50], 0, patterns=patterns) - s[:50] * SIGNAL).abs().max() < 0.1
    relevance = pattern_attribution(model, x[:50], 0, patterns=patterns)
    assert torch.allclose(relevance.sum(1), s[:50, 0])  # w.a = 1: everything is handed on
    # the distractor gets none
    assert (relevance[:, 1]).abs().max() < 0.1 and (x[:50] * model.weight)[:, 1].abs().max() > 1


def pattern_by_loops(rows, weight, bias, positive):
    """a of one neuron from its input rows, with plain sums."""
    ys = [sum(p * q for p, q in zip(row, weight)) for row in rows]
    mean = sum(ys) / len(ys)
    chosen = [(row, y) for row, y in zip(rows, ys) if not positive or y + bias > 0]
    if not chosen:
        return [0.0] * len(weight)
    e_xy = [sum(row[i] * y for row, y in chosen) / len(chosen) for i in range(len(weight))]
    e_x = [sum(row[i] for row, _ in chosen) / len(chosen) for i in range(len(weight))]
    e_yy, e_y = sum(y * y for _, y in chosen) / len(chosen), sum(y for _, y in chosen) / len(chosen)
    return [(p - q * mean) / (e_yy - e_y * mean) for p, q in zip(e_xy, e_x)]


@pytest.mark.parametrize("estimator", ["linear", "two_component"])
def test_patterns_equal_an_independent_loop(estimator):
    model = drawn(
        lambda: nn.Sequential(
            conv(2, 3),
            nn.ReLU(),
            nn.Conv2d(3, 4, 2, stride=2, groups=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(36, 5),
            nn.ReLU(),
            nn.Linear(5, 3),
        )
    )
    x = normal(12, 2, 6, 6, seed=8)
    patterns = estimate_patterns(model, x, estimator)
    assert [p.shape for p in patterns] == [model[i].weight.shape for i in (0, 2, 6, 8)]
    with torch.no_grad():
        scale = model[3].weight / (model[3].running_var + model[3].eps).sqrt()
        merged = (
            (model[2].weight * scale[:, None, None, None]).flatten(1),
            (model[2].bias - model[3].running_mean) * scale + model[3].bias,
        )
        unfold = lambda h, **options: F.unfold(h, **options).transpose(1, 2).flatten(0, 1).tolist()
        cases = [
            (unfold(x, kernel_size=3, padding=1), model[0].weight.flatten(1), model[0].bias, True),
            (unfold(model[:2](x), kernel_size=2, stride=2), *merged, True),
            (model[:6](x).tolist(), model[6].weight, model[6].bias, True),
            (model[:8](x).tolist(), model[8].weight, model[8].bias, False),
        ]
        for pattern, (rows, weights, biases, relu) in zip(patterns, cases):
            expected = [
                pattern_by_loops(rows, w, b, relu and estimator == "two_component")
                for w, b in zip(weights.tolist(), biases.tolist())
            ]
            assert np.allclose(pattern.flatten(1), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.Flatten()),
        lambda: nn.Sequential(nn.Conv1d(4, 3, 2, dilation=2), nn.Flatten()),
        lambda: nn.Sequential(nn.Conv3d(4, 2, 2), nn.Flatten()),
        lambda: nn.Sequential(nn.Linear(5, 4), nn.Flatten()),
        lambda: nn.Sequential(
            Net(lambda self, x: x @ self.w, w=nn.Parameter(torch.randn(5, 3))), nn.Flatten()
        ),
    ],
    ids=["groups", "conv1d", "conv3d", "sequence", "matmul"],
)
@pytest.mark.parametrize("estimator", ["linear", "two_component"])
def test_weight_times_pattern_is_one_for_every_neuron(make, estimator):
    model = drawn(make)
    shape = {nn.Conv2d: (4, 5, 5), nn.Conv1d: (4, 7), nn.Conv3d: (4, 3, 3, 3)}.get(
        type(model[0]), (6, 5)
    )
    pattern = estimate_patterns(
        nn.Sequential(model[0], nn.ReLU(), model[1]), normal(20, *shape, seed=9) + 0.3, estimator
    )[0]
    weight = next(model[0].parameters())
    each = (0,) if isinstance(model[0], Net) else tuple(range(1, weight.dim()))
    assert torch.allclose((weight * pattern).sum(each), torch.ones(1, dtype=DOUBLE), rtol=1e-9)


def test_pattern_methods_are_gradients_with_other_weights():
    model = drawn(pooled())
    patterns = estimate_patterns(model, normal(64, 2, 6, 6, seed=3))
    x = IMAGES.clone().requires_grad_()
    scores = model(x)[:, 1]
    masks = [(model[:k](x) > 0).to(DOUBLE).detach() for k in (2, 5)]

    def back(weights):
        with torch.no_grad():
            m = F.conv_transpose2d(
                (scores[:, None] * weights[2][1]).view(3, 4, 3, 3) * masks[1], weights[1], padding=1
            )
        h = model[:2](x).detach().requires_grad_()
        (m,) = torch.autograd.grad(F.max_pool2d(h, 2), h, m)
        return F.conv_transpose2d(m * masks[0], weights[0], padding=1).detach()

    weights = [model[k].weight for k in (0, 3, 7)]
    assert torch.allclose(
        pattern_net(model, IMAGES, 1, patterns=patterns), back(patterns), rtol=1e-10, atol=1e-12
    )
    assert torch.allclose(
        pattern_attribution(model, IMAGES, 1, patterns=patterns),
        back([w * p for w, p in zip(weights, patterns)]),
        rtol=1e-10,
        atol=1e-12,
    )


def test_a_neuron_that_never_varies_has_no_pattern():
    model = nn.Linear(2, 2, dtype=DOUBLE)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    assert torch.equal(estimate_patterns(model, normal(9, 2))[0][0], torch.zeros(2, dtype=DOUBLE))
    silent = nn.Sequential(nn.Linear(2, 1, dtype=DOUBLE), nn.ReLU(), nn.Linear(1, 1, dtype=DOUBLE))
    with torch.no_grad():
        silent[0].bias.fill_(-100)
    assert torch.equal(estimate_patterns(silent, normal(9, 2))[0], torch.zeros(1, 2, dtype=DOUBLE))


# What all of them share.


def with_patterns(method):
    return lambda model, x, target=None: method(
        model, x, target, patterns=estimate_patterns(model, x)
    )


METHODS = {
    "deep_lift": deep_lift,
    "excitation_backprop": excitation_backprop,
    "contribution_propagation": contribution_propagation,
    "pattern_net": with_patterns(pattern_net),
    "pattern_attribution": with_patterns(pattern_attribution),
}
ALL_METHODS = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def fixed(method, model, data):
    """The method with patterns that do not depend on the batch."""
    if method in (METHODS["pattern_net"], METHODS["pattern_attribution"]):
        patterns = estimate_patterns(model, data)
        plain = pattern_net if method is METHODS["pattern_net"] else pattern_attribution
        return lambda m, x, target: plain(m, x, target, patterns=[p.to(x.dtype) for p in patterns])
    return method


@ALL_METHODS
@ALL_NETS
def test_a_row_of_a_batch_is_explained_as_if_alone(method, make):
    model = drawn(make)
    method = fixed(method, model, IMAGES)
    together = method(model, IMAGES, torch.tensor([2, 0, 1]))
    for row, target in enumerate([2, 0, 1]):
        assert torch.allclose(
            method(model, IMAGES[row : row + 1], target)[0], together[row], rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize(
    ("method", "make"),
    [
        pytest.param(METHODS[m], NETS[n], id=f"{m}-{n}")
        for m in METHODS
        for n in NETS
        if (m, n) != ("contribution_propagation", "reused")
    ],
)  # its denominators come close to 0 there
def test_single_precision_is_close_to_double(method, make):
    model, x = drawn(make), IMAGES.abs()
    method = fixed(method, model, x)
    double, single = method(model, x, 1), method(copy.deepcopy(model).float(), x.float(), 1)
    assert (
        single.dtype == torch.float32 and (single - double).abs().max() <= 2e-3 * double.abs().max()
    )


@ALL_METHODS
def test_no_target_means_the_predicted_class(method):
    model = drawn(pooled())
    assert torch.equal(method(model, IMAGES), method(model, IMAGES, model(IMAGES).argmax(1)))


@pytest.mark.parametrize("fail", [False, True], ids=["normal", "error"])
@ALL_METHODS
def test_model_input_and_random_state_are_left_as_they_were(method, fail):
    result_of_an_undisturbing(method, IMAGES, fail)


@ALL_METHODS
@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference_mode"]
)
def test_the_result_is_the_same_where_gradients_are_off(context, method):
    model = drawn(residual())
    expected = method(model, IMAGES, 0)
    with context():
        result = method(model, IMAGES * 1.0, 0)
    assert torch.equal(result, expected)


# Bad inputs, each refused by name.

GOOD, X = nn.Linear(4, 3), torch.ones(2, 4)
BAD_ARGUMENTS = {
    "model is a function": (
        lambda x: x,
        X,
        {},
        TypeError,
        "model: expected a torch.nn.Module, got function",
    ),
    "x is an array": (
        GOOD,
        np.ones((2, 4)),
        {},
        TypeError,
        "x: expected a torch.Tensor, got ndarray",
    ),
    "x with NaN": (GOOD, X * float("nan"), {}, ValueError, "x: expected finite values"),
    "x of another dtype": (
        GOOD,
        X.double(),
        {},
        TypeError,
        "x: expected torch.float32 .* got torch.float64",
    ),
    "target too large": (
        GOOD,
        X,
        {"target": 3},
        ValueError,
        "target: expected classes in 0..2, got",
    ),
    "target a float": (
        GOOD,
        X,
        {"target": 1.0},
        TypeError,
        "target: expected None, an int or a LongTensor .* got float",
    ),
    "scores of three dimensions": (
        Net(lambda self, x: x[:, None]),
        X,
        {},
        ValueError,
        r"model: expected scores of shape \(2, K\), got \(2, 1, 4\)",
    ),
    "scores constant": (
        Net(lambda self, x: torch.ones(2, 3)),
        X,
        {},
        ValueError,
        "model: its scores do not depend on x",
    ),
    "a softmax": (nn.Sequential(GOOD, nn.Softmax(1)), X, {}, ValueError, "model: .*softmax"),
}


@ALL_METHODS
@pytest.mark.parametrize(
    ("model", "x", "options", "error", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS
)
def test_a_bad_argument_is_refused_by_name(method, model, x, options, error, message):
    with pytest.raises(error, match=message):
        method(model, x, **options)


@pytest.mark.parametrize(
    ("baseline", "error", "message"),
    [
        (0.0, TypeError, "baseline: expected None or a torch.Tensor, got float"),
        (X.double(), TypeError, "baseline: expected torch.float32 .* got torch.float64"),
        (
            torch.ones(3),
            ValueError,
            r"baseline: expected a shape that broadcasts to \(2, 4\), got \(3,\)",
        ),
        (torch.ones(1, 2, 4), ValueError, "baseline: expected a shape"),
        (torch.tensor(torch.inf), ValueError, "baseline: expected finite values"),
    ],
)
def test_a_bad_baseline_is_refused(baseline, error, message):
    with pytest.raises(error, match=message):
        deep_lift(GOOD, X, 0, baseline)


@pytest.mark.parametrize(
    ("patterns", "error", "message"),
    [
        (None, TypeError, "patterns: expected the list .* got NoneType"),
        ([1.0], TypeError, "patterns: expected"),
        ([], ValueError, "patterns: expected one of each"),
        (
            [torch.ones(4, 3)],
            ValueError,
            r"patterns: expected one of each weight's shape, \[\(3, 4\)\], got \[\(4, 3\)\]",
        ),
    ],
)
@pytest.mark.parametrize("method", [pattern_net, pattern_attribution])
def test_bad_patterns_are_refused(method, patterns, error, message):
    with pytest.raises(error, match=message):
        method(GOOD, X, 0, patterns=patterns)


def test_an_unknown_estimator_is_refused():
    with pytest.raises(
        ValueError, match="estimator: expected 'two_component' or 'linear', got 'quadratic'"
    ):
        estimate_patterns(GOOD, X, "quadratic")
