"""Charts: lines, bands, points, columns, fields, pictures, links and words in a pair of axes.

The layout is made here, once for all states of a figure: places in the box are whole numbers from 0
to `UNITS`, which js/charts.js stretches over the room that the page has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import ticker
from numpy.typing import ArrayLike
from PIL import Image

from .. import palette
from ..palette import BLUE, PAPER, RED
from . import stills
from .drawn import Drawn, number, rounded
from .pictures import base64_of, diverging, to_png

UNITS = stills.UNITS
_COLOURS = ("red", "blue", "orange", "teal", "purple", "grey", "ink", "muted", "line", "paper")
_SHAPES = ("disc", "square", "ring", "frame")


class Chart(Drawn):
    """A pair of axes with lines, bands, points, columns, fields, links and words on them.

    x, y: what the axes show, with its unit; both empty for a chart without axes.
    xlim, ylim: (low, high); by default what holds all marks of all states. Charts of one figure
        whose axes have the same name share them.
    xlog, ylog: logarithmic axes.
    xticks, yticks: {place: name}, for categories.
    height: in pixels; the width is what the page has.
    aspect: width / height where both axes must have one scale, as in a plane, a graph or a picture.
    handle: the names of the two controls of `explore` that are the place of a point in this chart
        (None for an axis that it does not move along): the reader can drag it.

    Every method adds marks and returns the chart. Colours are names of `lib.palette` in lower case;
    curves and classes without one take those of `palette.SERIES` in turn. A name stands in the
    legend.

    Raises ValueError for unknown colours or shapes, values of different lengths, infinite values,
    or values of a logarithmic axis that are not positive. NaN leaves a gap.

    >>> chart = Chart("steps", "loss", ylim=(0, 1)).line([0, 1, 2], [1.0, 0.5, 0.3], "train")
    >>> chart.level(y=0.2, name="noise").names
    ['train', 'noise']
    """

    kind = "chart"

    def __init__(
        self,
        x: str = "",
        y: str = "",
        *,
        xlim: tuple[float, float] | None = None,
        ylim: tuple[float, float] | None = None,
        xlog: bool = False,
        ylog: bool = False,
        xticks: Mapping[float, str] | None = None,
        yticks: Mapping[float, str] | None = None,
        height: int = 230,
        aspect: float | None = None,
        handle: tuple[str | None, str | None] | None = None,
    ) -> None:
        self.axes = (_Axis(x, xlim, xlog, xticks), _Axis(y, ylim, ylog, yticks))
        self.height, self.aspect, self.handle = height, aspect, handle
        self.marks: list[_Mark | _Field] = []

    @property
    def names(self) -> list[str]:
        """What stands in the legend."""
        return [*dict.fromkeys(mark.name for mark in self.marks if mark.name)]

    def line(
        self,
        x: ArrayLike,
        y: ArrayLike,
        name: str = "",
        colour: str = "",
        width: float = 2.2,
        dash: bool | None = None,
    ) -> "Chart":
        """A curve through (N,) places; without a colour, every second one of the series is dashed,
        so that colour is not the only difference.
        """
        place = sum(mark.kind == "line" and mark.series for mark in self.marks)
        dashed = place % 2 == 1 if dash is None and not colour else bool(dash)
        return self._add("line", x, y, name, colour, width=width, look="dash" if dashed else "")

    def band(
        self, x: ArrayLike, low: ArrayLike, high: ArrayLike, name: str = "", colour: str = ""
    ) -> "Chart":
        """What lies between two curves (N,)."""
        x, low, high = map(_plain, (x, low, high))
        return self._add("area", [*x, *x[::-1]], [*low, *high[::-1]], name, colour)

    def points(
        self,
        x: ArrayLike,
        y: ArrayLike,
        name: str = "",
        colour: str = "",
        shape: str = "",
        size: float = 7,
    ) -> "Chart":
        """Marks at (N,) places: disc, square, ring or frame; without a shape, classes take these in
        turn.
        """
        place = sum(mark.kind == "dots" and mark.series for mark in self.marks)
        shape = shape or _SHAPES[place % len(_SHAPES)]
        if shape not in _SHAPES:
            raise ValueError(f"shape: expected one of {_SHAPES}, got {shape!r}")
        return self._add("dots", x, y, name, colour, width=size, look=shape)

    def columns(
        self,
        x: ArrayLike,
        heights: ArrayLike,
        width: float,
        name: str = "",
        colour: str = "grey",
        base: float = 0.0,
    ) -> "Chart":
        """Columns (N,) about their x, `width` wide in units of x."""
        x, tops = _plain(x), _plain(heights)
        corners = np.stack([x - width / 2, x - width / 2, x + width / 2, x + width / 2], 1)
        sides = np.stack([np.full(len(tops), base), tops, tops, np.full(len(tops), base)], 1)
        return self._add("shapes", corners.ravel(), sides.ravel(), name, colour)

    def level(
        self, *, x: float | None = None, y: float | None = None, name: str = "", colour: str = "ink"
    ) -> "Chart":
        """A dashed line across the box at one x or one y."""
        return self._add(
            "level",
            [] if x is None else [x],
            [] if y is None else [y],
            name,
            colour,
            width=1.3,
            look="dash",
            uneven=True,
        )

    def link(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        *,
        colour: str = "muted",
        width: float = 1.6,
        arrow: bool = False,
        dash: bool = False,
        name: str = "",
    ) -> "Chart":
        """A straight line, or an arrow, from one place to another; arrows need an `aspect`."""
        if arrow and self.aspect is None:
            raise ValueError("arrow: expected a chart with an aspect, got None")
        return self._add(
            "arrows" if arrow else "line",
            [start[0], end[0]],
            [start[1], end[1]],
            name,
            colour,
            width=width,
            look="dash" if dash else "",
        )

    def arrows(
        self, x: ArrayLike, y: ArrayLike, dx: ArrayLike, dy: ArrayLike, colour: str = "muted"
    ) -> "Chart":
        """Arrows (N,) from (x, y) by (dx, dy); they need an `aspect`."""
        if self.aspect is None:
            raise ValueError("arrows: expected a chart with an aspect, got None")
        x, y, dx, dy = map(_plain, (x, y, dx, dy))
        ends = np.stack([x, x + dx], 1).ravel(), np.stack([y, y + dy], 1).ravel()
        return self._add("arrows", *ends, "", colour, width=1.4)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        anchor: str = "middle",
        colour: str = "ink",
        node: bool = False,
    ) -> "Chart":
        """A word at a place, "start", "middle" or "end" of it there; `node` puts it in a bubble."""
        look = f"{anchor} node" if node else anchor
        return self._add("text", [x], [y], text, colour, look=look)

    def field(
        self,
        values: ArrayLike,
        label: str = "",
        *,
        low: float | None = None,
        high: float | None = None,
        signed: bool = True,
        smooth: bool = False,
        extent: tuple[float, float, float, float] | None = None,
    ) -> "Chart":
        """Numbers (H, W), the first row on top, as colours behind the marks, with their scale.

        signed: red for, white at zero, blue against; else from white to teal.
        label: of the scale, with its unit; no scale is drawn without.
        low, high: of the scale; by default over all states, about zero where signed.
        extent: (left, right, bottom, top); the whole box if None.
        """
        values = _plain(values)
        if values.ndim != 2 or not np.isfinite(values).all():
            raise ValueError(f"values: expected finite numbers (H, W), got {values.shape}")
        self.marks.append(_Field(values, label, low, high, signed, smooth, extent))
        return self

    def picture(
        self,
        colours: np.ndarray,
        *,
        smooth: bool = False,
        extent: tuple[float, float, float, float] | None = None,
    ) -> "Chart":
        """An image (H, W) or (H, W, 3) uint8 behind the marks; extent as in `field`."""
        if colours.dtype != np.uint8:
            raise ValueError(f"colours: expected uint8, got {colours.dtype}")
        self.marks.append(_Field(colours, "", None, None, False, smooth, extent))
        return self

    def _add(
        self,
        kind: str,
        x: ArrayLike,
        y: ArrayLike,
        name: str,
        colour: str,
        *,
        width: float = 0,
        look: str = "",
        uneven: bool = False,
    ) -> "Chart":
        xs, ys = _plain(x).ravel(), _plain(y).ravel()
        if len(xs) != len(ys) and not uneven:
            raise ValueError(f"{kind}: expected as many x as y, got {len(xs)} and {len(ys)}")
        if np.isinf(xs).any() or np.isinf(ys).any():
            raise ValueError(f"{kind}: expected finite values or NaN, got infinity")
        series = not colour
        if series:
            before = sum(mark.kind == kind and mark.series for mark in self.marks)
            colour = _SERIES[before % len(_SERIES)]
        if colour not in _COLOURS:
            raise ValueError(f"colour: expected one of {_COLOURS}, got {colour!r}")
        self.marks.append(_Mark(kind, xs, ys, str(name), colour, width, look, series))
        return self

    # what explore asks for

    @classmethod
    def spec(cls, own: Sequence["Chart"], every: Sequence[Drawn]) -> dict[str, Any]:
        first, charts = own[0], [chart for chart in every if isinstance(chart, Chart)]
        spec: dict[str, Any] = {"kind": cls.kind, "height": first.height, "aspect": first.aspect}
        for place, name in enumerate("xy"):
            label = first.axes[place].label
            alike = [c for c in charts if label and c.axes[place].label == label]
            spec[name] = _common_axis(alike or list(own), place)
        spec["scale"] = _common_scale([m for c in own for m in c.marks if isinstance(m, _Field)])
        spec["legend"] = max(len(chart.legend()) for chart in own)
        return spec

    def legend(self) -> list[str]:
        """The names of the marks that are shown beside their colour."""
        marks = [m for m in self.marks if isinstance(m, _Mark) and m.kind != "text" and m.name]
        return [*dict.fromkeys(m.name for m in marks)]

    def parts(self, spec: Mapping[str, Any]) -> list:
        return [part for mark in self.marks for part in mark.parts(spec)]

    def still(self, spec: Mapping[str, Any]) -> str:
        samples = {m.name: m.sample for m in self.marks if isinstance(m, _Mark)}
        return stills.chart(self.parts(spec), {n: samples[n] for n in self.legend()}, spec)


_SERIES = [
    next(name.lower() for name in palette.DARK if getattr(palette, name) == colour)
    for colour in palette.SERIES
]


@dataclass(frozen=True)
class _Axis:
    label: str
    limits: tuple[float, float] | None
    log: bool
    names: Mapping[float, str] | None


@dataclass(frozen=True)
class _Mark:
    """Marks of one kind and colour at places in units of the axes."""

    kind: str
    x: np.ndarray
    y: np.ndarray
    name: str
    colour: str
    width: float
    look: str
    series: bool

    @property
    def sample(self) -> tuple[str, bool]:
        """Its colour and whether it is dashed, for a legend."""
        return self.colour, "dash" in self.look

    def parts(self, spec: Mapping[str, Any]) -> list[dict]:
        x, y = (_placed(spec, name, v) for name, v in (("x", self.x), ("y", self.y)))
        if self.kind == "text":
            where = {"x": int(x[0]), "y": int(y[0]), "t": self.name}
            return [{"c": f"{self.look} {self.colour}", **where}]
        part: dict[str, Any] = {"c": f"{self.kind} {self.colour} {self.look}".strip()}
        part["d"] = _PATHS[self.kind](x, y, spec)
        if self.width:
            part["w"] = self.width
        if self.name:
            part["n"] = self.name
        if self.look in ("ring", "frame"):
            inner = part | {"c": f"dots paper {self.look}", "w": self.width - 4}
            inner.pop("n", None)
            return [part, inner]
        return [part]


@dataclass(frozen=True)
class _Field:
    """A grid of colours behind the marks."""

    values: np.ndarray
    label: str
    low: float | None
    high: float | None
    signed: bool
    smooth: bool
    extent: tuple[float, float, float, float] | None

    kind, series, name = "field", False, ""

    def parts(self, spec: Mapping[str, Any]) -> list[dict]:
        left, right, low, high = 0.0, float(UNITS), float(stills.depth(spec)), 0.0
        if self.extent is not None:
            left, right = _placed(spec, "x", np.array(self.extent[:2], dtype=float))
            low, high = _placed(spec, "y", np.array(self.extent[2:], dtype=float))
        where = {"x": int(left), "y": int(high), "w": int(right - left), "h": int(low - high)}
        look = "field smooth" if self.smooth else "field"
        return [{"c": look, "i": base64_of(_small_png(self.colours(spec["scale"]))), **where}]

    def colours(self, scale: Mapping[str, Any] | None) -> np.ndarray:
        if self.values.dtype == np.uint8 or scale is None:
            return self.values
        if self.signed:
            return diverging(np.clip(self.values, scale["lo"], scale["hi"]), scale["hi"])
        share = (self.values - scale["lo"]) / ((scale["hi"] - scale["lo"]) or 1)
        return _sequential(np.clip(share, 0, 1))


def _sequential(share: np.ndarray) -> np.ndarray:
    """White at 0, teal at 1."""
    end = np.array(palette.rgb(palette.TEAL))
    return np.round(255 + share[..., None] * (end - 255)).astype(np.uint8)


def _small_png(colours: np.ndarray) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(colours))
    if colours.ndim == 3:
        image = image.quantize(64 if colours.size > 30_000 else 256, dither=Image.Dither.NONE)
    return to_png(image)


def _common_scale(fields: Sequence[_Field]) -> dict[str, Any] | None:
    numbers = [f for f in fields if f.values.dtype != np.uint8]
    if not numbers:
        return None
    first = numbers[0]
    low = min(float(f.values.min()) for f in numbers) if first.low is None else first.low
    high = max(float(f.values.max()) for f in numbers) if first.high is None else first.high
    if first.signed:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    colours = (BLUE, PAPER, RED) if first.signed else (PAPER, palette.TEAL)
    return {
        "lo": rounded(low),
        "hi": rounded(high),
        "label": first.label,
        "names": [number(low), number((low + high) / 2), number(high)],
        "colours": colours,
    }


def _common_axis(charts: Sequence[Chart], place: int) -> dict[str, Any]:
    """Limits that hold all marks of the charts, and ticks: [place from 0 to 1, name]."""
    axis = charts[0].axes[place]
    values = [(m.x, m.y)[place] for c in charts for m in c.marks if isinstance(m, _Mark)]
    places = np.concatenate([*values, np.array([])])
    places = places[~np.isnan(places)]
    if axis.log and (places <= 0).any():
        raise ValueError(f"{axis.label}: expected positive values on a logarithmic axis")
    given = [c.axes[place].limits for c in charts]
    if all(limits is not None for limits in given):
        low, high = min(g[0] for g in given if g), max(g[1] for g in given if g)
    else:
        low, high = _roomy(places, axis.log)
    if not low < high:
        raise ValueError(f"{axis.label}: expected limits low < high, got {low} and {high}")
    spec = {"lo": float(low), "hi": float(high), "log": axis.log, "label": axis.label}
    if axis.names is not None:
        ticks = {float(value): str(name) for value, name in axis.names.items()}
    elif axis.label:
        ticks = {value: number(value) for value in _ticks(low, high, axis.log)}
    else:
        ticks = {}
    spec["ticks"] = [
        [round(float(_share(spec, np.array(v))), 4), name]
        for v, name in ticks.items()
        if low <= v <= high
    ]
    return spec


def _roomy(places: np.ndarray, log: bool) -> tuple[float, float]:
    if not len(places):
        return 0.0, 1.0
    if log:
        low, high = np.log10(places.min()), np.log10(places.max())
    else:
        low, high = places.min(), places.max()
    room = 0.04 * (high - low) or 0.5
    low, high = low - room, high + room
    return (10**low, 10**high) if log else (low, high)


def _ticks(low: float, high: float, log: bool) -> np.ndarray:
    if log:
        subs = (1.0,) if high / low > 50 else (1.0, 2.0, 5.0)
        return np.asarray(ticker.LogLocator(subs=subs, numticks=7).tick_values(low, high))
    places = ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return np.asarray(places) + 0.0


def _share(axis: Mapping[str, Any], values: np.ndarray) -> np.ndarray:
    """From 0 at the low end to 1 at the high end."""
    ends = np.array([axis["lo"], axis["hi"]], dtype=float)
    if axis["log"]:
        ends, values = np.log(ends), np.log(values)
    return (values - ends[0]) / (ends[1] - ends[0])


def places_along(axis: Mapping[str, Any], values: Sequence[float]) -> list[float]:
    """Where values lie along an axis, from 0 at its low end to 1, at most a tenth outside."""
    shares = np.clip(_share(axis, np.asarray(values, dtype=float)), -0.1, 1.1)
    return [round(float(share), 4) for share in shares]


def _placed(spec: Mapping[str, Any], name: str, values: np.ndarray) -> np.ndarray:
    """Places in the box in whole units; y counts from the top. NaN stays NaN."""
    share = _share(spec[name], values)
    units = share * UNITS if name == "x" else (1 - share) * stills.depth(spec)
    return np.round(np.clip(units, -3 * UNITS, 4 * UNITS))


def _run(x: np.ndarray, y: np.ndarray) -> str:
    """A polygonal chain, relative after its first place; NaN begins a new one."""
    pieces, last = [], None
    for a, b in zip(x, y):
        if np.isnan(a) or np.isnan(b):
            last = None
        elif last is None:
            pieces.append(f"M{a:.0f} {b:.0f}l")
            last = (a, b)
        elif (a, b) != last:
            pieces.append(f"{a - last[0]:.0f} {b - last[1]:.0f} ")
            last = (a, b)
    return "".join(pieces).replace(" -", "-").rstrip().removesuffix("l") + (
        "h0" if len(pieces) == 1 else ""
    )


def _dots(x: np.ndarray, y: np.ndarray) -> str:
    return "".join(f"M{a:.0f} {b:.0f}h0" for a, b in zip(x, y) if a == a and b == b)


def _quads(x: np.ndarray, y: np.ndarray) -> str:
    corners = zip(x.reshape(-1, 4), y.reshape(-1, 4))
    return "".join(f"{_run(a, b)}z" for a, b in corners if not np.isnan([*a, *b]).any())


def _across(x: np.ndarray, y: np.ndarray, spec: Mapping[str, Any]) -> str:
    upright = "".join(f"M{a:.0f} 0V{stills.depth(spec)}" for a in x)
    return upright + "".join(f"M0 {b:.0f}H{UNITS}" for b in y)


def _headed(x: np.ndarray, y: np.ndarray) -> str:
    """Arrows from every even place to the next; heads of 40 units."""
    pieces = []
    for (a, c), (b, d) in zip(x.reshape(-1, 2), y.reshape(-1, 2)):
        length = float(np.hypot(c - a, d - b))
        if not length > 0:
            continue
        size = min(44, 0.5 * length)
        u, v = (c - a) / length * size, (d - b) / length * size
        pieces.append(
            f"M{a:.0f} {b:.0f}L{c:.0f} {d:.0f}"
            f"M{c - u - v / 2:.0f} {d - v + u / 2:.0f}L{c:.0f} {d:.0f}"
            f"L{c - u + v / 2:.0f} {d - v - u / 2:.0f}"
        )
    return "".join(pieces)


_PATHS = {
    "line": lambda x, y, spec: _run(x, y),
    "area": lambda x, y, spec: _run(x, y) + "z",
    "shapes": lambda x, y, spec: _quads(x, y),
    "dots": lambda x, y, spec: _dots(x, y),
    "level": _across,
    "arrows": lambda x, y, spec: _headed(x, y),
}


def _plain(values: Any) -> np.ndarray:
    """Numbers of any kind and in any order that Python knows, tensors among them, as float64."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    elif not isinstance(values, np.ndarray | int | float):
        values = [v.item() if hasattr(v, "item") and np.ndim(v) == 0 else v for v in values]
    return np.asarray(values, dtype=float)
