"""The made pictures of the book: a card for each chapter, what each method says of photographs, a
photograph explained, and the picture of the book itself. `make pages` writes them into images/.

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
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageChops, ImageDraw, ImageFont
from run import in_order

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lib import data, models, palette, plots
from lib.interpretability import prediction_difference
from lib.lrp import estimate_patterns, lrp

IMAGES = ROOT / "images"
CARD = (600, 315)  # the shape that previews of links have
BOOK = (1200, 630)
PHOTO = 224
SHOWN = ["chelsea", "coffee", "camera"]
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
    methods = {IMAGES / "methods" / name: draw for name, draw in of_methods().items()}
    return {**cards, **methods, IMAGES / "photo.jpg": photo, IMAGES / "cards" / "book.png": book}


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
            found = re.findall(r'<img[^>]*\ssrc="data:image/(?:png|jpeg);base64,([^"]+)"', html)
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
    return _as_image(ax.figure)


def _as_image(figure: Figure) -> Image.Image:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=200)
    plots.plt.close(figure)
    return Image.open(file).convert("RGB")


def _trimmed(picture: Image.Image) -> Image.Image:
    """Without its white margins."""
    paper = Image.new("RGB", picture.size, palette.PAPER)
    return picture.crop(ImageChops.difference(picture, paper).getbbox() or (0, 0, *picture.size))


# ---------------------------------------------------------------- what the methods say


def of_methods() -> dict[str, Callable[[], Image.Image]]:
    """Each picture of the page methods.md, and what draws it."""
    maps = {_slug(name): partial(_maps, name) for name in data.explained_photos().methods}
    draws = maps | {
        "photographs": _photographs,
        "prediction-difference": partial(_on_scenes, _prediction_difference),
        "lrp-at-the-pixels": partial(_on_scenes, partial(lrp, rules="epsilon_gamma_box")),
        "patterns": _pattern,
    }
    page = (ROOT / "methods.md").read_text(encoding="utf-8")
    names = re.findall(r"images/methods/(\S+?)\)", page)
    return {name: draws[Path(name).stem] for name in names}


def _slug(name: str) -> str:
    return re.sub("[^a-z0-9]+", "-", name.lower().replace("×", "x")).strip("-")


def _photographs() -> Image.Image:
    return _in_a_row([_square(p.image) for p in data.photos(SHOWN).values()], PHOTO)


def _square(image: torch.Tensor) -> Image.Image:
    """The middle of a photograph (3, H, W)."""
    height, width = image.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = Image.fromarray(plots.image(image[:, top : top + side, left : left + side]))
    return middle.resize((PHOTO, PHOTO), Image.Resampling.LANCZOS)


def _maps(method: str) -> Image.Image:
    """The method's maps of three photographs, for the first of the two networks."""
    found = data.explained_photos()
    maps = found.maps[0, found.methods.index(method)]
    shown = [maps[found.photos.index(name)] for name in SHOWN]
    return _in_a_row([Image.fromarray(plots.heatmap(R, 1.0)) for R in shown], PHOTO)


def _on_scenes(explain: Callable[..., torch.Tensor]) -> Image.Image:
    """Three drawn scenes over what a method says of them."""
    net, scenes = models.pretrained("scenes_gap"), data.scenes(12, seed=1)
    x = scenes.images[[scenes.labels.tolist().index(c) for c in range(3)]]
    R = explain(net, x).sum(1)
    pictures = [plots.image(picture) for picture in x] + [plots.heatmap(r) for r in R]
    return _in_a_row([Image.fromarray(picture) for picture in pictures], PHOTO)


def _prediction_difference(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    others = data.scenes(64, seed=2).images
    return prediction_difference(net, x, reference=others, window=4)


def _pattern() -> Image.Image:
    """A distractor at 50 degrees, the weight that cancels it, and the pattern of the signal."""
    draw = torch.Generator().manual_seed(0)
    signal, distractor = torch.randn(2, 300, generator=draw)
    turn = torch.tensor(50.0).deg2rad()
    x = signal[:, None] * torch.tensor([1.0, 0.0]) + distractor[:, None] * torch.stack(
        [turn.cos(), turn.sin()]
    )
    weight = torch.tensor([1.0, -1 / turn.tan()])
    neuron = torch.nn.Linear(2, 1, bias=False).requires_grad_(False)
    neuron.weight.copy_(weight)
    pattern = estimate_patterns(neuron, x, "linear")[0][0]
    ax = plots.axes("measurement 1", "measurement 2", 6.0, 3.1)
    ax.scatter(*x.T, s=6, color=palette.MUTED, alpha=0.5)
    for (name, (right, up)), colour in zip(
        {"weight": weight.tolist(), "pattern": pattern.tolist()}.items(), palette.SERIES
    ):
        ax.annotate("", (right, up), (0, 0), arrowprops={"color": colour, "width": 2})
        ax.text(right + 0.2, 1.6 * up + 0.1, name, color=colour, fontweight="bold")
    ax.set_aspect("equal")
    return _as_image(ax.figure)


# ---------------------------------------------------------------- a photograph explained


@cache
def photo() -> Image.Image:
    """A cat (Stefan van der Walt, CC0), and why EfficientNet-Lite0 sees an Egyptian cat in it."""
    square = _square(data.photos(["chelsea"])["chelsea"].image)
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
