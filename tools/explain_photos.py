"""Explains the photographs by every method of the first three chapters, which takes half an hour,
and stores maps and flipping curves in lib/data/explained.safetensors, from where
`lib.data.explained_photos` reads them.

    python tools/explain_photos.py

The packages of the two networks must be installed: see lib.models.pretrained.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from lib import data, models
from lib import interpretability as it
from lib import sensitivity as se
from lib.evaluation import pixel_flipping
from lib.lrp import (
    AlphaBeta,
    Composite,
    Epsilon,
    Gamma,
    ZBox,
    ZPlus,
    deep_lift,
    excitation_backprop,
    lrp,
)
from lib.models import EfficientNetLite

PLACE = ROOT / "lib" / "data" / "explained.safetensors"
PHOTOS = [*"chelsea coffee camera astronaut rocket china flower grace_hopper".split()]
NETWORKS = {"EfficientNet-Lite0": "efficientnet_lite0", "EfficientNet-Lite2": "efficientnet_lite2"}
SIZE, CELLS = 224, 56
PATCH, STEPS = 16, 14
SEED = 0

Method = Callable[[EfficientNetLite, Tensor, Tensor], Tensor]


def regions(side: int = 5) -> Tensor:
    """The photograph in side x side squares."""
    cell = torch.arange(SIZE) * side // SIZE
    return cell[:, None] * side + cell


def coalitions(method: Callable[..., Tensor]) -> Method:
    """Players are squares; who is not there is a blur of the photograph."""

    def explain(model: EfficientNetLite, x: Tensor, target: Tensor) -> Tensor:
        soft = F.interpolate(F.adaptive_avg_pool2d(x, 4), SIZE, mode="bilinear")
        return method(model, x, target, regions=regions(), samples=300, baseline=soft)

    return explain


def edges(model: EfficientNetLite, x: Tensor, target: Tensor) -> Tensor:
    """How steep the picture is, (N, 1, H, W): a map that no network has made."""
    grey = F.pad(x.mean(1, keepdim=True), (1, 1, 1, 1), "replicate")
    down = (grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]) ** 2
    return (down + (grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]) ** 2).sqrt()


def noise(model: EfficientNetLite, x: Tensor, target: Tensor) -> Tensor:
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(SEED))


def composite(convolution: Epsilon | Gamma | AlphaBeta | ZPlus) -> Method:
    """LRP with epsilon at the dense layers and z^B at the pixels."""

    def explain(model: EfficientNetLite, x: Tensor, target: Tensor) -> Tensor:
        box = ZBox(model.prepare.low, model.prepare.high)
        return lrp(model, x, target, Composite(Epsilon(), convolution, box))

    return explain


METHODS: dict[str, Method] = {
    "occlusion": partial(it.occlusion, window=32, stride=16),
    "LIME": coalitions(it.lime),
    "Shapley values": coalitions(it.shapley),
    "gradient": se.gradient,
    "sensitivity": se.sensitivity,
    "gradient × input": se.gradient_x_input,
    "SmoothGrad": partial(se.smoothgrad, samples=25, sigma=0.2),
    "integrated gradients": partial(se.integrated_gradients, steps=25),
    "guided backprop": se.guided_backprop,
    "Grad-CAM": lambda model, *given: se.grad_cam(model, *given, layer=model.head.activation),
    "LRP, epsilon": composite(Epsilon(0.25)),
    "LRP, z+": composite(ZPlus()),
    "LRP, gamma": composite(Gamma(0.25)),
    "LRP, alpha2-beta1": composite(AlphaBeta(2, 1)),
    "excitation backprop": excitation_backprop,
    "DeepLIFT": deep_lift,
    "edges of the picture": edges,
    "random numbers": noise,
}


def one_by_one(method: Method, model: EfficientNetLite, x: Tensor, target: Tensor) -> Tensor:
    """The map of each photograph: (N, 1, SIZE, SIZE), summed over the colours."""
    found = [method(model, x[[i]], target[[i]]).sum(1, keepdim=True) for i in range(len(x))]
    large = [R if R.shape[-1] == SIZE else F.interpolate(R, SIZE, mode="bilinear") for R in found]
    return torch.cat(large).detach()


def prepared(model: EfficientNetLite, names: list[str]) -> Tensor:
    """The photographs as the network reads them, (N, 3, SIZE, SIZE)."""
    prepare = replace(model.prepare, size=SIZE)
    return torch.cat([prepare(photo.image) for photo in data.photos(names).values()])


def flipping(model: EfficientNetLite, x: Tensor, R: Tensor, target: Tensor) -> Tensor:
    """(N, 2, STEPS + 1), the scores while squares are blurred: the most and the least relevant
    first.
    """
    flip = partial(pixel_flipping, model, x, R.expand_as(x), target, PATCH, "blur", steps=STEPS)
    return torch.stack([flip(order=order).scores for order in ("morf", "lerf")], 1)


def main() -> None:
    maps, curves, scores, classes = [], [], [], []
    for title, name in NETWORKS.items():
        model = models.pretrained(name).requires_grad_(False)
        x = prepared(model, PHOTOS)
        score, target = model(x).max(1)
        scores.append(score)
        classes.append(target)
        for method in tqdm(METHODS.values(), desc=title):
            R = one_by_one(method, model, x, target)
            curves.append(flipping(model, x, R, target))
            coarse = F.avg_pool2d(R, SIZE // CELLS)[:, 0]
            top = coarse.abs().flatten(1).quantile(0.995, 1)[:, None, None]
            maps.append((127 * (coarse / top.clamp(min=1e-30)).clamp(-1, 1)).round().char())
    shape = len(NETWORKS), len(METHODS), len(PHOTOS)
    stored = {
        "maps": torch.stack(maps).view(*shape, CELLS, CELLS),
        "curves": torch.stack(curves).view(*shape, 2, STEPS + 1).half(),
        "scores": torch.stack(scores),
        "classes": torch.stack(classes),
    }
    known = models.imagenet_classes()
    names = {"networks": [*NETWORKS], "methods": [*METHODS], "photos": PHOTOS} | {
        "classes": {k: known[k] for k in torch.cat(classes).unique().tolist()}
    }
    save_file(stored, PLACE, {key: json.dumps(value) for key, value in names.items()})


if __name__ == "__main__":
    main()
