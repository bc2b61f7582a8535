"""The colours of the book: one table for pictures, figures and pages.

Red and blue mean for and against and nothing else; they differ for every kind of colour vision.
Python takes a colour by its name (`palette.RED`); style sheets as `var(--red)` and scripts as
`palette.red`, which `lib.live` and the book's build write from this table.
"""

#: What speaks for.
RED = "#b2182b"
#: What speaks against.
BLUE = "#2166ac"
#: What is known to be true, and what has the focus.
ORANGE = "#e08214"
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

__all__ = [
    "RED",
    "BLUE",
    "ORANGE",
    "GREY",
    "INK",
    "MUTED",
    "LINE",
    "SHADE",
    "PAPER",
    "BLUE_TINT",
    "RED_TINT",
    "rgb",
    "style",
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
    rows = ";".join(
        f"--{name.lower().replace('_', '-')}:{value}" for name, value in _COLOURS.items()
    )
    return f"{selector}{{{rows}}}"


def script() -> str:
    """The colours as an object of a script.

    >>> script()[:30]
    'const palette = {"red":"#b2182'
    """
    rows = ",".join(f'"{name.lower()}":"{value}"' for name, value in _COLOURS.items())
    return f"const palette = {{{rows}}};"


_COLOURS = {name: globals()[name] for name in __all__ if name.isupper()}
