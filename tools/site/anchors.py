"""Sphinx extension: `[Bach et al., 2015](references.md#bach2015)` finds `<a id="bach2015"></a>`.

Such a link reads well on GitHub and in Colab too. MyST resolves `file.md#name` for headings only;
this adds the ids written as HTML, so that a wrong name is still a warning, and so an error, of the
build.
"""

import re

from docutils import nodes

ANCHOR = re.compile(r'<a id="([\w-]+)">')


def register_anchors(app, doctree):
    names = [name for raw in doctree.findall(nodes.raw) for name in ANCHOR.findall(raw.astext())]
    if names:
        slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
        slugs.update({name: (0, name, name) for name in names})


def setup(app):
    app.connect("doctree-read", register_anchors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
