"""What the page on photos concludes from three shuffles, on two that it does not use."""

import copy
import os

import pytest
import torch

from lib import data, models
from lib import evaluation as ev
from lib.lrp import Epsilon, lrp
from lib.sensitivity import gradient_x_input, sensitivity

pytestmark = [
    pytest.mark.skipif("BOOK_DATA" not in os.environ, reason="BOOK_DATA names no folder"),
    pytest.mark.filterwarnings("ignore::lib.lrp.RelevanceWarning"),
]


def boxed():
    """The middle squares of the four photos whose object does not fill them, and the boxes."""
    pictures, boxes = [], []
    for name, photo in data.photos().items():
        height, width = photo.image.shape[1:]
        side = min(height, width)
        x, y = (width - side) // 2, (height - side) // 2
        cut = photo.image[None, :, y : y + side, x : x + side]
        scale, (left, top, right, bottom) = 224 / side, photo.boxes[0][1]
        box = torch.zeros(224, 224, dtype=torch.bool)
        rows, columns = (
            (a * scale, b * scale) for a, b in ((top - y, bottom - y), (left - x, right - x))
        )
        box[slice(*(max(0, int(v)) for v in rows)), slice(*(max(0, int(v)) for v in columns))] = (
            True
        )
        if name != "chelsea":
            made = torch.nn.functional.interpolate(cut, (224, 224), mode="bilinear", antialias=True)
            pictures.append(made[0].clamp(0, 1))
            boxes.append(box)
    return pictures, torch.stack(boxes)


def test_the_trained_network_looks_into_the_box():
    pictures, boxes = boxed()
    net = models.pretrained("efficientnet_lite0").requires_grad_(False)
    x = torch.cat([net.prepare(picture) for picture in pictures])
    rules = ("epsilon_plus", "epsilon_gamma_box", "epsilon_alpha2_beta1")
    methods = {rule: lambda net, x, c, rule=rule: lrp(net, x, c, rules=rule) for rule in rules}
    methods |= {
        "gradient²": sensitivity,
        "gradient × input": gradient_x_input,
        "epsilon": lambda net, x, c: lrp(net, x, c, rules=Epsilon(1e-6)),
    }

    def shares(net):
        classes = net(x).argmax(1)
        return {
            name: ev.relevance_mass(method(net, x, classes), boxes)
            for name, method in methods.items()
        }

    trained, larger = shares(net), {name: [] for name in methods}
    for seed in (10, 11):
        other, draw = copy.deepcopy(net), torch.Generator().manual_seed(seed)
        for weights in other.parameters():
            order = torch.randperm(weights.numel(), generator=draw)
            weights.data = weights.data.flatten()[order].view_as(weights)
        for name, share in shares(other).items():
            larger[name] += (trained[name] > share).tolist()
    for rule in rules:
        assert all(larger[rule]), rule
        assert trained[rule].mean() > boxes.double().mean() + 0.15, rule
    for name in ("gradient²", "gradient × input", "epsilon"):
        assert not all(larger[name]) and any(larger[name]), name
