"""Small generated worlds of other data than photographs, each with its truth: sounds, steps,
molecules, questions about a picture.

Each generator draws n samples from `seed` alone and returns a `World`. The networks that read them
are in `lib.models`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

SHAPES, COLOURS = ("square", "cross", "ring"), ("orange", "blue", "white")
#: The kinds of atoms of `molecules`, by number.
ATOMS = "CNOF"
#: The joints of `gait`, by number.
JOINTS = ("left knee", "right knee", "left ankle", "right ankle")
WORDS = ("what", "which", "colour", "shape", "has", "is", "the", "thing", *SHAPES, *COLOURS)
_PALETTE = np.array([[0.90, 0.55, 0.10], [0.20, 0.45, 0.85], [0.95, 0.95, 0.95]])
_DRAWN = (  # the three shapes
    "##### ##### ##### ##### #####",
    "#...# .#.#. ..#.. .#.#. #...#",
    ".###. #...# #...# #...# .###.",
)
_STAMPS = np.array([[[mark == "#" for mark in row] for row in drawn.split()] for drawn in _DRAWN])
PIXELS = 3 * 16 * 16  # of a question's picture; the words follow, five of them


@dataclass(frozen=True, eq=False)
class World:
    """Generated samples and the places that make their label.

    x: (N, ...), what a network reads.
    labels: (N,).
    truth: (N, ...) bool, the places that make the label.
    classes: what the classes are called.
    """

    x: Tensor
    labels: Tensor
    truth: Tensor
    classes: tuple[str, ...]


def tones(n: int, seed: int, length: int = 256) -> World:
    """Sounds x (N, 1, T): somewhere a tone of 80 samples that rises, falls or stays, and somewhere
    else a louder click.

    The pitch lies between 0.05 and 0.2 periods a sample. truth (N, 1, T): where the tone is.
    Raises ValueError if n is not a whole number >= 1.

    >>> tones(2, seed=0).x.shape
    torch.Size([2, 1, 256])
    """
    random = _random(n, seed)
    labels, t = random.integers(0, 3, n), np.arange(length)
    begin = random.integers(0, length - 80, n)[:, None]
    inside = (t >= begin) & (t < begin + 80)
    part = (t - begin) / 80
    low, high, middle = 0.05, 0.2, random.uniform(0.05, 0.2, (n, 1))
    slope = np.array([high - low, low - high, 0])[labels][:, None]
    pitch = np.where(slope == 0, middle, np.where(slope > 0, low, high))
    tone = np.sin(2 * np.pi * (80 * (pitch * part + slope * part**2 / 2) + random.random((n, 1))))
    at = random.integers(0, length - 10, n)[:, None]
    click = ((t >= at) & (t < at + 10)) * random.normal(0, 1.2, (n, length))
    swell = np.sin(np.pi * part.clip(0, 1)) ** 0.5
    x = inside * tone * swell + click + random.normal(0, 0.15, (n, length))
    return World(
        _float(x[:, None]),
        torch.tensor(labels),
        torch.tensor(inside[:, None]),
        ("rising", "falling", "steady"),
    )


def gait(n: int, seed: int, length: int = 96) -> World:
    """Angles of four joints while somebody walks, x (N, 4, T): which of four persons is it?

    All walk alike, at a speed and from a phase of their own each time, but for a small bend: A and
    B bend the left knee early or late in each step, C and D the right ankle. truth (N, 4, T): where
    that bend is.
    Raises ValueError if n is not a whole number >= 1.

    >>> gait(2, seed=0).truth.shape
    torch.Size([2, 4, 96])
    """
    random = _random(n, seed)
    labels, t = random.integers(0, 4, n), np.arange(length)
    steps = (t / random.uniform(26, 34, (n, 1)) + random.random((n, 1)))[:, None]
    phase = steps + np.array([0, 0.5, 0, 0.5])[:, None]
    size = random.uniform(0.8, 1.2, (n, 4, 1))
    second = np.sin(4 * np.pi * phase + np.array([0, 0, 1, 1])[:, None])
    walk = size * (np.sin(2 * np.pi * phase) + 0.4 * second)
    joint, when = np.array([0, 0, 3, 3])[labels], np.array([0.25, 0.65, 0.25, 0.65])[labels]
    distance = np.abs((phase - when[:, None, None] + 0.5) % 1 - 0.5)
    own = np.arange(4)[:, None] == joint[:, None, None]
    bend = own * np.exp(-((distance / 0.06) ** 2))
    x = walk + 0.7 * bend + random.normal(0, 0.1, walk.shape)
    return World(
        _float(x), torch.tensor(labels), torch.tensor(own & (distance < 0.12)), ("A", "B", "C", "D")
    )


def molecules(n: int, seed: int, atoms: int = 10) -> World:
    """Graphs x (N, A, 4 + A): for each atom its kind (C, N, O or F) as four numbers, then its
    bonds, 1 to each neighbour.

    The question is whether a nitrogen is bonded to an oxygen; every molecule has at least one of
    each. truth (N, A): the atoms of such bonds, none where the answer is no.

    Raises ValueError if n is not a whole number >= 1.

    >>> molecules(2, seed=0).x.shape
    torch.Size([2, 10, 14])
    """
    random = _random(n, seed)
    x, truth, labels = np.zeros((n, atoms, 4 + atoms)), np.zeros((n, atoms), bool), np.arange(n) % 2
    for k in range(n):
        while True:
            bonds = np.zeros((atoms, atoms), bool)
            for i in range(1, atoms):
                free = np.flatnonzero(bonds[:i].sum(1) < 3)
                bonds[i, random.choice(free)] = True
                bonds |= bonds.T
            kind = random.choice(4, atoms, p=[0.5, 0.2, 0.2, 0.1])
            nitrogen, oxygen = kind == 1, kind == 2
            pairs = (nitrogen[:, None] & oxygen) | (oxygen[:, None] & nitrogen)
            joined = bonds & pairs
            if nitrogen.any() and oxygen.any() and joined.any() == labels[k]:
                break
        x[k], truth[k] = np.concatenate([np.eye(4)[kind], bonds], 1), joined.any(1)
    return World(
        _float(x), torch.tensor(labels), torch.tensor(truth), ("no N-O bond", "an N-O bond")
    )


def questions(n: int, seed: int) -> World:
    """A picture of three things and a question of five words about one of them, in one row x (N,
    768 + 5 * 14).

    "what colour has the ring" or "which shape is the blue"; the answer is one of three colours or
    three shapes. First come the 3 x 16 x 16 values of the picture, then each word as 14 numbers, 1
    at its place in `WORDS`. truth (N, 256 + 5): the pixels of the thing that is asked about, and
    the words that say what is asked.

    Raises ValueError if n is not a whole number >= 1.

    >>> world = questions(2, seed=0)
    >>> world.x.shape, world.truth.shape
    (torch.Size([2, 838]), torch.Size([2, 261]))
    """
    random = _random(n, seed)
    x = np.zeros((n, PIXELS + 5 * len(WORDS)))
    truth, labels = np.zeros((n, 256 + 5), bool), np.zeros(n, int)
    for k in range(n):
        shapes, colours = random.permutation(3), random.permutation(3)
        corners = random.permutation(4)[:3]
        picture = 0.15 + random.normal(0, 0.03, (3, 16, 16))
        asked, by_shape = random.integers(3), random.random() < 0.5
        for j, (shape, colour, corner) in enumerate(zip(shapes, colours, corners)):
            top = 8 * (corner // 2) + random.integers(0, 4)
            left = 8 * (corner % 2) + random.integers(0, 4)
            stamp = np.zeros((16, 16), bool)
            stamp[top : top + 5, left : left + 5] = _STAMPS[shape]
            picture = np.where(stamp, _PALETTE[colour][:, None, None], picture)
            if j == asked:
                truth[k, :256], labels[k] = stamp.flatten(), colour if by_shape else 3 + shape
        named = SHAPES[shapes[asked]] if by_shape else COLOURS[colours[asked]]
        question = "what colour has the" if by_shape else "which shape is the"
        numbers = [WORDS.index(word) for word in [*question.split(), named]]
        x[k, :PIXELS] = picture.clip(0, 1).flatten()
        x[k, PIXELS:] = np.eye(len(WORDS))[numbers].flatten()
        truth[k, 256:] = [False, True, False, False, True]
    return World(_float(x), torch.tensor(labels), torch.tensor(truth), (*COLOURS, *SHAPES))


#: The generators of this file by name: a number of samples and a seed to a `World`.
WORLDS: dict[str, Callable[..., World]] = {
    "tones": tones,
    "gait": gait,
    "molecules": molecules,
    "questions": questions,
}


def of_places(name: str, relevance: Tensor) -> Tensor:
    """Relevance like x of a world (or of "scenes"), summed to its places: like truth. The numbers
    of one atom, pixel or word go together.

    name: a key of `WORLDS`, or "scenes".

    >>> of_places("scenes", torch.ones(2, 3, 32, 32)).shape
    torch.Size([2, 32, 32])
    """
    if name == "scenes":
        return relevance.sum(1)
    if name == "molecules":
        return relevance.sum(-1)
    if name == "questions":
        picture = relevance[:, :PIXELS].unflatten(1, (3, 256)).sum(1)
        words = relevance[:, PIXELS:].unflatten(1, (5, -1)).sum(-1)
        return torch.cat([picture, words], 1)
    return relevance


def question_of(x: Tensor) -> tuple[Tensor, list[str]]:
    """The picture (3, 16, 16) and the five words of one row of `questions`.

    >>> picture, words = question_of(questions(1, seed=0).x[0])
    >>> picture.shape, words[0] in ("what", "which")
    (torch.Size([3, 16, 16]), True)
    """
    return x[:PIXELS].view(3, 16, 16), [WORDS[k] for k in x[PIXELS:].view(5, -1).argmax(1).tolist()]


@torch.no_grad()
def answered(model: nn.Module, world: World) -> tuple[Tensor, Tensor]:
    """x and truth of the samples that the model answers rightly and that have a truth.

    >>> from lib.models import pretrained
    >>> x, truth = answered(pretrained("tones"), tones(8, seed=0))
    >>> len(x) == len(truth) <= 8
    True
    """
    keep = (model(world.x).argmax(1) == world.labels) & world.truth.flatten(1).any(1)
    return world.x[keep], world.truth[keep]


def atom_places(bonds: Tensor, steps: int = 300) -> np.ndarray:
    """Where to draw the atoms of one molecule (A, 2): bonded ones at distance 1, others no nearer
    than their number of bonds allows.

    bonds: (A, A), more than 0 where two atoms are bonded.
    steps: of the springs between the atoms, which find the places.

    >>> atom_places(torch.tensor([[0, 1], [1, 0]])).shape
    (2, 2)
    """
    far = np.where(np.asarray(bonds) > 0, 1.0, np.inf)
    np.fill_diagonal(far, 0)
    for k in range(len(far)):  # shortest ways (Floyd and Warshall)
        far = np.minimum(far, far[:, k : k + 1] + far[k])
    angle = 2 * np.pi * np.arange(len(far)) / len(far)
    places = 2 * np.stack([np.cos(angle), np.sin(angle)], 1)
    for _ in range(steps):  # each atom follows springs to all others, as stiff as they are near
        gap = places[:, None] - places
        length = np.linalg.norm(gap, axis=2) + np.eye(len(far))
        stretch = (length - far - np.eye(len(far)))[..., None]
        pull = stretch * gap / length[..., None] / np.maximum(far, 1)[..., None] ** 2
        places = places - 0.1 * pull.sum(1)
    return places - places.mean(0)


def _random(n: int, seed: int) -> np.random.Generator:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n: expected a whole number >= 1, got {n!r}")
    return np.random.default_rng(seed)


def _float(values: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
