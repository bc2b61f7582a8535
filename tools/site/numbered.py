"""Sphinx extension: figures and displayed equations have numbers and places to link to; a fold says
what it holds.

The third chapter's second figure is Figure 3.2, at `#figure-3-2`; equations are counted alike.
Pages of the appendix have letters. The notebooks stay plain: nothing of this stands in them.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput
from run import in_order
from sphinx.transforms.post_transforms import SphinxPostTransform

LIVE = re.compile(r'<figure class="live-fig"(?! data-quiz)')
TITLE = re.compile(r'<p class="live-title">')


def chapter_numbers():
    """The number or the letter of each numbered page, in the order of the table of contents."""
    chapters, appendix = (map(_docname, in_order(folder)) for folder in ("chapters", "full_scale"))
    letters = map(chr, range(ord("A"), ord("Z")))
    return {name: str(k) for k, name in enumerate(chapters, 1)} | dict(zip(appendix, letters))


def _docname(path):
    return (Path(path.parent.name) / path.stem).as_posix()


class Number(SphinxPostTransform):
    """After MyST-NB has chosen what a page shows of an output, before it folds the code."""

    default_priority = 6
    formats = ("html",)

    def run(self, **options):
        chapter = chapter_numbers().get(self.env.docname)
        for cell in self.document.findall(nodes.container):
            if cell.get("nb_element") == "cell_code":
                cell["holds"] = _kind(cell)
        if chapter is None:
            return
        for k, equation in enumerate(self.document.findall(nodes.math_block), 1):
            equation["number"] = f"{chapter}.{k}"
            equation["ids"] = [f"equation-{chapter.lower()}-{k}"]
        for k, node in enumerate([*self.document.findall(_is_figure)], 1):
            self._figure(node, f"{chapter}.{k}", f"figure-{chapter.lower()}-{k}")

    def _figure(self, node, number, anchor):
        label = f'<a class="figure-number" href="#{anchor}">Figure {number}</a>'
        cell = next(n for n in _parents(node) if n.get("nb_element") == "cell_code")
        cell.setdefault("figures", []).append(f"Figure {number}")
        if isinstance(node, nodes.image):
            said = re.split(r"(?<=[.!?])\s", node.get("alt", ""), maxsplit=1)[0]
            caption = nodes.raw("", f"{label} {escape(said)}".strip(), format="html")
            figure = nodes.figure("", node.deepcopy(), nodes.caption("", "", caption), ids=[anchor])
            node.replace_self(figure)
            return
        html = LIVE.sub(lambda start: f'{start[0]} id="{anchor}"', node.astext(), count=1)
        if TITLE.search(html):
            html = TITLE.sub(lambda start: f"{start[0]}{label} ", html, count=1)
        else:
            title = f'</style>\n<p class="live-title">{label}</p>'
            html = html.replace("</style>", title, 1)
        node.replace_self(nodes.raw("", html, format="html"))


def _is_figure(node):
    """A live figure, or a picture among the outputs of a cell."""
    if isinstance(node, nodes.raw):
        return bool(LIVE.search(node.astext()))
    outputs = any(n.get("nb_element") == "cell_code_output" for n in _parents(node))
    return isinstance(node, nodes.image) and outputs


def _parents(node):
    while node.parent is not None:
        node = node.parent
        yield node


def _kind(cell):
    """What the code of a cell is, and how many lines."""
    code = cell.children[0].astext().strip()
    kind = "The set-up of this page" if "google.colab" in code else "The code of this cell"
    if code.startswith(("live.quiz(", "quiz(")):
        kind = "The code of the self-test"
    lines = code.count("\n") + 1
    return kind, f"{lines} line{'s' if lines > 1 else ''}"


def visit_fold(self, node):
    """In place of MyST-NB's, which calls every fold "Toggle hidden content"."""
    kind, lines = node.parent["holds"]
    if figures := node.parent.get("figures"):
        kind = f"The code of {' and '.join(figures)}"
    self.body.append(
        f'<details class="admonition hide {" ".join(node["classes"])}">\n'
        f'<summary><p class="admonition-title">{kind} ({lines})</p></summary>\n'
    )


def setup(app):
    app.add_post_transform(Number)
    app.add_node(HideCodeCellNode, override=True, html=(visit_fold, depart_HideCellInput))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
