"""Figures that are alive without a kernel: what the outputs hold, and how they behave in a
browser.
"""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lib.live import Bars, DrawDigit, explore, quiz
from lib.live.page import Frame, rows_of
from lib.live.pictures import array_image
from lib.lrp import lrp

RULES = ("epsilon_plus", "epsilon_gamma_box")


def square(shade):
    return np.full((8, 8), shade, np.uint8)


def sentence(*values):
    return f"A picture of a state with the values {values}."


def panels(gamma, digit):
    rng = np.random.default_rng(digit)
    image = rng.integers(0, 255, (8, 8), dtype=np.uint8)
    values = rng.normal(size=3) * (1 + gamma)
    faded, bars = (image * gamma).astype(np.uint8), Bars("abc", values, highlight=digit)
    return [("the image", image), (f"gamma {gamma:.2f}", faded), ("scores", bars)], sentence(
        gamma, digit
    )


def curve(noise):
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([0, 1, 2], [0, noise, 1])
    return figure, sentence(noise)


def figure_of_panels():
    return explore(
        panels,
        key="panels",
        title="Three panels",
        start={"gamma": 0.5},
        gamma=np.linspace(0, 1, 5),
        digit=range(3),
    )


def network():
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
    )
    return nn.Sequential(*layers, nn.Linear(64, 10)).eval()


def digits():
    return torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def drawing(**options):
    model, x = network(), digits()
    return DrawDigit(
        model, key="draw", title="Draw", rules=RULES, examples=x, still=lrp(model, x[:1]), **options
    )


QUESTIONS = [
    (
        "What is `2 + 2`?",
        [("three", False, "One too few."), ("four", True, "As one counts: Σ = 4 < 5.")],
    ),
    (
        "Which is a rule?",
        [
            ("epsilon", True, "It is one."),
            ("omega", False, "There is none of that name."),
            ("psi", False, "None either."),
        ],
    ),
]


# What an output holds


@pytest.mark.parametrize("build", [figure_of_panels, drawing, lambda: quiz(QUESTIONS, key="quiz")])
def test_bundle_is_self_contained_and_repeatable(build):
    first, second = (build()._repr_mimebundle_() for _ in range(2))
    assert first == second
    assert set(first) >= {"text/html", "text/plain"} and not any("widget" in kind for kind in first)
    addresses = set(re.findall(r"\w+://[^\"'\s]*", first["text/html"]))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "0x" not in first["text/plain"]


def test_same_picture_is_stored_once():
    one = explore(lambda k: (square(7), sentence(k)), key="same", k=range(40))
    many = explore(
        lambda k: (np.arange(k, k + 64, dtype=np.uint8).reshape(8, 8), sentence(k)),
        key="many",
        k=range(40),
    )
    images = re.search(r'"images":\[\n(.*?)\n\]', one.html, re.DOTALL)[1].splitlines()
    assert len(images) == 1 and len(many.html) > len(one.html) + 39 * 100


def test_start_may_be_a_value_or_a_label():
    values = {"first": 1, "second": 2}
    for start in ({"k": 2}, {"k": "second"}):
        assert "values (2,)" in repr(
            explore(lambda k: (square(k), sentence(k)), key="start", start=start, k=values)
        )
    for wrong in ({"k": 3}, {"other": 1}):
        with pytest.raises(ValueError, match="start"):
            explore(lambda k: (square(k), sentence(k)), key="start", start=wrong, k=values)


def test_figures_are_closed_and_arrays_keep_their_colours():
    explore(curve, key="curve", noise=[0.0, 1.0])
    assert plt.get_fignums() == []
    rng = np.random.default_rng(0)
    for array in (
        rng.integers(0, 255, (20, 30), dtype=np.uint8),
        rng.integers(0, 255, (28, 28, 3), dtype=np.uint8),
    ):
        html = explore(lambda k: (array, sentence(k)), key="exact", k=[1]).html
        png = re.search(r'src="data:image/png;base64,([^"]*)"', html)[1]
        found = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"))
        np.testing.assert_array_equal(
            found, array if array.ndim == 3 else np.repeat(array[..., None], 3, 2)
        )


def test_a_photograph_is_a_jpeg_and_what_has_few_colours_or_pixels_stays_exact():
    rng = np.random.default_rng(0)
    smooth = np.asarray(
        Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)).resize((200, 150))
    )
    flat = np.kron(rng.integers(0, 255, (15, 10), dtype=np.uint8), np.ones((10, 20), np.uint8))
    for array, kind in ((smooth, "JPEG"), (smooth[:64, :64], "PNG"), (flat, "PNG")):
        picture = array_image(array)
        found = Image.open(io.BytesIO(picture.file))
        assert found.format == kind and picture.address.startswith(f"data:image/{kind.lower()};")
        rgb = array if array.ndim == 3 else np.repeat(array[..., None], 3, 2)
        difference = np.asarray(found.convert("RGB"), float) - rgb
        assert np.abs(difference).max() == 0 if kind == "PNG" else np.abs(difference).mean() < 3


@pytest.mark.parametrize(
    "kinds, rows",
    [
        ("iiiii", ["iiiii"]),
        ("iiii~", ["iiii", "~"]),  # and not two by two, as high as a screen
        ("iiiiii", ["iii", "iii"]),
        ("iiiiii~", ["iiiii", "i~"]),
        ("~~~~", ["~~", "~~"]),
        ("iiiiiii", ["iii", "iiii"]),
    ],
)
def test_panels_stand_in_few_low_rows(kinds, rows):
    picture, drawn = Frame(8, 8, True, True, None), Frame(0, 0, False, True, {})
    found = rows_of([picture if kind == "i" else drawn for kind in kinds])
    assert ["".join(kinds[place] for place in row) for row in found] == rows


def test_text_cannot_break_out_of_the_page():
    evil = "</script><b>"
    html = explore(
        lambda k: ([(evil, square(0)), (evil, Bars([evil], [1]))], sentence(evil)),
        key="evil",
        title=evil,
        k=[evil, "x"],
    ).html
    assert evil not in html and html.count("</script>") == 2


@pytest.mark.parametrize(
    "draw, controls, error, words",
    [
        (
            lambda k: (square(0), "too few words"),
            {"k": [1.5]},
            ValueError,
            r"'bad'.*k=1\.5.*six words",
        ),
        (lambda k: square(0), {"k": [1]}, TypeError, "picture, description"),
        (
            lambda k: (np.zeros((8, 8)), sentence(k)),
            {"k": [1]},
            TypeError,
            r"float64 array \(8, 8\)",
        ),
        (lambda k: ("a word", sentence(k)), {"k": [1]}, TypeError, "must be a Figure"),
        (lambda k: ([("", square(0))] * k, sentence(k)), {"k": [1, 2]}, ValueError, "same panels"),
        (lambda k: (square(0), sentence(k)), {"k": []}, ValueError, "at least one"),
        (lambda k: (square(0), sentence(k)), {"k": [1, 1]}, ValueError, "different labels"),
        (lambda: None, {}, ValueError, "at least one control"),
    ],
)
def test_errors_name_what_came(draw, controls, error, words):
    with pytest.raises(error, match=words):
        explore(draw, key="bad", **controls)


def test_key_is_a_plain_name():
    for make in (
        lambda k: explore(curve, key=k, noise=[0]),
        lambda k: quiz(QUESTIONS, key=k),
        lambda k: DrawDigit(network(), key=k),
    ):
        with pytest.raises(ValueError, match="key"):
            make("not a key")


def test_size_limit_says_what_to_do():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"kB of HTML for 60 states.*300 kB.*fewer values"):
        explore(
            lambda k: (rng.integers(0, 255, (48, 48, 3), dtype=np.uint8), sentence(k)),
            key="big",
            k=range(60),
        )
    with pytest.raises(ValueError, match="smaller network"):
        DrawDigit(nn.Sequential(nn.Flatten(), nn.Linear(64, 1000), nn.Linear(1000, 10)), key="big")


def test_bars_are_checked_and_share_their_scale():
    for wrong in (([], []), (["a"], [1, 2]), (["a"], [float("nan")])):
        with pytest.raises(ValueError, match="Bars"):
            Bars(*wrong)
    shown = lambda k: [
        ("x", Bars("a", [k])),
        ("y", Bars("a", [-1])),
        ("z", Bars("a", [50], unit="%")),
    ]
    figure = explore(lambda k: (shown(k), sentence(k)), key="bars", k=[1, 9])
    assert [(f.spec["lo"], f.spec["hi"]) for f in figure.frames] == [(-1, 9), (-1, 9), (0, 50)]


def test_live_form_has_widgets_and_draws_with_them():
    drawn = []

    def draw(gamma, kind, digit):
        drawn.append((gamma, kind, digit))
        return square(digit), sentence(gamma, kind, digit)

    box = explore(
        draw,
        key="live",
        live=True,
        gamma=(0.0, 1.0),
        kind=["a", "b"],
        digit=range(3),
        start={"gamma": 0.25},
    )
    slider, menu, steps = box.children[:3]
    assert [type(w).__name__ for w in (slider, menu, steps)] == [
        "FloatSlider",
        "Dropdown",
        "SelectionSlider",
    ]
    slider.value, menu.value, steps.value = 0.5, "b", 2
    assert drawn[0] == (0.25, "a", 0) and drawn[-1] == (0.5, "b", 2)


def test_unsupported_layers_are_refused_by_name():
    special = (
        nn.Conv2d(1, 1, 3, dilation=2),
        nn.AvgPool2d(2, padding=1),
        nn.MaxPool2d(2, ceil_mode=True),
    )
    for layer in (nn.Sigmoid(), nn.BatchNorm2d(1), *special):
        with pytest.raises(TypeError, match=type(layer).__name__):
            DrawDigit(
                nn.Sequential(layer, nn.Flatten(), nn.Linear(64, 10)), key="net", examples=digits()
            )
    with pytest.raises(ValueError, match="rules"):
        DrawDigit(network(), key="net", rules=("delta",))
    with pytest.raises(ValueError, match="examples"):
        DrawDigit(network(), key="net", examples=torch.zeros(8, 8))


def test_model_is_left_alone():
    model = network().train()
    before = [p.clone() for p in model.parameters()]
    DrawDigit(model, key="net")
    assert model.training and all(torch.equal(a, b) for a, b in zip(before, model.parameters()))


def test_quiz_needs_one_right_option_and_every_explanation():
    for options in ([("a", False, "why")], [("a", True, "why"), ("b", True, "why")]):
        with pytest.raises(ValueError, match="exactly one"):
            quiz([("Q?", options)], key="q")
    with pytest.raises(ValueError, match="explanation"):
        quiz([("Q?", [("a", True, "why"), ("b", False, " ")])], key="q")
    assert "1. What is `2 + 2`?\n   (a) three" in repr(quiz(QUESTIONS, key="q"))


# In a browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A light and a dark page with one figure of each kind, the explored one twice, as JupyterLab
    shows it after a change.
    """
    figures = [
        figure_of_panels(),
        figure_of_panels(),
        explore(curve, key="curve", noise=[0.0, 0.5, 1.0]),
        drawing(),
        quiz(QUESTIONS, key="quiz"),
    ]
    body = "\n".join(figure._repr_mimebundle_()["text/html"] for figure in figures)
    folder = tmp_path_factory.mktemp("live")
    for mode, colours in (("light", "#fff;color:#14181e"), ("dark", "#14181e;color:#ced6dd")):
        (folder / f"{mode}.html").write_text(
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>Live</title></head>'
            f'<body style="margin:16px;background:{colours}"><main><h1>Live</h1>{body}</main>'
            "</body></html>",
            encoding="utf-8",
        )
    return folder


@pytest.fixture
def page(pages, open_page):
    yield (opened := open_page(pages / "light.html"))
    assert opened.log == []


def sources(figure):
    """What the pictures of a figure show just now."""
    return figure.evaluate(
        "f => [...f.querySelectorAll('.live-panel > *:last-child')].map(e => e.src ?? e.outerHTML)"
    )


def words(figure):
    return figure.locator("output").first.text_content()


def settled(page):
    page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def test_slider_by_keyboard(page):
    figure = page.locator("[data-explore=panels]").first
    slider, before, text = figure.locator("input").first, sources(figure), words(figure)
    assert slider.get_attribute("aria-valuetext") == "0.5" and text == sentence(0.5, 0)
    slider.press("ArrowRight")
    after = sources(figure)
    assert words(figure) == sentence(0.75, 0) and slider.get_attribute("aria-valuetext") == "0.75"
    assert after[0] == before[0] and after[1] != before[1] and after[2] != before[2]
    assert figure.locator("img").first.get_attribute("alt") == "the image: " + sentence(0.75, 0)
    assert figure.locator(".live-caption span").nth(2).text_content() == "gamma 0.75"


def test_slider_by_mouse_and_two_figures_of_one_key(page):
    first, second = page.locator("[data-explore=panels]").all()
    before, height = sources(second), second.bounding_box()["height"]
    box = second.locator("input").nth(1).bounding_box()
    page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    assert words(second) == sentence(0.5, 2) and sources(second) != before
    assert words(first) == sentence(0.5, 0) and sources(first) == before
    assert second.bounding_box()["height"] == height


def test_script_that_runs_twice_changes_nothing(page):
    page.evaluate(
        "() => document.querySelectorAll('figure script:not([type])').forEach(s => { (0, "
        "eval)(s.textContent); })"
    )
    figure = page.locator("[data-explore=panels]").first
    assert figure.locator("output + .live-size").count() == 1
    figure.locator("input").first.press("ArrowRight")
    assert words(figure) == sentence(0.75, 0)


def test_without_javascript(pages, open_page):
    page = open_page(pages / "light.html", javascript=False)
    for figure in page.locator("[data-explore], [data-digit]").all():
        for image in figure.locator("img").all():
            assert image.is_visible() and len(image.get_attribute("alt").split()) >= 6
        assert all(
            control.is_disabled() for control in figure.locator("input, select, button").all()
        )
    assert page.get_by_text("What is").is_visible() and page.log == []


def test_drawing_with_the_pointer(page):
    figure = page.locator("[data-digit=draw]")
    figure.locator("button").click()
    settled(page)
    before, box = sources(figure), figure.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 170, steps=10)
    page.mouse.up()
    settled(page)
    after = sources(figure)
    assert all(a != b for a, b in zip(before[1:], after[1:])) and "The network says" in words(
        figure
    )


def test_drawing_with_the_keyboard(page):
    figure = page.locator("[data-digit=draw]")
    figure.locator("button").click()
    settled(page)
    before = sources(figure)
    canvas = figure.locator("canvas")
    canvas.focus()
    for key in (
        "ArrowUp",
        "ArrowUp",
        " ",
        "ArrowDown",
        "ArrowDown",
        "ArrowDown",
        " ",
        "ArrowRight",
    ):
        page.keyboard.press(key)
    settled(page)
    seen = pixels(page, figure, "seen")
    assert sources(figure)[1] != before[1] and (seen[:, 3:5, 0] < 160).all()


def pixels(page, figure, panel):
    """(8, 8, 3): the colours of one panel's image."""
    source = figure.locator(f"[data-panel={panel}] img").get_attribute("src")
    return np.asarray(
        Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).convert("RGB")
    ).astype(int)


def expected_colours(relevance):
    v = (relevance / relevance.abs().max())[0, 0, ..., None].double()
    end = torch.where(v < 0, torch.tensor([0x21, 0x66, 0xAC]), torch.tensor([0xB2, 0x18, 0x2B]))
    return (255 + v.abs() * (end - 255)).numpy()


def test_contrast_shows_the_difference_of_two_maps(page):
    figure, model, x = page.locator("[data-digit=draw]"), network(), digits()
    for example, rules in ((0, RULES[0]), (1, RULES[1])):
        for control, value in (
            ("example", str(example)),
            ("rules", rules),
            ("explain", "3"),
            ("against", ""),
        ):
            figure.locator(f"[data-control={control}]").select_option(value)
        settled(page)
        image = x[example : example + 1]
        three, eight = (lrp(model, image, k, rules=rules) for k in (3, 8))
        np.testing.assert_allclose(pixels(page, figure, "map"), expected_colours(three), atol=1)
        figure.locator("[data-control=against]").select_option("8")
        settled(page)
        np.testing.assert_allclose(
            pixels(page, figure, "map"), expected_colours(three - eight), atol=1
        )
        scores = model(image)[0].detach()
        assert f"3 against 8, score difference {scores[3] - scores[8]:.2f}".replace(
            "-", "\u2212"
        ) in words(figure)
        np.testing.assert_allclose(
            pixels(page, figure, "seen")[..., 0], 255 * (1 - image[0, 0].numpy()), atol=1
        )


def test_gamma_moves_only_rules_that_have_it(page):
    figure = page.locator("[data-digit=draw]")
    gamma = figure.locator("[data-control=gamma]")
    assert gamma.is_disabled()
    figure.locator("[data-control=rules]").select_option("epsilon_gamma_box")
    settled(page)
    before = sources(figure)[2]
    gamma.press("End")
    settled(page)
    assert sources(figure)[2] != before and gamma.get_attribute("aria-valuetext") == "1"


def test_quiz_explains_each_option_and_counts(page):
    figure = page.locator("[data-quiz=quiz]")
    first, second = figure.locator("fieldset").all()
    first.get_by_label("three").check()
    assert "One too few." in first.locator("output").text_content()
    first.get_by_label("three").press("ArrowDown")
    assert (
        "Right" in first.locator("output").text_content()
        and "Σ = 4 < 5" in first.locator("output").text_content()
    )
    second.get_by_label("omega").check()
    assert figure.locator(".live-score").text_content() == "Answered 2 of 2, right 1."
    second.get_by_label("epsilon").check()
    assert "All right" in figure.locator(".live-score").text_content()


@pytest.mark.parametrize("width", [1300, 360])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_accessible_and_fits(pages, open_page, mode, width):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(pages / f"{mode}.html", mode=mode, width=width)
    page.get_by_label("four").check()
    page.get_by_label("omega").check()
    settled(page)
    violations = {
        v["id"]: [node["html"][:150] for node in v["nodes"]]
        for v in Axe().run(page).response["violations"]
    }
    assert violations == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= width and page.log == []
