"""Networks with codes of two numbers in the page: drag a code and see its picture, draw a picture
and see its code.
"""

from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .charts import Chart
from .page import (
    CONTROL,
    Output,
    Panel,
    card,
    check_key,
    common_frames,
    eight_bits,
    floats,
    in_bytes,
    menu,
    panel_html,
    slider,
)
from .pictures import array_image, base64_of

LIMIT = 1_000_000  # bytes of HTML
_COLOURS = ("teal", "purple", "ink", "grey", "muted")
_STYLE = """<style>
.live-code-choices{grid-template-columns:1.4fr 1.2fr 1fr;gap:6px 20px}
[data-codes] .live-controls label{grid-template-columns:auto minmax(0,1fr) 3.2em;gap:8px}
[data-codes] .live-controls label:has(select){grid-template-columns:auto minmax(0,1fr)}
[data-codes] button{justify-self:start;min-width:5.5em}
.live-code-plane{display:grid;grid-template-columns:minmax(0,1.25fr) minmax(0,1fr);gap:14px 20px}
.live-code-picture{display:grid;gap:10px;align-content:start}
.live-code-picture .live-text{min-height:8.8em;align-content:start}
.live-code-sheet{display:grid;grid-template-columns:minmax(0,1.2fr) minmax(0,.9fr) minmax(0,1.6fr);\
gap:14px 20px;margin:10px 0 0}
@container (max-width:480px){
.live-code-choices,.live-code-plane{grid-template-columns:minmax(0,1fr)}
.live-code-picture{grid-template-columns:minmax(0,1fr) minmax(0,1.2fr);gap:14px}
.live-code-picture .live-text{min-height:15em}
.live-code-sheet{grid-template-columns:minmax(0,2fr) minmax(0,1fr)}
.live-code-sheet>.live-controls{grid-column:1/-1}}
</style>"""
_REACH = 2  # spreads that an ellipse reaches, and the circle of the prior


class CodePlane(Output):
    """Autoencoders computed in the page, each with its plane of codes.

    The reader drags a code over the plane and sees what the decoder makes of it, walks from one
    digit to another, and draws a digit, whose q(z|x) lies on the plane as an ellipse of two
    spreads. The page holds the weights with 8 bits each, as `eight_bits` gives them.

    networks: name -> network whose `encoder` turns images (N, 1, 28, 28) into two means and two
        log-variances, and whose `decoder` turns codes into the logits of the pixels, both by dense
        layers with SiLU between them, as `lib.vae.dense_vae` makes them; with `classes` the decoder
        reads a class behind the code.
    codes: (K, N, 2), what N pictures are to each of the K networks.
    classes: (N,), the digits of these pictures; every one from 0 to 9 is among them.
    examples: (M, 1, 28, 28) in [0, 1], pictures to encode; the first one lies on the sheet.
    digits: (M,), what the examples are.
    start: the network that is shown first.
    without_spread: names of networks whose code is a point.

    Raises TypeError for another kind of network, ValueError for other shapes or more than 1 MB.

    >>> from lib import vae
    >>> networks, pictures = {"VAE": vae.dense_vae(784, (8,), 2)}, torch.zeros(10, 1, 28, 28)
    >>> kinds = torch.arange(10)
    >>> shown = CodePlane(networks, torch.randn(1, 10, 2), kinds, pictures, kinds, key="a")
    >>> shown.names
    ['VAE']
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        codes: Tensor,
        classes: Tensor,
        examples: Tensor,
        digits: Tensor,
        *,
        key: str,
        title: str = "",
        start: str = "",
        without_spread: Collection[str] = (),
    ) -> None:
        check_key("CodePlane", key)
        self.key, self.title, self.names = key, title, [*networks]
        # of any class that has an encoder, a decoder and classes
        self.networks: list[Any] = [eight_bits(network).eval() for network in networks.values()]
        self.codes, self.classes, self.digits = codes, classes, digits.tolist()
        self.examples = torch.round(255 * examples) / 255
        self.points = [name in without_spread for name in self.names]
        expected = (len(self.names), len(classes), 2)
        if codes.shape != expected or set(classes.tolist()) != set(range(10)):
            raise ValueError(
                f"codes, classes: expected {expected} and every digit, got {tuple(codes.shape)} "
                f"and {sorted(set(classes.tolist()))}"
            )
        if examples.shape[1:] != (1, 28, 28) or len(examples) != len(digits):
            raise ValueError(
                f"examples, digits: expected (M, 1, 28, 28) and (M,), got {tuple(examples.shape)} "
                f"and {tuple(digits.shape)}"
            )
        self.first = self.names.index(start) if start else 0
        self.html = self._build()
        if (size := len(self.html.encode())) > LIMIT:
            raise ValueError(
                f"CodePlane({key!r}): {size / 1000:.0f} kB of HTML, at most {LIMIT // 1000} kB: "
                "take smaller networks or fewer codes"
            )

    def __repr__(self) -> str:
        weights = sum(p.numel() for network in self.networks for p in network.parameters())
        return (
            f"Figure {self.key}: {len(self.names)} networks of together {weights} weights in the "
            f"page. {self._still()[1]}"
        )

    def _html(self) -> str:
        return self.html

    # the plane of each network

    def _limits(self, place: int) -> tuple[Tensor, float]:
        """The lowest place of both axes (2,) and how far both reach: all codes and the circle of
        the prior.
        """
        codes = self.codes[place]
        low, high = codes.amin(0).clamp(max=-2.4), codes.amax(0).clamp(min=2.4)
        span = float(f"{1.04 * (high - low).max().item():.3g}")
        return torch.round((low + high - span) / 2, decimals=2), span

    def _plane(self, place: int) -> Chart:
        low, span = self._limits(place)
        (x, y), (right, top) = low.tolist(), (low + span).tolist()
        return Chart("z₁", "z₂", xlim=(x, right), ylim=(y, top), aspect=1)

    def _codes(self, place: int) -> Chart:
        chart, codes = self._plane(place), self.codes[place]
        for digit in range(10):
            x, y = codes[self.classes == digit].T
            shape, size = ("disc", 5) if digit < 5 else ("ring", 7)
            chart.points(x, y, "", _COLOURS[digit % 5], shape, size)
        return chart

    def _marks(self, place: int) -> Chart:
        """The prior as a circle, and the digits at the means of their codes, unless the decoder is
        told the digit, so that the codes need not tell digits apart. Labels that would cover one
        another stand a little aside.
        """
        chart, turn = self._plane(place), torch.linspace(0, 2 * torch.pi, 61)
        chart.line(_REACH * turn.cos(), _REACH * turn.sin(), "", "ink", 1.5, dash=True)
        if not self.networks[place].classes:
            own = [self.codes[place][self.classes == digit] for digit in range(10)]
            means = torch.stack([codes.mean(0) for codes in own])
            for digit, (x, y) in enumerate(_apart(means, 0.075 * self._limits(place)[1])):
                chart.text(x, y, str(digit), node=True)
        return chart

    def _ends(self) -> list[int]:
        """For each digit the picture whose code lies nearest to their mean, in the first plane."""
        codes, ends = self.codes[self.first], []
        for digit in range(10):
            own = torch.where(self.classes == digit)[0]
            far = (codes[own] - codes[own].mean(0)).norm(dim=1)
            ends.append(int(own[far.argmin()]))
        return ends

    # the still: what the figure shows first, by torch

    @torch.no_grad()
    def _still(self) -> tuple[list[Panel], str]:
        network, x = self.networks[self.first], self.examples[:1]
        mean, log_variance = network.encoder(x).chunk(2, 1)
        code = mean
        if network.classes:
            told = F.one_hot(torch.tensor(self.digits[:1]), network.classes)
            code = torch.cat([mean, told], 1)
        chart, turn = self._codes(self.first), torch.linspace(0, 2 * torch.pi, 61)
        chart.marks += self._marks(self.first).marks
        circle = torch.stack([turn.cos(), turn.sin()], 1)
        ellipse = mean + _REACH * (log_variance / 2).exp() * circle
        if not self.points[self.first]:
            chart.line(ellipse[:, 0], ellipse[:, 1], "", "orange", 3, dash=False)
        chart.points(mean[:, 0], mean[:, 1], "", "orange", "ring", 13)
        decoded = network.decoder(code).sigmoid()[0].view(28, 28)
        panels: list[Panel] = [
            ("Codes of digits. Drag the ring", chart),
            ("Decoded: the picture at the ring", _ink(decoded)),
            ("Draw here", _ink(x[0, 0])),
            ("Read by the encoder", _ink(x[0, 0])),
        ]
        text = (
            f"{self.names[self.first]}: a {self.digits[0]} lies on the sheet, and the ring at its "
            f"code ({mean[0, 0]:.2f}, {mean[0, 1]:.2f}). In the live page you drag the ring and "
            "draw digits yourself."
        )
        return panels, text

    # the page

    def _build(self) -> str:
        panels, text = self._still()
        frames = common_frames([(panels, text)], self.key)
        made = [
            panel_html(caption, picture, text, frame, name)
            for (caption, picture), frame, name in zip(
                panels, frames, ("plane", "decoded", "drawing", "seen")
            )
        ]
        words = f'<div class="live-text"><output aria-live="polite">{escape(text)}</output></div>\n'
        choices, places, walk, sheet = map("".join, self._controls())
        body = (
            f'{_STYLE}\n<div class="live-controls live-code-choices">\n{choices}</div>\n'
            f'<div class="live-code-plane">\n<div>\n{made[0]}'
            f'<div class="live-controls">\n{places}</div>\n</div>\n'
            f'<div class="live-code-picture">\n{made[1]}{words}</div>\n</div>\n'
            f'<div class="live-code-sheet">\n{made[2]}{made[3]}'
            f'<div class="live-controls">\n{sheet}{walk}</div>\n</div>\n'
        )
        ends = self._ends()
        data = {
            "networks": [self._network(place, ends) for place in range(len(self.names))],
            "examples": [
                base64_of(bytes((255 * x).round().byte().flatten().tolist())) for x in self.examples
            ],
            "digits": self.digits,
        }
        scripts = ["charts.js", "strokes.js", "drawing.js", "codes.js"]
        return card("codes", self.key, self.title, body, data, scripts)

    def _controls(self) -> list[list[str]]:
        """The choices, the place on the plane, the walk, and what lies on the sheet."""
        digits = {str(k): str(k) for k in range(10)}
        examples = {str(i): f"a {digit}" for i, digit in enumerate(self.digits)}
        networks = {str(k): name for k, name in enumerate(self.names)}
        grounds = {"codes": "codes of digits", "pictures": "pictures"}
        span = 'min="-3" max="3" step="0.01" value="0"'
        return [
            [
                menu("network", "network", networks, self.first),
                menu("plane", "ground", grounds),
                menu("digit told", "told", digits, self.digits[0]),
            ],
            [
                slider("z₁", "z1", span, "0"),
                slider("z₂", "z2", span, "0"),
                _button("draw", "Draw z from the prior"),
            ],
            [
                menu("walk from a", "origin", digits, 1),
                menu("to a", "goal", digits, 0),
                slider("walked", "way", 'min="0" max="100" step="2" value="0"', "0 %"),
                _button("play", "▶ Play"),
            ],
            [
                menu("on the sheet", "example", examples | {"": "my own drawing"}),
                _button("clear", "Clear the sheet"),
            ],
        ]

    def _network(self, place: int, ends: Sequence[int]) -> dict[str, Any]:
        """One network as js/codes.js reads it."""
        network, (low, span) = self.networks[place], self._limits(place)
        chart = self._codes(place)
        spec = Chart.spec([chart], [chart])
        return {
            "name": self.names[place],
            "classes": network.classes,
            "spread": int(not self.points[place]),
            "low": [round(v, 2) for v in low.tolist()],
            "span": span,
            "spec": spec,
            "codes": chart.parts(spec),
            "marks": self._marks(place).parts(spec),
            "ends": [[round(v, 3) for v in code] for code in self.codes[place][ends].tolist()],
            "encoder": _layers(network.encoder, self.examples[:1].flatten(1)),
            "decoder": _layers(network.decoder, torch.ones(1, 2 + network.classes)),
        }


def _button(name: str, words: str) -> str:
    return f'<button type="button" data-button="{name}" {CONTROL}>{words}</button>\n'


def _apart(places: Tensor, room: float) -> list[list[float]]:
    """Places (K, 2), those nearer than `room` pushed away from each other."""
    for _ in range(100):
        away = places[:, None] - places
        far = away.norm(dim=2, keepdim=True).clamp_min(1e-6)
        places = places + (away / far * (room - far).clamp_min(0)).sum(1) / 4
    return places.tolist()


def _ink(x: Tensor) -> Any:
    return array_image((255 * (1 - x)).round().byte().numpy())


@torch.no_grad()
def _layers(module: nn.Module, x: Tensor) -> list[dict[str, str]]:
    """Dense layers as js/codes.js reads them. Raises TypeError if the module computes anything but
    these layers with SiLU between them.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    h = x
    for place, layer in enumerate(layers):
        h = F.silu(h) if place else h
        h = layer(h if layer.in_features == h.shape[1] else torch.cat([h, x], 1))
    if not torch.allclose(h, module(x), atol=1e-5):
        raise TypeError(f"networks: expected dense layers with SiLU between them, got {module}")
    made = []
    for layer in layers:
        whole, unit = in_bytes(layer.weight)
        made.append(
            {"w": base64_of(whole.numpy().tobytes()), "unit": floats(unit), "b": floats(layer.bias)}
        )
    return made
