"""The form of what is in the repository: names, notebooks, addresses, versions, workflows. No
notebook is executed here.
"""

import ast
import re
import shutil
import statistics
import subprocess
import sys
import tomllib

import address
import nbformat
import pages
import pytest
import run
import status
import yaml
from conftest import ROOT

LISTED = re.findall(r"^ *- file: (\S+)$", (ROOT / "_toc.yml").read_text(), re.MULTILINE)
NAMES = [name.removeprefix("chapters/") for name in LISTED if name.startswith("chapters/")]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "solutions").glob("*.ipynb"))
EXERCISES = sorted((ROOT / "exercises").glob("*.ipynb"))
FULL_SCALE = sorted((ROOT / "full_scale").glob("*.ipynb"))
EXECUTED = CHAPTERS + SOLUTIONS + FULL_SCALE
ALL = EXECUTED + EXERCISES


def _label(path):
    return f"{path.parent.name}/{path.stem}"


def _each(paths):
    return pytest.mark.parametrize("path", paths, ids=_label)


def _read(path):
    return nbformat.read(path, 4)


def _code(path):
    return [cell for cell in _read(path).cells if cell.cell_type == "code"]


def _markdown(path):
    return [cell for cell in _read(path).cells if cell.cell_type == "markdown"]


# ---------------------------------------------------------------- layout


@pytest.mark.parametrize("name", NAMES)
def test_a_topic_has_its_room_on_every_floor(name):
    for room in (
        f"chapters/{name}.ipynb",
        f"lib/{name}/__init__.py",
        f"lib/checks/{name}.py",
        f"solutions/{name}.ipynb",
        f"exercises/{name}.ipynb",
        f"tests/{name}",
    ):
        assert (ROOT / room).exists(), f"{room} is missing"


def test_the_table_of_contents_lists_what_exists():
    assert not [
        name
        for name in LISTED
        if not any((ROOT / f"{name}{end}").is_file() for end in (".md", ".ipynb"))
    ]
    assert set(NAMES) == {path.stem for path in CHAPTERS}
    exercises = {name for name in LISTED if name.startswith("exercises/")}
    assert exercises == {f"exercises/{path.stem}" for path in EXERCISES}
    assert not [name for name in LISTED if name.startswith("solutions/")], "solutions are secret"


# ---------------------------------------------------------------- notebooks


@_each(ALL)
def test_stored_in_the_canonical_form(path):
    stored = path.read_text(encoding="utf-8")
    if path in EXECUTED:
        again = "make run NAME=" + path.stem
        assert stored == run.text_of(run.canonical(_read(path))), f"not in canonical form: {again}"
        run.refuse_unfit(_read(path))
    nbformat.validate(_read(path))
    assert "application/vnd.jupyter.widget" not in stored
    ids = [cell.id for cell in _read(path).cells]
    assert len(ids) == len(set(ids))


@_each(EXECUTED)
def test_every_cell_was_executed(path):
    not_run = [cell.id for cell in _code(path) if cell.source.strip() and not cell.execution_count]
    assert not not_run, f"run it: make run NAME={path.stem}"
    counts = [cell.execution_count for cell in _code(path) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1)), "executed from top to bottom, once"


@_each(CHAPTERS)
def test_cells_are_short(path):
    """Statements, not lines: the formatter decides about lines."""
    cells = [cell.source for cell in _code(path) if "google.colab" not in cell.source]
    sizes = [sum(isinstance(n, ast.stmt) for n in ast.walk(ast.parse(cell))) for cell in cells]
    assert statistics.median(sizes) <= 5 and max(sizes) <= 30
    assert sum(n <= 15 for n in sizes) >= 0.9 * len(sizes)


@_each(ALL)
def test_set_up_is_short_and_first(path):
    cells = _code(path)
    set_up = [i for i, cell in enumerate(cells) if "google.colab" in cell.source]
    assert set_up == [0], "one set-up cell, the first"
    lines = [line for line in cells[0].source.splitlines() if line.strip()]
    assert len(lines) <= 5
    installs = [
        line
        for cell in cells
        for line in cell.source.splitlines()
        if re.search(r"\bpip\b.*\binstall\b", line)
    ]
    assert len(installs) == 1 and "--no-deps" in installs[0], "Colab installs lib and nothing else"


@_each(CHAPTERS + SOLUTIONS)
def test_pictures_are_described(path):
    for cell in _code(path):
        pictures = [
            o
            for o in cell.outputs
            if "image/png" in o.get("data", {}) and "text/html" not in o.data
        ]
        if pictures and "remove-output" not in cell.metadata.get("tags", []):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(re.findall(r"\w+", alt)) >= 6, (
                f"cell {cell.id} shows a picture: describe it in its metadata, mystnb.image.alt"
            )


@_each(ALL)
def test_headings_are_in_order(path):
    levels = [
        len(m)
        for cell in _markdown(path)
        for m in re.findall(r"^(#+) ", _without_code(cell.source), re.MULTILINE)
    ]
    assert levels and levels[0] == 1 and levels.count(1) == 1, "one title, first"
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:])), (
        "no level is left out"
    )


@_each(ALL)
def test_reads_well_where_only_markdown_is_understood(path):
    for cell in _markdown(path):
        text = _without_code(cell.source)
        raw = re.findall(
            r"^(?:`{3,}|:{3,})\{.*|^\([\w-]+\)=|\{[a-z:]+\}`[^`]*`|^%.*", cell.source, re.MULTILINE
        )
        assert not raw, f"cell {cell.id}: shows as raw text in Colab: {raw}"
        assert not re.search(r"<(script|iframe|link|style)\b", text), cell.id
        assert not re.search(r"!\[[^\]]*\]\(https?:|<img[^>]+src=.https?:", text), (
            f"cell {cell.id}: a picture from elsewhere is a request"
        )


def _without_code(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


@_each(EXECUTED)
def test_every_output_has_a_form_that_a_page_shows(path):
    """The build says nothing of an output whose kind it does not know, such as stored values."""
    for cell in _code(path):
        assert all("text/plain" in o.data for o in cell.outputs if "data" in o), cell.id


@_each(ALL)
def test_outputs_ask_nothing_of_the_network(path):
    asks = re.compile(
        r"""<(?:script|img|iframe|link|source)\b[^>]*\b(?:src|href)\s*=\s*["']?(?:https?:)?//|@import|url\(\s*["']?https?:|\bfetch\s*\(\s*["']http""",
        re.IGNORECASE,
    )
    for cell in _code(path):
        for output in cell.outputs:
            for kind, value in output.get("data", {}).items():
                if kind in ("text/html", "image/svg+xml", "application/javascript"):
                    found = asks.search("".join(value))
                    assert not found, f"cell {cell.id}: {found.group(0)[:80]}"


# ---------------------------------------------------------------- the canonical form itself


def _stand_in():
    new = nbformat.v4
    notebook = new.new_notebook(
        metadata={"colab": {"provenance": []}, "kernelspec": {"name": "x", "display_name": "x"}}
    )
    code = new.new_code_cell(
        "print(1)",
        id="lrp-epsilon",
        metadata={"tags": ["hide-input"], "ExecuteTime": 1, "nbgrader": {"grade": True}},
    )
    code.outputs = [
        new.new_output("stream", name="stdout", text="1"),
        new.new_output("stream", name="stdout", text="2\n"),
    ]
    widget = new.new_code_cell(
        "w",
        id="3f2a9c1b",
        metadata={"tags": ["remove-output"]},
        outputs=[new.new_output("display_data", {"text/plain": "w"})],
    )
    notebook.cells = [new.new_markdown_cell("# T\n", id="0a1b2c3d"), code, widget]
    return notebook


def test_canonical_form_keeps_what_is_meant_and_nothing_else():
    notebook = run.canonical(_stand_in())
    assert [cell.id for cell in notebook.cells] == ["c00", "lrp-epsilon", "c02"]
    assert notebook.metadata == run.NOTEBOOK_METADATA
    assert notebook.cells[1].metadata == {"tags": ["hide-input"], "nbgrader": {"grade": True}}
    assert [o.text for o in notebook.cells[1].outputs] == ["12\n"]
    assert notebook.cells[2].outputs == []
    assert run.text_of(run.canonical(notebook)) == run.text_of(notebook)


def test_a_bar_of_progress_is_not_stored():
    notebook = _stand_in()
    bar = {run.WIDGET_VIEW: {"model_id": "1"}, "text/plain": "drawing: 82%"}
    notebook.cells[1].outputs.insert(0, nbformat.v4.new_output("display_data", bar))
    assert [o.output_type for o in run.canonical(notebook).cells[1].outputs] == ["stream"]


@pytest.mark.parametrize(
    "output, reason",
    [
        (nbformat.v4.new_output("stream", name="stderr", text="a warning"), "stderr"),
        (
            nbformat.v4.new_output("execute_result", {"text/plain": "<object object at 0x7f00aa>"}),
            "address",
        ),
        (nbformat.v4.new_output("stream", name="stdout", text=f"read {ROOT}/lib"), "path"),
    ],
    ids=["stderr", "address", "path"],
)
def test_unfit_outputs_are_refused_with_their_cell(output, reason):
    notebook = _stand_in()
    notebook.cells[1].outputs = [output]
    with pytest.raises(run.Refused, match=f"lrp-epsilon.*{reason}"):
        run.refuse_unfit(notebook)


# ---------------------------------------------------------------- the address

LINK = re.compile(
    r"https://colab\.research\.google\.com/github/([^/\s\"')]+/[^/\s\"')]+)/blob/([^/\s\"')]+)/([^\s\"')#?\\]+)"
)
INSTALL = re.compile(r"git\+https://github\.com/([^\s\"'\\]+?)@([\w.-]+)")


@pytest.mark.parametrize("path", address.carriers(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_carry_the_address_and_name_a_file_that_exists(path):
    text = path.read_text(encoding="utf-8")
    for repository, branch, file in LINK.findall(text):
        assert (repository, branch) == (address.current(), "main")
        assert (ROOT / file).is_file(), file
    for repository, branch in INSTALL.findall(text):
        assert (repository, branch) == (address.current(), "main")


@_each(ALL)
def test_a_notebook_has_its_own_badge(path):
    own = (
        f"exercises/{path.name}"
        if path.parent.name == "solutions"
        else f"{path.parent.name}/{path.name}"
    )
    assert [file for *_, file in LINK.findall(_markdown(path)[0].source)] == [own]


def test_the_launch_button_of_a_page_is_colab_on_the_main_branch():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["repository"]["branch"] == "main"
    assert config["launch_buttons"]["colab_url"] == "https://colab.research.google.com"


@pytest.fixture
def copy(tmp_path):
    """Every file that carries the address, in a folder of its own."""
    for path in address.carriers():
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return tmp_path


def _bytes(root):
    return {path.relative_to(root): path.read_bytes() for path in address.carriers(root)}


def test_the_address_can_be_changed_and_changed_back(copy):
    before, first = _bytes(copy), f"https://github.com/{address.current(copy)}"
    address.change("https://github.com/me/book.2", copy)
    changed = _bytes(copy)
    assert not [
        str(name)
        for name, text in changed.items()
        if re.search(rb"github(\.com)?/" + re.escape(first[19:].encode()), text)
    ]
    carrying = [name for name, text in before.items() if first[19:].encode() in text]
    assert all(changed[name] != before[name] for name in carrying)
    assert address.change("https://github.com/me/book.2", copy) == [], "idempotent"
    address.change("https://github.com/me/book", copy)
    address.change(first + "/", copy)
    assert _bytes(copy) == before


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "me/book",
        "http://github.com/me/book",
        "https://gitlab.com/me/book",
        "https://github.com/me",
        "https://github.com/me/book/tree/main",
        "https://github.com/me/book?x=1",
        "https://github.com//book",
        "https://github.com/me/..",
        "https://github.com/-me/book",
        "https://github.com/me/book\n",
    ],
)
def test_other_addresses_are_refused(wrong, copy):
    before = _bytes(copy)
    with pytest.raises(ValueError, match="expected an address like"):
        address.change(wrong, copy)
    assert _bytes(copy) == before


def test_publishing_fails_with_the_command_until_the_address_is_right(copy):
    address.change(f"https://github.com/{address.PLACEHOLDER}", copy)
    assert "make address ADDRESS=https://github.com/me/book" in address.check("me/book", copy)
    assert address.check(address.PLACEHOLDER, copy)
    address.change("https://github.com/Me/book", copy)
    assert address.check("me/book", copy) is None
    assert "make address ADDRESS=https://github.com/you/book" in address.check("you/book", copy)
    plain = subprocess.run(
        [sys.executable, "-S", ROOT / "tools/address.py", "--check", "nobody/nothing"],
        capture_output=True,
        text=True,
    )
    assert (
        plain.returncode
        and "make address ADDRESS=https://github.com/nobody/nothing" in plain.stderr
    )


# ---------------------------------------------------------------- lists, versions, workflows


@pytest.mark.parametrize("path", pages.made(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_made_file_is_as_its_tool_makes_it(path):
    assert not pages.is_old(path, pages.made()[path]()), "run: make pages"


def test_what_is_old_is_named_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    path = tmp_path / "page.md"
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(pages, "made", lambda: {path: lambda: "new"})
    monkeypatch.setattr(pages.pictures, "made", dict)
    for text in (None, "old"):
        if text:
            path.write_text(text)
        monkeypatch.setattr(sys, "argv", ["pages.py", "--check"])
        assert pages.main() == 1 and "page.md: old\n" in capsys.readouterr().out
        assert path.exists() == bool(text) and (not text or path.read_text() == text)
    monkeypatch.setattr(sys, "argv", ["pages.py"])
    assert pages.main() == 0 and path.read_text() == "new"
    assert "page.md: written\n" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["pages.py", "--check"])
    assert pages.main() == 0 and capsys.readouterr().out == ""


def test_keys_of_the_bibliography_name_author_and_year():
    for key, entry in pages.bibliography().items():
        assert (
            re.fullmatch(r"[a-z]+\d{4}[a-z]?", key)
            and entry.fields["year"].isdigit()
            and key[-5:].strip("abc").endswith(entry.fields["year"])
        )


def test_every_reference_can_be_found():
    """An identifier or an address in its right form, or a venue; a DOI or arXiv number is no proof
    that it is the right one.
    """
    forms = {
        "doi": r"10\.\d{4,9}/\S+",
        "eprint": r"\d{4}\.\d{4,5}|[a-z-]+/\d{7}",
        "url": r"https?://[\w.-]+/\S*",
    }
    for key, entry in pages.bibliography().items():
        found = {name: entry.fields[name] for name in forms if name in entry.fields}
        assert all(re.fullmatch(forms[name], value) for name, value in found.items()), (
            f"{key}: {found}"
        )
        assert found or any(
            name in entry.fields
            for name in ("journal", "booktitle", "publisher", "howpublished", "isbn")
        ), f"{key} cannot be found"


def test_glossary_is_alphabetical_and_defines_each_term():
    text = (ROOT / "glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert terms == sorted(terms, key=str.casefold) and len(terms) == len(set(terms))
    assert all(len(part.split()) > 8 for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:])


@pytest.mark.parametrize("path", CHAPTERS, ids=_label)
def test_every_symbol_of_a_displayed_equation_is_in_the_notation(path):
    from equations import equations, symbols

    known = symbols(
        " ".join(re.findall(r"\$([^$]+)\$", (ROOT / "notation.md").read_text(encoding="utf-8")))
    )
    missing = {
        name: sorted(symbols(tex) - known)
        for name, tex in equations(path.stem).items()
        if symbols(tex) - known
    }
    assert not missing, f"notation.md does not explain {missing}"


def test_every_term_is_used_and_explained():
    used, terms = pages.uses(), pages.terms()
    assert not [terms[anchor] for anchor in terms if anchor not in used], (
        "terms of the glossary that no text links to"
    )
    assert not [anchor for anchor in used if anchor not in terms], (
        "links to terms that the glossary does not define"
    )


def test_versions_are_exact_and_installed():
    from importlib.metadata import version

    pins = re.findall(
        r"^(?:# no-deps: )?([A-Za-z][\w.-]*)(.*)$",
        (ROOT / "requirements.txt").read_text(),
        re.MULTILINE,
    )
    for name, pin in pins:
        assert re.fullmatch(r"==[\w.]+", pin.strip()), f"{name}{pin}"
        assert version(name).split("+")[0] == pin.strip()[2:], (
            f"{name}: the environment is older than requirements.txt"
        )


def test_lib_is_a_package_that_brings_nothing_with_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == "opening-deep-networks" and project["dependencies"] == []


def test_lib_installs_with_all_its_files(tmp_path):
    tree, target = tmp_path / "tree", tmp_path / "installed"
    shutil.copytree(ROOT / "lib", tree / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, tree)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        target,
        tree,
    ]
    subprocess.run(pip, check=True, capture_output=True)
    there = {p.relative_to(target) for p in target.rglob("*") if p.is_file()}
    assert not {p.relative_to(tree) for p in (tree / "lib").rglob("*") if p.is_file()} - there


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda p: p.stem
)
def test_workflows_parse_and_use_official_actions_only(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow[True], "triggers (YAML reads the key `on` as true)"
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for job in workflow["jobs"].values():
        assert job["runs-on"] and job["timeout-minutes"] and job["steps"]
        for step in job["steps"]:
            assert step.get("uses", "actions/").startswith("actions/")
            for verb in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
                assert verb in verbs


def test_publishing_checks_the_address_before_anything_else():
    steps = yaml.safe_load((ROOT / ".github/workflows/publish.yml").read_text())["jobs"]["publish"][
        "steps"
    ]
    assert "tools/address.py --check" in steps[1]["run"] and steps[0]["uses"].startswith(
        "actions/checkout"
    )


def test_the_readme_names_files_that_exist():
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            if not link.startswith("../"):
                assert (ROOT / link).exists(), f"{page}: {link}"


def test_citation_parses():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version"} <= citation.keys()
    from lib import __version__

    assert citation["version"] == __version__


def test_every_page_was_measured():
    places = [path.relative_to(ROOT).as_posix() for path in CHAPTERS + FULL_SCALE]
    assert sorted(status.measured()) == sorted(places), "run: make status"


@_each(CHAPTERS)
def test_the_minutes_in_a_head_fit_the_length_of_the_text(path):
    texts = [cell.source for cell in _markdown(path)]
    words, minutes = len("".join(texts).split()), re.search(r"About (\d+) minutes", texts[0])
    assert minutes and words / 200 < int(minutes[1]) < words / 15


def test_links_between_chapters_go_both_ways():
    """Where one relies on another, the other says where it leads; the table of headlines alone only
    collects.
    """
    pages = {path: set() for path in CHAPTERS + FULL_SCALE if path.stem != "headlines"}
    for path, linked in pages.items():
        text = "\n".join(
            cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"
        )
        linked.update(
            (path.parent / target).resolve()
            for target in re.findall(r"\]\(([^)#\s]+\.ipynb)", text)
        )
    one_way = [
        f"{a.stem} -> {b.stem}"
        for a, linked in pages.items()
        for b in linked & pages.keys() - {a}
        if a not in pages[b]
    ]
    assert not one_way and all(pages.values())
