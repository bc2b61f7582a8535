"""Pictures that are drawn from their numbers, in the page: what they share; bars, and words
on the colours of their relevance.

`still` is the same picture as an SVG file, for readers without scripts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from .. import palette
from ..palette import BLUE, GREY, INK, LINE, MUTED, PAPER, RED
from .pictures import compact, diverging

STILL = 360  # pixels: the width of a still
_FONT = 'font-family="system-ui,sans-serif" font-size="12"'


class Drawn:
    """A picture made of numbers. `spec` is what all its states share, `parts` what one state shows:
    a part that comes again is stored once.
    """

    kind: str

    @classmethod
    def spec(cls, own: Sequence[Any], every: Sequence["Drawn"]) -> dict[str, Any]:
        """What the states `own` of one panel share, and with other panels of the figure."""
        raise NotImplementedError

    def parts(self, spec: Mapping[str, Any]) -> list:
        raise NotImplementedError

    def still(self, spec: Mapping[str, Any]) -> str:
        """An SVG file."""
        raise NotImplementedError


def svg(width: float, height: float, body: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" {_FONT}>'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>{"".join(body)}</svg>'
    )


def label(x: float, y: float, text: str, anchor: str = "start", colour: str = INK) -> str:
    return (
        f'<text x="{x:.4g}" y="{y:.4g}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(text)}</text>"
    )


def number(value: float) -> str:
    """Three digits, with the minus of print."""
    return compact(float(value), 3).replace("-", "−")


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


# ---------------------------------------------------------------- bars


@dataclass(frozen=True)
class Bars(Drawn):
    """A horizontal bar chart about zero, one row a label; red is positive, blue is negative.

    labels, values: one row each; finite numbers.
    unit: written behind each number. All bars of one figure that have the same unit share one scale
        over all its states, so that they can be compared.
    highlight: a row or None; draws that row in colour and all others in grey.
    signed: False for numbers that speak neither for nor against, such as shares and scores: grey,
        the highlighted row orange.
    Raises ValueError for another number of values than labels, none, or one that is not finite.

    >>> Bars(["cat", "dog"], [1.5, -0.5], unit=" logits").values
    [1.5, -0.5]
    """

    labels: Sequence[str]
    values: Sequence[float]
    unit: str = ""
    highlight: int | None = None
    signed: bool = True

    kind = "bars"

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

    @classmethod
    def spec(cls, own: Sequence["Bars"], every: Sequence[Drawn]) -> dict[str, Any]:
        unit = own[0].unit
        values = [v for b in every if isinstance(b, Bars) and b.unit == unit for v in b.values]
        return {
            "kind": cls.kind,
            "lo": rounded(min(0, *values)),
            "hi": rounded(max(0, *values)),
            "chars": max(len(label) for b in own for label in b.labels),
            "rows": max(len(b.labels) for b in own),
            "unit": unit,
        }

    def parts(self, spec: Mapping[str, Any]) -> list:
        marked = [] if self.highlight is None else [self.highlight]
        return [self.labels, [*map(rounded, self.values)], marked, int(self.signed)]

    def _colour(self, row: int) -> str:
        if self.highlight not in (None, row):
            return GREY
        if not self.signed:
            return GREY if self.highlight is None else palette.ORANGE
        return BLUE if self.values[row] < 0 else RED

    def still(self, spec: Mapping[str, Any]) -> str:
        left = min(160, 10 + 7 * spec["chars"])
        length = STILL - left - 50 - 7 * len(spec["unit"])
        scale = length / max(spec["hi"] - spec["lo"], 1e-12)
        zero = left - spec["lo"] * scale
        body = []
        for row, (name, value) in enumerate(zip(self.labels, self.values)):
            y = 24 * row
            start = min(zero, zero + value * scale)
            body += [
                label(left - 6, y + 16, name, "end"),
                f'<rect x="{start:.1f}" y="{y + 4}" width="{abs(value) * scale:.1f}" height="16" '
                f'fill="{self._colour(row)}"/>',
                label(STILL - 2, y + 16, number(value) + spec["unit"], "end"),
            ]
        line = f'<path d="M{zero:.1f} 0V{24 * spec["rows"]}" stroke="{INK}"/>'
        return svg(STILL, 24 * spec["rows"], [*body, line])


# ---------------------------------------------------------------- words


@dataclass(frozen=True)
class Words(Drawn):
    """Words on the colours of their relevance, each with its number: red for, blue against.

    words, relevance: T each; finite numbers.
    scale: the relevance of full red; the largest absolute value over all states if None.
    Raises ValueError for another number of values than words, none, or one that is not finite.

    >>> Words(["not", "good"], [-1.0, 0.5]).relevance
    [-1.0, 0.5]
    """

    words: Sequence[str]
    relevance: Sequence[float]
    scale: float | None = None

    kind = "words"

    def __post_init__(self) -> None:
        values = [float(r) for r in self.relevance]
        object.__setattr__(self, "words", [str(word) for word in self.words])
        object.__setattr__(self, "relevance", values)
        if len(values) != len(self.words) or not values:
            raise ValueError(
                f"Words: expected a relevance for each word, got {len(values)} for "
                f"{len(self.words)}"
            )
        if not np.isfinite(values).all():
            raise ValueError(f"Words: expected finite relevance, got {values}")

    @classmethod
    def spec(cls, own: Sequence["Words"], every: Sequence[Drawn]) -> dict[str, Any]:
        largest = max(abs(r) for w in every if isinstance(w, Words) for r in w.relevance)
        return {
            "kind": cls.kind,
            "scale": rounded(own[0].scale or largest or 1),
            "rows": max(len(w._rows()) for w in own),
        }

    def parts(self, spec: Mapping[str, Any]) -> list:
        return [self.words, [*map(rounded, self.relevance)]]

    def _rows(self) -> list[list[int]]:
        """The places of the words in rows of about 44 letters."""
        rows: list[list[int]] = [[]]
        room = 0
        for place, word in enumerate(self.words):
            size = max(len(word), 5) + 2
            if room + size > 44 and rows[-1]:
                rows.append([])
                room = 0
            rows[-1].append(place)
            room += size
        return rows

    def still(self, spec: Mapping[str, Any]) -> str:
        body = []
        for y, row in enumerate(self._rows()):
            x = 4.0
            for place in row:
                word, value = self.words[place], self.relevance[place]
                size = 8 * (max(len(word), 5) + 1)
                share = np.clip(value / spec["scale"], -1, 1)
                colour = "#" + bytes(diverging(np.array([[share]]), 1.0)[0, 0]).hex()
                # Where white has more contrast than black, as in charts.js.
                ink = PAPER if share > 0.77 or share < -0.87 else INK
                body += [
                    f'<rect x="{x}" y="{44 * y + 4}" width="{size}" height="22" rx="4" '
                    f'fill="{colour}" stroke="{LINE}"/>',
                    label(x + size / 2, 44 * y + 19, word, "middle", ink),
                    label(x + size / 2, 44 * y + 40, number(value), "middle", MUTED),
                ]
                x += size + 4
        return svg(STILL, 44 * spec["rows"], body)
