"""Pictures as small files, and how numbers are written beside them."""

import base64
import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from .. import palette
from ..palette import BLUE, RED

SQUARES = 16_384  # pixels: what has more is a photograph, and its pixels are not shown as squares


@dataclass(frozen=True)
class Shown:
    """A picture as a file, PNG or JPEG, width x height CSS pixels large by its nature; `pixels`
    where its pixels are to be seen as squares at any size.
    """

    file: bytes
    width: int
    height: int
    pixels: bool

    @property
    def address(self) -> str:
        """The file itself, as an address that a page can show."""
        kind = "png" if self.file.startswith(b"\x89PNG") else "jpeg"
        return f"data:image/{kind};base64,{base64_of(self.file)}"


def figure_image(figure: Figure, dpi: int) -> Shown:
    """Drawn at dpi, on white, with at most 64 colours; the figure is closed."""
    import matplotlib.pyplot as plt

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    rgba = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    plt.close(figure)
    paper = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    few = paper.quantize(64, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Shown(to_png(few), width, height, False)


def array_image(array: np.ndarray) -> Shown:
    """Exact where the array has at most 256 colours or 4096 pixels; else the nearest of 256, or
    a JPEG where that is a smaller file.
    """
    rgb = array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2)
    return _encoded(rgb.tobytes(), rgb.shape)


@lru_cache(maxsize=64)  # a picture often stands in many states of a figure
def _encoded(content: bytes, shape: tuple[int, int, int]) -> Shown:
    rgb, (height, width) = np.frombuffer(content, np.uint8).reshape(shape), shape[:2]
    colours, places = np.unique(rgb.reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) <= 256:
        image = Image.fromarray(places.reshape(height, width).astype(np.uint8))
        image.putpalette(colours.astype(np.uint8).tobytes())
    else:
        image = Image.fromarray(rgb)
    if len(colours) <= 256 or height * width <= 4096:
        return Shown(to_png(image), width, height, height * width <= SQUARES)
    few = image.quantize(256, dither=Image.Dither.NONE)
    if height * width <= SQUARES:
        return Shown(to_png(few), width, height, True)
    photo = to_file(image, "JPEG", quality=85, subsampling=0)
    return Shown(min(to_png(few), photo, key=len), width, height, False)


def to_png(image: Image.Image) -> bytes:
    return to_file(image, "PNG")


def to_file(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=True, **options)
    return buffer.getvalue()


def diverging(relevance: np.ndarray, scale: float | None = None) -> np.ndarray:
    """White at zero, red for positive, blue for negative; symmetric about zero; (H, W) -> (H, W, 3)
    uint8. Full colour at `scale`, the largest absolute value if None.
    """
    v = (relevance / (scale or np.abs(relevance).max() or 1))[..., None]
    end = np.where(v < 0, palette.rgb(BLUE), palette.rgb(RED))
    return np.round(255 + np.abs(v) * (end - 255)).astype(np.uint8)


def compact(value: object, digits: int = 4) -> str:
    """0.25, 3, 100000; whatever is no number as it prints."""
    return f"{float(f'{value:.{digits}g}'):g}" if isinstance(value, float) else str(value)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()
