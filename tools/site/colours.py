"""Sphinx extension: the colours of `lib.palette` as variables of every page's style sheets."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from lib import palette

SHEET = "palette.css"


def write_sheet(app, exception):
    if exception is None and app.builder.format == "html":
        sheet = pathlib.Path(app.outdir) / "_static" / SHEET
        sheet.write_text(palette.style(":root") + "\n", encoding="utf-8")


def setup(app):
    app.add_css_file(SHEET)
    app.connect("build-finished", write_sheet)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
