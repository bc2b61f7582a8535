"""The still of a chart: an SVG file of the same marks, for readers without scripts."""

from collections.abc import Mapping, Sequence
from typing import Any

from .. import palette
from ..palette import GREY, MUTED
from .drawn import STILL, label, svg

UNITS = 2000  # of a box: its width, and its height where the axes have scales of their own


def depth(spec: Mapping[str, Any]) -> int:
    """The height of the box in units."""
    return round(UNITS / (spec["aspect"] or 1))


def chart(
    parts: Sequence[Mapping[str, Any]],
    legend: Mapping[str, tuple[str, bool]],
    spec: Mapping[str, Any],
) -> str:
    """An SVG file. legend: a name with its colour and whether it is dashed."""
    rows = -(-len(legend) // 3)
    top = 18 * rows + (18 if spec["y"]["label"] else 4)
    left = 8 + 7 * max((len(name) for _, name in spec["y"]["ticks"]), default=0)
    right = 52 if spec["scale"] and spec["scale"]["label"] else 10
    width = STILL - left - right
    height = width / spec["aspect"] if spec["aspect"] else spec["height"]
    bottom = 20 * bool(spec["x"]["ticks"]) + 18 * bool(spec["x"]["label"]) + 4
    body = [_axes(spec, left, top, width, height)]
    body += [
        f'<svg x="{left}" y="{top}" width="{width}" height="{height:.1f}" '
        f'viewBox="0 0 {UNITS} {depth(spec)}" preserveAspectRatio="none">'
        + "".join(_part(part) for part in parts if "t" not in part)
        + "</svg>"
    ]
    for part in parts:
        if "t" in part:
            x, y = left + part["x"] / UNITS * width, top + part["y"] / depth(spec) * height
            anchor, colour = part["c"].split()[0], getattr(palette, part["c"].split()[-1].upper())
            body.append(label(x, y + 4, part["t"], anchor, colour))
    for place, (name, (named, dashed)) in enumerate(legend.items()):
        x, y = left + place % 3 * width / 3, 18 * (place // 3) + 13
        colour = getattr(palette, named.upper())
        dash = ' stroke-dasharray="5 3"' if dashed else ""
        body += [
            f'<path d="M{x:.1f} {y - 4}h16" stroke="{colour}" stroke-width="3"{dash}/>',
            label(x + 20, y, name),
        ]
    if right == 52:
        body.append(_scale(spec["scale"], STILL - 46, top, height))
    return svg(STILL, top + height + bottom, body)


def _axes(spec: Mapping[str, Any], left: float, top: float, w: float, h: float) -> str:
    if not (spec["x"]["label"] or spec["y"]["label"]):
        return ""
    body = [f'<path d="M{left} {top}v{h:.1f}h{w}" fill="none" stroke="{GREY}"/>']
    body += [label(left + p * w, top + h + 16, name, "middle") for p, name in spec["x"]["ticks"]]
    body += [label(left - 5, top + (1 - p) * h + 4, name, "end") for p, name in spec["y"]["ticks"]]
    body.append(label(left + w, top + h + 34, spec["x"]["label"], "end", MUTED))
    body.append(label(2, top - 6, spec["y"]["label"], "start", MUTED))
    return "".join(body)


def _scale(scale: Mapping[str, Any], x: float, top: float, height: float) -> str:
    count = len(scale["colours"])
    stops = "".join(
        f'<stop offset="{1 - k / (count - 1):g}" stop-color="{colour}"/>'
        for k, colour in reversed([*enumerate(scale["colours"])])
    )
    names = "".join(
        label(x + 14, top + (1 - k / 2) * (height - 12) + 11, name)
        for k, name in enumerate(scale["names"])
    )
    return (
        f'<linearGradient id="s" x1="0" x2="0" y1="0" y2="1">{stops}</linearGradient>'
        f'<rect x="{x}" y="{top}" width="10" height="{height:.1f}" fill="url(#s)" '
        f'stroke="{GREY}"/>{names}'
    )


def _part(part: Mapping[str, Any]) -> str:
    if "i" in part:
        how = "auto" if "smooth" in part["c"] else "pixelated"
        return (
            f'<image x="{part["x"]}" y="{part["y"]}" width="{part["w"]}" height="{part["h"]}" '
            f'preserveAspectRatio="none" style="image-rendering:{how}" '
            f'href="data:image/png;base64,{part["i"]}"/>'
        )
    kind, name, *look = part["c"].split()
    colour = getattr(palette, name.upper())
    fill = colour if kind in ("area", "shapes") else "none"
    opacity = {"area": ' fill-opacity="0.3"', "shapes": ""}.get(kind, "")
    stroke = "" if kind in ("area", "shapes") else f' stroke="{colour}"'
    cap = "square" if {"square", "frame"} & {*look} else "round"
    dash = ' stroke-dasharray="6 4"' if "dash" in look else ""
    return (
        f'<path d="{part["d"]}" fill="{fill}"{opacity}{stroke} stroke-width="{part.get("w", 1)}" '
        f'stroke-linecap="{cap}" stroke-linejoin="round"{dash} vector-effect="non-scaling-stroke"/>'
    )
