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
from .palette import BLUE, GREY, INK, LINE, MUTED, ORANGE, RED, SERIES, rgb

__all__ = [
    "RELEVANCE",
    "table",
    "scale_of",
    "heatmap",
    "image",
    "strip",
    "flow",
    "words",
    "signal",
    "graph",
    "boxed",
    "picture_and_words",
    "relevance_bar",
    "Bins",
    "reliability",
    "bands",
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


def flow(
    activations: Sequence[Sequence[float]],
    relevances: Sequence[Sequence[float]],
    messages: Sequence[ArrayLike],
) -> Figure:
    """A small network as circles, layer by layer from left to right, and its relevance as bands
    between them.

    activations, relevances: one list of numbers for each layer.
    messages: for each pair of layers the relevance (I, J) that input i gets from neuron j.

    Red speaks for the score, blue against; the width of a band is its share of the score.

    >>> figure = flow([[1.0, 2.0], [3.0]], [[1.0, 2.0], [3.0]], [[[1.0], [2.0]]])
    >>> plt.close(figure)
    """
    figure, ax = plt.subplots(figsize=(6.2, 2.7))
    ax.set(xlim=(-0.5, len(activations) - 0.4), ylim=(-0.75, 1.5))
    ax.axis("off")
    places = [
        [(k, 0.4 + (len(layer) - 1) / 2 - n) for n in range(len(layer))]
        for k, layer in enumerate(activations)
    ]
    unit = abs(sum(relevances[-1])) or 1.0
    for left, right, message in zip(places, places[1:], map(_plain, messages)):
        for (i, start), (j, end) in ((p, q) for p in enumerate(left) for q in enumerate(right)):
            r = round(float(message[i, j]), 2) + 0.0
            ax.plot(
                *zip(start, end),
                color=_sign_colour(r),
                lw=0.8 + 12 * min(abs(r) / unit, 2),
                alpha=0.75,
                solid_capstyle="butt",
                zorder=1,
            )
            ax.annotate(
                f"{r:.2f}",
                (0.62 * start[0] + 0.38 * end[0], 0.62 * start[1] + 0.38 * end[1]),
                ha="center",
                va="center",
                fontsize=8,
                bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none"},
                zorder=2,
            )
    for layer, values, shares in zip(places, activations, relevances):
        for place, value, share in zip(layer, values, shares):
            ax.scatter(place[0], place[1], s=700, color="white", edgecolor=INK, zorder=3)
            share = round(float(share), 2) + 0.0
            ax.annotate(f"{round(float(value), 2):g}", place, ha="center", va="center", zorder=4)
            ax.annotate(
                f"R = {share:.2f}",
                (place[0], place[1] - 0.42),
                ha="center",
                va="center",
                fontsize=9,
                zorder=4,
                color=_sign_colour(share),
                bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"},
            )
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


def _sign_colour(value: float) -> str:
    return GREY if value == 0 else RED if value > 0 else BLUE


def signal(
    values: ArrayLike,
    relevance: ArrayLike,
    truth: ArrayLike,
    names: Sequence[str],
    scale: float | None = None,
    unit: str = "samples",
) -> Figure:
    """Curves (C, T), one row each, on the colours of their relevance (C, T); an orange bar below
    marks where the truth is.

    truth: (C, T) bool.
    names: of the C curves.
    scale: as for `heatmap`.
    unit: of time.
    Raises ValueError if a relevance is not finite.

    >>> figure = signal([[0.0, 1.0, 0.0]], [[0.0, 2.0, 0.0]], [[False, True, False]], ["knee"])
    >>> plt.close(figure)
    """
    x, r, t = _plain(values), _plain(relevance), _plain(truth)
    figure, rows = plt.subplots(
        len(x), 1, figsize=(5.2, 0.6 + 0.7 * len(x)), sharex=True, squeeze=False
    )
    for ax, curve, colours, inside, name in zip(rows[:, 0], x, r, t, names):
        low, high = x.min() - 0.35 * np.ptp(x), x.max() + 0.05 * np.ptp(x)
        picture = heatmap(colours[None], scale or scale_of(r))
        ax.imshow(picture, extent=(-0.5, len(curve) - 0.5, low, high), aspect="auto")
        ax.plot(curve, color=INK, lw=0.9)
        t, top = np.arange(len(curve)), low + 0.12 * (high - low)
        ax.fill_between(t, low, top, where=inside > 0, color=ORANGE, lw=0)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        ax.set(yticks=[], xlim=(-0.5, len(curve) - 0.5))
    rows[-1, 0].set_xlabel(f"time ({unit})")
    return figure


def graph(
    places: ArrayLike,
    bonds: ArrayLike,
    names: Sequence[str],
    relevance: ArrayLike,
    truth: ArrayLike,
    scale: float | None = None,
) -> Figure:
    """Atoms at their places (A, 2) on the colours of their relevance (A,), with lines for bonds (A,
    A); those of the truth are ringed in orange.

    names: of the A atoms.
    truth: (A,) bool.
    scale: as for `heatmap`.
    Raises ValueError if a relevance is not finite.

    >>> figure = graph([[0, 0], [1, 0]], [[0, 1], [1, 0]], "NO", [1.0, -1.0], [True, True])
    >>> plt.close(figure)
    """
    at, r = _plain(places), _plain(relevance)
    colours = heatmap(r[None], scale)[0] / 255
    figure, ax = plt.subplots(figsize=(3.6, 3.2))
    ax.axis("off")
    for i, j in np.argwhere(np.triu(_plain(bonds)) > 0):
        ax.plot(*at[[i, j]].T, color=GREY, lw=1.5, zorder=1)
    for (x, y), name, colour, inside in zip(at, names, colours, _plain(truth)):
        dark = colour @ [0.299, 0.587, 0.114] < 0.5
        edge, width = (ORANGE, 3.5) if inside else (GREY, 1)
        ax.scatter(x, y, s=330, color=[colour], edgecolor=edge, lw=width, zorder=2)
        ax.annotate(
            name, (x, y), ha="center", va="center", color="white" if dark else INK, zorder=3
        )
    ax.margins(0.15)
    ax.set_aspect("equal")
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


def picture_and_words(picture: ArrayLike, text: Sequence[str], relevance: ArrayLike) -> Figure:
    """An image (3, H, W), its relevance and, on a scale of its own, that of the words.

    text: the T words, or none.
    relevance: (H W + T,), or (H, W) without words.
    Raises ValueError if a relevance is not finite, or for an image of another shape.

    >>> figure = picture_and_words(np.zeros((3, 2, 2)), ["what"], [1.0, 0.0, 0.0, 0.0, 1.0])
    >>> [ax.get_title() for ax in figure.axes]
    ['picture', '50% of R here', '50% here']
    >>> plt.close(figure)
    """
    v, r = image(picture), _plain(relevance).flatten()
    count = v.shape[0] * v.shape[1]
    parts, titles = [v, heatmap(r[:count].reshape(v.shape[:2]))], ["picture", "relevance"]
    if text:
        part = r[:count].sum() / r.sum()
        parts.append(heatmap(r[count:, None]))
        titles = ["picture", f"{part:.0%} of R here", f"{1 - part:.0%} here"]
    figure = strip(parts, titles, size=1.9)
    if text:
        figure.axes[2].axis("on")
        figure.axes[2].set(xticks=[])
        figure.axes[2].set_yticks(range(len(text)), text)
    return figure


def relevance_bar(figure: Figure, scale: float, label: str = "relevance (logits)") -> None:
    """The colour bar of the heatmaps of a figure, from -scale to scale; changes the figure.

    >>> figure = strip([heatmap([[1.0, -2.0]])], ["relevance"])
    >>> relevance_bar(figure, scale=2.0)
    >>> plt.close(figure)
    """
    mappable = plt.cm.ScalarMappable(plt.Normalize(-scale, scale), RELEVANCE)
    figure.colorbar(mappable, ax=figure.axes, shrink=0.7, label=label)


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


def bands(
    x: ArrayLike,
    mean: ArrayLike,
    spreads: Mapping[str, ArrayLike],
    points: tuple[ArrayLike, ArrayLike],
    ylim: tuple[float, float],
) -> Figure:
    """A curve (N,) with bands of two standard deviations about it.

    x, mean: (N,) each.
    spreads: a name and a standard deviation (N,) for each band, two at most.
    points: the data, x and y, that the curve is drawn over.

    >>> data = [0.0, 1.0], [0.1, 0.8]
    >>> figure = bands([0.0, 1.0], [0.0, 1.0], {"noise": [0.1, 0.1]}, data, ylim=(-1, 2))
    >>> plt.close(figure)
    """
    figure, ax = _labelled("x", "y", 4.6, 2.6)
    ax.scatter(_plain(points[0]).ravel(), _plain(points[1]).ravel(), s=5, color=GREY)
    for (name, spread), colour in zip(spreads.items(), (BLUE, ORANGE)):
        low, high = _plain(mean) - 2 * _plain(spread), _plain(mean) + 2 * _plain(spread)
        ax.fill_between(_plain(x), low, high, color=colour, alpha=0.45, lw=0, label=f"{name}, 2 sd")
    ax.set(xlim=(_plain(x).min(), _plain(x).max()), ylim=ylim)
    ax.legend(loc="upper center", fontsize=8, ncols=2)
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
