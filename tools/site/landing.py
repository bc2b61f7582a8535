"""Sphinx extension: the parts of the first page that are made from others.

The network that reads what is drawn, the picture and the minutes of each chapter's card, and who
wrote the book, when, and how to cite it.
"""

import json
import re
from html import escape
from pathlib import Path

import page_head
import torch
import yaml
from book import PDF
from docutils import nodes
from numbered import chapter_numbers
from pictures import CARDS, PLAIN

from lib import gans, live, models
from lib.lrp import lrp

PAGE = "intro"
MADE = re.compile(r"<!-- made by the build: (\w+) -->")
BIBTEX = """\
@misc{{opening_deep_networks,
  title   = {{{title}}},
  author  = {{{{{author}}}}},
  year    = {{{year}}},
  note    = {{Version {version}}},
  url     = {{{url}}}
}}"""


def make_parts(app, doctree):
    if app.env.docname != PAGE:
        return
    for node in [*doctree.findall(nodes.raw)]:
        if asked := MADE.search(node.astext()):
            html = {"draw": draw, "about": about}[asked[1]](app)
            node.replace_self(nodes.raw("", html, format="html"))
    for item in doctree.findall(nodes.list_item):
        first = item.next_node(nodes.paragraph)[0]
        if chapter := re.match(
            r"chapters/(\w+)", getattr(first, "attributes", {}).get("reftarget", "")
        ):
            make_card(app, item, chapter[1])


def draw(app):
    """The figure, with digits to start from that the book's own generator has made."""
    net, labels = models.pretrained("mnist_small"), torch.arange(10)
    maker = gans.mnist_gan()
    z = torch.randn(10, maker.latent, generator=torch.Generator().manual_seed(0))
    # sixteen greys are enough, and light
    examples = (maker(z, labels).detach().roll(-3, 0) * 15).round() / 15
    figure = live.DrawDigit(
        net,
        key="draw",
        title="Draw a digit, and see why the network says so",
        rules=("epsilon_gamma_box", "epsilon_plus"),
        examples=examples,
        contrast=False,
        still=lrp(net, examples[:1], rules="epsilon_gamma_box"),
        names=[f"a {(k + 3) % 10}, made by chapter 7" for k in range(10)],
    )
    return f'<div class="text_html">{figure._repr_mimebundle_()["text/html"]}</div>'


def make_card(app, item, chapter):
    """Picture, number and title, question; what it takes and what comes before it."""
    picture = (
        f'<img class="card-picture" src="_static/cards/{chapter}.png" width="600" height="315" '
        f'loading="lazy" alt="{CARDS.get(chapter, PLAIN).words}, from its chapter.">'
    )
    notebook = json.loads((Path(app.srcdir) / f"chapters/{chapter}.ipynb").read_text("utf-8"))
    minutes = re.search(r"About (\d+) minutes", "".join(notebook["cells"][0]["source"]))[1]
    title, said = item[0].children
    question, before = re.fullmatch(r"(?s): (.+?\?)\s+(.+)", said.astext()).groups()
    item[0].children = [title]
    item[0].insert(0, nodes.Text(f"{chapter_numbers()[f'chapters/{chapter}']} "))
    foot = nodes.paragraph("", f"{minutes} minutes. {before}", classes=["card-foot"])
    item.insert(0, nodes.raw("", picture, format="html"))
    item.extend([nodes.paragraph("", question[0].upper() + question[1:]), foot])
    item["classes"].append("card")


def about(app):
    """Authors, version, day, source, the whole book for print, and the entry for a bibliography."""
    cited = yaml.safe_load((Path(app.srcdir) / "CITATION.cff").read_text(encoding="utf-8"))
    repository, base = app.config.html_context["repository"], app.config.html_baseurl
    author = " and ".join(person["name"] for person in cited["authors"])
    day = next(iter(page_head.changes(app.srcdir).values()), "")
    parts = [f"By {author}.", f"Version {cited['version']}{', ' * bool(day)}{day}."]
    if repository:
        parts.append(f'<a href="{base}{PDF}">The whole book for print (PDF)</a>.')
        parts.append(f'<a href="https://github.com/{repository}">The source</a>.')
    else:
        parts.append("<code>make pdf</code> makes the whole book for print.")
    entry = BIBTEX.format(
        title=cited["title"],
        author=author,
        year=app.config.copyright,
        version=cited["version"],
        url=base or cited["repository-code"],
    )
    code = f'<div class="highlight"><pre>{escape(entry)}</pre></div>'
    return f'<p>{" ".join(parts)} To cite it:</p><div class="highlight-bibtex">{code}</div>'


def setup(app):
    app.connect("doctree-read", make_parts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
