"""Networks of real size, each with one input of 224 pixels and the bounds of its pixels."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from engine.published import Architecture, bring, of_timm
from torch import Tensor, nn

from lib import data, models

PHOTOS = "astronaut camera chelsea coffee rocket china flower".split()


@dataclass(frozen=True, eq=False)
class Network:
    """A network, its parameters frozen. low, high: what black and white are in x; before: what
    stands between x and the first convolution.
    """

    model: nn.Module
    x: Tensor
    low: Tensor
    high: Tensor
    before: nn.Module = field(default_factory=nn.Identity)


def of_photo(name: str) -> Network:
    model = models.pretrained(name).requires_grad_(False)
    x = model.prepare(data.photos(["grace_hopper"])["grace_hopper"].image)
    return Network(model, x, model.prepare.low, model.prepare.high, model.stem.padding)


def of_noise(model: nn.Module, x: Tensor) -> Network:
    return Network(model.eval().requires_grad_(False), x, torch.zeros(3, 1, 1), torch.ones(3, 1, 1))


def by_timm(name: str) -> Network:
    """Random weights, the same in each run; batch normalisations calibrated on noise."""
    return of_noise(*bring(Architecture("timm", name, partial(of_timm, name)), 1))


def vgg() -> Network:
    generator = torch.Generator().manual_seed(0)
    return of_noise(models.vgg16(), torch.rand(1, 3, 224, 224, generator=generator))


NETWORKS: dict[str, Callable[[], Network]] = {
    "ResNet-50": partial(by_timm, "resnet50"),
    "EfficientNet-Lite0": partial(of_photo, "efficientnet_lite0"),
    "DeiT-tiny": partial(by_timm, "deit_tiny_patch16_224"),
    "VGG16 shape": vgg,
}
