"""Real handwriting that comes with scikit-learn, generated scenes whose truth is known, and real
sets that are downloaded on request.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.path import Path as GlyphPath
from matplotlib.textpath import TextPath
from torch import Tensor

from .downloads import mnist_arrays


@dataclass(frozen=True, eq=False)
class Split:
    """Images (N, C, H, W) in [0, 1] and the numbers of their classes (N,), for training and for
    testing.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor


def digits() -> Split:
    """Real handwritten digits, 8 x 8 pixels (Alpaydin and Kaynak, 1998; the UCI test set, as
    scikit-learn ships it).

    1,797 images (N, 1, 8, 8), float32 in [0, 1]: each value is the number of black pixels (0 to 16)
    in a 4 x 4 block of a 32 x 32 bitmap, divided by 16. The split is fixed: every fifth image is
    for testing (360), the others for training.

    >>> digits().x_train.shape
    torch.Size([1437, 1, 8, 8])
    """
    from sklearn.datasets import load_digits  # only here: exercises need no scikit-learn

    bunch = load_digits()
    x = torch.tensor(bunch.images / 16, dtype=torch.float32)[:, None]
    y = torch.tensor(bunch.target)
    test = torch.arange(len(x)) % 5 == 0
    return Split(x[~test], y[~test], x[test], y[test])


def mnist() -> Split:
    """Real handwritten digits, 28 x 28 pixels (LeCun, Cortes and Burges): 60,000 images for
    training, 10,000 for testing.

    Images (N, 1, 28, 28), float32 in [0, 1]. They are looked for in the folder named by BOOK_DATA,
    else downloaded once (11 MB).
    Raises OSError that says what failed.

    >>> mnist().x_train.shape  # doctest: +SKIP
    torch.Size([60000, 1, 28, 28])
    """
    x_train, y_train, x_test, y_test = mnist_arrays()
    return Split(x_train[:, None] / 255, y_train.long(), x_test[:, None] / 255, y_test.long())


#: The four classes of `scenes`, by number.
SCENE_CLASSES = ("horse", "ship", "aeroplane", "car")
# silhouettes that stand for them
_GLYPHS = ("\N{BLACK CHESS KNIGHT}", "\N{ANCHOR}", "\N{AIRPLANE}", "\N{WHEEL OF DHARMA}")
_TAG_ROWS = (".#.....#.", "#..###..#", "#..#....#", "#..###..#", ".#.....#.")  # (c)
_TAG = np.array([[mark == "#" for mark in row] for row in _TAG_ROWS])
# meadow, sea, sky, road
_GROUND = np.array([[0.45, 0.62, 0.30], [0.25, 0.45, 0.65], [0.62, 0.76, 0.90], [0.55, 0.52, 0.50]])


@dataclass(frozen=True, eq=False)
class Scenes:
    """Generated pictures and all that is true of them.

    images: (N, 3, S, S) in [0, 1].
    labels: (N,) in 0..3, places in `SCENE_CLASSES`.
    backgrounds: (N,), the class that the background belongs to.
    object_masks, tag_masks: (N, S, S) bool.
    boxes: (N, 4), the object's left, top, right and bottom, the last two exclusive.
    """

    images: Tensor
    labels: Tensor
    backgrounds: Tensor
    object_masks: Tensor
    tag_masks: Tensor
    boxes: Tensor


def scenes(
    n: int,
    seed: int,
    size: int = 32,
    context: float = 0.8,
    tagged: tuple[float, ...] = (0, 0, 0, 0),
    corner: int | None = 2,
) -> Scenes:
    """Colour pictures of one object each, drawn from `seed` alone: the same everywhere.

    n: number of pictures.
    size: side S in pixels, at least 32.
    context: probability that the background belongs to the class of the object; otherwise any of
        the four is drawn.
    tagged: for each class, the probability of a "(c)" tag.
    corner: where the tag stands (0 top left, 1 top right, 2 bottom left, 3 bottom right, None:
        any).
    Raises ValueError if an argument is out of range.

    >>> world = scenes(5, seed=0)
    >>> world.images.shape, world.boxes.shape
    (torch.Size([5, 3, 32, 32]), torch.Size([5, 4]))
    """
    if n < 1 or size < 32:
        raise ValueError(f"n, size: expected n >= 1 and size >= 32, got {n} and {size}")
    if not 0 <= context <= 1 or len(tagged) != 4 or not all(0 <= p <= 1 for p in tagged):
        raise ValueError(
            f"context, tagged: expected probabilities, four of them in tagged, got {context} "
            f"and {tagged}"
        )
    if corner not in (0, 1, 2, 3, None):
        raise ValueError(f"corner: expected 0, 1, 2, 3 or None, got {corner}")
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, n)
    grounds = np.where(random.random(n) < context, labels, random.integers(0, 4, n))
    images = _grounds(grounds, size, random)
    side = random.integers(int(0.45 * size), int(0.6 * size) + 1, n)
    left, top = (np.floor(random.random(n) * (size - side + 1)).astype(int) for _ in range(2))
    objects = np.stack(
        [_silhouette(_GLYPHS[k], s, t, l, size) for k, s, t, l in zip(labels, side, top, left)]
    )
    # dark or bright, whatever the class
    shade = random.uniform(0.0, 0.25, (n, 3)) + random.integers(0, 2, (n, 1)) * 0.7
    images = np.where(objects[:, None], shade[:, :, None, None], images)
    has_tag = random.random(n) < np.array(tagged)[labels]
    corners = random.integers(0, 4, n) if corner is None else np.full(n, corner)
    tags = np.stack([_tag(c, size) & t for c, t in zip(corners, has_tag)])
    images = np.where(tags[:, None], 1.0, images) + random.normal(0, 0.03, images.shape)
    return Scenes(
        torch.tensor(images.clip(0, 1), dtype=torch.float32),
        torch.tensor(labels),
        torch.tensor(grounds),
        torch.tensor(objects & ~tags),
        torch.tensor(tags),
        _boxes(objects),
    )


def _grounds(grounds: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Backgrounds (N, 3, S, S): a colour and a texture of its own for each class."""
    n = len(grounds)
    rows, columns = np.mgrid[0:size, 0:size] / size
    phase = random.random((n, 1, 1)) * 2 * np.pi
    stripes = {0: 17 * columns + 9 * rows, 1: 30 * rows, 2: 5 * rows + 3 * columns, 3: 14 * columns}
    waves = np.sin(2 * np.pi * np.stack([stripes[k] / 3 for k in range(4)])[grounds] + phase)
    colours = _GROUND[grounds] + random.normal(0, 0.05, (n, 3))
    return colours[:, :, None, None] + 0.06 * waves[:, None]


def _silhouette(glyph: str, side: int, top: int, left: int, size: int) -> np.ndarray:
    """A glyph of matplotlib's own font as a mask (S, S): pixels whose centre lies inside its
    outline.
    """
    path = _outline(glyph)
    vertices = np.asarray(path.vertices) * [side, -side] + [left, top + side]
    centres = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), -1).reshape(-1, 2)
    return GlyphPath(vertices, path.codes).contains_points(centres).reshape(size, size)


def _tag(corner: int, size: int) -> np.ndarray:
    """The "(c)" in one corner as a mask (S, S)."""
    drawn = _TAG.repeat(size // 32, 0).repeat(size // 32, 1)
    mask = np.zeros((size, size), bool)
    below, right = corner >= 2, corner % 2
    top, left = (size - side - 1 if far else 1 for side, far in zip(drawn.shape, (below, right)))
    mask[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return mask


@cache
def _outline(glyph: str) -> GlyphPath:
    """The outline of a glyph, scaled to the unit square."""
    font = FontProperties(fname=findfont("DejaVu Sans"))
    path = TextPath((0, 0), glyph, size=100, prop=font)
    low, high = path.vertices.min(0), path.vertices.max(0)
    return GlyphPath((path.vertices - low) / (high - low).max(), path.codes)


def _boxes(masks: np.ndarray) -> Tensor:
    def ends(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return line.argmax(1), line.shape[1] - line[:, ::-1].argmax(1)

    (left, right), (top, bottom) = ends(masks.max(1)), ends(masks.max(2))
    return torch.tensor(np.stack([left, top, right, bottom], 1))


def play_tennis() -> list[dict[str, str]]:
    """Fourteen days and whether tennis was played (Quinlan, 1986, table 1; in this form in
    Mitchell, 1997, table 3.2).

    >>> play_tennis()[2]
    {'outlook': 'overcast', 'temperature': 'hot', 'humidity': 'high', 'wind': 'weak', 'play': 'yes'}
    """
    days = """
        sunny hot high weak no, sunny hot high strong no, overcast hot high weak yes,
        rainy mild high weak yes, rainy cool normal weak yes, rainy cool normal strong no,
        overcast cool normal strong yes, sunny mild high weak no, sunny cool normal weak yes,
        rainy mild normal weak yes, sunny mild normal strong yes, overcast mild high strong yes,
        overcast hot normal weak yes, rainy mild high strong no"""
    columns = ("outlook", "temperature", "humidity", "wind", "play")
    return [dict(zip(columns, day.split())) for day in days.split(",")]


def fisher_and_deep() -> dict[str, tuple[float, float]]:
    """Results in percent on 20 classes of photographs, (Fisher vectors, deep network): Lapuschkin
    et al., 2016, table 1.

    >>> fisher_and_deep()["horse"]
    (80.45, 81.6)
    """
    table = """
        aeroplane 79.08 88.08, bicycle 66.44 79.69, bird 45.90 80.77, boat 70.88 77.20,
        bottle 27.64 35.48, bus 69.67 72.71, car 80.96 86.30, cat 59.92 81.10, chair 51.92 51.04,
        cow 47.60 61.10, diningtable 58.06 64.62, dog 42.28 76.17, horse 80.45 81.60,
        motorbike 69.34 79.33, person 85.10 92.43, pottedplant 28.62 49.99, sheep 49.58 74.04,
        sofa 49.31 49.48, train 82.71 87.07, tvmonitor 54.33 67.08"""
    return {
        name: (float(fisher), float(deep))
        for name, fisher, deep in (row.split() for row in table.split(","))
    }


def methods() -> list[dict[str, str | int]]:
    """The map of explanation methods, those of the slides and two beyond: by (author), year, name,
    family, idea, where (page#section).

    >>> methods()[0]["by"], len(methods())
    ('Zurada', 25)
    """
    return json.loads((Path(__file__).parent / "methods.json").read_text())


def measured(name: str) -> dict[str, list[float]]:
    """What `tools/measure.py` measured once and stored beside this file.

    name: "headlines", "accountant", "coverage", "duels", "tricks", "portraits", "larger", "both",
        "sharpness", "families", "languages", "scaling", "two_readers",
        "tagged_photos", "slowness" or "entangled".
    Raises KeyError for another name.

    >>> measured("scaling")["depth"][0]
    2
    """
    return json.loads((Path(__file__).parent / "measured.json").read_text())[name]


_WORDS = {
    "noun 0": "plot actor film scene music ending",
    "noun 1": "soup waiter meal bread table wine",
    "verb": "is was seemed",
    "very": "very quite really",
    "good": "good great lovely clever warm brilliant",
    "bad": "bad dull awful boring poor tasteless",
    "neutral": "long new small loud old short",
    "not": "not never",
    "other": "the and but",
}
#: The words of `reviews`, by number; the first, the empty word, pads.
VOCABULARY = ("", *sorted({word for words in _WORDS.values() for word in words.split()}))


@dataclass(frozen=True, eq=False)
class Reviews:
    """Generated reviews and all that is true of them.

    words: (N, T), numbers of words in `VOCABULARY`, padded with 0 on the left.
    labels: (N,), 1 if the review is positive, else 0.
    topics: (N,), 0 film, 1 food.
    evidence: (N, T), +1 or -1 for a word of praise or blame, turned round if it is negated, else 0.
    negations: (N, T) bool, the negating words.
    """

    words: Tensor
    labels: Tensor
    topics: Tensor
    evidence: Tensor
    negations: Tensor

    def text(self, index: int) -> list[str]:
        """The words of one review, without padding."""
        return [VOCABULARY[word] for word in self.words[index] if word]


def reviews(n: int, seed: int, negated: float = 0.3) -> Reviews:
    """Short reviews from a small grammar, drawn from `seed` alone: one to three clauses such as
    "the soup was not very good".

    n: number of reviews.
    negated: probability that a clause is negated.

    The label is the sign of the sum of the evidence, which is never 0.
    Raises ValueError if an argument is out of range.

    >>> " ".join(reviews(1, seed=3).text(0))
    'the wine was very lovely'
    """
    if n < 1 or not 0 <= negated <= 1:
        raise ValueError(f"n, negated: expected n >= 1 and a probability, got {n} and {negated}")
    random, number = np.random.default_rng(seed), {word: k for k, word in enumerate(VOCABULARY)}
    rows: list[tuple[int, list[tuple[str, int, int]]]] = []
    while len(rows) < n:
        topic = int(random.integers(2))
        row: list[tuple[str, int, int]] = []
        for clause in range(random.integers(1, 4)):
            row += _clause(random, topic, negated, clause > 0)
        if sum(sign for _, sign, _ in row):
            rows.append((topic, row))
    words, evidence, negations = (torch.zeros(n, 24, dtype=torch.long) for _ in range(3))
    for k, (_, row) in enumerate(rows):
        words[k, -len(row) :] = torch.tensor([number[word] for word, _, _ in row])
        evidence[k, -len(row) :] = torch.tensor([sign for _, sign, _ in row])
        negations[k, -len(row) :] = torch.tensor([negates for _, _, negates in row])
    return Reviews(
        words,
        (evidence.sum(1) > 0).long(),
        torch.tensor([topic for topic, _ in rows]),
        evidence,
        negations.bool(),
    )


def _clause(
    random: np.random.Generator, topic: int, negated: float, joined: bool
) -> list[tuple[str, int, int]]:
    """One clause as (word, evidence, whether it negates)."""

    def pick(kind: str) -> str:
        return str(random.choice(_WORDS[kind].split()))

    kind = str(random.choice(["good", "bad", "neutral"], p=[0.4, 0.4, 0.2]))
    turned = random.random() < negated
    sign = {"good": 1, "bad": -1, "neutral": 0}[kind] * (-1 if turned else 1)
    words = [(str(random.choice(["and", "but"])), 0, 0)] if joined else []
    words += [("the", 0, 0), (pick(f"noun {topic}"), 0, 0), (pick("verb"), 0, 0)]
    words += [(pick("not"), 0, 1)] if turned else []
    words += [(pick("very"), 0, 0)] if random.random() < 0.4 else []
    return [*words, (pick(kind), sign, 0)]
