"""Any object with `propagate` is a rule, everywhere a rule can stand, and is taken for no other."""

from dataclasses import dataclass

import pytest
import torch
from drawn import Net, drawn
from torch import nn

from lib.engine import LinearMap, Rule, pull
from lib.engine.graph import divide
from lib.lrp import (
    COMPOSITES,
    AlphaBeta,
    Composite,
    Epsilon,
    Flat,
    Gamma,
    WSquare,
    ZBox,
    Zero,
    ZPlus,
    lrp,
)


class Mine:
    """LRP-0 in four steps."""

    def propagate(self, layer: LinearMap, relevance):
        z = layer.apply(layer.a, layer.weight, layer.bias)
        s = divide(relevance, z)
        c = pull(z, layer.a, s)
        return layer.a * c


class WithForward(Mine):
    """The same, and it computes the output itself."""

    def forward(self, layer):
        return layer.apply(layer.a, layer.weight, layer.bias)


@dataclass
class Named:
    """Has the fields of other rules, and gives everything to the first input."""

    eps: float = 1e-6
    gamma: float = 0.25
    low: float | None = None
    high: float | None = None

    def propagate(self, layer, relevance):
        result = torch.zeros_like(layer.a)
        result.flatten(1)[:, 0] = relevance.flatten(1).sum(1)
        return result


class Doubled(Epsilon):
    """A rule that inherits from another and does something else."""

    def propagate(self, layer, relevance):
        return 2 * super().propagate(layer, relevance)


def dense():
    return drawn(lambda: nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)))


def recurrent(layer):
    def make():
        return Net(lambda s, x: s.read(s.layer(x)[0][:, -1]), layer=layer(), read=nn.Linear(4, 2))

    return drawn(make)


LAYERS = {
    "lstm": lambda: nn.LSTM(3, 4, batch_first=True),
    "gru": lambda: nn.GRU(3, 4, batch_first=True),
    "rnn": lambda: nn.RNN(3, 4, batch_first=True),
}
X = torch.rand(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SERIES = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
RULES = (
    *(Zero(), Epsilon(), Gamma(), AlphaBeta(), ZPlus(), ZBox(), Flat(), WSquare()),
    *(Mine(), WithForward(), Named(), Doubled()),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_every_rule_is_one_and_no_class_or_composite_is(rule):
    assert isinstance(rule, Rule)
    assert not isinstance(COMPOSITES["epsilon_plus"], Rule)
    assert lrp(dense(), X, 0, rules=rule).shape == X.shape
    with pytest.raises(TypeError, match="rules: expected"):
        lrp(dense(), X, 0, rules=type(rule))


@pytest.mark.parametrize("mine", [Mine(), WithForward()], ids=["propagate", "forward too"])
def test_my_rule_works_wherever_a_rule_can_stand(mine):
    model, wanted = dense(), lrp(dense(), X, 0, rules=Zero())
    as_function = lrp(model, X, 0, rules=lambda layer: mine)
    composite = Composite(dense=mine, convolution=ZPlus(), first=mine)
    for rules in (mine, [mine, mine], [Zero(), mine], composite):
        assert torch.allclose(lrp(model, X, 0, rules=rules), wanted)
    assert torch.allclose(as_function, wanted)
    _, layers = lrp(model, X, 0, rules=mine, return_layers=True)
    assert [line.rule for line in layers if line.rule] == [mine, mine]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("mine", [Mine(), WithForward()], ids=["propagate", "forward too"])
def test_my_rule_works_in_recurrent_layers(kind, mine):
    model = recurrent(LAYERS[kind])
    assert torch.allclose(lrp(model, SERIES, 0, rules=mine), lrp(model, SERIES, 0, rules=Zero()))


@pytest.mark.parametrize("kind", LAYERS)
def test_no_rule_is_taken_for_another_because_of_a_name(kind):
    model = recurrent(LAYERS[kind])
    ours = lrp(model, SERIES, 0, rules=Named(eps=1e-6))
    assert not torch.allclose(ours, lrp(model, SERIES, 0, rules=Epsilon(1e-6)))
    assert (ours[..., 1:] == 0).all() and (ours[..., 0] != 0).any(), "all to the first input"
    half = lrp(model, SERIES, 0, rules=Epsilon(1e-6))
    assert not torch.allclose(lrp(model, SERIES, 0, rules=Doubled(1e-6)), half), "not as Epsilon"


def test_a_rule_with_the_fields_of_a_box_is_no_box():
    model = drawn(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)))
    x = torch.rand(2, 1, 4, 4, dtype=torch.float64)
    R = lrp(model, x, 0, rules=Composite(dense=Zero(), convolution=Zero(), first=Named()))
    assert (R.flatten(1)[:, 1:] == 0).all()


@pytest.mark.parametrize("rules", [Zero, [Zero], [Zero(), 1], 3, None, [], object()])
def test_what_is_no_rule_is_refused(rules):
    with pytest.raises(TypeError, match="rules: expected"):
        lrp(dense(), X, 0, rules=rules)


# ---------------------------------------------------------------- gamma, whatever the signs


def signed(act, bias=True):
    """Two convolutions and a dense layer: with an identity between, inputs and outputs of either
    sign in every layer.
    """
    parts = nn.Conv2d(2, 6, 3, bias=bias), act(), nn.Conv2d(6, 6, 3, bias=bias), act()
    return drawn(lambda: nn.Sequential(*parts, nn.Flatten(), nn.Linear(24, 3, bias=bias)))


IMAGES = torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("act", [nn.ReLU, nn.Identity])
@pytest.mark.parametrize("gamma", [0.0, 0.25, 3.0])
@pytest.mark.parametrize("x", [IMAGES, IMAGES.abs(), -IMAGES.abs()], ids=["both", ">= 0", "<= 0"])
def test_gamma_equals_zennits(act, bias, gamma, x):
    from zennit.attribution import Gradient
    from zennit.composites import LayerMapComposite
    from zennit.rules import Gamma as Peer
    from zennit.types import Convolution, Linear

    model = signed(act, bias)
    peer = LayerMapComposite([((Convolution, Linear), Peer(gamma, stabilizer=1e-13))])
    with Gradient(model, peer) as attributor:
        start = torch.eye(3, dtype=torch.float64)[[1] * len(x)]
        _, theirs = attributor(x.clone(), lambda scores: start * scores)
    mine = lrp(model, x, 1, rules=Gamma(gamma))
    assert (mine - theirs).abs().max() <= 1e-6 * theirs.abs().max()


@pytest.mark.parametrize("seed", range(5))
def test_gamma_is_the_old_rule_where_nothing_is_negative(seed):
    """v = w + gamma w^+ for the inputs of a ReLU network; and its general form gives the same."""
    generator = torch.Generator().manual_seed(seed)
    layer = drawn(lambda: nn.Linear(6, 4), seed)
    a = torch.rand(3, 6, generator=generator, dtype=torch.float64)
    w, b = layer.weight.detach(), layer.bias.detach()
    v, u = w + 0.5 * w.clamp(min=0), b + 0.5 * b.clamp(min=0)
    z = a @ w.T + b
    R = z.clamp(min=0)
    wanted = a * ((R / (a @ v.T + u).where(R > 0, 1)) @ v)
    traced = LinearMap(
        lambda: "", "dense", 0, True, False, a.requires_grad_(), w, b, nn.functional.linear
    )
    traced.run(None)
    rule = Gamma(0.5)
    assert torch.allclose(rule.propagate(traced, R), wanted)
    assert torch.allclose(rule._of_either_sign(traced, R), wanted)


@pytest.mark.parametrize("seed", range(5))
def test_gamma_stays_bounded_through_linear_bottlenecks(seed):
    """Outputs of either sign one after the other: the denominators never cross 0."""

    def make():
        blocks = [(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)) for _ in range(12)]
        layers = [layer for block in blocks for layer in block]
        return nn.Sequential(nn.Conv2d(2, 8, 1), *layers, nn.Flatten(), nn.Linear(288, 3))

    model = drawn(make, seed)
    R = lrp(model, IMAGES, 0, rules=Gamma(0.25))
    assert (R.flatten(1).abs().sum(1) <= 2 * model(IMAGES)[:, 0].abs()).all()
