"""The figure in which a generator and a critic learn in the page."""

from html import escape

import torch
from torch import Tensor

from ..live import Chart
from ..live.page import (
    CONTROL,
    Output,
    Panel,
    card,
    check_key,
    common_frames,
    menu,
    panel_html,
    slider,
)
from .adversarial import KINDS
from .crowds import grid, moons, ring
from .duel import BATCH, BETAS, DESCENTS, HOLDS, PENALTY, SHOWN, SPREAD, VIEW, WIDTH, Duel

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
EDGE = 3.0  # the plane is shown from -3 to 3
_ROW = "display:flex;flex-wrap:wrap;gap:8px;margin-bottom:4px"
ARROWS, STRIDE, REACH = 60, 0.25, 0.6  # how many; their length for a slope of 1, and at most
MOVES = {
    "1": "1 a turn",
    "2": "2 a turn",
    "5": "5 a turn",
    "10": "10 a turn",
    "0": "none: G alone",
    "alone": "1, G waits",
}


class Arena(Output):
    """Two small networks that learn in the page: the reader chooses or draws the data, chooses the
    loss and what holds the critic, plays, pauses, and begins again with another seed.

    A game in the page is that of `Duel` with the same seed.
    turns: of the game with seed 0 whose picture stands here for print and for readers without
        JavaScript; a multiple of 10.

    Raises ValueError for a key that is no plain name, or for other turns.

    >>> str(Arena(key="arena", turns=10)).split(".")[0]
    'Figure arena: two networks learn in the page'
    """

    def __init__(self, *, key: str, title: str = "", turns: int = 400) -> None:
        check_key("Arena", key)
        if turns < 10 or turns % 10:
            raise ValueError(f"turns: expected a multiple of 10, at least 10, got {turns}")
        self.key, self.title = key, title
        self.worlds = _worlds()
        panels, self.text = _played(Duel(self.worlds["ring of eight"]), turns)
        self.panels: list[Panel] = panels
        self.frames = common_frames([(panels, self.text)], key)

    def __repr__(self) -> str:
        return f"Figure {self.key}: two networks learn in the page. {self.text}"

    def _html(self) -> str:
        plane, losses, course = (
            panel_html(caption, picture, self.text, frame, name)
            for (caption, picture), frame, name in zip(
                self.panels, self.frames, ("plane", "losses", "course")
            )
        )
        worlds = {str(k): name for k, name in enumerate(self.worlds)}
        controls = [
            menu("data", "world", {**worlds, "": "draw your own"}),
            menu("loss", "kind", {kind: kind for kind in KINDS}),
            menu("hold on D", "hold", {hold: hold for hold in HOLDS}),
            menu("steps of D", "moves", MOVES),
            menu("descent", "descent", {name: name for name in DESCENTS}),
            slider("step size", "rate", f'min="0" max="{len(RATES) - 1}" value="2"', "0.003"),
            slider("seed", "seed", 'min="0" max="9" value="0"', "0"),
        ]
        button = '<button type="button" {} {}>{}</button>\n'.format
        buttons = "".join(button(CONTROL, "", n) for n in ("▶ Play", "One turn", "Begin again"))
        body = (
            '<div class="live-panels" style="--columns:minmax(0,1.1fr) minmax(0,1fr)">\n'
            f'{plane}<div class="live-controls live-beside" style="--label:5.2em">\n'
            f'<div style="{_ROW}">{buttons}</div>{"".join(controls)}'
            f"{button(CONTROL, 'hidden', 'Clear the drawing')}</div></div>\n"
            '<div class="live-text live-three"><output aria-live="polite">'
            f"{escape(self.text)}</output></div>\n"
            '<div class="live-panels" style="--columns:repeat(2,minmax(0,1fr));margin-top:12px">\n'
            f"{losses}{course}</div>"
        )
        settings = {
            "width": WIDTH,
            "batch": BATCH,
            "shown": SHOWN,
            "spread": SPREAD,
            "penalty": PENALTY,
            "betas": BETAS,
            "view": VIEW,
            "edge": EDGE,
            "arrows": ARROWS,
            "stride": STRIDE,
            "reach": REACH,
        }
        data = {
            "settings": [settings],
            "rates": [*RATES],
            "worlds": [centres.tolist() for centres in self.worlds.values()],
            "panels": [frame.spec for frame in self.frames],
        }
        return card("arena", self.key, self.title, body, data, ["charts.js", "gan.js", "arena.js"])


def _worlds() -> dict[str, Tensor]:
    """The centres (K, 2) of the blobs of each data set."""
    along = torch.linspace(-2, 2, 16)
    line = torch.stack([along, along / 2], 1)
    return {"ring of eight": ring(8), "grid of 25": grid(5), "two moons": moons(), "line": line}


def _played(duel: Duel, turns: int) -> tuple[list[Panel], str]:
    """The pictures of the first game after so many turns, and what they show."""
    rows = []
    for _ in range(turns // 10):
        of_critic, of_generator = duel.play(10)[:, 0].mean(0).tolist()
        found = duel.coverage()[0]
        share = found.covered / len(duel.centres)
        rows.append((duel.turns, of_critic, of_generator, share, found.quality))
    at, of_d, of_g, covered, quality = zip(*rows)
    below = Chart("turns", "loss", height=150)
    below.line(at, of_d, "D's loss", "teal")
    below.line(at, of_g, "G's loss", "orange", dash=True)
    shares = Chart("turns", "share", ylim=(0, 1), height=150)
    shares.line(at, covered, "blobs covered", "teal")
    shares.line(at, quality, "samples near a blob", "orange", dash=True)
    text = (
        f"After {turns} turns {found.covered} of {len(duel.centres)} blobs are "
        f"covered, and {found.quality:.0%} of the samples are near a blob.".replace("%", " %")
    )
    caption = f"Turn {turns}: what D says of each place"
    return [(caption, _plane(duel)), ("", below), ("", shares)], text


def _plane(duel: Duel) -> Chart:
    limits, samples = (-EDGE, EDGE), duel.samples()[:1]
    logits, _ = duel.judged(grid(41, EDGE / 20)[None])
    _, slope = duel.judged(samples)
    length = slope[0].norm(dim=1, keepdim=True)
    push = -slope[0] / length.clamp(min=1e-12) * (STRIDE * length).clamp(max=REACH)
    chart = Chart("x₁", "x₂", xlim=limits, ylim=limits, aspect=1)
    says = logits[0].sigmoid().view(41, 41).T.flip(0)
    chart.field(says, "p(real)", low=0, high=1, signed=False, smooth=True)
    (x, y), (a, b) = duel.view.T, samples[0].T
    chart.points(x, y, "data", "orange", "disc", size=4)
    chart.points(a, b, "samples", "ink", "disc", size=4)
    return chart.arrows(a[:ARROWS], b[:ARROWS], push[:ARROWS, 0], push[:ARROWS, 1], "purple")
