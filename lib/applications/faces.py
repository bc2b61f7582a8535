"""Drawn faces, old and young: what speaks for an age, and what against it, is known."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

#: What speaks for or against an age in `faces`, by number.
SIGNS = ("wrinkles", "laugh", "grey hair", "glasses")
# how often an old face has each sign; a young one has it in the other cases
_OLD = (0.8, 0.1, 0.8, 0.5)
_SKIN = np.array([[0.95, 0.80, 0.68], [0.80, 0.60, 0.45], [0.55, 0.38, 0.28]])


@dataclass(frozen=True, eq=False)
class Faces:
    """Drawn faces and all that is true of them.

    images: (N, 3, 32, 32) in [0, 1].
    labels: (N,), 1 old, 0 young.
    signs: (N, 4) bool, whether each of `SIGNS` is there.
    regions: (N, 4, 32, 32) bool, where each sign is, or would be.
    """

    images: Tensor
    labels: Tensor
    signs: Tensor
    regions: Tensor


def faces(n: int, seed: int, **given: bool) -> Faces:
    """Faces drawn from `seed` alone. Old ones mostly have wrinkles and grey hair and seldom laugh;
    glasses say nothing.

    given : laugh=True, say, makes all faces laugh, and changes nothing else (for "grey hair"
        grey_hair).
    Raises ValueError or TypeError by name.

    >>> faces(3, seed=0).images.shape
    torch.Size([3, 3, 32, 32])
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n: expected a whole number >= 1, got {n!r}")
    names = [name.replace(" ", "_") for name in SIGNS]
    if unknown := set(given) - set(names):
        raise TypeError(f"given: expected names from {names}, got {sorted(unknown)}")
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    signs = random.random((n, 4)) < np.where(labels[:, None] == 1, _OLD, 1 - np.array(_OLD))
    for name, there in given.items():
        signs[:, names.index(name)] = there
    centre = 16 + random.integers(-2, 3, (2, n, 1, 1))
    y, x = np.mgrid[0:32, 0:32][:, None] - centre  # (N, 32, 32) each, from the middle of the face
    regions = np.stack(
        [
            (abs(x) <= 6) & (y >= -8) & (y <= -5),
            (abs(x) <= 6) & (y >= 4) & (y <= 9),
            (x**2 / 81 + y**2 / 144 <= 1) & (y < -8),
            (abs(x) <= 8) & (y >= -4) & (y <= 1),
        ],
        1,
    )
    wrinkles, laugh, grey, glasses = signs.T[:, :, None, None]
    skin = _SKIN[random.integers(0, 3, n)] + random.normal(0, 0.03, (n, 3))
    hair = np.where(grey[:, :, 0], 0.72, 0.12) + random.uniform(-0.08, 0.12, (n, 1)) * np.ones(3)
    images = np.broadcast_to(random.uniform(0.3, 1, (n, 3))[..., None, None], (n, 3, 32, 32))
    bent = np.where(laugh, 8 - x**2 / 9, 6)
    dark = wrinkles & (abs(x) <= 5) & ((y == -7) | (y == -5))
    dark = dark | ((abs(x) <= np.where(laugh, 5, 4)) & (abs(y - bent) <= 0.75))
    dark = dark | ((abs(abs(x) - 4) <= 1) & (y >= -2) & (y <= -1))
    across, down = abs(abs(x) - 4), abs(y + 1.5)  # from the middle of either glass
    frame = (across <= 3) & (down <= 2.5) & ~((across < 3) & (down < 2.5))
    for place, colour in (
        (x**2 / 81 + y**2 / 144 <= 1, skin),
        (regions[:, 2], hair),
        (dark, 0.5 * skin - 0.1),
        (glasses & frame, np.zeros((n, 3))),
    ):
        images = np.where(place[:, None], colour[..., None, None], images)
    images = (images + random.normal(0, 0.03, images.shape)).clip(0, 1)
    return Faces(
        torch.tensor(images, dtype=torch.float32),
        torch.tensor(labels),
        torch.tensor(signs),
        torch.tensor(regions),
    )
