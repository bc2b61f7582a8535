"""What lib.live stands on: the panels of a figure, its controls, and the card of HTML that holds
it.
"""

import copy
import json
import pathlib
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from .. import palette
from .drawn import Drawn
from .pictures import Shown, array_image, base64_of, compact, figure_image

# without it JupyterLab takes the arrow keys
CONTROL = 'data-lm-suppress-shortcuts="true" autocomplete="off" disabled'
_JS = pathlib.Path(__file__).parent / "js"
# where style and scripts are stripped, in a notebook that is not trusted, this is what remains
_STRIPPED = (
    '<p class="live-stripped">Run this cell, or trust the notebook, to make the figure alive.</p>\n'
)

Picture = Figure | np.ndarray | Drawn
Captioned = tuple[str, Picture]
# a picture, or several with their captions, and what it says in words
Drawing = tuple[Picture | list[Captioned] | tuple[Captioned, ...], str]
Panel = tuple[str, Shown | Drawn]  # with its caption
State = tuple[list[Panel], str]  # with its description


@dataclass(frozen=True)
class Frame:
    """What a panel keeps over all states: its natural room, whether it has captions, what the
    numbers of a drawn picture have in common, and whether a picture may be shown larger than it is,
    as squares are, and what stands beside them.
    """

    width: int
    height: int
    pixels: bool
    caption: bool
    spec: dict | None
    grows: bool = False

    @property
    def share(self) -> float:
        """Of the width of a row, beside other panels; a picture takes 1."""
        if self.spec is None:
            return min(max(self.width / self.height, 1.0), 2.0)
        if self.spec.get("kind") == "table":
            return 2.0
        return 1.0 if (self.spec.get("aspect") or 2) < 1.5 else 1.6


def shown(picture: Picture, dpi: int, where: str) -> Shown | Drawn:
    if isinstance(picture, Drawn):
        return picture
    if isinstance(picture, Figure):
        return figure_image(picture, dpi)
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
        f"{where}: a picture must be a Figure, a uint8 array (H, W) or (H, W, 3), Bars, Words or a "
        f"Chart, got {what}"
    )


def common_frames(states: Sequence[State], key: str) -> list[Frame]:
    """The common frame of each panel. Raises ValueError where states differ in the number or kind
    of their panels.
    """
    kinds = [[getattr(p, "kind", "picture") for _, p in panels] for panels, _ in states]
    if any(kind != kinds[0] for kind in kinds):
        raise ValueError(
            f"explore({key!r}): expected the same panels in every state, got "
            f"{sorted(set(map(len, kinds)))} panels"
        )
    frames = [
        _common_frame([panels[i] for panels, _ in states], states) for i in range(len(kinds[0]))
    ]
    grows = any(frame.pixels for frame in frames)
    return [replace(frame, grows=grows) for frame in frames]


def _common_frame(panels: Sequence[Panel], states: Sequence[State]) -> Frame:
    caption = any(caption for caption, _ in panels)
    images = [p for _, p in panels if isinstance(p, Shown)]
    if images:
        width, height = max(p.width for p in images), max(p.height for p in images)
        return Frame(width, height, images[0].pixels, caption, None)
    own = [p for _, p in panels if isinstance(p, Drawn)]
    every = [p for panels, _ in states for _, p in panels if isinstance(p, Drawn)]
    return Frame(0, 0, False, caption, own[0].spec(own, every))


def rows_of(frames: Sequence[Frame]) -> list[list[int]]:
    """The places of the panels in rows: of the fewest rows with room for five pictures each, those
    that are lowest together, and then those that are most alike.
    """
    best: list[tuple[int, float, float, list[list[int]]]] = [(0, 0.0, 0.0, [])]
    for end in range(1, len(frames) + 1):
        ways = []
        for start in range(end):
            row = frames[start:end]
            room = sum(frame.share for frame in row)
            if room < 5.01:
                count, height, unlike, rows = best[start]
                higher = round(height + _height(row, room), 3)
                last = [*range(start, end)]
                ways.append((count + 1, higher, unlike + room**2, [*rows, last]))
        best.append(min(ways))
    return best[-1][-1]


def _height(row: Sequence[Frame], room: float) -> float:
    """In widths of the card: a picture fills its share, what is drawn has a height of its own."""
    drawn = [frame.spec is not None for frame in row]
    return max(0.35 * any(drawn), (not all(drawn)) / room)


# ---------------------------------------------------------------- controls


class Thumbnails:
    """Pictures to choose from, as a control of `explore`: `draw` gets the label of the chosen one.

    pictures: label -> picture, uint8 (H, W) or (H, W, 3); shown 64 pixels high.
    values: what `draw` gets in place of the labels, in their order.
    Raises ValueError for another number of values than pictures, or none.

    >>> photos = Thumbnails({"cat": np.zeros((8, 8), np.uint8), "cup": np.ones((8, 8), np.uint8)})
    >>> photos.values
    ['cat', 'cup']
    """

    def __init__(self, pictures: Mapping[str, np.ndarray], values: Sequence | None = None) -> None:
        self.values = list(pictures if values is None else values)
        self.pictures = dict(zip(pictures, map(_thumbnail, pictures.values())))
        if len(self.values) != len(self.pictures) or not self.values:
            raise ValueError(
                f"values: expected one for each of {len(self.pictures)} pictures, at least one, "
                f"got {len(self.values)}"
            )


def _thumbnail(array: np.ndarray) -> Shown:
    """At most 128 pixels high, twice as many as are shown."""
    image = Image.fromarray(np.ascontiguousarray(array))
    if image.height > 128:
        image = image.resize((round(128 * image.width / image.height), 128))
    return array_image(np.asarray(image))


@dataclass(frozen=True)
class Choice:
    """The values of one control with the labels shown for them, and the pictures of thumbnails."""

    labels: list[str]
    values: list
    slider: bool
    pictures: list[Shown] | None = None

    @classmethod
    def of(cls, name: str, values: Sequence | Mapping | Thumbnails) -> "Choice":
        if isinstance(values, Thumbnails):
            pictures = [*values.pictures.values()]
            return cls([*values.pictures], values.values, False, pictures)
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


def thumbnails(word: str, name: str, key: str, choice: Choice, place: int) -> str:
    """Radio buttons with pictures, which the arrow keys move through; their names stand below."""
    options = (
        f'<label><input type="radio" name="{key}-{escape(name)}" {CONTROL}'
        f'{" checked" * (i == place)}><img class="live-thumb{" live-squares" * picture.pixels}" '
        f'alt="" height="64" src="{picture.address}">'
        f"<span>{escape(label)}</span></label>"
        for i, (label, picture) in enumerate(zip(choice.labels, choice.pictures or []))
    )
    return (
        f'<fieldset class="live-thumbs" data-control="{escape(name)}">'
        f"<legend>{escape(word)}</legend>{''.join(options)}</fieldset>\n"
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
    """Shows `_html()` and `repr` in a notebook."""

    def _html(self) -> str:
        raise NotImplementedError

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self._html(), "text/plain": repr(self)}


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
    head = _STRIPPED + (f'<p class="live-title">{escape(title)}</p>\n' if title else "")
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
    style = "\n".join(
        [
            palette.style(".live-fig"),
            palette.dark_style(".live-fig"),
            palette.style(".live-fig.live-fig .live-lit"),
            f".live-fig{{--red-fixed:{palette.RED};--blue-fixed:{palette.BLUE}}}",
            _lean(_JS / "live.css"),
        ]
    )
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
    """All panels, in rows whose columns are as wide as their share."""
    made = [
        panel_html(caption, picture, text, frame)
        for (caption, picture), frame in zip(panels, frames)
    ]
    return "".join(
        f'<div class="live-panels" style="--columns:{_columns([frames[p] for p in row])}">\n'
        + "".join(made[p] for p in row)
        + "</div>"
        for row in rows_of(frames)
    )


def _columns(frames: Sequence[Frame]) -> str:
    return " ".join(f"minmax(0,{frame.share:.3g}fr)" for frame in frames)


def panel_html(
    caption: str, picture: Shown | Drawn, text: str, frame: Frame, name: str = ""
) -> str:
    kind = "live-panel" + (" live-pix" * frame.pixels if frame.spec is None else " live-drawn")
    tag = f' data-panel="{name}"' if name else ""
    head = f'<p class="live-caption live-hold"><span>{escape(caption)}</span></p>\n'
    alt = escape(f"{caption}: {text}" if caption else text)
    if isinstance(picture, Drawn):
        still = base64_of(picture.still(frame.spec or {}).encode())
        address = f"data:image/svg+xml;base64,{still}"
        size = ""
    else:
        address = picture.address
        most = 380 * frame.width / frame.height
        natural = most if frame.grows else min(most, frame.width)
        size = (
            f' width="{frame.width}" height="{frame.height}" style="aspect-ratio:{frame.width}/'
            f'{frame.height};max-width:min(100%,{natural:.0f}px)"'
        )
    return (
        f'<div class="{kind}"{tag}>\n{head if frame.caption else ""}'
        f'<img{size} alt="{alt}"\nsrc="{address}">\n</div>\n'
    )


def words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


def floats(values: Tensor) -> str:
    """Base64 of float32, as js/lrpnet.js reads it."""
    return base64_of(values.detach().cpu().contiguous().numpy().astype("<f4").tobytes())


def in_bytes(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of a matrix (K, N) as whole numbers from -127 to 127, and what one is worth in each row
    (K,), so that each weight is off by at most half of that.
    """
    unit = weight.abs().amax(1).clamp_min(1e-12) / 127
    return torch.round(weight / unit[:, None]).to(torch.int8), unit


def eight_bits(model: nn.Module) -> nn.Module:
    """A copy of the model as a page holds it: each matrix of a dense layer with 8 bits a weight.

    >>> layer = nn.Linear(2, 1)
    >>> largest, error = layer.weight.abs().max(), eight_bits(layer).weight - layer.weight
    >>> bool(error.abs().max() <= 1.001 * largest / 254)
    True
    """
    copied = copy.deepcopy(model)
    for layer in copied.modules():
        if isinstance(layer, nn.Linear):
            whole, unit = in_bytes(layer.weight.data)
            layer.weight.data = whole * unit[:, None]
    return copied


def check_key(name: str, key: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key):
        raise ValueError(
            f"{name}: expected a key of lower-case letters, digits and hyphens, got {key!r}"
        )
