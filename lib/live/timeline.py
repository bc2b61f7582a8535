"""Named things by family and year, each a link to the place where it is explained: HTML that needs
no kernel.
"""

from collections.abc import Sequence
from html import escape
from typing import TypedDict

from .page import Output, card, check_key

STYLE = """<style>
.live-time{display:grid;grid-template-columns:9.5em 1fr;margin:0 0 10px!important;\
overflow-wrap:normal;font-size:13px;color:var(--ink)}
.live-time :is(dt,dd){margin:0!important;padding:7px 8px 2px 0;border-top:1px solid var(--line);\
font-size:13px;color:var(--ink)}
.live-time dd{display:flex;flex-wrap:wrap;gap:0 6px}
.live-time a{margin:0 0 5px!important;padding:3px 7px;border-radius:6px;\
background:var(--blue-tint);color:var(--ink)!important;text-decoration:none;line-height:1.3}
.live-time a:is(:hover,:focus-visible){background:var(--blue);color:var(--paper)!important}
.live-time a>span{display:block;font-size:12px}
@media (max-width:520px){.live-time{grid-template-columns:1fr}.live-time dd{border:0;padding-top:0}}
</style>"""


class Entry(TypedDict):
    """One thing: who made it, when, what it is called, its family, its idea, and a relative link to
    where it is explained.
    """

    by: str
    year: int
    name: str
    family: str
    idea: str
    where: str


class Timeline(Output):
    """The entries as links, a row for each family, in the order of their years. Made by `timeline`,
    whose arguments and errors these are.

    >>> entry = {"by": "Bach", "year": 2015, "name": "LRP", "family": "decomposition"}
    >>> Timeline([entry | {"idea": "Shares.", "where": "lrp.html"}], "map", "A map")
    decomposition: LRP (Bach, 2015). Shares.
    """

    def __init__(self, entries: Sequence[Entry], key: str, title: str) -> None:
        check_key("timeline", key)
        self.entries, self.key, self.title = list(entries), key, title

    def __repr__(self) -> str:
        return "\n".join(
            f"{e['family']}: {e['name']} ({e['by']}, {e['year']}). {e['idea']}"
            for e in self.entries
        )

    def _html(self) -> str:
        families = dict.fromkeys(e["family"] for e in self.entries)
        rows = "\n".join(
            f"<dt>{escape(family)}</dt>\n<dd>{self._links(family)}</dd>" for family in families
        )
        hint = (
            '<output aria-live="polite">Point at a method, or reach it by the tab key, to '
            "read its idea; follow it to its section.</output>"
        )
        return card(
            "timeline",
            self.key,
            self.title,
            f'{STYLE}\n<dl class="live-time">\n{rows}\n</dl>\n{hint}',
            {},
            ["timeline.js"],
        )

    def _links(self, family: str) -> str:
        members = [e for e in self.entries if e["family"] == family]
        return "\n".join(map(_link, sorted(members, key=lambda e: e["year"])))


def _link(e: Entry) -> str:
    head = f'<a href="{escape(e["where"])}" title="{escape(e["idea"])}">'
    return f"{head}{escape(e['name'])}<span>{escape(e['by'])} {e['year']}</span></a>"


def timeline(entries: Sequence[Entry], key: str, title: str) -> Timeline:
    """A list in the page, by family and year.

    entries: dicts with by, year, name, family, idea, and where (a relative link).
    key: lower-case letters, digits and hyphens; the figure's own name on its page.
    Raises ValueError for another key.

    >>> entry = {"by": "Bach", "year": 2015, "name": "LRP", "family": "decomposition"}
    >>> timeline([entry | {"idea": "Shares.", "where": "lrp.html"}], "map", "A map")
    decomposition: LRP (Bach, 2015). Shares.
    """
    return Timeline(entries, key, title)
