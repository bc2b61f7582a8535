"""Published networks that look at pictures: photographs into ImageNet's classes, faces into years
and into female or male.

Each says in `prepare` what it wants to see: nothing hides inside the network.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Colours = tuple[float, float, float]


@dataclass(frozen=True)
class Preparation:
    """From pictures in [0, 1] to what a network was trained to see, and back.

    size: of the square, in pixels.
    mean, spread: of red, green and blue: the network reads (picture - mean) / spread.

    `prepare(image)` takes numbers in [0, 1], an array (H, W, 3), as plt.imread gives it, or a
    tensor (3, H, W) or (N, 3, H, W), as `lib.data.photos` gives it, to float32 (N, 3, size, size):
    the largest square in the middle, scaled and normalised. Raises TypeError or ValueError if the
    image is anything else; bytes are divided by 255 first.

    >>> prepare = Preparation(size=4, mean=(0.5, 0.5, 0.5), spread=(0.5, 0.5, 0.5))
    >>> x = prepare(np.ones((8, 6, 3)))
    >>> x.shape, x.unique(), prepare.picture(x).unique()
    (torch.Size([1, 3, 4, 4]), tensor([1.]), tensor([1.]))
    """

    size: int
    mean: Colours
    spread: Colours

    def __call__(self, image: np.ndarray | Tensor) -> Tensor:
        """The input for pictures. Raises TypeError or ValueError for what is no picture."""
        x = _pictures(image)
        height, width = x.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        x = x[:, :, top : top + side, left : left + side]
        if side != self.size:
            x = F.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
            x = x.clamp(0, 1)  # rounding may leave [0, 1], and so the box of `low` and `high`
        return (x - _channels(self.mean, x)) / _channels(self.spread, x)

    def picture(self, x: Tensor) -> Tensor:
        """What the network sees, (N, 3, H, W), as pictures in [0, 1] to be shown."""
        return x * _channels(self.spread, x) + _channels(self.mean, x)

    @property
    def low(self) -> Tensor:
        """The input of a black pixel, (3, 1, 1): the lower side of `lib.lrp.ZBox`."""
        return self(torch.zeros(3, self.size, self.size))[0, :, :1, :1]

    @property
    def high(self) -> Tensor:
        """The input of a white pixel, (3, 1, 1): the upper side of `lib.lrp.ZBox`."""
        return self(torch.ones(3, self.size, self.size))[0, :, :1, :1]


def _channels(values: Colours, like: Tensor) -> Tensor:
    return like.new_tensor(values)[:, None, None]


def _pictures(image: np.ndarray | Tensor) -> Tensor:
    """float32 (N, 3, H, W). Raises TypeError or ValueError as `Preparation.__call__`."""
    if not isinstance(image, (np.ndarray, Tensor)):
        raise TypeError(f"image: expected an array or a tensor, got {type(image).__name__}")
    x = torch.as_tensor(image)
    if not x.is_floating_point():
        raise TypeError(f"image: expected fractions in [0, 1] (bytes / 255), got {x.dtype}")
    if isinstance(image, np.ndarray):
        x = x.permute(2, 0, 1) if x.dim() == 3 else x[None]
    x = x.float() if x.dim() == 4 else x.float()[None]
    if x.dim() != 4 or x.shape[1] != 3 or not x.numel():
        raise ValueError(
            "image: expected an array (H, W, 3) or a tensor (3, H, W) or (N, 3, H, W), got "
            f"{type(image).__name__} of shape {tuple(image.shape)}"
        )
    if not (x.min() >= 0 and x.max() <= 1):
        raise ValueError(
            f"image: expected numbers in [0, 1], got a range of {x.min():.3g} to {x.max():.3g}"
        )
    return x


# ImageNet


class SamePadding(nn.Module):
    """Zeros around images (N, C, H, W), so that a convolution gives ceil(H / stride) rows, as in
    TensorFlow: where their number is odd, the one more stands below and on the right.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (*self._zeros(x.shape[3]), *self._zeros(x.shape[2])))

    def _zeros(self, length: int) -> tuple[int, int]:
        covered = (math.ceil(length / self.stride) - 1) * self.stride + self.kernel
        zeros = max(covered - length, 0)
        return zeros // 2, zeros - zeros // 2


def _normalised(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, bounded=True
) -> nn.Sequential:
    """A convolution, its batch normalisation, and ReLU6 unless its output is to be signed."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if stride > 1:
        parts["padding"] = SamePadding(kernel, stride)
    around = 0 if stride > 1 else kernel // 2
    parts["convolution"] = nn.Conv2d(
        inputs, outputs, kernel, stride, around, groups=groups, bias=False
    )
    parts["norm"] = nn.BatchNorm2d(outputs, eps=1e-3)
    if bounded:
        parts["activation"] = nn.ReLU6()
    return nn.Sequential(parts)


class InvertedResidual(nn.Module):
    """Wide inside, narrow outside (Sandler et al., 2018): 1 x 1 to more channels, a convolution in
    each channel alone, 1 x 1 back to few channels, whose signs are kept; where the shapes agree the
    input is added.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _normalised(inputs, wide) if expansion > 1 else nn.Identity()
        self.depthwise = _normalised(wide, wide, kernel, stride, groups=wide)
        self.project = _normalised(wide, outputs, bounded=False)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds else y


# repeats, kernel, stride, expansion, channels of each stage (Tan and Le, 2019)
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class EfficientNetLite(nn.Module):
    """Photographs (N, 3, H, W) to the logits (N, 1000) of ImageNet's classes: the EfficientNet of
    Tan and Le (2019) for small devices, without squeeze-and-excitation and with ReLU6 (Liu, 2020).
    Published are a small one and a larger one, 75.1 % and 77.6 % top-1 (weights: Apache-2.0).

    width, depth: factors of the channels and of the repeats of the stages in the middle.
    size: of the square that it was trained with, in pixels; any other works.
    dropout: before the classifier, when training.

    `prepare` takes pictures in [0, 1] to what it reads; `prepare.low` and `prepare.high` are the
    box for `lib.lrp.ZBox`. Its parts, in order: `stem`, `blocks`, `head`, `pool`, `classifier`.

    >>> from lib import models
    >>> network = models.pretrained("efficientnet_lite0")
    >>> network(network.prepare(np.full((300, 400, 3), 0.5))).shape
    torch.Size([1, 1000])
    """

    def __init__(
        self, width: float = 1.0, depth: float = 1.0, size: int = 224, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.prepare = Preparation(size, *IMAGENET)
        self.stem = _normalised(3, 32, kernel=3, stride=2)
        blocks: list[nn.Module] = []
        channels = 32
        for stage, (repeats, kernel, stride, expansion, wanted) in enumerate(STAGES):
            if stage not in (0, len(STAGES) - 1):
                repeats = math.ceil(repeats * depth)
            outputs = _multiple_of_8(wanted * width)
            for k in range(repeats):
                blocks.append(
                    InvertedResidual(channels, outputs, kernel, 1 if k else stride, expansion)
                )
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = _normalised(channels, 1280)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.head(self.blocks(self.stem(x)))
        return self.classifier(self.dropout(self.pool(seen).flatten(1)))


def _multiple_of_8(channels: float) -> int:
    """The nearest one, but never less than nine tenths."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


# Faces

# byte values less the means over 256: the preparation that the weights were trained with
FACES = (122.781998 / 255, 117.000999 / 255, 104.297997 / 255), (256 / 255, 256 / 255, 256 / 255)


class FaceBlock(nn.Module):
    """Two 3 x 3 convolutions beside a path that changes nothing (He et al., 2016).

    With more channels than before the image is halved, and what is missing is filled with zeros:
    channels of the unchanged path, a row and a column of the other.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.added = outputs - inputs
        stride, around = (2, 0) if self.added else (1, 1)
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, around),
            nn.BatchNorm2d(outputs, eps=0),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.BatchNorm2d(outputs, eps=0),
        )
        self.halve = nn.AvgPool2d(2) if self.added else nn.Identity()
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        unchanged, changed = self.halve(x), self.convolutions(x)
        if self.added:
            rows, columns = (a - b for a, b in zip(unchanged.shape[2:], changed.shape[2:]))
            unchanged = F.pad(unchanged, (0, 0, 0, 0, 0, self.added))
            changed = F.pad(changed, (0, columns, 0, rows))
        return self.activation(unchanged + changed)


class AgeNetwork(nn.Module):
    """Faces (N, 3, 64, 64) to logits (N, 81): is this person 0, 1, ... 80 years old?

    The residual network of dlib-models (Cydral Technology; CC0 1.0), whose batch norms are stored
    as a factor and a shift. The years of its classes are `years`. Trained on upright faces whose
    eyes stand at 0.30 of the height, at 0.31 and 0.68 of the width: crop a picture so, and
    `prepare` does the rest. It says how old a face looks to it, never how old a person is.

    >>> from lib import models
    >>> network = models.pretrained("age")
    >>> scores = network(network.prepare(np.full((64, 64, 3), 0.5)))
    >>> scores.shape, (scores.softmax(1) @ network.years).shape
    (torch.Size([1, 81]), torch.Size([1]))
    """

    def __init__(self) -> None:
        super().__init__()
        self.prepare = Preparation(64, *FACES)
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, stride=2),
            nn.BatchNorm2d(64, eps=0),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        widths = (64, 64, 128, 128, 256, 256)
        self.blocks = nn.Sequential(*(FaceBlock(a, b) for a, b in zip(widths, widths[1:])))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(256, 81)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pool(self.blocks(self.stem(x))).flatten(1))

    @property
    def years(self) -> Tensor:
        """The age that each class stands for, (81,), so that the expected age is
        `network(x).softmax(1) @ network.years`. The first year counts as a quarter.
        """
        return torch.arange(81.0, device=self.classifier.weight.device).clamp(min=0.25)


class GenderNetwork(nn.Module):
    """Faces (N, 3, 32, 32) to two logits, in the order of `classes`: does this face look female or
    male to the network?

    The small network of dlib-models (Cydral Technology; CC0 1.0), for faces cropped as `AgeNetwork`
    says. Two classes are all it knows, so it cannot be right about everybody; it takes the portrait
    of Grace Hopper in `lib.data.photos` for a man's, and moved by a tenth of its width for a
    woman's.

    >>> from lib import models
    >>> network = models.pretrained("gender")
    >>> network(network.prepare(np.full((32, 32, 3), 0.5))).shape, network.classes
    (torch.Size([1, 2]), ('female', 'male'))
    """

    classes = ("female", "male")

    def __init__(self) -> None:
        super().__init__()
        self.prepare = Preparation(32, *FACES)
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 32), (32, 64)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs, eps=0)]
            layers += [nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1)]
            layers += [nn.BatchNorm2d(outputs, eps=0), nn.ReLU(), nn.AvgPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(4096, 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))
