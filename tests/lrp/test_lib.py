"""Relevance propagation: its equations recomputed neuron by neuron, its peers compared, its
account, its bad inputs.
"""

import copy
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import Net, drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from witness import result_of_an_undisturbing

from lib import lrp as module
from lib import models
from lib.lrp import (
    AlphaBeta,
    Composite,
    Epsilon,
    Flat,
    Gamma,
    WSquare,
    ZBox,
    Zero,
    ZPlus,
    deep_taylor,
    lrp,
    simple_taylor,
)

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings(
    "ignore:Using padding='same' with even kernel lengths:UserWarning"
)
RULES = {
    "zero": Zero(),
    "epsilon": Epsilon(0.25),
    "gamma": Gamma(0.25),
    "alpha_beta": AlphaBeta(2, 1),
    "zplus": ZPlus(),
    "zbox": ZBox(-3, 3),
    "wsquare": WSquare(),
    "flat": Flat(),
}
ALL_RULES = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def conv(i, o, bias=True, **options):
    return nn.Conv2d(i, o, 3, padding=1, bias=bias, **options)


def dense(i, o, bias=True):
    return nn.Linear(i, o, bias=bias)


def residual(bias=True, norm=False):
    def forward(self, x):
        h = F.relu(self.a(x))
        g = self.n(self.b(h)) if norm else self.b(h)
        s = h + g
        s += self.c(h)
        return self.out(torch.flatten(F.relu(s), 1))

    return lambda: Net(
        forward,
        a=conv(2, 4, bias),
        b=conv(4, 4, bias),
        c=conv(4, 4, bias),
        n=nn.BatchNorm2d(4),
        out=dense(4 * 36, 3, bias),
    )


def reused(bias=True):
    def forward(self, x):
        h = x.flatten(1)[:, :8]
        for _ in range(3):
            h = self.act(self.a(h))
        return self.out(h)

    return lambda: Net(
        forward, a=dense(8, 8, bias), act=nn.ReLU(inplace=True), out=dense(8, 3, bias)
    )


def concatenated(bias=True):
    def forward(self, x):
        h, g = F.relu(self.a(x)), torch.relu(self.b(x))
        return self.out(torch.cat([F.avg_pool2d(h, 2), F.max_pool2d(g, 2)], 1).flatten(1))

    return lambda: Net(forward, a=conv(2, 3, bias), b=conv(2, 3, bias), out=dense(54, 3, bias))


def pooled(bias=True, pool=nn.AvgPool2d):
    return lambda: nn.Sequential(
        conv(2, 4, bias),
        nn.ReLU(inplace=True),
        pool(2),
        conv(4, 4, bias),
        nn.ReLU(),
        nn.Dropout(),
        nn.Flatten(),
        dense(36, 3, bias),
    )


def normalised():
    return nn.Sequential(
        conv(2, 4),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv(4, 4, False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(36, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )


def multilayer(bias=True):
    return lambda: models.mlp(72, (16, 8), 3, bias)


NETS = {
    "mlp": multilayer(),
    "cnn": pooled(pool=nn.MaxPool2d),
    "average": pooled(),
    "residual": residual(),
    "residual_norm": residual(norm=True),
    "norm": normalised,
    "reused": reused(),
    "concatenated": concatenated(),
}
BIAS_FREE = {
    "mlp": multilayer(False),
    "cnn": pooled(False, nn.MaxPool2d),
    "average": pooled(False),
    "residual": residual(False),
    "reused": reused(False),
    "concatenated": concatenated(False),
}
ALL_NETS = pytest.mark.parametrize("make", NETS.values(), ids=NETS)
IMAGES = normal(3, 2, 6, 6, seed=1)


# The table of a net that anyone can rebuild, computed once by an independent program in float64.


def tiny(bias=True):
    layers = []
    for l, (i, o) in enumerate([(4, 5), (5, 4), (4, 3)]):
        layer = nn.Linear(i, o, bias=bias, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(
                torch.tensor(
                    [
                        [((7 * a + 5 * b + 3 * l + a * b) % 11 - 4) / 5 for a in range(i)]
                        for b in range(o)
                    ]
                )
            )
            if bias:
                layer.bias.copy_(torch.tensor([((4 * b + 3 * l) % 5 - 2) / 4 for b in range(o)]))
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


POSITIVE, MIXED = (
    torch.tensor([[1, 0.5, 2, 0.25]], dtype=torch.float64),
    torch.tensor([[-1, 0.5, 2, -0.25]], dtype=torch.float64),
)
TABLE = [
    ("zero", Zero(), "1.888 .768 .960 .032", 1.1232, "-.648 .108 1.680 -.102", 0.9540),
    (
        "epsilon",
        Epsilon(0.25),
        "1.302092 .506422 .962142 .047956",
        0.8678,
        "-.317111 .038892 1.074611 -.074495",
        0.6635,
    ),
    (
        "gamma",
        Gamma(0.25),
        "1.262886 .443628 1.505261 .091887",
        1.0171,
        "-.295232 .053521 1.334002 -.074554",
        0.9354,
    ),
    ("zplus", ZPlus(), ".740857 .275658 1.760408 .135635", 0.8967, "0 .057894 .833825 0", 0.8196),
    (
        "alpha1_beta0",
        AlphaBeta(1, 0),
        ".740857 .275658 1.760408 .135635",
        0.8967,
        "0 .057894 .833825 0",
        0.8196,
    ),
    (
        "alpha2_beta1",
        AlphaBeta(2, 1),
        "5.814072 -.902105 8.556742 .400701",
        4.2701,
        "-1.807029 -.350338 5.217885 -.695963",
        2.1733,
    ),
    (
        "wsquare",
        Composite(ZPlus(), ZPlus(), WSquare()),
        ".816224 .615200 1.221499 .516962",
        0.9760,
        ".095347 .130428 .601916 .197273",
        0.9421,
    ),
    (
        "flat",
        Composite(ZPlus(), ZPlus(), Flat()),
        ".792471 .792471 .792471 .792471",
        0.9760,
        ".256241 .256241 .256241 .256241",
        0.9421,
    ),
    (
        "zbox",
        Composite(ZPlus(), ZPlus(), ZBox(-2, 2)),
        ".787496 .566363 1.364934 .451093",
        0.9760,
        ".056453 .146709 .656348 .165454",
        0.9421,
    ),
]


@pytest.mark.parametrize(
    ("rules", "positive", "sum_positive", "mixed", "sum_mixed"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_the_reference_table_to_its_last_digit(rules, positive, sum_positive, mixed, sum_mixed):
    for x, expected, share in ((POSITIVE, positive, sum_positive), (MIXED, mixed, sum_mixed)):
        score = tiny()(x)[0, 0].item()
        relevance = lrp(tiny(), x, 0, rules)[0]
        assert np.allclose(relevance, [float(v) for v in expected.split()], rtol=0, atol=6e-7)
        assert relevance.sum().item() / score == pytest.approx(share, abs=6e-5)


def test_the_scores_of_the_reference_net():
    assert torch.allclose(
        tiny()(torch.cat([POSITIVE, MIXED])),
        torch.tensor([[3.248, -6.044, 2.128], [1.088, -3.176, 1.488]], dtype=torch.float64),
    )


@pytest.mark.parametrize(
    ("rules", "x", "share"),
    [
        (Zero(), POSITIVE, 1),
        (Gamma(0.25), POSITIVE, 1),
        (ZPlus(), POSITIVE, 1),
        (Composite(ZPlus(), ZPlus(), WSquare()), POSITIVE, 1),
        (Composite(ZPlus(), ZPlus(), Flat()), POSITIVE, 1),
        (Composite(ZPlus(), ZPlus(), ZBox(-2, 2)), POSITIVE, 1),
        (Epsilon(0.25), POSITIVE, 0.798187),
        (AlphaBeta(2, 1), POSITIVE, 4.509675),
        (AlphaBeta(2, 1), MIXED, 0),
    ],
)
def test_the_reference_net_without_biases(rules, x, share):
    score = tiny(bias=False)(x)[0, 0].item()
    assert lrp(tiny(bias=False), x, 0, rules).sum().item() / score == pytest.approx(share, abs=6e-7)


# Each rule, neuron by neuron: for every j, every i, in plain Python. c_ij says which inputs neuron
# j reads at all.


def ratio(a, b):
    return 0.0 if b == 0 else a / b


def by_hand(rule, a, w, b, relevance, reads=None):
    """The relevance of the inputs a (I,), from R (J,), weights w (J, I), biases b (J,) and
    connections (J, I).
    """
    inputs, neurons = len(a), len(w)
    reads = np.ones((neurons, inputs)) if reads is None else reads
    result = np.zeros(inputs)
    for j in range(neurons):
        z = [a[i] * w[j][i] for i in range(inputs)]
        match rule:
            case Zero():
                shares = [ratio(v, sum(z) + b[j]) for v in z]
            case Epsilon(eps):
                total = sum(z) + b[j]
                shares = [ratio(v, total + (eps if total >= 0 else -eps)) for v in z]
            case Gamma(gamma):
                favoured = max if sum(z) + b[j] >= 0 else min
                u = [v + gamma * favoured(v, 0) for v in z]
                shares = [ratio(v, sum(u) + b[j] + gamma * favoured(b[j], 0)) for v in u]
            case ZPlus() | AlphaBeta():
                alpha, beta = (1, 0) if isinstance(rule, ZPlus) else (rule.alpha, rule.beta)
                plus, minus = (
                    sum(max(v, 0) for v in z) + max(b[j], 0),
                    sum(min(v, 0) for v in z) + min(b[j], 0),
                )
                shares = [
                    alpha * ratio(max(v, 0), plus) - beta * ratio(min(v, 0), minus) for v in z
                ]
            case ZBox(low, high):
                v = [z[i] - low * max(w[j][i], 0) - high * min(w[j][i], 0) for i in range(inputs)]
                shares = [ratio(u, sum(v)) for u in v]
            case WSquare():
                shares = [ratio(w[j][i] ** 2, sum(u**2 for u in w[j])) for i in range(inputs)]
            case Flat():
                shares = [ratio(reads[j][i], sum(reads[j])) for i in range(inputs)]
        for i in range(inputs):
            result[i] += shares[i] * relevance[j]
    return result


values = st.integers(-8, 8).map(lambda k: k / 4)


@st.composite
def dense_layers(draw):
    inputs, neurons = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    vector = lambda n: st.lists(values, min_size=n, max_size=n)
    a, w = draw(vector(inputs)), draw(st.lists(vector(inputs), min_size=neurons, max_size=neurons))
    return a, w, draw(vector(neurons) | st.none()), draw(vector(neurons))


@ALL_RULES
@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(layers=dense_layers())
def test_a_rule_equals_its_equation_on_dense_layers_of_any_size(rule, layers):
    """One hidden layer; above it a layer with the single output sum_j v_j h_j whose LRP-0 gives R_j
    = v_j z_j.
    """
    a, w, b, v = layers
    first = nn.Linear(len(a), len(w), bias=b is not None, dtype=torch.float64)
    last = nn.Linear(len(w), 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        first.weight.copy_(torch.tensor(w))
        last.weight.copy_(torch.tensor([v]))
        if b is not None:
            first.bias.copy_(torch.tensor(b))
    b = b or [0.0] * len(w)
    z = [sum(p * q for p, q in zip(row, a)) + c for row, c in zip(w, b)]
    above = [p * q for p, q in zip(v, z)]
    relevance = lrp(
        nn.Sequential(first, last), torch.tensor([a], dtype=torch.float64), 0, [rule, Zero()]
    )
    above = above if sum(above) else [0.0] * len(above)  # a score of 0 has nothing to share out
    assert np.allclose(relevance[0], by_hand(rule, a, w, b, above), rtol=1e-9, atol=1e-9)


KERNELS = {
    "conv1d": lambda b: (nn.Conv1d(2, 3, 3, stride=2, padding=2, dilation=2, bias=b), (2, 7)),
    "conv2d": lambda b: (nn.Conv2d(2, 2, (2, 3), stride=(1, 2), padding=1, bias=b), (2, 3, 5)),
    "conv2d_groups": lambda b: (nn.Conv2d(4, 4, 2, groups=2, padding="same", bias=b), (4, 3, 3)),
    "conv2d_circular": lambda b: (
        nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular", bias=b),
        (1, 4, 3),
    ),
    "conv3d": lambda b: (nn.Conv3d(1, 2, 2, padding=(0, 1, 0), bias=b), (1, 2, 3, 2)),
    "transposed1d": lambda b: (
        nn.ConvTranspose1d(2, 2, 3, stride=2, padding=1, output_padding=1, bias=b),
        (2, 4),
    ),
    "transposed2d_groups": lambda b: (
        nn.ConvTranspose2d(2, 4, 2, stride=2, groups=2, dilation=2, bias=b),
        (2, 2, 3),
    ),
    "transposed3d": lambda b: (nn.ConvTranspose3d(1, 2, 2, bias=b), (1, 2, 2, 2)),
}


@ALL_RULES
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_a_rule_on_a_convolution_equals_its_equation_on_the_unrolled_matrix(kernel, bias, rule):
    with models.seeded(3):
        layer, shape = kernel(bias)
    layer = layer.double()
    x = normal(1, *shape, seed=4).clamp(-3, 3)
    outputs, size = layer(x).numel(), x.numel()

    def unrolled(linear):  # column i is what a unit at input i adds
        with torch.no_grad():
            zero = linear(torch.zeros_like(x)).flatten()
            return torch.stack(
                [
                    linear(torch.eye(size, dtype=x.dtype)[i].view_as(x)).flatten() - zero
                    for i in range(size)
                ],
                1,
            ), zero

    w, b = unrolled(layer)
    ones = copy.deepcopy(layer)
    nn.init.ones_(ones.weight)
    reads, _ = unrolled(ones)
    last = nn.Linear(outputs, 1, bias=False).double()
    nn.init.ones_(last.weight)
    above = layer(x).flatten().detach()
    relevance = lrp(nn.Sequential(layer, nn.Flatten(), last), x, 0, [rule, Zero()])
    assert np.allclose(
        relevance.flatten(),
        by_hand(rule, *(t.numpy() for t in (x.flatten(), w, b, above, reads))),
        rtol=1e-7,
        atol=1e-9,
    )


# The peers, where they agree with the equations.


def tower():
    """A small network of VGG's shape, with biases, max pooling and dropout, for images in [0,
    1].
    """
    layers = []
    for i, o in ((3, 4), (4, 4), (0, 0), (4, 6), (6, 6), (0, 0)):
        layers += [conv(i, o), nn.ReLU()] if i else [nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(54, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 5)
    )


@pytest.mark.parametrize("composite", ["epsilon_plus", "epsilon_gamma_box", "epsilon_alpha2_beta1"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_composite_equals_zennits(composite, seed):
    """Zennit adds a stabilizer to every denominator: 1e-12 here, against one-sided sums that may be
    as small as 1e-5.
    """
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonAlpha2Beta1, EpsilonGammaBox, EpsilonPlus

    make = {
        "epsilon_plus": EpsilonPlus,
        "epsilon_alpha2_beta1": EpsilonAlpha2Beta1,
        "epsilon_gamma_box": lambda **options: EpsilonGammaBox(0.0, 1.0, **options),
    }[composite]
    peer = make(epsilon=1e-6, stabilizer=1e-12)
    model, x = drawn(tower, seed), normal(2, 3, 12, 12, seed=seed).sigmoid()
    rules = module.COMPOSITES[composite]
    if composite == "epsilon_gamma_box":
        rules = Composite(rules.dense, rules.convolution, ZBox(0, 1))
    mine = lrp(model, x, 1, rules)
    with Gradient(model, peer) as attributor:
        _, theirs = attributor(x.clone(), lambda scores: F.one_hot(torch.full((2,), 1), 5) * scores)
    assert (mine - theirs).abs().max() <= 1e-6 * theirs.abs().max()


@pytest.mark.parametrize(
    ("rule", "eps"), [(Zero(), 0.0), (Epsilon(0.25), 0.25)], ids=["zero", "epsilon"]
)
@pytest.mark.parametrize("make", [tower, lambda: models.mlp(432, (16, 8), 5)], ids=["tower", "mlp"])
def test_lrp_zero_and_epsilon_equal_captums(make, rule, eps):
    """Captum adds 1e-9 or eps to the denominators of linear maps alone when its other layers have
    eps = 0.
    """
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule

    model, x = drawn(make), normal(2, 3, 12, 12, seed=5)
    theirs_model = copy.deepcopy(model)
    for m in theirs_model.modules():
        if isinstance(m, (nn.Linear, nn.Conv2d)):
            m.rule = EpsilonRule(eps or 1e-9)
        elif isinstance(m, (nn.MaxPool2d, nn.Flatten, nn.Dropout)):
            m.rule = EpsilonRule(1e-12)
    mine, theirs = (
        lrp(model, x, 2, rule),
        LRP(theirs_model).attribute(x.clone().requires_grad_(), target=2).detach(),
    )
    assert (mine - theirs).abs().max() <= 1e-6 * theirs.abs().max()


@pytest.mark.parametrize(
    "make",
    [make for name, make in NETS.items() if name != "reused"],
    ids=[name for name in NETS if name != "reused"],
)
def test_simple_taylor_equals_captums_input_x_gradient(make):
    """Not on the net with in-place activations behind a reused module, which Captum's hooks cannot
    stand.
    """
    from captum.attr import InputXGradient

    model = drawn(make)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = InputXGradient(model).attribute(IMAGES.clone().requires_grad_(), target=1).detach()
    assert torch.allclose(simple_taylor(model, IMAGES, 1), theirs, rtol=1e-10)


# Identities.


@ALL_NETS
def test_lrp_zero_is_gradient_x_input_on_relu_networks(make):
    """Exact in real numbers, also with biases; float64 divides and multiplies by z, so a few units
    of 1e-16, enlarged where z is small.
    """
    model = drawn(make)
    assert torch.allclose(
        lrp(model, IMAGES, rules=Zero()), simple_taylor(model, IMAGES), rtol=1e-7, atol=1e-9
    )


def test_batch_normalisation_alone_keeps_the_share_of_its_shift():
    model = drawn(lambda: nn.Sequential(nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2, bias=False)))
    x = normal(5, 4)
    relevance, layers = lrp(model, x, 1, Zero(), return_layers=True)
    assert torch.allclose(relevance, simple_taylor(model, x, 1))
    norm, a = model[0], model[1](model[0](x)).detach()
    shift = (
        norm.bias - norm.running_mean * norm.weight / (norm.running_var + norm.eps).sqrt()
    ).detach()
    assert torch.allclose(
        layers[0].absorbed, ((a > 0) * shift * model[2].weight[1].detach()).sum(1)
    )


@pytest.mark.parametrize(
    "rules",
    [
        Zero(),
        Epsilon(0.0),
        Epsilon(1e-9),
        Gamma(0.25),
        ZPlus(),
        "epsilon_plus",
        Composite(Zero(), ZPlus(), WSquare()),
        Composite(Zero(), ZPlus(), Flat()),
        Composite(Gamma(1), Gamma(1), ZBox()),
    ],
    ids=str,
)
@pytest.mark.parametrize("make", BIAS_FREE.values(), ids=BIAS_FREE)
def test_without_biases_the_relevance_of_the_inputs_adds_up_to_the_score(make, rules):
    """Positive weights and inputs: every neuron has evidence to share out, so nothing may be lost,
    whatever the rule.
    """
    model = drawn(make)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    x = IMAGES.abs()
    score = model(x).amax(1)
    # its eps is 1e-6
    assert torch.allclose(
        lrp(model, x, rules=rules).flatten(1).sum(1),
        score,
        rtol=1e-4 if rules == "epsilon_plus" else 1e-6,
    )


@pytest.mark.parametrize("rules", [Zero(), Epsilon(1e-9)], ids=str)
@pytest.mark.parametrize("make", BIAS_FREE.values(), ids=BIAS_FREE)
def test_lrp_zero_and_epsilon_conserve_with_weights_of_both_signs(make, rules):
    model = drawn(make)
    assert torch.allclose(
        lrp(model, IMAGES, 0, rules).flatten(1).sum(1), model(IMAGES)[:, 0], rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(
    "rules", [*RULES.values(), *module.COMPOSITES], ids=[*RULES, *module.COMPOSITES]
)
@ALL_NETS
def test_the_account_adds_up_to_the_score_of_every_sample(make, rules):
    model = drawn(make)
    if isinstance(rules, ZBox):
        rules = Composite(Zero(), Zero(), ZBox())
    relevance, layers = lrp(model, IMAGES, 2, rules, return_layers=True)
    total = relevance.flatten(1).sum(1) + sum(layer.absorbed for layer in layers)
    largest = max(layer.relevance.abs().max() for layer in layers)
    assert all(layer.absorbed.shape == (3,) for layer in layers)
    assert torch.allclose(total, model(IMAGES)[:, 2], rtol=1e-9, atol=1e-12 * float(largest) * 500)
    assert torch.equal(relevance, lrp(model, IMAGES, 2, rules))


def test_the_account_names_modules_rules_and_what_the_biases_kept():
    model = tiny()
    relevance, layers = lrp(model, POSITIVE, 0, Zero(), return_layers=True)
    assert [(layer.name, layer.operation, layer.rule) for layer in layers] == [
        ("0", "linear", Zero()),
        ("relu", "relu", None),
        ("2", "linear", Zero()),
        ("relu", "relu", None),
        ("4", "linear", Zero()),
    ]
    share = layers[-1].relevance[0, 0] / model(POSITIVE)[0, 0]
    assert share == 1 and layers[-1].absorbed.item() == pytest.approx(model[4].bias[0].item())
    assert torch.equal(layers[1].absorbed, torch.zeros(1, dtype=torch.float64))


def test_the_account_is_kept_one_by_one_where_samples_leave_the_first_dimension():
    model = Net(lambda self, x: self.a(x.permute(1, 0, 2))[-1], a=dense(4, 3).double())
    x = normal(2, 5, 4)
    relevance, layers = lrp(model, x, 0, Zero(), return_layers=True)
    assert torch.allclose(relevance, lrp(model, x, 0, Zero())) and torch.allclose(
        relevance, simple_taylor(model, x, 0)
    )
    assert torch.allclose(
        relevance.flatten(1).sum(1) + sum(layer.absorbed for layer in layers), model(x)[:, 0]
    )
    assert layers[0].relevance.shape == (2, 5, 1, 4)


def test_deep_taylor_is_zplus_with_zbox_at_the_pixels():
    model, x = drawn(tower), normal(2, 3, 12, 12).sigmoid()
    assert torch.equal(
        deep_taylor(model, x, 1, 0, 1), lrp(model, x, 1, Composite(ZPlus(), ZPlus(), ZBox(0, 1)))
    )


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn"])
def test_deep_taylor_of_a_positive_score_is_nowhere_negative(name):
    x = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model = models.pretrained(name)
    assert (model(x).amax(1) > 0).any()
    assert (deep_taylor(model, x)[model(x).amax(1) > 0] >= -1e-6).all()


def test_zbox_takes_a_bound_for_each_channel_and_widens_its_own_bounds_by_image():
    model = drawn(
        lambda: nn.Sequential(nn.Conv2d(2, 3, 2, bias=False), nn.Flatten(), nn.Linear(12, 2))
    )
    x = normal(2, 2, 3, 3)
    low, high = (
        torch.tensor([-4.0, -5.0]).double().view(1, 2, 1, 1),
        torch.tensor([3.0, 6.0]).double().view(1, 2, 1, 1),
    )
    assert not torch.allclose(deep_taylor(model, x, 0, low, high), deep_taylor(model, x, 0, -5, 6))
    widened = [
        deep_taylor(model, row, 0, min(0.0, row.min().item()), max(1.0, row.max().item()))
        for row in x.split(1)
    ]
    assert torch.allclose(deep_taylor(model, x, 0), torch.cat(widened))


# The target.


def test_the_relevance_starts_as_the_logit_of_the_target():
    model, classes = drawn(NETS["cnn"]), torch.tensor([2, 0, 1])
    rows = [lrp(model, IMAGES[n : n + 1], int(c)) for n, c in enumerate(classes)]
    assert torch.allclose(lrp(model, IMAGES, classes), torch.cat(rows), rtol=1e-9, atol=1e-12)
    assert torch.equal(lrp(model, IMAGES), lrp(model, IMAGES, model(IMAGES).argmax(1)))
    assert torch.equal(lrp(model, IMAGES, 1), lrp(model, IMAGES, torch.tensor(1)))
    assert torch.equal(
        lrp(model, IMAGES, 1), lrp(model, IMAGES, torch.full((3,), 1, dtype=torch.int32))
    )
    _, layers = lrp(model, IMAGES, classes, return_layers=True)
    assert torch.equal(layers[-1].relevance, F.one_hot(classes, 3) * model(IMAGES))


# Invariances.


@pytest.mark.parametrize("rules", [Zero(), *module.COMPOSITES], ids=str)
@ALL_NETS
def test_a_sample_does_not_depend_on_its_batch(make, rules):
    model, order = drawn(make), torch.tensor([2, 0, 1])
    relevance = lrp(model, IMAGES, 0, rules)
    scale = relevance.abs().max()
    assert torch.allclose(
        lrp(model, IMAGES[order], 0, rules), relevance[order], rtol=1e-6, atol=1e-9 * float(scale)
    )
    for n in range(3):
        assert torch.allclose(
            lrp(model, IMAGES[n : n + 1], 0, rules),
            relevance[n : n + 1],
            rtol=1e-6,
            atol=1e-9 * float(scale),
        )


@pytest.mark.parametrize("name", module.COMPOSITES)
def test_float32_gives_what_float64_gives(name):
    model, x = drawn(tower), normal(2, 3, 12, 12).sigmoid()
    exact = lrp(model, x, 0, name)
    single = lrp(copy.deepcopy(model).float(), x.float(), 0, name)
    assert single.dtype == torch.float32
    assert (single - exact).abs().max() <= 1e-3 * exact.abs().max()


@ALL_RULES
def test_the_layout_of_x_in_memory_does_not_matter(rule):
    model, x = drawn(NETS["average"]), IMAGES.clamp(-1, 1)
    rules = Composite(Epsilon(), ZPlus(), rule)
    expected = lrp(model, x, 0, rules)
    for layout in (
        x.contiguous(memory_format=torch.channels_last),
        x.transpose(2, 3).contiguous().transpose(2, 3),
        x.repeat(2, 1, 1, 1)[::2][[0, 2, 1]],
    ):
        reference = (
            expected
            if layout.shape == x.shape and torch.equal(layout, x)
            else lrp(model, layout.contiguous(), 0, rules)
        )
        assert torch.allclose(lrp(model, layout, 0, rules), reference)


@pytest.mark.parametrize("name", module.COMPOSITES)
def test_scaling_the_last_layer_scales_the_relevance(name):
    model, x = drawn(tower), normal(2, 3, 12, 12).sigmoid()
    larger = copy.deepcopy(model)
    with torch.no_grad():
        larger[-1].weight *= 3
        larger[-1].bias *= 3
    assert torch.allclose(lrp(larger, x, 0, name), 3 * lrp(model, x, 0, name), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("shape", [(1, 1, 4, 9), (2, 7, 5, 3), (1, 2, 1, 1)], ids=str)
def test_images_of_any_size_and_number_of_channels(shape):
    model = drawn(
        lambda: nn.Sequential(
            conv(shape[1], 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)
        )
    )
    x = normal(*shape)
    relevance = lrp(model, x, 0, Zero())
    assert relevance.shape == shape and torch.allclose(
        relevance, simple_taylor(model, x, 0), rtol=1e-7, atol=1e-10
    )


def test_dense_layers_over_sequences_of_vectors():
    model = drawn(
        lambda: Net(lambda self, x: self.b(F.relu(self.a(x))).mean(1), a=dense(4, 6), b=dense(6, 3))
    )
    x = normal(2, 5, 4)
    assert torch.allclose(lrp(model, x, 0, Zero()), simple_taylor(model, x, 0), rtol=1e-8)
    assert torch.allclose(
        lrp(model, x, 0, ZPlus())[:, [4, 0, 1, 2, 3]], lrp(model, x[:, [4, 0, 1, 2, 3]], 0, ZPlus())
    )


# The rules' addresses: composites, lists, functions.


def test_a_list_gives_its_rules_in_the_order_in_which_the_maps_run():
    model = tiny()
    assert torch.equal(
        lrp(model, POSITIVE, 0, [ZBox(-2, 2), ZPlus(), ZPlus()]),
        lrp(model, POSITIVE, 0, Composite(ZPlus(), ZPlus(), ZBox(-2, 2))),
    )
    assert torch.equal(
        lrp(model, POSITIVE, 0, (Zero(), Zero(), Zero())),
        lrp(model, POSITIVE, 0, lambda layer: Zero()),
    )


def test_a_list_counts_a_map_and_its_batch_normalisation_once():
    model = drawn(normalised)
    assert torch.equal(lrp(model, IMAGES, 0, [Zero()] * 4), lrp(model, IMAGES, 0, Zero()))


def test_a_function_sees_name_kind_index_and_position():
    seen = []
    lrp(
        drawn(tower),
        normal(1, 3, 12, 12),
        0,
        lambda layer: (
            seen.append((layer.name, layer.kind, layer.index, layer.reads_input)) or Zero()
        ),
    )
    assert seen == [
        ("0", "convolution", 0, True),
        ("2", "convolution", 1, False),
        ("5", "convolution", 2, False),
        ("7", "convolution", 3, False),
        ("11", "dense", 4, False),
        ("14", "dense", 5, False),
    ]


@pytest.mark.parametrize(
    ("rules", "dense_rule", "conv_rule"),
    [("epsilon_plus", Epsilon(), ZPlus()), ("epsilon_alpha2_beta1", Epsilon(), AlphaBeta(2, 1))],
)
def test_the_named_composites(rules, dense_rule, conv_rule):
    model, x = drawn(tower), normal(2, 3, 12, 12).sigmoid()
    assert torch.equal(
        lrp(model, x, 0, rules),
        lrp(model, x, 0, lambda layer: conv_rule if layer.kind == "convolution" else dense_rule),
    )


@pytest.mark.parametrize("rule", [ZPlus(), AlphaBeta(2, 1), Gamma(0.5)], ids=str)
@pytest.mark.parametrize(
    "make",
    [
        lambda: [nn.Conv2d(2, 4, 3, groups=2), nn.BatchNorm2d(4)],
        lambda: [nn.ConvTranspose2d(2, 4, 2, groups=2), nn.BatchNorm2d(4)],
        lambda: [nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False)],
        lambda: [nn.Flatten(), nn.Linear(72, 4), nn.BatchNorm1d(4)],
        lambda: [
            nn.Flatten(),
            Net(lambda self, x: x @ self.w, w=nn.Parameter(torch.randn(72, 4))),
            nn.BatchNorm1d(4),
        ],
    ],
    ids=["groups", "transposed", "plain", "linear", "matmul"],
)
def test_batch_normalisation_after_a_linear_map_is_part_of_it(make, rule):
    """The same weights written as one map without normalisation give the same relevance, for every
    rule.
    """
    parts = drawn(lambda: nn.Sequential(*make()))
    linear, norm = parts[-2], parts[-1]
    scale = (norm.weight if norm.affine else 1) / (norm.running_var + norm.eps).sqrt()
    shift = (norm.bias if norm.affine else 0) - norm.running_mean * scale
    merged = copy.deepcopy(linear)
    with torch.no_grad():
        if isinstance(linear, Net):
            merged = nn.Linear(72, 4).double()
            merged.weight.copy_((linear.w * scale).T)
            merged.bias.copy_(shift)
        else:
            axis = 1 if isinstance(linear, nn.ConvTranspose2d) else 0
            for g, c in (
                (g, c)
                for g in range(getattr(linear, "groups", 1))
                for c in range(linear.weight.shape[axis] if axis else len(linear.weight))
            ):
                if axis:  # a transposed weight is (in, out / groups, ...)
                    rows = len(linear.weight) // linear.groups
                    merged.weight[g * rows : (g + 1) * rows, c] *= scale[
                        g * linear.weight.shape[1] + c
                    ]
                elif g == 0:
                    merged.weight[c] *= scale[c]
            merged.bias = nn.Parameter(shift + (0 if linear.bias is None else linear.bias * scale))
    head = drawn(
        lambda: nn.Sequential(nn.ReLU(), nn.Flatten(), nn.LazyLinear(3, dtype=torch.float64))
    )
    head(parts(IMAGES))
    before = nn.Sequential(*parts[:-2])
    one, two = nn.Sequential(parts, head).eval(), nn.Sequential(before, merged, head).eval()
    assert torch.allclose(one(IMAGES), two(IMAGES))
    assert torch.allclose(
        lrp(one, IMAGES, 0, rule), lrp(two, IMAGES, 0, rule), rtol=1e-7, atol=1e-9
    )


# The state left as it was.

METHODS = {
    "lrp": lrp,
    "simple_taylor": simple_taylor,
    "deep_taylor": deep_taylor,
    "layers": lambda *a, **k: lrp(*a, **k, return_layers=True),
}


@pytest.mark.parametrize("fail", [False, True], ids=["normal", "error"])
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_model_input_and_random_state_are_left_as_they_were(method, fail):
    result = result_of_an_undisturbing(method, IMAGES, fail)
    if isinstance(result, tuple):
        assert not any(
            layer.relevance.requires_grad or layer.absorbed.requires_grad for layer in result[1]
        )


def test_a_refused_operation_on_x_itself_leaves_x_as_it_was():
    def forward(self, x):
        x.exp_()
        return self.a(x)

    x = normal(2, 4)
    before = x.clone()
    with pytest.raises(ValueError, match="'exp'"):
        lrp(Net(forward, a=dense(4, 3).double()), x)
    assert torch.equal(x, before)


def test_a_pending_backward_pass_of_the_user_still_works():
    model = drawn(
        lambda: nn.Sequential(conv(2, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), dense(108, 3))
    )
    loss = model(IMAGES).sum()
    lrp(model, IMAGES)
    simple_taylor(model, IMAGES)
    loss.backward()
    assert model[0].weight.grad is not None


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference_mode"]
)
def test_the_result_is_the_same_where_gradients_are_off(context, method):
    model = drawn(NETS["norm"])
    expected = method(model, IMAGES, 0)
    with context():
        result = method(model, IMAGES * 1.0, 0)  # made here: an inference tensor
        assert torch.is_inference_mode_enabled() == (context is torch.inference_mode)
    first = lambda r: r[0] if isinstance(r, tuple) else r
    assert torch.equal(first(result), first(expected))


def test_two_calls_give_the_same():
    model = drawn(NETS["residual_norm"])
    assert torch.equal(lrp(model, IMAGES), lrp(model, IMAGES))


# Bad inputs, each refused by name.

GOOD = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
X = torch.ones(2, 4)
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
    "x of integers": (
        GOOD,
        X.long(),
        {},
        TypeError,
        "x: expected a floating-point tensor, got torch.int64",
    ),
    "x with NaN": (GOOD, X * float("nan"), {}, ValueError, "x: expected finite values"),
    "x with infinity": (GOOD, X / 0, {}, ValueError, "x: expected finite values"),
    "x with both infinities": (
        GOOD,
        torch.tensor([[1, np.inf, -np.inf, 0]], dtype=torch.float32),
        {},
        ValueError,
        "x: expected finite values",
    ),
    "empty batch": (GOOD, X[:0], {}, ValueError, r"x: expected a batch .* got shape \(0, 4\)"),
    "x without a batch": (GOOD, X[0], {}, ValueError, r"x: expected a batch .* got shape \(4,\)"),
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
    "target negative": (
        GOOD,
        X,
        {"target": torch.tensor([0, -1])},
        ValueError,
        "target: expected classes in 0..2",
    ),
    "target of the wrong shape": (
        GOOD,
        X,
        {"target": torch.tensor([0, 1, 2])},
        ValueError,
        r"target: expected shape \(2,\)",
    ),
    "target a float": (
        GOOD,
        X,
        {"target": 1.0},
        TypeError,
        "target: expected None, an int or a LongTensor .* got float",
    ),
    "target of floats": (
        GOOD,
        X,
        {"target": torch.ones(2)},
        TypeError,
        "target: expected whole numbers",
    ),
    "target of truths": (
        GOOD,
        X,
        {"target": torch.ones(2) > 0},
        TypeError,
        "target: expected whole numbers",
    ),
    "target a truth": (GOOD, X, {"target": True}, TypeError, "target: .* got bool"),
    "target a list": (GOOD, X, {"target": [0, 1]}, TypeError, "target: .* got list"),
    "scores in a tuple": (
        Net(lambda self, x: (x, x)),
        X,
        {},
        TypeError,
        "model: expected it to return a tensor .* got tuple",
    ),
    "scores of three dimensions": (
        Net(lambda self, x: x[:, None]),
        X,
        {},
        ValueError,
        r"model: expected scores of shape \(2, K\), got \(2, 1, 4\)",
    ),
    "scores for one sample too few": (
        Net(lambda self, x: x[:1]),
        X,
        {},
        ValueError,
        r"model: expected scores of shape \(2, K\)",
    ),
    "scores not finite": (
        Net(lambda self, x: x / 0),
        X,
        {},
        ValueError,
        "model: expected finite scores",
    ),
    "scores constant": (
        Net(lambda self, x: torch.ones(2, 3)),
        X,
        {},
        ValueError,
        "model: its scores do not depend on x",
    ),
}


@pytest.mark.parametrize(
    "method", [lrp, simple_taylor, deep_taylor], ids=["lrp", "simple_taylor", "deep_taylor"]
)
@pytest.mark.parametrize(
    ("model", "x", "options", "error", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS
)
def test_a_bad_argument_is_refused_by_name(method, model, x, options, error, message):
    with pytest.raises(error, match=message):
        method(model, x, **options)


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        ("epsilon", ValueError, "rules: expected one of .*epsilon_plus.* got 'epsilon'"),
        (Epsilon, TypeError, "rules: expected .* got <class"),
        (0.25, TypeError, "rules: expected"),
        (None, TypeError, "rules: expected"),
        ([], TypeError, "rules: expected"),
        ([Zero], TypeError, "rules: expected"),
        ([Zero(), Zero()], ValueError, "rules: expected 1 rules, .* got 2"),
        (lambda layer: None, TypeError, "rules: expected a rule for the layer '1', got None"),
        (Composite(Zero, Zero), TypeError, "rules: expected a rule for the layer '1', got <class"),
        (
            Composite(Zero(), Zero(), ZBox(0, 0.5)),
            ValueError,
            "x: expected values between low and high of ZBox, got a range of 1 to 1",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_bad_rules_are_refused(rules, error, message):
    with pytest.raises(error, match=message):
        lrp(GOOD, X, 0, rules)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Epsilon(-1), "eps: expected a number >= 0, got -1"),
        (lambda: Epsilon(float("nan")), "eps: "),
        (lambda: Gamma(-0.1), "gamma: "),
        (lambda: AlphaBeta(2, 2), "alpha, beta: expected alpha - beta = 1"),
        (lambda: AlphaBeta(0, -1), "beta >= 0"),
    ],
)
def test_bad_parameters_of_rules_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
