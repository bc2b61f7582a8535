"""What lib.live stands on: pictures as small PNG files, bar charts, and the card of HTML that holds
a figure.
"""

import base64
import io
import json
import pathlib
import re
import textwrap
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .. import palette
from ..palette import BLUE, GREY, INK, RED

# without it JupyterLab takes the arrow keys
CONTROL = 'data-lm-suppress-shortcuts="true" autocomplete="off" disabled'
_JS = pathlib.Path(__file__).parent / "js"


@dataclass(frozen=True)
class Bars:
    """A small horizontal bar chart about zero, one row a label; red is positive, blue is negative.

    labels, values: one row each; finite numbers.
    unit: written behind each number. All bars of one figure that have the same unit share one scale
        over all its states, so that they can be compared.
    highlight: a row or None; draws that row in colour and all others in grey.
    Raises ValueError for another number of values than labels, none, or one that is not finite.

    >>> Bars(["cat", "dog"], [1.5, -0.5], unit=" logits").values
    [1.5, -0.5]
    """

    labels: Sequence[str]
    values: Sequence[float]
    unit: str = ""
    highlight: int | None = None

    def __post_init__(self) -> None:
        values = [float(v) for v in self.values]
        object.__setattr__(self, "labels", [str(label) for label in self.labels])
        object.__setattr__(self, "values", values)
        if len(values) != len(self.labels) or not values:
            raise ValueError(
                f"Bars: expected as many values as labels, got {len(values)} and {len(self.labels)}"
            )
        if not np.isfinite(values).all():
            raise ValueError(f"Bars: expected finite values, got {values}")


Picture = Figure | np.ndarray | Bars
Captioned = tuple[str, Picture]
# a picture, or several with their captions, and what it says in words
Drawing = tuple[Picture | list[Captioned] | tuple[Captioned, ...], str]


@dataclass(frozen=True)
class Shown:
    """A picture as PNG, shown width x height CSS pixels large; `pixels` where its pixels are to be
    seen as squares.
    """

    png: bytes
    width: int
    height: int
    pixels: bool


Panel = tuple[str, Shown | Bars]  # with its caption
State = tuple[list[Panel], str]  # with its description


@dataclass(frozen=True)
class Frame:
    """What a panel keeps over all states: the room it takes, whether it has captions, the scale of
    its bars.
    """

    width: int
    height: int
    pixels: bool
    caption: bool
    spec: dict | None


def shown(picture: Picture, dpi: int, where: str) -> Shown | Bars:
    if isinstance(picture, Bars):
        return picture
    if isinstance(picture, Figure):
        return _figure_image(picture, dpi)
    if (
        isinstance(picture, np.ndarray)
        and picture.dtype == np.uint8
        and (picture.ndim == 2 or picture.shape[2:] == (3,))
    ):
        return array_image(picture)
    what = type(picture).__name__
    if isinstance(picture, np.ndarray):
        what = f"{picture.dtype} array {picture.shape}"
    raise TypeError(
        f"{where}: a picture must be a Figure, a uint8 array (H, W) or (H, W, 3), or Bars, "
        f"got {what}"
    )


def _figure_image(figure: Figure, dpi: int) -> Shown:
    """Drawn at dpi, on white, with at most 64 colours; the figure is closed."""
    import matplotlib.pyplot as plt

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    rgba = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    plt.close(figure)
    paper = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    few = paper.quantize(64, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Shown(to_png(few), width, height, False)


def array_image(array: np.ndarray) -> Shown:
    """Exact where the array has at most 256 colours or 4096 pixels, else the nearest of 256; shown
    about 180 pixels large.
    """
    height, width = array.shape[:2]
    zoom = max(1, min(round(180 / (height * width) ** 0.5), 640 // width, 360 // height))
    rgb = array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2)
    colours, places = np.unique(rgb.reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) <= 256:
        image = Image.fromarray(places.reshape(height, width).astype(np.uint8))
        image.putpalette(colours.astype(np.uint8).tobytes())
    else:
        image = Image.fromarray(np.ascontiguousarray(rgb))
        image = image if height * width <= 4096 else image.quantize(256, dither=Image.Dither.NONE)
    return Shown(to_png(image), width * zoom, height * zoom, True)


def to_png(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, **options)
    return buffer.getvalue()


def diverging(relevance: np.ndarray) -> np.ndarray:
    """White at zero, red for positive, blue for negative; symmetric about zero; (H, W) -> (H, W, 3)
    uint8.
    """
    v = (relevance / (np.abs(relevance).max() or 1))[..., None]
    end = np.where(v < 0, palette.rgb(BLUE), palette.rgb(RED))
    return np.round(255 + np.abs(v) * (end - 255)).astype(np.uint8)


def common_frames(states: Sequence[State], key: str) -> list[Frame]:
    """The common frame of each panel. Raises ValueError where states differ in the number or kind
    of their panels.
    """
    kinds = [[isinstance(p, Bars) for _, p in panels] for panels, _ in states]
    if any(kind != kinds[0] for kind in kinds):
        raise ValueError(
            f"explore({key!r}): expected the same panels in every state, got "
            f"{sorted(set(map(len, kinds)))} panels"
        )
    return [
        _common_frame([panels[i] for panels, _ in states], states) for i in range(len(kinds[0]))
    ]


def _common_frame(panels: Sequence[Panel], states: Sequence[State]) -> Frame:
    caption = any(caption for caption, _ in panels)
    images = [p for _, p in panels if isinstance(p, Shown)]
    if images:
        width, height = max(p.width for p in images), max(p.height for p in images)
        return Frame(width, height, images[0].pixels, caption, None)
    charts = [p for _, p in panels if isinstance(p, Bars)]
    unit, every = charts[0].unit, [p for panels, _ in states for _, p in panels]
    values = [v for p in every if isinstance(p, Bars) and p.unit == unit for v in p.values]
    spec = {
        "lo": float(f"{min(0, *values):.4g}"),
        "hi": float(f"{max(0, *values):.4g}"),
        "chars": max(len(label) for p in charts for label in p.labels),
        "rows": max(len(p.labels) for p in charts),
        "unit": unit,
    }
    width, height, *_ = bar_geometry(spec)
    return Frame(width, height, False, caption, spec)


# ---------------------------------------------------------------- bars


def bar_geometry(spec: dict) -> tuple[int, int, int, float, float]:
    """(width, height, left, zero, scale) in pixels, as in js/bars.js: row 20 high, bars 130
    long.
    """
    left, room = min(130, 10 + 7 * spec["chars"]), 50 + 7 * len(spec["unit"])
    before, span = (room if spec["lo"] < 0 else 4), max(spec["hi"] - spec["lo"], 1e-12)
    return (
        left + before + 130 + room,
        20 * spec["rows"],
        left,
        left + before - spec["lo"] / span * 130,
        130 / span,
    )


def bar_row(bars: Bars, labels: "Table") -> list[float]:
    highlight = -1 if bars.highlight is None else bars.highlight
    return [labels.place(tuple(bars.labels)), highlight, *(float(f"{v:.4g}") for v in bars.values)]


def bar_image(bars: Bars, spec: dict) -> Shown:
    """The still of what js/bars.js draws, at twice the size."""
    width, height, left, zero, scale = bar_geometry(spec)
    image = Image.new("RGB", (2 * width, 2 * height), "white")
    pen, most = ImageDraw.Draw(image), (left - 10) // 7
    for i, (label, value) in enumerate(zip(bars.labels, bars.values)):
        y, end, bright = 40 * i, 2 * (zero + value * scale), bars.highlight in (None, i)
        x = sorted([2 * zero, end])
        pen.rectangle(
            [x[0], y + 6, x[1], y + 34], fill=(BLUE if value < 0 else RED) if bright else GREY
        )
        label = label if len(label) <= most else label[: most - 1] + "…"
        font = _font(24, bold=bright and bars.highlight is not None)
        pen.text((2 * left - 12, y + 20), label, INK, font, anchor="rm")
        shift, anchor = (-8, "rm") if value < 0 else (8, "lm")
        number = compact(value, 3).replace("-", "−") + bars.unit
        pen.text((end + shift, y + 20), number, INK, font, anchor=anchor)
    pen.line([2 * zero, 0, 2 * zero, 2 * height], fill=INK, width=2)
    return Shown(to_png(image.quantize(32, dither=Image.Dither.NONE)), width, height, False)


def _as_image(picture: Shown | Bars, frame: Frame) -> Shown:
    return bar_image(picture, frame.spec or {}) if isinstance(picture, Bars) else picture


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    folder = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), size)


def side_by_side(panels: Sequence[Panel], frames: Sequence[Frame]) -> bytes:
    """All panels side by side on white, at twice their size on the screen."""
    pictures = [_as_image(p, f) for (_, p), f in zip(panels, frames)]
    captions = [
        textwrap.wrap(caption, max(12, f.width // 7)) for (caption, _), f in zip(panels, frames)
    ]
    head = 34 * max(map(len, captions))
    width = sum(2 * f.width + 40 for f in frames) - 40
    paper = Image.new("RGB", (width, head + 2 * max(f.height for f in frames)), "white")
    pen, x = ImageDraw.Draw(paper), 0
    for picture, lines, frame in zip(pictures, captions, frames):
        pen.multiline_text((x, 0), "\n".join(lines), INK, _font(24))
        size = (2 * picture.width, 2 * picture.height)
        how = Image.Resampling.NEAREST if picture.pixels else Image.Resampling.LANCZOS
        paper.paste(Image.open(io.BytesIO(picture.png)).convert("RGB").resize(size, how), (x, head))
        if picture.pixels:
            pen.rectangle([x, head, x + size[0] - 1, head + size[1] - 1], outline=GREY)
        x += 2 * frame.width + 40
    few = paper.quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    return to_png(few, dpi=(192, 192))


# ---------------------------------------------------------------- controls


@dataclass(frozen=True)
class Choice:
    """The values of one control with the labels shown for them."""

    labels: list[str]
    values: list
    slider: bool

    @classmethod
    def of(cls, name: str, values: Sequence | Mapping) -> "Choice":
        raw = values.values() if isinstance(values, Mapping) else values
        plain = [v.item() if isinstance(v, np.generic | Tensor) else v for v in raw]
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in plain)
        labels = [compact(v) for v in plain]
        if isinstance(values, Mapping):
            labels = [str(k) for k in values]
        if not plain or len(set(labels)) < len(labels):
            raise ValueError(
                f"{name}: expected values with different labels, at least one, got {labels}"
            )
        return cls(labels, plain, numbers and not isinstance(values, Mapping))

    def find(self, name: str, value: object) -> int:
        for place, (label, known) in enumerate(zip(self.labels, self.values)):
            if label == value or label == compact(value) or known is value:
                return place
        raise ValueError(f"start: expected {name} to be one of {self.labels}, got {value!r}")


def first_places(choices: dict[str, Choice], start: Mapping) -> tuple[int, ...]:
    if unknown := set(start) - set(choices):
        raise ValueError(
            f"start: expected names of controls {list(choices)}, got {sorted(unknown)}"
        )
    return tuple(c.find(name, start[name]) if name in start else 0 for name, c in choices.items())


def slider(word: str, name: str, span: str, label: str) -> str:
    field = (
        f'<input {CONTROL} data-control="{escape(name)}" type="range" {span} '
        f'aria-valuetext="{escape(label)}">'
    )
    return (
        f'<label><span>{escape(word)}</span>{field}<span class="live-value" '
        f'aria-hidden="true">{escape(label)}</span></label>\n'
    )


def menu(word: str, name: str, options: dict[str, str], place: int = 0) -> str:
    choices = (
        f'<option value="{escape(v)}"{" selected" * (i == place)}>{escape(o)}</option>'
        for i, (v, o) in enumerate(options.items())
    )
    return (
        f"<label><span>{escape(word)}</span><select {CONTROL} "
        f'data-control="{escape(name)}">{"".join(choices)}</select></label>\n'
    )


# ---------------------------------------------------------------- the card


class Output:
    """Shows `_html()`, `_still()` (PNG bytes or None) and `repr` in a notebook."""

    def _html(self) -> str:
        raise NotImplementedError

    def _still(self) -> bytes | None:
        return None

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        bundle = {"text/html": self._html(), "text/plain": repr(self)}
        still = self._still()
        return bundle if still is None else bundle | {"image/png": base64_of(still)}


class Table(dict):
    """Different items in order of appearance; `place` says where an item stands."""

    def place(self, item: Hashable) -> int:
        return self.setdefault(item, len(self))


def card(
    kind: str,
    key: str,
    title: str,
    body: str,
    data: dict | None = None,
    scripts: Sequence[str] = (),
) -> str:
    """One figure: style, content, and with data its script, which starts every figure of this kind
    and key once.
    """
    head = f'<p class="live-title">{escape(title)}</p>\n' if title else ""
    tail = ""
    if data is not None:
        code = "\n".join([palette.script(), *(_lean(_JS / name) for name in scripts)])
        own = f"""'[data-{kind}="{key}"]:not([data-alive])'"""
        tail = (
            f'<script type="application/json">\n{_json(data)}\n</script>\n'
            f'<script>\n(() => {{\n"use strict";\n{code}\n'
            f"for (const figure of document.querySelectorAll({own})) {{\n"
            f'figure.dataset.alive = "yes";\nstart{kind.capitalize()}(figure);\n'
            "}\n})();\n</script>\n"
        )
    label = escape(title or words(key))
    style = f"{palette.style('.live-fig')}\n{_lean(_JS / 'live.css')}"
    return (
        f'<figure class="live-fig" data-{kind}="{key}" aria-label="{label}">\n'
        f"<style>\n{style}\n</style>\n{head}{body}\n{tail}</figure>"
    )


def _lean(path: pathlib.Path) -> str:
    """The file's text without its comment lines and indentation."""
    lines = map(str.strip, path.read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _json(data: dict[str, list]) -> str:
    """JSON with each item of a list on its own line, so that a changed state is a changed line;
    safe inside <script>.
    """

    def block(value: list) -> str:
        rows = [json.dumps(v, separators=(",", ":"), ensure_ascii=False) for v in value]
        return "[\n" + ",\n".join(rows) + "\n]"

    written = ",\n".join(f'"{k}":{block(v)}' for k, v in data.items())
    return ("{\n" + written + "\n}").replace("<", "\\u003c")


def panels_html(panels: Sequence[Panel], text: str, frames: Sequence[Frame]) -> str:
    parts = [
        panel_html(caption, picture, text, frame)
        for (caption, picture), frame in zip(panels, frames)
    ]
    return '<div class="live-panels">\n' + "".join(parts) + "</div>"


def panel_html(caption: str, picture: Shown | Bars, text: str, frame: Frame, name: str = "") -> str:
    width, height, image = frame.width, frame.height, _as_image(picture, frame)
    kind = "live-panel" + " live-pix" * frame.pixels
    kind += " live-wide" * (frame.pixels and width > 260)
    tag = f'data-panel="{name}" ' if name else ""
    head = f'<p class="live-caption live-hold"><span>{escape(caption)}</span></p>\n'
    alt = escape(f"{caption}: {text}" if caption else text)
    return (
        f'<div class="{kind}" {tag}style="width:{width}px">\n{head if frame.caption else ""}'
        f'<img width="{width}" height="{height}" style="aspect-ratio:{width}/{height}" '
        f'alt="{alt}"\nsrc="data:image/png;base64,{base64_of(image.png)}">\n</div>\n'
    )


def compact(value: object, digits: int = 4) -> str:
    """0.25, 3, 100000; whatever is no number as it prints."""
    return f"{float(f'{value:.{digits}g}'):g}" if isinstance(value, float) else str(value)


def words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def floats(values: Tensor) -> str:
    """Base64 of float32, as js/lrpnet.js reads it."""
    return base64_of(values.detach().cpu().contiguous().numpy().astype("<f4").tobytes())


def check_key(name: str, key: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key):
        raise ValueError(
            f"{name}: expected a key of lower-case letters, digits and hyphens, got {key!r}"
        )
