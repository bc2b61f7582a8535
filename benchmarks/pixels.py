"""How well the maps of the methods rank the pixels of photographs, by pixel flipping."""

from collections.abc import Callable
from dataclasses import replace

import torch
from networks import PHOTOS
from paired import RULE, ahead, columns, error
from timing import table
from torch import Tensor
from tqdm import tqdm

from lib import data, models
from lib.evaluation import pixel_flipping
from lib.lrp import Composite, Epsilon, Gamma, ZBox, deep_lift, lrp
from lib.models import EfficientNetLite
from lib.sensitivity import grad_cam, gradient_x_input, integrated_gradients, smoothgrad

PATCH, STEPS = 16, 14
# the networks, and the side of the pictures
READ = (("efficientnet_lite0", 224), ("efficientnet_lite2", 224), ("efficientnet_lite2", 260))
BOX = "epsilon_gamma_box, given bounds"
TARGETS = {("efficientnet_lite0", 224): 3.5, ("efficientnet_lite2", 224): 6.1}
TOLD = f"""\
Published networks on seven photographs ({", ".join(PHOTOS)}).
The explained class is the network's first one on the whole photograph. Squares of {PATCH} pixels
are replaced by what a wide Gaussian blur leaves there, in {STEPS} equal steps, once the most and
once the least relevant first. The score is the area between the two curves, their mean difference
in logits: mean over the photographs ± its standard error; higher is better, and a random order is
about 0. Given bounds: `ZBox(network.prepare.low, network.prepare.high)` at the pixels; the plain
name takes the range of each photograph. EfficientNet-Lite2 was trained with 260 pixels."""


def methods(model: EfficientNetLite, x: Tensor, target: Tensor) -> dict[str, Callable[[], Tensor]]:
    box = ZBox(model.prepare.low, model.prepare.high)
    bounded = Composite(dense=Epsilon(), convolution=Gamma(0.25), first=box)
    last = model.head.activation
    return {
        "epsilon_plus": lambda: lrp(model, x, target, "epsilon_plus"),
        BOX: lambda: lrp(model, x, target, bounded),
        "epsilon_gamma_box": lambda: lrp(model, x, target, "epsilon_gamma_box"),
        "gradient x input": lambda: gradient_x_input(model, x, target),
        "integrated gradients": lambda: integrated_gradients(model, x, target, steps=20),
        "smoothgrad": lambda: smoothgrad(model, x, target, samples=20),
        "deep_lift": lambda: deep_lift(model, x, target),
        "grad_cam": lambda: grad_cam(model, x, target, last),
    }


def area(model: EfficientNetLite, x: Tensor, target: Tensor, relevance: Tensor) -> Tensor:
    """Between the two curves, of each photograph; they meet at both ends."""
    least, most = (
        pixel_flipping(model, x, relevance, target, PATCH, "blur", order, STEPS).scores
        for order in ("lerf", "morf")
    )
    return (least - most).sum(1) / STEPS


def areas(name: str, size: int) -> dict[str, Tensor]:
    """The area of each method on each photograph."""
    model = models.pretrained(name).requires_grad_(False)
    prepare = replace(model.prepare, size=size)
    x = torch.cat([prepare(photo.image) for photo in data.photos(PHOTOS).values()])
    target = model(x).argmax(1)
    found = {
        method: area(model, x, target, explain())
        for method, explain in tqdm(methods(model, x, target).items(), desc=f"{name}, {size}")
    }
    # of both signs: the narrow squares at the edge, whose sums are small, come in the middle
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return found | {"random": area(model, x, target, noise)}


def held(case: tuple[str, int], found: dict[str, Tensor]) -> str:
    name, size = case
    mean, spread = found[BOX].mean().item(), error(found[BOX])
    wanted = TARGETS.get(case)
    verdict = "" if wanted is None else f", {'at least' if mean >= wanted else 'below'} {wanted}"
    leads = "epsilon_plus" in ahead(BOX, found)
    said = "more" if leads else "no more"
    return (
        f"{name}, {size} pixels: sign-aware gamma with given bounds {mean:.2f} ± {spread:.2f}"
        f"{verdict}; it leads epsilon_plus by {said} than twice the standard error."
    )


def section() -> list[str]:
    torch.set_num_threads(2)  # nothing is timed
    lines = [TOLD, "", RULE]
    for case in READ:
        found = areas(*case)
        head = ["method", f"{case[0]}, {case[1]} pixels", "ahead of"]
        lines += [*table(head, list(columns(found))), held(case, found)]
    torch.set_num_threads(1)
    return lines
