"""One look for the whole book: heatmaps, images, curves, tables. Only pictures here, no methods."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from .live.tables import Cell, Table
from .palette import BLUE, INK, LINE, MUTED, ORANGE, RED, SERIES, rgb

__all__ = [
    "RELEVANCE",
    "table",
    "scale_of",
    "heatmap",
    "image",
    "strip",
    "words",
    "boxed",
    "Bins",
    "reliability",
    "axes",
]

_FRAME = rgb(ORANGE)
#: The colour map of relevance: blue, white at zero, red.
RELEVANCE = LinearSegmentedColormap.from_list("relevance", [BLUE, "white", RED])

# notebooks show pictures with two pixels for each of the page
if (shell := sys.modules.get("IPython")) is not None and shell.get_ipython() is not None:
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("retina")
plt.rcParams.update(
    {
        "figure.dpi": 110,
        "savefig.dpi": 110,
        "figure.facecolor": "white",
        "axes.facecolor": "white",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "legend.frameon": False,
        "axes.prop_cycle": plt.cycler(color=SERIES),
        "figure.constrained_layout.use": True,
    }
)


def table(
    rows: Mapping[str, Sequence[Cell]],
    columns: Sequence[str],
    *,
    title: str = "",
    corner: str = "",
    digits: int | Mapping[str, int] = 2,
    best: Mapping[str, Callable] | None = None,
    shade: Sequence[str] = (),
) -> Table:
    """Results as a table, which a page shows as such and a terminal as text.

    rows: a name and a cell for each column: a number, (mean, plus or minus), words, or None.
    columns: their names, with their units.
    title, corner: above the table, and above the names of the rows.
    digits: decimals, of all columns or of each by its name; whole numbers (int) have none.
    best: column -> max or min; the best cell is bold, and starred in text.
    shade: columns whose cells are tinted from their smallest number to their largest.
    Raises ValueError for a row of another length, or a column that does not exist.

    >>> scores = {"gradient": [0.81, (1.2, 0.1)], "LRP": [0.93, (0.4, 0.1)]}
    >>> table(scores, ["share inside", "roughness"], best={"share inside": max, "roughness": min})
              share inside    roughness
    gradient          0.81  1.20 ± 0.10
    LRP              0.93*  0.40 ± 0.10*
    """
    return Table(rows, columns, title=title, corner=corner, digits=digits, best=best, shade=shade)


def scale_of(*relevances: ArrayLike) -> float:
    """The largest absolute relevance of all: give it to maps that are compared. 1 if all are zero.

    >>> scale_of([[1.0, -3.0]], [[2.0]])
    3.0
    """
    return max(float(np.abs(_plain(r)).max()) for r in relevances) or 1.0


def heatmap(relevance: ArrayLike, scale: float | None = None) -> np.ndarray:
    """Relevance (H, W) or (C, H, W), channels summed, as colours (H, W, 3) uint8: red speaks for,
    blue against, white is 0.

    scale: the relevance of full red; the largest absolute value if None. The colours are symmetric
        about zero.
    Raises ValueError if a value is not finite, or for another shape.

    >>> heatmap([[1.0, 0.0]])
    array([[[178,  24,  43],
            [255, 255, 255]]], dtype=uint8)
    """
    r = _plain(relevance)
    if not np.isfinite(r).all():
        raise ValueError("relevance: expected finite values, got NaN or infinity")
    r = r.sum(0) if r.ndim == 3 else r
    if r.ndim != 2:
        raise ValueError(f"relevance: expected (H, W) or (C, H, W), got shape {r.shape}")
    v = np.clip(r / (scale or scale_of(r)), -1, 1)[..., None]
    red, blue = np.array(rgb(RED)), np.array(rgb(BLUE))
    colours = 255 + np.clip(v, 0, 1) * (red - 255) + np.clip(-v, 0, 1) * (blue - 255)
    return colours.round().astype(np.uint8)


def image(x: ArrayLike) -> np.ndarray:
    """An image (H, W), (1, H, W) or (3, H, W) in [0, 1] as colours (H, W, 3) uint8; one channel is
    drawn as ink on paper.

    Raises ValueError for another shape.

    >>> image([[0.0, 1.0]]).tolist()
    [[[255, 255, 255], [0, 0, 0]]]
    """
    v = np.clip(_plain(x), 0, 1)
    v = v[0] if v.ndim == 3 and len(v) == 1 else v
    if v.ndim != 2 and (v.ndim != 3 or len(v) != 3):
        raise ValueError(f"x: expected (H, W), (1, H, W) or (3, H, W), got shape {v.shape}")
    v = np.repeat(1 - v[..., None], 3, -1) if v.ndim == 2 else v.transpose(1, 2, 0)
    return (255 * v).round().astype(np.uint8)


def strip(
    pictures: Sequence[np.ndarray], titles: Sequence[str], rows: int = 1, size: float = 1.5
) -> Figure:
    """Pictures (H, W, 3) side by side, in `rows` rows, each with its title; `size` inches each.

    >>> figure = strip([image([[0.0]]), heatmap([[1.0]])], ["picture", "relevance"])
    >>> [ax.get_title() for ax in figure.axes]
    ['picture', 'relevance']
    >>> plt.close(figure)
    """
    columns = -(-len(pictures) // rows)
    figure, axes = plt.subplots(
        rows, columns, figsize=(size * columns, (size + 0.3) * rows), squeeze=False
    )
    for ax in axes.flat:
        ax.axis("off")
    for ax, picture, title in zip(axes.flat, pictures, titles):
        ax.imshow(picture, interpolation="nearest")
        ax.set_title(title)
    return figure


def words(
    text: Sequence[str], relevance: ArrayLike, scale: float | None = None, width: float = 4.6
) -> Figure:
    """Words on the colours of their relevance (T,), wrapped to `width` inches, each with its number
    below.

    scale: as for `heatmap`.
    Raises ValueError if a relevance is not finite.

    >>> figure = words(["not", "good"], [-1.0, 0.5])
    >>> plt.close(figure)
    """
    r = _plain(relevance)
    colours = heatmap(r[None], scale)[0] / 255
    places, x, row, room = [], 0.0, 0, width * 11.0  # in characters
    for word in text:
        size = max(len(word), 4) + 2
        x, row = (0.0, row + 1) if x + size > room else (x, row)
        places.append(((x + size / 2) / room, -row))
        x += size
    figure, ax = plt.subplots(figsize=(width, 0.6 * (row + 1)))
    ax.axis("off")
    ax.set(xlim=(0, 1), ylim=(-row - 0.6, 0.4))
    for word, value, colour, (x, y) in zip(text, r, colours, places):
        dark = colour @ [0.299, 0.587, 0.114] < 0.5
        ax.text(
            x,
            y,
            word,
            ha="center",
            va="center",
            fontsize=11,
            color="white" if dark else INK,
            bbox={"boxstyle": "round,pad=0.3", "fc": colour, "ec": LINE, "lw": 0.5},
        )
        ax.text(
            x,
            y - 0.42,
            f"{round(value, 1) + 0.0:+.1f}",
            ha="center",
            va="center",
            fontsize=8,
            color=MUTED,
        )
    return figure


def boxed(picture: np.ndarray, box: Sequence[int]) -> np.ndarray:
    """The picture (H, W, 3) uint8 with an orange frame, as a copy.

    box: left, top, right and bottom in pixels, the last two exclusive.

    >>> boxed(np.zeros((4, 4, 3), np.uint8), (0, 0, 2, 2))[1, 1].tolist()
    [224, 130, 20]
    """
    left, top, right, bottom = (int(end) for end in box)
    picture = picture.copy()
    picture[[top, bottom - 1], left:right] = _FRAME
    picture[top:bottom, [left, right - 1]] = _FRAME
    return picture


class Bins(Protocol):
    """What `lib.uncertainty.reliability` returns: counts and accuracies (bins,) between edges (bins
    + 1,).
    """

    @property
    def count(self) -> ArrayLike: ...
    @property
    def accuracy(self) -> ArrayLike: ...
    @property
    def edges(self) -> ArrayLike: ...


def reliability(bins: Bins, width: float = 3.6, height: float = 2.9) -> Figure:
    """The share of right answers against the confidence; on the diagonal what is said is true.

    bins: what `lib.uncertainty.reliability` returns.
    width, height: in inches.

    >>> from types import SimpleNamespace
    >>> bins = SimpleNamespace(count=[0, 4], accuracy=[0.0, 0.75], edges=[0.0, 0.5, 1.0])
    >>> figure = reliability(bins)
    >>> plt.close(figure)
    """
    figure, ax = _labelled("confidence", "share right", width, height)
    full, edges = _plain(bins.count) > 0, _plain(bins.edges)
    middle, wide = (edges[:-1] + edges[1:]) / 2, 0.9 * np.diff(edges)
    ax.bar(middle[full], _plain(bins.accuracy)[full], wide[full], color=BLUE, alpha=0.8)
    ax.plot([0, 1], [0, 1], "--", color=INK)
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    return figure


def axes(xlabel: str, ylabel: str, width: float = 5.0, height: float = 3.0) -> Axes:
    """One pair of labelled axes, `width` x `height` inches.

    >>> ax = axes("steps", "loss")
    >>> ax.get_xlabel()
    'steps'
    >>> plt.close(ax.figure)
    """
    return _labelled(xlabel, ylabel, width, height)[1]


def _labelled(xlabel: str, ylabel: str, width: float, height: float) -> tuple[Figure, Axes]:
    figure, ax = plt.subplots(figsize=(width, height))
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return figure, ax


def _plain(values: ArrayLike) -> np.ndarray:
    """Numbers of any kind, tensors of any device among them, as an array of float64."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)
