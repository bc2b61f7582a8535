"""The colours of the book: one table for pictures, figures and pages.

Red and blue mean for and against and nothing else; they differ for every kind of colour vision.
Curves that are to be told apart take `SERIES`, and differ in their dashes or their marks as well.
Python takes a colour by its name (`palette.RED`); style sheets as `var(--red)` and scripts as
`palette.red`, which `lib.live` and the book's build write from this table. What is drawn in a page
has a second set for dark pages, `DARK`; pictures keep the first.
"""

from collections.abc import Mapping

#: What speaks for.
RED = "#b2182b"
#: What speaks against.
BLUE = "#2166ac"
#: What is known to be true, and what has the focus.
ORANGE = "#e08214"
#: A curve, a class: neither for nor against.
TEAL = "#0b7a6b"
#: Another curve, another class.
PURPLE = "#8b3fa8"
#: What says nothing.
GREY = "#6b7280"
#: Lines and letters.
INK = "#14181e"
#: Captions.
MUTED = "#3a4350"
#: Borders.
LINE = "#c3cad3"
#: Surfaces of buttons and code.
SHADE = "#f1f4f7"
#: What all is drawn on.
PAPER = "#ffffff"
#: Behind a right answer.
BLUE_TINT = "#e4eef7"
#: Behind a wrong answer.
RED_TINT = "#fae6e6"

#: Curves or classes beside each other, in this order.
SERIES = (TEAL, ORANGE, PURPLE, INK, GREY)

#: The same names on a dark page.
DARK = {
    "RED": "#f2857f",
    "BLUE": "#7fb4ea",
    "ORANGE": "#f0a04b",
    "TEAL": "#4cc2ae",
    "PURPLE": "#cb9fe6",
    "GREY": "#97a1ae",
    "INK": "#e6eaf0",
    "MUTED": "#b9c2cd",
    "LINE": "#3d4652",
    "SHADE": "#222933",
    "PAPER": "#14181e",
    "BLUE_TINT": "#1d3550",
    "RED_TINT": "#4a2326",
}

__all__ = [
    "RED",
    "BLUE",
    "ORANGE",
    "TEAL",
    "PURPLE",
    "GREY",
    "INK",
    "MUTED",
    "LINE",
    "SHADE",
    "PAPER",
    "BLUE_TINT",
    "RED_TINT",
    "SERIES",
    "DARK",
    "rgb",
    "style",
    "dark_style",
    "script",
]


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of "#rrggbb", 0 to 255 each. Raises ValueError for another text.

    >>> rgb(RED)
    (178, 24, 43)
    """
    if len(colour) != 7 or colour[0] != "#":
        raise ValueError(f"colour: expected '#rrggbb', got {colour!r}")
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def style(selector: str) -> str:
    """The colours as variables of a style sheet, for what the selector means.

    >>> style(":root")[:20]
    ':root{--red:#b2182b;'
    """
    return f"{selector}{{{_variables(_COLOURS)}}}"


def dark_style(selector: str) -> str:
    """The colours of a dark page, of the book, Jupyter, VS Code or Colab, as variables; on paper
    the light ones hold.

    >>> dark_style(".a")[:45]
    '@media screen{:is(html[data-theme=dark],body['
    """
    return f"@media screen{{{_DARK_PAGES} {selector}{{{_variables(DARK)}}}}}"


def _variables(colours: Mapping[str, str]) -> str:
    rows = (f"--{name.lower().replace('_', '-')}:{value}" for name, value in colours.items())
    return ";".join(rows)


def script() -> str:
    """The colours as an object of a script.

    >>> script()[:30]
    'const palette = {"red":"#b2182'
    """
    rows = ",".join(f'"{name.lower()}":"{value}"' for name, value in _COLOURS.items())
    return f"const palette = {{{rows}}};"


_COLOURS = {name: globals()[name] for name in DARK}
_DARK_PAGES = (
    ":is(html[data-theme=dark],body[data-jp-theme-light=false],body.vscode-dark,html[theme=dark])"
)
