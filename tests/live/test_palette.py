"""One table of colours: what Python, the scripts and the style sheets use comes from it."""

import re

import pytest
from conftest import ROOT

from lib import palette

SOURCES = [
    path
    for pattern in ("lib/**/*.py", "lib/**/*.js", "lib/**/*.css", "tools/**/*.py", "tools/**/*.css")
    for path in ROOT.glob(pattern)
    if path.name != "palette.py"
]


def test_no_colour_is_written_elsewhere():
    written = re.compile(r"""["':\s]#(?:[0-9a-f]{6}|[0-9a-f]{3})\b""", re.IGNORECASE)
    assert not [path.name for path in SOURCES if written.search(path.read_text(encoding="utf-8"))]


def test_every_variable_and_every_name_of_a_script_is_in_the_table():
    names = {name.lower() for name in palette.DARK}
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".css" or path.name == "timeline.py":
            used = set(
                re.findall(
                    r"var\(--(?!pst|mystnb|label|columns|rows|chars|letters|c\b)([a-z-]+)", text
                )
            )
            fixed = {name.removesuffix("-fixed") for name in used}
            assert {name.replace("-", "_") for name in fixed} <= names, path
        if path.suffix == ".js":
            assert set(re.findall(r"\bpalette\.(\w+)", text)) <= names, path


def test_style_and_script_hold_the_whole_table():
    for name in palette.DARK:
        colour = getattr(palette, name)
        assert re.fullmatch("#[0-9a-f]{6}", colour)
        assert colour in palette.style(":root") and colour in palette.script()
        assert palette.DARK[name] in palette.dark_style(":root")


def luminance(colour):
    parts = [c / 255 for c in palette.rgb(colour)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(one, other):
    darker, lighter = sorted((luminance(one) + 0.05, luminance(other) + 0.05))
    return lighter / darker


@pytest.mark.parametrize("ink", ["INK", "MUTED", "RED", "BLUE", "GREY", "TEAL", "PURPLE"])
def test_letters_can_be_read_on_paper(ink):
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3), on light pages and on dark ones."""
    assert contrast(palette.PAPER, getattr(palette, ink)) >= 4.5
    assert contrast(palette.DARK["PAPER"], palette.DARK[ink]) >= 4.5


@pytest.mark.parametrize("name", ["RED", "BLUE", "ORANGE", "TEAL", "PURPLE", "GREY"])
def test_lines_stand_out_from_the_paper(name):
    """At least 3 to 1 for graphics (WCAG 2.2, 1.4.11); orange on white, 2.7, is the one that needs
    its shape or dash as well.
    """
    assert contrast(palette.PAPER, getattr(palette, name)) >= (2.6 if name == "ORANGE" else 3)
    assert contrast(palette.DARK["PAPER"], palette.DARK[name]) >= 3


@pytest.mark.parametrize("wrong", ["red", "#fff", "112233", "#gggggg"])
def test_another_colour_is_refused(wrong):
    with pytest.raises(ValueError):
        palette.rgb(wrong)
