"""Sphinx extension: what a page tells about itself, to others in its head, to readers in its foot.

Description and preview picture, the canonical address and the map of the site (both only where the
book has an address), the icon, the page for what is not found; version, date, and where to mend it.
"""

import re
import subprocess
import textwrap
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlsplit

import address
from docutils import nodes
from sphinx.util.osutil import relative_uri

from lib import __version__, palette

ROOT = Path(__file__).resolve().parents[2]
# What is edited where the page itself is made from it.
SOURCES = {"references": "references.bib", "status": "tools/status.py"}
PREVIEW = "_static/cards/{}.png"
ICON = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" \
fill="{ink}"/><path d="M9 23 16 9l7 14" fill="none" stroke="{paper}" stroke-width="2"/><circle \
cx="16" cy="9" r="5" fill="{paper}"/><circle cx="9" cy="23" r="5" fill="{blue}"/><circle cx="23" \
cy="23" r="5" fill="{red}"/></svg>
"""


def set_address(app, config):
    """Where the pages are published: with GitHub Pages, if the book has an address."""
    repository = config.html_theme_options["repository_url"].removeprefix("https://github.com/")
    config.html_context["repository"] = repository if repository != address.PLACEHOLDER else ""
    config.html_baseurl = published(config.html_context["repository"])


def published(repository):
    """The address of the pages of "owner/name", or "".

    >>> published("Me/book"), published("me/me.github.io"), published("")
    ('https://me.github.io/book/', 'https://me.github.io/', '')
    """
    owner, _, name = repository.partition("/")
    site = f"{owner.lower()}.github.io"
    return f"https://{site}/" + (f"{name}/" if name.lower() != site else "") if owner else ""


def tell(app, pagename, templatename, context, doctree):
    """What the templates layout.html and last-updated.html say."""
    context["icon"] = relative_uri(app.builder.get_target_uri(pagename), "_static/icon.svg")
    context["site_path"] = urlsplit(app.config.html_baseurl).path
    if doctree is None:
        return
    context["description"] = description(doctree)
    context["preview"] = app.config.html_baseurl + preview(pagename)
    path = Path(app.env.doc2path(pagename)).relative_to(app.srcdir)
    source, repository = source_of(path), context["repository"]
    context["changed"] = changes(app.srcdir).get(source)
    context["version"] = __version__
    if repository:
        title = quote(f"On the page {context['title']}")
        context["edit"] = f"https://github.com/{repository}/edit/main/{source}"
        context["report"] = f"https://github.com/{repository}/issues/new?title={title}"


def description(doctree):
    """The first sentences of a page, without its line of links and of what it costs to read."""
    texts = []
    for node in doctree.findall(lambda n: isinstance(n, nodes.paragraph | nodes.comment)):
        of_cell = any("cell" in parent.get("classes", ()) for parent in _parents(node))
        whole = len(node.children) == 1 and isinstance(node[0], nodes.emphasis | nodes.reference)
        links = "Colab" in node.astext()
        if isinstance(node, nodes.paragraph) and not (of_cell or whole or links):
            texts.append(" ".join(node.astext().split()))
        if sum(map(len, texts)) > 150:
            break
    return textwrap.shorten(" ".join(texts), 200, placeholder=" …")


def _parents(node):
    while node.parent is not None:
        node = node.parent
        yield node


def preview(pagename):
    """The picture of the page's topic, or that of the book."""
    name = Path(pagename).name
    own = (ROOT / "images" / "cards" / f"{name}.png").is_file()
    return PREVIEW.format(name if own else "book")


def source_of(path):
    """The file that is edited to change a page, as the repository calls it."""
    return SOURCES.get(path.stem, re.sub("^exercises/", "solutions/", path.as_posix()))


@cache
def changes(folder):
    """The day of the last commit of each file; without git, nothing."""
    command = ["git", "log", "--format=/%cd", "--date=format:%e %B %Y", "--name-only"]
    try:
        log = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    days, day = {}, ""
    for line in log.splitlines():
        if line.startswith("/"):
            day = line[1:].strip()
        elif line:
            days.setdefault(line, day)
    return days


def write_files(app, exception):
    if exception or app.builder.format != "html":
        return
    colours = {name.lower(): getattr(palette, name) for name in ("INK", "PAPER", "RED", "BLUE")}
    target, base = Path(app.outdir), app.config.html_baseurl
    (target / "_static/icon.svg").write_text(ICON.format(**colours), encoding="utf-8")
    if base:
        pages = sorted(map(app.builder.get_target_uri, app.env.found_docs))
        places = "".join(f"<url><loc>{base}{page}</loc></url>\n" for page in pages)
        head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns='
        head += '"http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        (target / "sitemap.xml").write_text(f"{head}{places}</urlset>\n", encoding="utf-8")


def setup(app):
    app.connect("config-inited", set_address)
    app.connect("html-page-context", tell)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
