"""Maps of photographs that take too long for a page."""

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

PLACE = Path(__file__).parent / "explained.safetensors"


@dataclass(frozen=True, eq=False)
class ExplainedPhotos:
    """The photographs of `photos`, their middle square at 224 x 224 pixels, explained for the first
    class of two published networks.

    networks, methods, photos: names, K, M and P of them; the last two methods know no network.
    classes: (K, P), the explained class of ImageNet; words: its name.
    scores: (K, P), in logits.
    maps: (K, M, P, 56, 56), in [-1, 1]: sums over squares of 4 x 4 pixels, divided by the 99.5th
        percentile of their absolute values.
    curves: (K, M, P, 2, 15), the score in logits while squares of 16 x 16 pixels are blurred in 14
        equal steps, the most relevant first and the least relevant first.
    """

    networks: list[str]
    methods: list[str]
    photos: list[str]
    words: dict[int, str]
    classes: Tensor
    scores: Tensor
    maps: Tensor
    curves: Tensor


def explained_photos() -> ExplainedPhotos:
    """What `tools/explain_photos.py` computed once and stored beside this file.

    >>> found = explained_photos()
    >>> found.maps.shape
    torch.Size([2, 18, 8, 56, 56])
    """
    from safetensors import safe_open  # an exercise starts without it

    with safe_open(PLACE, "pt") as file:
        names = {key: json.loads(value) for key, value in file.metadata().items()}
        tensors = {key: file.get_tensor(key) for key in ("classes", "scores", "maps", "curves")}
    names["words"] = {int(k): name for k, name in names.pop("classes").items()}
    tensors["maps"], tensors["curves"] = tensors["maps"] / 127, tensors["curves"].float()
    return ExplainedPhotos(**names, **tensors)
