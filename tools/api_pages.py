"""Sphinx extension: the pages of `api/`, made from the docstrings of `lib`.

Docstrings are plain text, so that `help()` reads well: code between single backticks, and lines
"name: what it is" for the parameters. Here they become reStructuredText: the names of the library
become links, and every other sign stands for itself. The directive `wing` documents what a package
names in its `__all__`, by Sphinx's own autodoc.
"""

import ast
import dataclasses
import importlib
import inspect
import pathlib
import pkgutil
import re
import sys
import textwrap
from types import ModuleType

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

NAME = r"\*{0,2}[A-Za-z_]\w*"
ITEM = re.compile(rf"((?:{NAME}(?: \([^)]*\))?)(?:(?:, | and )(?:{NAME}(?: \([^)]*\))?))*) ?: (.+)")
LIST = re.compile(r"([-+*•]|\(?\w+[.)])( |$)")  # what would begin a list
LONG = 40  # characters of a value: a longer one is left out


# ---------------------------------------------------------------- which names


def public(module):
    """(name, object) of what a module names in `__all__`, or of what it defines itself."""
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    names = getattr(module, "__all__", [n for n in own if not n.startswith("_")])
    return [(name, getattr(module, name)) for name in names]


def comment_of(wing, name):
    """The lines `#:` above a constant, in whichever file of the wing it is defined."""
    parts = pkgutil.iter_modules(getattr(wing, "__path__", []), f"{wing.__name__}.")
    for place in [wing.__name__, *(part.name for part in parts)]:
        found = ModuleAnalyzer.for_module(place).find_attr_docs().get(("", name))
        if found:
            return [line for line in found if line]
    return []


def directive_for(wing, name, value):
    """The lines of the autodoc directive for one public name."""
    full = f"{wing}.{name}"
    if isinstance(value, ModuleType):
        head = [f".. rubric:: {value.__name__}", ""]
        body = [f".. automodule:: {value.__name__}", "   :members:", "   :member-order: bysource"]
        return [*head, *body, ""]
    if inspect.isclass(value):
        return [f".. autoclass:: {full}", "   :members:", "   :member-order: bysource", ""]
    if inspect.isfunction(value):
        return [f".. autofunction:: {full}", ""]
    shown = repr(value)
    hide = len(shown) > LONG or "0x" in shown or "Path(" in shown
    return [f".. autodata:: {full}", *(["   :no-value:"] if hide else []), ""]


class Wing(SphinxDirective):
    """`.. wing:: lib.lrp`: everything that this package names in its `__all__`."""

    required_arguments = 1

    def run(self):
        wing = importlib.import_module(self.arguments[0])
        named = sorted(public(wing), key=lambda entry: isinstance(entry[1], ModuleType))
        lines = [line for entry in named for line in directive_for(wing.__name__, *entry)]
        self.env.note_dependency(inspect.getsourcefile(wing))
        section = nodes.section()
        section.document = self.state.document
        self.state.nested_parse(StringList(lines, wing.__file__), self.content_offset, section)
        return section.children


# ---------------------------------------------------------------- how they read


def write_signature(app, what, name, value, options, signature, returned):
    """The signature as the source has it: `ArrayLike`, not the twenty types it stands for."""
    if what not in ("function", "class", "method"):
        return None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    except (TypeError, OSError):
        return None
    function = tree
    if isinstance(tree, ast.ClassDef):
        makers = [n for n in tree.body if getattr(n, "name", "") == "__init__"]
        if not makers:
            return _fields(value, tree), None
        function = makers[0]
    if what != "function":
        del function.args.args[0]  # self
    hint = getattr(function, "returns", None) if function is tree else None
    return f"({ast.unparse(function.args)})", hint and ast.unparse(hint).strip("'")


def _fields(value, tree):
    """The fields of a record in the order in which it takes them; nothing for another class."""
    written = [ast.unparse(node) for node in tree.body if isinstance(node, ast.AnnAssign)]
    if not written and not dataclasses.is_dataclass(value):
        return ""
    return f"({', '.join(field for field in written if 'init=False' not in field)})"


def write_docstring(app, what, name, value, options, lines):
    """Plain docstring to reStructuredText, in place."""
    wing = wing_of(name)
    if what == "data":
        lines[:] = comment_of(wing, name.rpartition(".")[2]) or lines
    lines[:] = restructured(lines, wing, parameters_of(value))


def wing_of(name):
    """The module a full name begins with: lib.lrp for lib.lrp.lrp, lib.plots for lib.plots.axes."""
    parts = name.split(".")
    return importlib.import_module(".".join(parts[:2]))


def parameters_of(value):
    """The names of the parameters and fields of a function or class."""
    try:
        names = set(inspect.signature(value).parameters)
    except (TypeError, ValueError):
        names = set()
    fields = getattr(value, "__annotations__", {}) if inspect.isclass(value) else {}
    return names | set(fields)


def restructured(lines, wing, parameters):
    out = []
    for block in _blocks(lines):
        underlined = len(block) > 1 and re.fullmatch("-{3,}", block[1])
        if underlined:
            out += [f".. rubric:: {block[0]}", ""]
            block = block[2:]
        if not block:
            continue
        if block[0].startswith(">>>"):
            out += [*block, ""]
        elif block[0].startswith("    "):
            out += ["::", "", *(f"    {line}" for line in block), ""]
        else:
            out += _paragraphs(block, wing, parameters)
    return out


def _blocks(lines):
    blocks, current = [], []
    for line in [*lines, ""]:
        if line.strip():
            current.append(line.rstrip())
        elif current:
            blocks.append(current)
            current = []
    return blocks


def _paragraphs(block, wing, parameters):
    """Lines "name: what it is" as a list of definitions; "Returns" and "Raises" begin anew."""
    parts = []
    for line in block:
        begins = _item(line, parameters) or re.match(r"(Returns|Raises)\b", line)
        if parts and not begins:
            parts[-1] += f" {line.strip()}"
        else:
            parts.append(line.strip())
    parts = [p for part in parts for p in _split(part, parameters)]
    out, listed = [], False
    for part in parts:
        item = _item(part, parameters)
        if item:
            names = re.sub(
                NAME, lambda m: f"**{_escaped(m[0])}**", re.sub(r" \(.*?\)", "", item[1])
            )
            shapes = re.findall(r"\(.*?\)", item[1])
            text = f"{', '.join(shapes)}: {item[2]}" if shapes else item[2]
            out += [names, f"    {_inline(text, wing)}"]
        else:
            out += [*([""] if listed else []), _inline(part, wing), ""]
        listed = bool(item)
    return [*out, ""]


def _split(part, parameters):
    """ "low: this; high: that" is two items."""
    first, *rest = part.split("; ")
    pieces = [first]
    for piece in rest:
        if _item(pieces[0], parameters) and _item(piece, parameters):
            pieces.append(piece)
        else:
            pieces[-1] += f"; {piece}"
    return pieces


def _item(line, parameters):
    found = ITEM.fullmatch(line)
    if found is None:
        return None
    names = re.findall(NAME, re.sub(r" \(.*?\)", "", found[1]))
    named = (name.lstrip("*") in parameters for name in names if name != "and")
    return found if all(named) else None


def _inline(text, wing):
    """Text with its code between double backticks, or as a link where it names what is public."""
    parts = text.split("`")
    read = "".join(_code(p, wing) if k % 2 else _escaped(p) for k, p in enumerate(parts))
    return f"\\ {read}" if LIST.match(read) else read


def _code(text, wing):
    called = text.partition("(")[0]
    inside = [v for _, v in public(wing) if isinstance(v, ModuleType)]
    for module in [wing, *inside]:
        target = called if called.startswith("lib.") else f"{module.__name__}.{called}"
        if target in _targets(target, module):
            return f"\\ :py:obj:`{_escaped(text)} <{target}>`\\ "
    return f"\\ ``{text}``\\ "


def _targets(target, module):
    """The names that have a place on the pages, of this module or of the one that is named."""
    if not target.startswith(f"{module.__name__}."):
        try:
            module = importlib.import_module(".".join(target.split(".")[:2]))
        except ModuleNotFoundError:
            return set()
    return {f"{module.__name__}.{name}" for name, _ in public(module)}


def _escaped(text):
    return re.sub(r"([\\*|_])", r"\\\1", text)


# ---------------------------------------------------------------- links to them


def register_names(app, doctree):
    """Makes `api/lrp.md#lib.lrp.lrp` a link that MyST resolves and checks."""
    ids = [name for node in doctree.findall(nodes.Element) for name in node["ids"]]
    names = [name for name in ids if name.startswith(("lib.", "module-lib."))]
    if names:
        slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
        slugs.update({name: (0, name, name) for name in names})


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.add_directive("wing", Wing)
    app.connect("autodoc-process-signature", write_signature)
    app.connect("autodoc-process-docstring", write_docstring)
    app.connect("doctree-read", register_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
