"""What the page on photos concludes from one shuffle, on two that it does not show."""

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
    """The four photos whose object does not fill them, and its box in their middle square."""
    pictures = [photo for name, photo in data.photos().items() if name != "chelsea"]
    return [p.image for p in pictures], torch.stack([p.within() for p in pictures])


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
        for name, share in shares(ev.shuffled(net, seed)).items():
            larger[name] += (trained[name] > share).tolist()
    for rule in rules:
        each = torch.tensor(larger[rule]).view(2, 4)
        assert each[:, rule == "epsilon_gamma_box" :].all(), rule  # the first is the astronaut
        assert trained[rule].mean() > boxes.double().mean() + 0.15, rule
    for name in ("gradient²", "gradient × input", "epsilon"):
        assert not all(larger[name]) and any(larger[name]), name
