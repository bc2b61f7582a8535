"""Drawn faces that grow old: pictures to translate without pairs, whose true pairs can be drawn."""

from itertools import product

import torch
from torch import Tensor, nn

from .. import applications, models
from .translation import CycleGAN, Shift, Star

#: All combinations of the four `applications.SIGNS`, (16, 4) bool.
COMBINATIONS = torch.tensor(list(product((False, True), repeat=4)))
#: What the translators of `face_translators` pay beside fooling the critics.
FACE_LOSSES = {
    "cycle and identity": {"lam": 10.0, "identity": 5.0},
    "without identity": {"lam": 10.0, "identity": 0.0},
    "without cycle": {"lam": 0.0, "identity": 5.0},
    "critics alone": {"lam": 0.0, "identity": 0.0},
}


def same_faces(n: int, seed: int) -> Tensor:
    """Each of n faces with each of the `COMBINATIONS` of signs, all else alike: (16, n, 3, 32, 32).

    >>> same_faces(2, seed=0).shape
    torch.Size([16, 2, 3, 32, 32])
    """
    names = [name.replace(" ", "_") for name in applications.SIGNS]
    given = [dict(zip(names, signs)) for signs in COMBINATIONS.tolist()]
    return torch.stack([applications.faces(n, seed, **signs).images for signs in given])


def signs_of(pictures: Tensor, drawn: Tensor) -> Tensor:
    """Which signs pictures show: those of the nearest drawing of the same face, (N, 4) bool.

    pictures: (N, 3, 32, 32).
    drawn: (16, N, 3, 32, 32), as of `same_faces`. Nearest by the mean absolute difference.

    >>> drawn = same_faces(2, seed=0)
    >>> signs_of(drawn[5], drawn)[0]
    tensor([False,  True, False,  True])
    """
    return COMBINATIONS[(pictures - drawn).abs().flatten(2).mean(2).argmin(0)]


def picture_translator(domains: int = 0, width: int = 16, seed: int = 0) -> nn.Sequential:
    """Pictures (N, 3 + domains, H, W) to (N, 3, H, W), for even H and W; what it sees of a picture
    at each place is 14 pixels wide.

    >>> picture_translator()(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 3, 32, 32])
    """
    with models.seeded(seed):
        return nn.Sequential(
            nn.Conv2d(3 + domains, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, 3, 4, stride=2, padding=1),
        )


def picture_critic(
    outputs: int = 1, channels: int = 3, side: int = 32, width: int = 16, seed: int = 0
) -> nn.Sequential:
    """Pictures (N, channels, side, side) to (N, outputs).

    >>> picture_critic()(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 1])
    """
    with models.seeded(seed):
        return nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * width * (side // 8) ** 2, outputs),
        )


def face_game(shift: bool = True, seed: int = 0) -> CycleGAN:
    """A CycleGAN for faces, A the young and B the old ones.

    shift: the translators add to their input.

    >>> face_game().to_b(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 3, 32, 32])
    """
    nets = [picture_translator(seed=4 * seed + k) for k in (0, 1)]
    critics = [picture_critic(seed=4 * seed + k) for k in (2, 3)]
    return CycleGAN(*(map(Shift, nets) if shift else nets), *critics)


def star_game(seed: int = 0) -> tuple[Shift, Star]:
    """One translator and one critic for four domains: young or old, without or with glasses.

    >>> star_game()[0](torch.zeros(2, 3, 32, 32), torch.eye(4)[:2]).shape
    torch.Size([2, 3, 32, 32])
    """
    return Shift(picture_translator(4, seed=2 * seed)), Star(picture_critic(5, seed=2 * seed + 1))


def star_faces(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """2 n faces for `star_game`, half of them young: pictures (2 n, 3, 32, 32) and domains (2 n,).

    Domains: 0 young, 1 young with glasses, 2 old, 3 old with glasses.

    >>> star_faces(3, seed=0)[1].shape
    torch.Size([6])
    """
    ages = [
        applications.faces(n, 2 * seed + old, wrinkles=bool(old), grey_hair=bool(old))
        for old in (0, 1)
    ]
    domain = torch.cat([2 * old + faces.signs[:, 3] for old, faces in enumerate(ages)])
    return torch.cat([faces.images for faces in ages]), domain


class FaceTranslators(nn.ModuleDict):
    """From young to old, one translator for each of `FACE_LOSSES`, and "star", that of `star_game`.

    >>> list(FaceTranslators())[-1]
    'star'
    """

    def __init__(self) -> None:
        super().__init__({name: face_game().to_b for name in FACE_LOSSES})
        self["star"] = star_game()[0]


def face_translators() -> FaceTranslators:
    """`FaceTranslators` with the committed weights; lib/weights/faces_gan.md says what they score.

    >>> face_translators()["without cycle"](torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 3, 32, 32])
    """
    return models.with_weights(FaceTranslators(), "faces_gan")
