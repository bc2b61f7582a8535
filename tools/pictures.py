"""The made pictures of the book: a card for each chapter, a photograph explained, and the picture
of the book itself. `make pages` writes them into images/.

A card is a figure of its chapter, as the notebook stores it; nothing is drawn by hand.
"""

import base64
import io
import json
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import skimage.data
import torch
from PIL import Image, ImageChops, ImageDraw, ImageFont
from run import in_order

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib import models, palette, plots
from lib.lrp import lrp

IMAGES = ROOT / "images"
CARD = (600, 315)  # the shape that previews of links have
BOOK = (1200, 630)
PHOTO = 224
FEW_COLOURS = 256


class Card(NamedTuple):
    """The cell whose picture a chapter shows on its card, the first if None; the same in words."""

    cell: str | None
    words: str


PLAIN = Card(None, "The first figure")
CARDS = {
    "interpretability": Card(
        "zoo-figure", "A horse with a tag in the corner, and what two networks look at"
    ),
    "sensitivity": Card(
        "figure-three-maps", "A handwritten digit and three maps made from its gradient"
    ),
    "lrp": Card("figure-three-neurons", "Relevance flows back through a network of three layers"),
    "evaluation": Card("curves", "Falling curves of a score while pixels are destroyed"),
    "applications": Card("gallery-figure", "A molecule whose atoms are coloured by relevance"),
    "vae": Card("reconstruct", "Handwritten digits, and how an autoencoder gives them back"),
    "gans": Card("first-samples", "Two rows of digits from 0 to 9 that a generator has made"),
    "uncertainty": Card("band", "A fitted curve with a band that widens where data are missing"),
    "bias": Card("cue", "Digits with a small dot whose place gives the answer away"),
    "responsibility": Card("english-only", "Bars of what one sentence costs in ten languages"),
}


def made() -> dict[Path, Callable[[], Image.Image]]:
    """Each made picture, and what draws it."""
    names = [path.stem for path in in_order("chapters")]
    cards = {IMAGES / "cards" / f"{name}.png": partial(card, name) for name in names}
    return {**cards, IMAGES / "photo.jpg": photo, IMAGES / "cards" / "book.png": book}


def is_old(path: Path, picture: Image.Image) -> bool:
    """Whether the file shows something else; the last bits of a number differ between machines."""
    if not path.exists():
        return True
    stored = Image.open(path).convert("RGB")
    drawn = Image.open(io.BytesIO(content(path, picture))).convert("RGB")
    if stored.size != drawn.size:
        return True
    return float(np.abs(np.asarray(stored, float) - np.asarray(drawn, float)).mean()) > 0.5


def content(path: Path, picture: Image.Image) -> bytes:
    """The bytes of the file, in the form that its name says."""
    file = io.BytesIO()
    if path.suffix == ".jpg":
        picture.save(file, "JPEG", quality=82)
    else:
        few = picture.quantize(FEW_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(file, "PNG", optimize=True)
    return file.getvalue()


# ---------------------------------------------------------------- cards


def card(name: str) -> Image.Image:
    """The chapter's figure in the middle of white paper."""
    figure = _trimmed(_stored(name, CARDS.get(name, PLAIN).cell))
    room = CARD[0] - 40, CARD[1] - 40
    zoom = min(room[0] / figure.width, room[1] / figure.height)
    figure = figure.resize(
        (round(figure.width * zoom), round(figure.height * zoom)), Image.Resampling.LANCZOS
    )
    paper = Image.new("RGB", CARD, palette.PAPER)
    paper.paste(figure, ((CARD[0] - figure.width) // 2, (CARD[1] - figure.height) // 2))
    return paper


def _stored(chapter: str, cell: str | None) -> Image.Image:
    """The picture that a cell shows, as it stands in the notebook; white for a chapter that has no
    picture yet.
    """
    notebook = json.loads((ROOT / "chapters" / f"{chapter}.ipynb").read_text(encoding="utf-8"))
    for found in notebook["cells"]:
        for output in found.get("outputs", []):
            if cell in (found["id"], None) and "image/png" in output.get("data", {}):
                png = base64.b64decode("".join(output["data"]["image/png"]))
                return Image.open(io.BytesIO(png)).convert("RGB")
    if cell is None:
        return Image.new("RGB", CARD, palette.PAPER)
    raise ValueError(f"chapters/{chapter}.ipynb: no cell {cell!r} with a picture for its card")


def _trimmed(picture: Image.Image) -> Image.Image:
    """Without its white margins."""
    paper = Image.new("RGB", picture.size, palette.PAPER)
    return picture.crop(ImageChops.difference(picture, paper).getbbox() or (0, 0, *picture.size))


# ---------------------------------------------------------------- a photograph explained


@cache
def photo() -> Image.Image:
    """A cat (Stefan van der Walt, CC0), and why EfficientNet-Lite0 sees an Egyptian cat in it."""
    image = skimage.data.chelsea()
    left = (image.shape[1] - image.shape[0]) // 2
    square = Image.fromarray(image[:, left : left + image.shape[0]])
    square = square.resize((PHOTO, PHOTO), Image.Resampling.LANCZOS)
    net = models.pretrained("efficientnet_lite0")
    x = net.prepare(torch.tensor(np.asarray(square)).permute(2, 0, 1)[None] / 255)
    relevance = lrp(net, x, rules="epsilon_plus")[0].sum(0)
    # the checks that strides leave are averaged away; few pixels would take all the colour
    smooth = torch.nn.functional.avg_pool2d(relevance[None], 3, 1, 1)[0]
    most = smooth.abs().flatten().kthvalue(int(0.995 * smooth.numel())).values.item()
    pair = Image.new("RGB", (2 * PHOTO + 16, PHOTO), palette.PAPER)
    pair.paste(square, (0, 0))
    pair.paste(
        Image.fromarray(plots.heatmap(smooth.clamp(-most, most), scale=most)), (PHOTO + 16, 0)
    )
    return pair


def book() -> Image.Image:
    """The title over the photograph explained: what a link to the book shows, and the README."""
    paper = Image.new("RGB", BOOK, palette.PAPER)
    pen, pair = ImageDraw.Draw(paper), photo()
    pen.text((60, 40), "Opening Deep Networks", palette.INK, _font(64, "-Bold"))
    pen.text((62, 122), "explaining, generating, trusting", palette.MUTED, _font(34))
    zoom = 400 / PHOTO
    size = (round(pair.width * zoom), round(pair.height * zoom))
    paper.paste(pair.resize(size, Image.Resampling.LANCZOS), (60, 200))
    for k, line in enumerate(("A network says", "“Egyptian cat”.", "Why?")):
        pen.text((900, 240 + 46 * k), line, palette.INK, _font(28))
    for k, line in enumerate(("Red pixels", "speak for it.")):
        pen.text((900, 430 + 46 * k), line, palette.RED, _font(28))
    return paper


def _font(size: int, weight: str = "") -> ImageFont.FreeTypeFont:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / f"DejaVuSans{weight}.ttf", size)
