"""The made pictures of the book: a card for each chapter, a photograph explained, and the picture
of the book itself. `make pages` writes them into images/.

A card is a figure of its chapter, as the notebook stores it; nothing is drawn by hand.
"""

import base64
import io
import json
import re
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

from lib import data, models, palette, plots
from lib.lrp import lrp

IMAGES = ROOT / "images"
CARD = (600, 315)  # the shape that previews of links have
BOOK = (1200, 630)
PHOTO = 224
FEW_COLOURS = 256


class Card(NamedTuple):
    """The cell, or the key of the figure, whose pictures a chapter shows on its card, the first
    picture if None; the same in words.
    """

    source: str | None
    words: str


PLAIN = Card(None, "The first figure")
PHOTOGRAPHS = "Photographs, and in red the pixels that speak for what a network sees"
CARDS = {
    "interpretability": Card("cover-and-look", "A horse with a tag, and what two networks look at"),
    "sensitivity": Card("three-maps", "A handwritten digit and three maps made from its gradient"),
    "lrp": Card("photographs", PHOTOGRAPHS),
    "evaluation": Card("four-maps", "A handwritten digit and four maps of the same decision"),
    "applications": Card("draw-faces", "Eight drawn faces, old and young, with their signs"),
    "vae": Card("reconstruct", "Handwritten digits, and how an autoencoder gives them back"),
    "gans": Card("first-samples", "Two rows of digits from 0 to 9 that a generator has made"),
    "uncertainty": Card("neither", "Digits and other shapes with a network's confidence"),
    "bias": Card("cue", "Digits with a small dot whose place gives the answer away"),
    "responsibility": Card("languages", "What one text costs in 69 languages, beside English"),
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
    source = CARDS.get(name, PLAIN).source
    figure = _trimmed(_languages() if source == "languages" else _stored(name, source))
    room = CARD[0] - 40, CARD[1] - 40
    zoom = min(room[0] / figure.width, room[1] / figure.height)
    figure = figure.resize(
        (round(figure.width * zoom), round(figure.height * zoom)), Image.Resampling.LANCZOS
    )
    paper = Image.new("RGB", CARD, palette.PAPER)
    paper.paste(figure, ((CARD[0] - figure.width) // 2, (CARD[1] - figure.height) // 2))
    return paper


def _stored(chapter: str, source: str | None) -> Image.Image:
    """The pictures of a cell or a figure, as they stand in the notebook; white for a chapter that
    has no picture yet.
    """
    notebook = json.loads((ROOT / "chapters" / f"{chapter}.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = {kind: "".join(value) for kind, value in output.get("data", {}).items()}
            html = data.get("text/html", "")
            found = re.findall(r'<img[^>]*\ssrc="data:image/png;base64,([^"]+)"', html)
            found = found or [data[kind] for kind in ("image/png",) if kind in data]
            if found and (source in (cell["id"], None) or f'data-explore="{source}"' in html):
                return _in_a_row([Image.open(io.BytesIO(base64.b64decode(png))) for png in found])
    if source is None:
        return Image.new("RGB", CARD, palette.PAPER)
    raise ValueError(f"chapters/{chapter}.ipynb: no cell or figure {source!r} with a picture")


def _in_a_row(pictures: list[Image.Image], height: int = 360) -> Image.Image:
    """Side by side and equally high, in two rows from four pictures on; small ones as squares."""
    if len(pictures) == 1:
        return pictures[0].convert("RGB")
    columns = len(pictures) if len(pictures) < 4 else -(-len(pictures) // 2)
    sizes = [(round(p.width * height / p.height), height) for p in pictures]
    wide = max(width for width, _ in sizes) + 16
    rows = -(-len(pictures) // columns)
    paper = Image.new("RGB", (columns * wide, rows * (height + 16)), palette.PAPER)
    for k, (picture, size) in enumerate(zip(pictures, sizes)):
        how = Image.Resampling.NEAREST if picture.height <= 64 else Image.Resampling.LANCZOS
        place = k % columns * wide, k // columns * (height + 16)
        paper.paste(picture.convert("RGB").resize(size, how), place)
    return paper


def _languages() -> Image.Image:
    """Tokens of one text in 69 languages, as multiples of English, for two tokenizers."""
    counts = data.measured("languages")
    ax = plots.axes("69 languages, in order", "tokens (English = 1)", 6.0, 3.1)
    for place, name in ((1, "GPT-2"), (3, "GPT-4o")):
        ratios = sorted(row[place] / counts["English"][place] for row in counts.values())
        ax.plot(ratios, "o" if place == 1 else "s", ms=4, label=name)
    ax.legend()
    file = io.BytesIO()
    ax.figure.savefig(file, format="png", dpi=200)
    plots.plt.close(ax.figure)
    return Image.open(file).convert("RGB")


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
