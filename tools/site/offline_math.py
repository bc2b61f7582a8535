"""Sphinx extension: MathJax comes with the book (from the package sphinx-mathjax-offline), so no
page asks the network.

Only what a page can use is copied: one script and its fonts, 1.7 MB for the whole book.
"""

import importlib.util
import pathlib
import shutil

SCRIPT = "tex-chtml-full.js"
FONTS = pathlib.Path("output/chtml/fonts/woff-v2")


def point_pages_at_the_copy(app, config):
    config.mathjax_path = f"mathjax/{SCRIPT}"


def copy_mathjax(app, exception):
    if exception or app.builder.format != "html":
        return
    package = pathlib.Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent
    source = package / "static" / "mathjax"
    target = pathlib.Path(app.outdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / SCRIPT, target)
    shutil.copytree(source / FONTS, target / FONTS, dirs_exist_ok=True)


def setup(app):
    app.connect("config-inited", point_pages_at_the_copy)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
