"""Rules for pixels: their bounds, and places that hold no pixel, go through what stands between x
and the first linear map.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.lrp import Composite, Epsilon, Flat, Gamma, RelevanceWarning, WSquare, ZBox, Zero, lrp

MEAN, SPREAD = torch.tensor([0.4, 0.5, 0.3]), torch.tensor([0.2, 0.3, 0.25])


class Normalised(nn.Module):
    """A network with its normalisation inside, written in some way."""

    def __init__(self, way, network):
        super().__init__()
        self.way, self.network = way, network
        self.register_buffer("mean", MEAN.view(1, 3, 1, 1).double())
        self.register_buffer("spread", SPREAD.view(1, 3, 1, 1).double())
        self.norm = nn.BatchNorm2d(3, eps=0.0, affine=False)
        self.norm.running_mean, self.norm.running_var = MEAN.double(), SPREAD.double() ** 2

    def forward(self, x):
        if self.way == "plain":
            x = (x - self.mean) / self.spread
        elif self.way == "in place":
            x = x.clone().sub_(self.mean).div_(self.spread)
        elif self.way == "batch norm":
            x = self.norm(x)
        elif self.way == "negative":
            x = (self.mean - x) * (-1 / self.spread)
        return self.network(x)


def network(pad=0):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, stride=2, padding=pad), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)]
    model = nn.Sequential(*layers)
    model(torch.zeros(1, 3, 8, 8))
    return model.double()


IMAGES = torch.rand(3, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
PIXELS = Composite(Epsilon(), Gamma(0.25), ZBox(0.0, 1.0))


@pytest.mark.parametrize("way", ["plain", "in place", "batch norm", "negative"])
def test_the_box_is_that_of_the_first_linear_maps_input(way):
    normalised = (IMAGES - MEAN.view(1, 3, 1, 1)) / SPREAD.view(1, 3, 1, 1)
    low, high = (((end - MEAN) / SPREAD).view(3, 1, 1).double() for end in (0.0, 1.0))
    outside = Composite(Epsilon(), Gamma(0.25), ZBox(low, high))
    expected = lrp(network(), normalised, 1, outside)
    torch.testing.assert_close(lrp(Normalised(way, network()), IMAGES, 1, PIXELS), expected)


def test_bounds_of_their_own_are_those_of_x_and_a_pixel_outside_is_refused():
    model = Normalised("plain", network())
    rules = Composite(Epsilon(), Gamma(0.25), ZBox())
    torch.testing.assert_close(lrp(model, IMAGES, 1, rules), lrp(model, IMAGES, 1, PIXELS))
    with pytest.raises(ValueError, match="between low and high of ZBox, got a range of .* to 1.5"):
        lrp(model, IMAGES.index_fill(3, torch.tensor([0]), 1.5), 1, PIXELS)


@pytest.mark.parametrize("rule", [ZBox(0.0, 1.0), Flat(), WSquare()], ids=str)
@pytest.mark.parametrize("pad", [F.pad, lambda x, p: nn.ZeroPad2d(p)(x)], ids=["call", "layer"])
def test_an_explicit_pad_takes_nothing(rule, pad):
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network()
            self.network[3] = network(1)[3]

        def forward(self, x):
            return self.network(pad(x, (1, 1, 1, 1)))

    model, same = Padded(), network(1)
    rules = Composite(Zero(), Zero(), rule)
    torch.testing.assert_close(lrp(model, IMAGES, 1, rules), lrp(same, IMAGES, 1, rules))


@pytest.mark.parametrize("rule", [Flat(), WSquare()], ids=str)
def test_nor_does_one_between_hidden_layers(rule):
    torch.manual_seed(0)
    first, second = nn.Conv1d(2, 3, 3), nn.Conv1d(3, 2, 3, padding=2)
    inside = nn.Sequential(first, nn.ReLU(), second, nn.Flatten()).double()
    alone = nn.Conv1d(3, 2, 3)
    alone.load_state_dict(second.state_dict())
    before = nn.Sequential(first, nn.ReLU(), nn.ConstantPad1d(2, 0.0), alone, nn.Flatten()).double()
    x = torch.rand(2, 2, 7, dtype=torch.float64)
    for target in (0, 3, 8):
        torch.testing.assert_close(lrp(before, x, target, rule), lrp(inside, x, target, rule))


def test_a_resized_picture_keeps_its_bounds():
    class Resized(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network()

        def forward(self, x):
            return self.network(F.interpolate(x, (8, 8), mode="bilinear"))

    small = torch.rand(2, 3, 5, 5, dtype=torch.float64)
    seen = []
    lrp(Resized(), small, 1, lambda layer: seen.append(layer.reads_input) or Zero())
    assert seen == [True, False]
    relevance = lrp(Resized(), small, 1, PIXELS)
    large = lrp(network(), F.interpolate(small, (8, 8), mode="bilinear"), 1, PIXELS)
    torch.testing.assert_close(relevance.sum((1, 2, 3)), large.sum((1, 2, 3)))


@pytest.mark.parametrize("way", ["einsum", "left", "transposed"])
def test_a_weight_of_the_model_asks_for_a_rule_however_it_is_multiplied(way):
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 4, dtype=torch.float64))

        def forward(self, x):
            if way == "einsum":
                return torch.einsum("ni,ki->nk", x, self.weight)
            return (
                (self.weight @ x.T).T
                if way == "left"
                else torch.einsum("ki,ni->nk", self.weight, x)
            )

    torch.manual_seed(0)
    model, x = Product(), torch.randn(2, 4, dtype=torch.float64)
    dense = nn.Linear(4, 3, bias=False).double()
    dense.weight.data = model.weight.data
    for rule in (Gamma(0.5), WSquare(), Flat()):
        torch.testing.assert_close(lrp(model, x, 1, rule), lrp(dense, x, 1, rule))


def test_a_batch_normalisation_alone_asks_for_a_rule():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(2, 3, 2), nn.ReLU(), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(9, 2)
    ).double()
    model[2].running_mean.normal_(), model[2].bias.data.normal_()
    model.eval()
    x, seen = torch.rand(2, 2, 4, dtype=torch.float64), []

    def rule_of(layer):
        seen.append((layer.name, layer.kind))
        return Gamma(0.5)

    relevance = lrp(model, x, 1, rule_of)
    assert seen == [("0", "convolution"), ("2", "convolution"), ("4", "dense")]
    scale = (model[2].weight / (model[2].running_var + model[2].eps).sqrt()).detach()
    written = nn.Sequential(
        model[0], nn.ReLU(), nn.Conv1d(3, 3, 1, groups=3).double(), nn.Flatten(), model[4]
    )
    written[2].weight.data = scale.view(3, 1, 1)
    written[2].bias.data = model[2].bias.data - model[2].running_mean * scale
    torch.testing.assert_close(relevance, lrp(written, x, 1, Gamma(0.5)))


def test_a_rule_for_pixels_that_nothing_uses_is_said():
    class Bent(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network()

        def forward(self, x):
            return self.network(torch.tanh(x))

    with pytest.warns(RelevanceWarning, match="no linear map reads x .* ZBox.* was not used"):
        lrp(Bent(), IMAGES, 1, PIXELS)
