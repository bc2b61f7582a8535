"""Writes references.md from references.bib: `.venv/bin/python tools/references.py`.

Plain Markdown with one anchor an entry, so that a citation is an ordinary link and reads well on
GitHub and in Colab.
"""

import pathlib
from urllib.parse import urlsplit

from pybtex.database import parse_file
from pybtex.richtext import Text

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEADER = """\
# References

<!-- Made from references.bib by tools/references.py: change it there. -->

What the chapters cite, by first author. The links lead to the publishers' pages and to arXiv.
"""


def page(bibliography):
    """The whole text of references.md."""
    entries = sorted(bibliography.entries.items(), key=_order)
    return HEADER + "".join(f'\n<a id="{key}"></a>\n{_entry(entry)}\n' for key, entry in entries)


def _order(item):
    key, entry = item
    return _plain(entry.persons["author"][0].last_names).casefold(), entry.fields["year"], key


def _entry(entry):
    fields = entry.fields
    parts = [
        f"{_authors(entry.persons['author'])} ({fields['year']}).",
        _sentence(fields["title"], "**"),
    ]
    if where := _where(fields):
        parts.append(where)
    if links := ", ".join(_links(fields)):
        parts.append(links)
    return " ".join(parts)


def _authors(persons):
    names = [
        f"{_plain(p.last_names)}, {_initials(p.first_names + p.middle_names)}" for p in persons
    ]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _initials(names):
    """'Klaus-Robert' -> 'K.-R.'; 'J. P.' stays."""
    return " ".join("-".join(part[0] + "." for part in name.split("-")) for name in names)


def _plain(names):
    return _text(" ".join(names))


def _text(latex):
    """Without the braces and accents of LaTeX."""
    return str(Text.from_latex(latex))


def _sentence(text, mark):
    text = _text(text)
    end = "" if text[-1] in "?!." else "."
    return f"{mark}{text}{end}{mark}"


def _where(fields):
    venue = fields.get("journal") or fields.get("booktitle") or fields.get("howpublished")
    if not venue:
        return ""
    text = f"*{_text(venue)}*"
    if "series" in fields:
        text += f", {fields['series']}"
    if "volume" in fields:
        text += f" {fields['volume']}" + (f"({fields['number']})" if "number" in fields else "")
    if "pages" in fields:
        text += (": " if "volume" in fields else ", ") + fields["pages"].replace("--", "–")
    return text + "."


def _links(fields):
    if "doi" in fields:
        yield f"[doi:{fields['doi']}](https://doi.org/{fields['doi']})"
    if "eprint" in fields:
        yield f"[arXiv:{fields['eprint']}](https://arxiv.org/abs/{fields['eprint']})"
    if "url" in fields and not {"doi", "eprint"} & set(fields):
        yield f"[{urlsplit(fields['url']).hostname}]({fields['url']})"


def main():
    text = page(parse_file(ROOT / "references.bib", bib_format="bibtex"))
    (ROOT / "references.md").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
