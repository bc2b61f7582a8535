"""Sphinx extension: a term or a citation shows its text where it stands, on hover and on focus.

Each page carries the texts that it links to; pop_ups.js shows them, without a request.
"""

import json
import re

from docutils import nodes

TARGET = re.compile(r"(?:^|/)((glossary|references)\.html#(.+))$")
SCRIPT = "_static/pop_ups.js"


def carry_texts(app, pagename, templatename, context, doctree):
    if doctree is None or pagename in ("glossary", "references", "index_of_terms"):
        return
    texts = {}
    for link in doctree.findall(nodes.reference):
        if target := TARGET.search(link.get("refuri", "")):
            key, page, anchor = target.groups()
            if text := _texts(app, page).get(anchor):
                texts[key] = text
    if texts:
        data = json.dumps(texts, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c")
        context["body"] += (
            f'<script type="application/json" id="pop-ups">{data}</script>\n'
            f'<script defer src="{context["pathto"](SCRIPT, 1)}"></script>\n'
        )


def _texts(app, page):
    """Anchor: HTML, of all that can be linked on a page; made once in a build."""
    known = app.env.temp_data.setdefault("pop_ups", {})
    if page not in known:
        found = _terms if page == "glossary" else _citations
        known[page] = {
            anchor: app.builder.render_partial(_plain(paragraph))["fragment"].strip()
            for anchor, paragraph in found(app.env.get_doctree(page))
        }
    return known[page]


def _terms(doctree):
    for section in doctree.findall(nodes.section):
        paragraph = section.next_node(nodes.paragraph)
        if section.parent is not doctree:  # which is the page's own title
            shown = paragraph.deepcopy()
            shown.insert(0, nodes.strong("", f"{section[0].astext()}. "))
            yield section["slug"], shown


def _citations(doctree):
    for raw in doctree.findall(nodes.raw):
        if anchor := re.match(r'<a id="([\w-]+)">', raw.astext()):
            yield anchor[1], raw.parent.deepcopy()


def _plain(paragraph):
    """Without links, as a pop-up is not entered by the keyboard, and without anchors."""
    for link in [*paragraph.findall(nodes.reference)]:
        link.replace_self(link.children)
    for raw in [*paragraph.findall(nodes.raw)]:
        raw.parent.remove(raw)
    return paragraph


def setup(app):
    app.connect("html-page-context", carry_texts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
