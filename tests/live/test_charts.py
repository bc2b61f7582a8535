"""Charts, words and tables: what they ship, and what the page draws from it."""

import re
import xml.dom.minidom

import numpy as np
import pytest
import torch

from lib import plots
from lib.live import Bars, Chart, Thumbnails, Values, Words, explore, figure

X = np.linspace(0, 1, 11)


def sentence(*values):
    return f"A picture of a state with the values {values}."


def spec_of(*charts):
    return Chart.spec(charts[:1], charts)


# What is shipped


def test_places_are_shares_of_the_box():
    chart = Chart("x", "y", xlim=(0, 2), ylim=(-1, 1)).line([0, 1, 2], [-1, 0, 1])
    spec = spec_of(chart)
    assert chart.parts(spec)[0]["d"] == "M0 2000l1000-1000 1000-1000"
    assert spec["x"]["ticks"][0] == [0, "0"] and spec["x"]["ticks"][-1] == [1, "2"]


def test_logarithmic_axes():
    chart = Chart("x", "y", xlog=True, xlim=(1, 100), ylim=(0, 1)).points([1, 10, 100], [0, 0, 0])
    spec = spec_of(chart)
    assert chart.parts(spec)[0]["d"] == "M0 2000h0M1000 2000h0M2000 2000h0"
    assert [name for _, name in spec["x"]["ticks"]] == ["1", "10", "100"]


def test_nan_leaves_a_gap():
    chart = Chart("x", "y", xlim=(0, 4), ylim=(0, 1)).line([0, 1, 2, 3, 4], [0, 0, np.nan, 0, 0])
    assert chart.parts(spec_of(chart))[0]["d"].count("M") == 2


def test_charts_with_the_same_axes_share_their_limits():
    one, two = Chart("x", "loss").line(X, X), Chart("x", "loss").line(X, 10 * X)
    other = Chart("x", "share").line(X, X)
    assert spec_of(one, two, other)["y"]["hi"] == spec_of(two, one, other)["y"]["hi"] > 10
    assert spec_of(other, one, two)["y"]["hi"] < 2


def test_every_mark_lies_in_the_box_by_default():
    rng = np.random.default_rng(0)
    chart = Chart("x", "y").points(rng.normal(size=50) * 1e3, rng.normal(size=50) / 1e3)
    places = np.array(re.findall(r"M(-?\d+) (-?\d+)h0", chart.parts(spec_of(chart))[0]["d"]), int)
    assert len(places) == 50 and places.min() >= 0 and places.max() <= 2000


def test_curves_differ_in_more_than_their_colour():
    chart = Chart("x", "y")
    for name in "abcd":
        chart.line(X, X, name).points(X, X, name)
    looks = [part["c"] for part in chart.parts(spec_of(chart)) if "n" in part]
    assert len(set(looks)) == 8
    lines = [look for look in looks if look.startswith("line")]
    assert ["dash" in look for look in lines] == [False, True, False, True]


def test_field_has_a_scale_over_all_states():
    fields = [Chart(aspect=1).field(k * np.ones((2, 2)), "logits") for k in (1, -3)]
    scale = Chart.spec(fields, fields)["scale"]
    assert (scale["lo"], scale["hi"]) == (-3, 3)
    counts = Chart(aspect=1).field([[0.0, 4.0]], "count", signed=False)
    assert spec_of(counts)["scale"]["names"] == ["0", "2", "4"]


def test_tensors_are_numbers():
    assert Chart("x", "y").line(torch.arange(3), torch.arange(3.0, requires_grad=True)).marks


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Chart("x", "y").line([0, 1], [0]),
        lambda: Chart("x", "y").line([0, 1], [0, np.inf]),
        lambda: Chart("x", "y").line([0, 1], [0, 1], colour="pink"),
        lambda: Chart("x", "y").points([0], [0], shape="star"),
        lambda: Chart("x", "y").link((0, 0), (1, 1), arrow=True),
        lambda: Chart("x", "y").field([1.0, 2.0]),
        lambda: Chart("x", "y").field([[np.nan]]),
        lambda: Chart("x", "y").picture(np.zeros((2, 2))),
        lambda: spec_of(Chart("x", "y", ylog=True).line([0, 1], [0, 1])),
        lambda: spec_of(Chart("x", "y", xlim=(1, 1)).line([0, 1], [0, 1])),
        lambda: Words(["a"], [1.0, 2.0]),
        lambda: Words(["a"], [np.nan]),
        lambda: Thumbnails({}),
        lambda: Thumbnails({"a": np.zeros((2, 2), np.uint8)}, values=[1, 2]),
        lambda: figure(Bars(["a"], [1]), "Too short.", key="short"),
    ],
)
def test_errors(wrong):
    with pytest.raises(ValueError):
        wrong()


def test_handle_and_play_name_sliders():
    draw = lambda a, kind: (Chart("x", "y", handle=("a", "kind")).line(X, X), sentence(a, kind))
    with pytest.raises(ValueError, match="handle"):
        explore(draw, key="bad", a=[0.0, 1.0], kind=["u", "v"])
    plain = lambda a: (Chart("x", "y").line(X, X), sentence(a))
    with pytest.raises(ValueError, match="play"):
        explore(plain, key="bad", play="b", a=[0.0, 1.0])


def test_a_flagship_may_be_heavier():
    rng = np.random.default_rng(0)
    draw = lambda k: (rng.integers(0, 255, (64, 64, 3), dtype=np.uint8), sentence(k))
    with pytest.raises(ValueError, match="300 kB"):
        explore(draw, key="heavy", k=range(60))
    assert explore(draw, key="heavy", k=range(50), flagship="sixty photographs").html
    with pytest.raises(ValueError, match="1000 kB"):
        explore(draw, key="heavy", k=range(300), flagship="too many photographs")


# Tables


def table():
    rows = {"gradient": [0.812, (1.25, 0.1), "no"], "LRP": [0.934, (-0.4, 0.1), None]}
    return plots.table(
        rows,
        ["share inside", "roughness", "sees <b>"],
        title="Two methods",
        best={"share inside": max},
        shade=["roughness"],
        digits={"roughness": 1},
    )


def test_table_as_text():
    lines = repr(table()).splitlines()
    assert lines[0] == "Two methods" and lines[2].split() == [
        "gradient",
        "0.81",
        "1.2",
        "±",
        "0.1",
        "no",
    ]
    assert lines[3].split() == ["LRP", "0.93*", "−0.4", "±", "0.1", "–"]


def test_table_as_html():
    html = table()._repr_mimebundle_()["text/html"]
    assert "<strong>0.93</strong>" in html and "sees &lt;b&gt;" in html and "<caption>" in html
    assert html.count("<tr>") == 3 and html.count('scope="row"') == 2
    assert html.count("background:color-mix") == 2


def test_table_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="2 cells"):
        plots.table({"a": [1]}, ["x", "y"])
    with pytest.raises(ValueError, match="columns"):
        plots.table({"a": [1]}, ["x"], best={"z": max})


def test_ties_are_marked_alike_and_numbers_of_torch_are_numbers():
    tied = plots.table(
        {"a": [torch.tensor(0.501)], "b": [np.float32(0.499)]}, ["x"], best={"x": max}, digits=1
    )
    assert repr(tied).count("0.5*") == 2


def test_values_may_be_a_table():
    bundle = Values(table(), {"share": [0.934]})._repr_mimebundle_()
    assert "text/html" in bundle and len(bundle) == 3


# Drawn in the page


def draw(a, b, photo):
    plane = Chart("x", "y", xlim=(-1, 1), ylim=(-1, 1), aspect=1, handle=("a", "b"))
    plane.field(np.outer(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)) * a, "logits")
    plane.points([0.5], [0.5], "cat").text(0, 0, "middle", node=True)
    curve = Chart("steps", "loss (nats)").line(X, X * a, "train").band(X, X - 1, X + 1, "two sd")
    words = Words(["a", "good", "film"], [a, b, a - b])
    panels = [("plane", plane), ("loss", curve), ("words", words), ("numbers", table())]
    return [*panels, ("scores", Bars(["cat", "dog"], [a, b]))], sentence(a, b, photo)


def photos():
    rng = np.random.default_rng(0)
    return {n: rng.integers(0, 255, (8, 8, 3), dtype=np.uint8) for n in ("cat", "cup", "dog")}


def charts():
    grid = np.linspace(-1, 1, 5)
    return explore(
        draw, key="charts", title="Charts", play="a", a=grid, b=grid, photo=Thumbnails(photos())
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("charts")
    static = figure(Chart("x", "y").line(X, X), "One straight line from zero to one.", key="one")
    body = "\n".join(f._repr_mimebundle_()["text/html"] for f in (charts(), static))
    for mode in ("light", "dark"):
        (folder / f"{mode}.html").write_text(
            f'<!doctype html><html lang="en" data-theme="{mode}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>Charts</title></head>'
            f"<body><main><h1>Charts</h1>{body}</main></body></html>",
            encoding="utf-8",
        )
    return folder


def words(page):
    return page.locator("[data-explore=charts] output").text_content()


def test_a_point_is_dragged(pages, open_page):
    page = open_page(pages / "light.html")
    box = page.locator(".live-drag").bounding_box()
    at = lambda x, y: (box["x"] + x * box["width"], box["y"] + (1 - y) * box["height"])
    page.mouse.move(*at(0.02, 0.02))
    page.mouse.down()
    page.mouse.move(*at(0.5, 0.5), steps=4)
    page.mouse.move(*at(0.77, 0.98), steps=4)
    page.mouse.up()
    assert words(page) == sentence(0.5, 1.0, "cat")
    knob = page.locator(".live-knob").bounding_box()
    assert abs(knob["x"] + knob["width"] / 2 - at(0.75, 1)[0]) < 3
    page.mouse.move(*at(0.1, 0.1))
    assert words(page) == sentence(0.5, 1.0, "cat") and page.log == []


def test_thumbnails_by_keyboard(pages, open_page):
    page = open_page(pages / "light.html")
    page.locator(".live-thumbs input").first.focus()
    page.keyboard.press("ArrowRight")
    assert words(page) == sentence(-1.0, -1.0, "cup")


def test_play_runs_to_the_end_and_stops(pages, open_page):
    page = open_page(pages / "light.html")
    page.locator(".live-play").click()
    assert page.locator(".live-play").text_content() == "⏸ Pause"
    page.wait_for_function("document.querySelector('.live-play').textContent === '▶ Play'")
    assert words(page) == sentence(1.0, -1.0, "cat")


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 900])
def test_charts_fit_and_can_be_read(pages, open_page, mode, width):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(pages / f"{mode}.html", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.evaluate(
        "[...document.querySelectorAll('.live-fig *')].filter(e => e.textContent.trim() && "
        "!e.children.length && !/STYLE|SCRIPT/.test(e.tagName))"
        ".map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12
    panels = page.locator("[data-explore=charts] .live-panel").all()
    inner = page.locator("[data-explore=charts] .live-rows").first.bounding_box()["width"]
    if width == 390:
        assert all(panel.bounding_box()["width"] > 0.45 * inner for panel in panels)
    tops = [panel.bounding_box()["y"] for panel in panels]
    assert width == 390 or tops[0] == tops[1]
    assert Axe().run(page).response["violations"] == [] and page.log == []


def test_stills_are_svg_files_that_show_the_same_marks(pages, open_page):
    page = open_page(pages / "light.html", javascript=False)
    for image in page.locator(".live-drawn img").all():
        assert image.is_visible() and image.evaluate("i => i.naturalWidth") == 360
    chart = Chart("x", "y").line(X, X, "train").points(X, X).level(y=0.5)
    text = chart.still(spec_of(chart))
    assert xml.dom.minidom.parseString(text)
    for part in chart.parts(spec_of(chart)):
        assert part["d"] in text


def test_what_is_stripped_from_an_untrusted_notebook_says_so(pages, open_page):
    html = charts().html
    assert "trust the notebook" in re.sub(r"<(style|script).*?</\1>", "", html, flags=re.DOTALL)
    page = open_page(pages / "light.html")
    assert not page.locator(".live-stripped").first.is_visible()
