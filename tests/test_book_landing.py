"""The first page of the built book: a digit to draw, the cards of the chapters, code, citation."""

import re

import numpy as np
import pictures
import pytest
import run
import skimage.data
import torch
from built import HTML
from conftest import ROOT
from PIL import Image
from pybtex.database import parse_string

import lib
from lib import data

INTRO = HTML / "intro.html"
CHAPTERS = run.in_order("chapters")


@pytest.mark.parametrize(("width", "height"), [(1300, 900), (390, 800)])
def test_the_field_to_draw_in_is_in_the_first_screen(open_page, width, height):
    page = open_page(INTRO, width=width, height=height)
    field = page.locator("figure.live-fig [data-panel=drawing] canvas").bounding_box()
    assert field["y"] + field["height"] <= height
    if width > 600:
        shown = page.locator("figure.live-fig [data-panel=map] img").bounding_box()
        assert shown["y"] + shown["height"] <= height


def test_who_draws_sees_another_score_and_another_map(open_page):
    page = open_page(INTRO)
    figure = page.locator("figure.live-fig").first
    seen = figure.locator("[data-panel=map] img, output")
    before = seen.evaluate_all("parts => parts.map(p => p.src || p.textContent)")
    figure.get_by_role("button", name="Clear the drawing").click()
    box = figure.locator("[data-panel=drawing] canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"]
    page.mouse.move(x, y + 0.15 * box["height"])
    page.mouse.down()
    page.mouse.move(x, y + 0.85 * box["height"], steps=12)
    page.mouse.up()
    page.wait_for_timeout(200)
    after = seen.evaluate_all("parts => parts.map(p => p.src || p.textContent)")
    assert all(one != other for one, other in zip(before, after))
    assert "The network says 1" in figure.locator("output").inner_text()


def test_a_card_for_each_chapter_in_their_order(open_page):
    page = open_page(INTRO)
    cards = page.locator(".bd-article li.card").all()
    assert len(cards) == len(CHAPTERS)
    for number, (card, path) in enumerate(zip(cards, CHAPTERS), start=1):
        said = card.inner_text()
        head = path.read_text(encoding="utf-8")
        assert card.locator("a").get_attribute("href") == f"chapters/{path.stem}.html"
        assert said.startswith(f"{number} ") and "?" in said and "before it" in said
        assert f"{re.search('About ([0-9]+) minutes', head)[1]} minutes" in said
        assert card.locator("img").get_attribute("src") == f"_static/cards/{path.stem}.png"
        card.scroll_into_view_if_needed()
        card.locator("a").focus()
        page.wait_for_function(
            "i => i.complete && i.naturalWidth > 500", arg=card.locator("img").element_handle()
        )


def test_a_card_is_pressed_anywhere(open_page):
    page = open_page(INTRO)
    picture = page.locator(".bd-article li.card img").nth(2)
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**/chapters/lrp.html")


def test_five_lines_explain_a_photograph(monkeypatch):
    text = (ROOT / "intro.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.+?)```", text, re.DOTALL)[1]
    assert len(code.splitlines()) == 5
    cat = torch.tensor(skimage.data.chelsea()).permute(2, 0, 1) / 255
    monkeypatch.setattr(data, "photos", lambda names: {"chelsea": data.Photo(cat, None)})
    pictures_shown = []
    monkeypatch.setattr(Image.Image, "show", lambda picture: pictures_shown.append(picture))
    names = {}
    exec(
        "from lib import data, models, plots\nfrom lib.lrp import lrp\nfrom PIL import Image", names
    )
    assert re.findall(r"`(from [^`]+)`", text)[:2] == [
        "from lib import data, models, plots",
        "from lib.lrp import lrp",
    ]
    exec(code, names)
    (picture,) = pictures_shown
    colours = np.asarray(picture, float)
    assert picture.size == (224, 224) and (colours[..., 0] > colours[..., 2] + 50).sum() > 100


def test_how_to_cite(open_page):
    entry = open_page(INTRO).locator(".highlight-bibtex pre").inner_text()
    (cited,) = parse_string(entry, "bibtex").entries.values()
    assert lib.__version__ in cited.fields["note"] and cited.fields["url"].startswith("https://")
    assert cited.fields["title"] == "Opening Deep Networks: explaining, generating, trusting"


@pytest.mark.parametrize("path", pictures.made(), ids=lambda path: path.stem)
def test_a_made_picture_is_as_its_tool_makes_it(path):
    assert not pictures.is_old(path, pictures.made()[path]()), "run: make pages"


def test_another_picture_is_old(tmp_path):
    path, white = tmp_path / "a.png", Image.new("RGB", (20, 10), "white")
    assert pictures.is_old(path, white)
    path.write_bytes(pictures.content(path, white))
    assert not pictures.is_old(path, white)
    assert pictures.is_old(path, Image.new("RGB", (20, 10), "black"))
    assert pictures.is_old(path, Image.new("RGB", (10, 20), "white"))


def test_a_card_without_its_cell_names_it(monkeypatch):
    monkeypatch.setitem(pictures.CARDS, "lrp", pictures.Card("gone", "no picture"))
    with pytest.raises(ValueError, match="lrp.ipynb: no cell or figure 'gone'"):
        pictures.card("lrp")
