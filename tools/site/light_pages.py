"""Sphinx extension: a page loads what it uses, and nothing else.

Mathematics is typeset on pages that have some. Scripts wait until the text stands. From the style
sheets of the theme all rules go whose classes occur on no page and in no script; of its fonts of
icons those icons stay that are shown, inside the style sheet.
"""

import base64
import io
import logging
import re
import shutil
from pathlib import Path

import tinycss2
from fontTools import subset
from fontTools.ttLib import TTFont

THEME = "styles/pydata-sphinx-theme.css"
FONTS = {"fa-solid-900": "900", "fa-brands-400": "400"}
# asked for by the inline scripts below it, so it cannot wait
AT_ONCE = "documentation_options.js"
# classes that Bootstrap puts together from parts
COMPOSED = {"bs-tooltip-auto", "bs-popover-auto"}
UNUSED = ("**/*.map", "vendor", "scripts/fontawesome*", "images/logo_[!c]*", "locales")


def choose_scripts(app, pagename, templatename, context, doctree):
    """Leaves MathJax out where the page itself has no formula, and defers all other scripts."""
    mathematics = app.env.get_domain("math").data["has_equations"].get(pagename)
    scripts = [s for s in context["script_files"] if mathematics or "mathjax" not in _said(s)]
    for script in scripts:
        if script.filename and AT_ONCE not in str(script.filename):
            script.attributes.setdefault("defer", "defer")
    context["script_files"] = scripts


def _said(script):
    """The address and the text of a script, in small letters."""
    return f"{script.filename} {script.attributes.get('body', '')}".lower()


logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells every table that it prunes


def lighten(app, exception):
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    known = _classes_in_use(Path(app.outdir), static)
    fonts = {name: static / f"vendor/fontawesome/webfonts/{name}.ttf" for name in FONTS}
    for sheet in static.rglob("*.css"):
        rules = _used_rules(tinycss2.parse_stylesheet(sheet.read_text("utf-8"), True, True), known)
        css = "".join(rule.serialize() for rule in rules)
        if sheet == static / THEME:
            css += _icon_fonts(fonts, {*map(ord, re.findall(r"[\ue000-\uf8ff]", css))})
        sheet.write_text(css, encoding="utf-8")
    for pattern in UNUSED:
        for path in sorted(static.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _classes_in_use(pages, static):
    """The classes of all pages, and every word of the scripts, which may become one."""
    words = set(COMPOSED)
    for page in pages.rglob("*.html"):
        for classes in re.findall(r'class="([^"]*)"', page.read_text("utf-8")):
            words.update(classes.split())
    for script in static.rglob("*.js"):
        if "mathjax" not in script.parts and "fontawesome" not in script.name:
            words.update(re.findall(r"[\w-]+", script.read_text("utf-8")))
    return words


def _used_rules(rules, known):
    for rule in rules:
        if rule.type == "qualified-rule":
            used = [s for s in _selectors(tinycss2.serialize(rule.prelude)) if _can_match(s, known)]
            if used:
                rule.prelude = tinycss2.parse_component_value_list(",".join(used))
                yield rule
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            inside = [*_used_rules(tinycss2.parse_rule_list(rule.content, True, True), known)]
            if inside:
                rule.content = inside
                yield rule
        elif not _is_icon_font(rule):
            yield rule


def _selectors(prelude):
    """The selectors of a list; a comma in parentheses separates none."""
    return re.split(r",(?![^()]*\))", prelude)


def _can_match(selector, known):
    """Whether all classes that a selector asks for occur; what stands in parentheses may."""
    asked = re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\]", "", selector)
    names = re.findall(r"\.((?:\\.|[\w-])+)", asked)
    return all(name.replace("\\", "") in known for name in names)


def _is_icon_font(rule):
    return getattr(rule, "lower_at_keyword", "") == "font-face" and "fontawesome" in (
        tinycss2.serialize(rule.content)
    )


def _icon_fonts(fonts, codes):
    """The fonts with those icons alone, as rules that carry them."""
    return "".join(
        f'@font-face{{font-family:"Font Awesome 6 {"Brands" if "brands" in name else "Free"}";'
        f"font-weight:{FONTS[name]};src:url(data:font/woff;base64,{_subset(path, codes)})}}"
        for name, path in fonts.items()
    )


def _subset(path, codes):
    font = TTFont(path, recalcTimestamp=False)
    options = subset.Options(layout_features=[], notdef_outline=False, hinting=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    font.flavor = "woff"
    file = io.BytesIO()
    font.save(file)
    return base64.b64encode(file.getvalue()).decode()


def setup(app):
    app.connect("html-page-context", choose_scripts, priority=900)
    app.connect("build-finished", lighten, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
