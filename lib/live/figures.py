"""Figures that are alive with no kernel: in the built book, JupyterLab, Notebook 7, VS Code and
Colab.

    explore(draw, key="...", gamma=np.linspace(0, 1, 21))   every state drawn once and shipped
    figure(picture, "What it shows.", key="...")            the same without controls
    DrawDigit(model, key="...", examples=x)                 the network itself in the page
    quiz(questions, key="...")                              a self-test that explains every option
    timeline(entries, key="...")                            named things by family and year

Each returns an object whose output is self-contained HTML (no network), a still picture for print,
and plain text. The scripts and the style sheet that the HTML carries are in the folder js/ beside
this file.
"""

import contextlib
import copy
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from .charts import Chart, places_along
from .drawn import Bars, Drawn
from .page import (
    CONTROL,
    Captioned,
    Choice,
    Drawing,
    Output,
    Panel,
    Picture,
    State,
    Table,
    Thumbnails,
    card,
    check_key,
    common_frames,
    first_places,
    floats,
    menu,
    panel_html,
    panels_html,
    shown,
    slider,
    thumbnails,
    words,
)
from .pictures import array_image, compact, diverging

if TYPE_CHECKING:  # only figures with a kernel need it
    from ipywidgets import VBox

LIMIT, FLAGSHIP = 300_000, 1_000_000  # bytes of HTML in one figure


def explore(
    draw: Callable[..., Drawing],
    *,
    key: str,
    title: str = "",
    live: bool = False,
    start: Mapping | None = None,
    play: str | None = None,
    flagship: str = "",
    dpi: int = 192,
    **controls: Sequence | Mapping | Thumbnails,
) -> "Explore | VBox":
    """A figure whose controls work without a kernel: `draw(**state)` is called once for each
    combination of values.

    draw: returns (picture, description). The picture is a Chart, Bars or Words, drawn from their
        numbers in the page; a uint8 array (H, W) or (H, W, 3), shown enlarged; a matplotlib Figure
        (closed here); or a list of (caption, picture) shown side by side. The description is a
        sentence of at least six words that says what this state shows. The names of two controls
        in a chart's `handle` make a point that the reader drags.
    key: lower-case letters, digits and hyphens; the figure's own name on its page.
    controls: a name and its values: numbers make a slider; strings, or a dict label -> value, make
        a menu; Thumbnails show pictures to choose from.
    start: the first state, such as {"gamma": 0.25}; each control left out starts at its first
        value.
    play: the control that runs in time; a button plays it.
    flagship: why this figure may weigh 1 MB; without a reason the limit is 300 kB.
    dpi: of matplotlib figures, shown at 96 pixels an inch.
    live: with True nothing is drawn beforehand: ipywidgets that need a kernel, where a tuple of two
        floats (low, high) makes a continuous slider.

    Raises ValueError if a description is missing, panels differ between states, the figure is too
    heavy, or `play` or a handle names no slider.

    Returns a figure that shows itself in a notebook.

    >>> def draw(gamma):
    ...     picture = Bars(["for", "against"], [gamma, gamma - 1])
    ...     return picture, f"For and against at gamma {gamma}."
    >>> explore(draw, key="example", gamma=[0.0, 0.5, 1.0])
    Figure example: 3 states (gamma 0 to 1). For and against at gamma 0.0.
    """
    if not controls:
        raise ValueError(
            f"explore({key!r}): expected at least one control, such as gamma=[0, 0.5, 1]"
        )
    check_key("explore", key)
    if live:
        return _with_kernel(draw, key, title, start or {}, dpi, controls)
    return Explore(draw, key, title, start or {}, dpi, controls, play, flagship)


def figure(
    picture: Picture | list[Captioned] | tuple[Captioned, ...],
    description: str,
    *,
    key: str,
    title: str = "",
    flagship: str = "",
    dpi: int = 192,
) -> "Explore":
    """A figure without controls: one picture, or a list of (caption, picture), as `explore` shows
    them, with its description in words below.

    key, title, flagship, dpi: as in `explore`.
    Raises ValueError for a description of fewer than six words.

    >>> figure(Bars(["cat"], [1.0]), "One bar: the score of the cat is 1.", key="cat")
    Figure cat. One bar: the score of the cat is 1.
    """
    check_key("figure", key)
    return Explore(lambda: (picture, description), key, title, {}, dpi, {}, flagship=flagship)


class Explore(Output):
    """All states of one figure, drawn. Made by `explore`, whose arguments and errors these are.

    >>> def draw(k):
    ...     return Bars(["k"], [k]), f"The one bar of this figure shows {k}."
    >>> len(Explore(draw, "example", "", {}, 144, {"k": [1, 2, 3]}).states)
    3
    """

    def __init__(
        self,
        draw: Callable[..., Drawing],
        key: str,
        title: str,
        start: Mapping,
        dpi: int,
        controls: Mapping[str, Sequence | Mapping | Thumbnails],
        play: str | None = None,
        flagship: str = "",
    ) -> None:
        self.key, self.title, self.play, self.flagship = key, title, play, flagship
        self.choices = {name: Choice.of(name, values) for name, values in controls.items()}
        self.first = first_places(self.choices, start)
        values = [c.values for c in self.choices.values()]
        states = [dict(zip(self.choices, v)) for v in itertools.product(*values)]
        self.states = [_drawn(draw, state, key, dpi) for state in _progress(states)]
        self.place = (
            int(np.ravel_multi_index(self.first, [len(v) for v in values])) if values else 0
        )
        self.frames = common_frames(self.states, key)
        self.handles = self._handles()
        self._slider(play, "play")
        self.html = self._build()
        limit = FLAGSHIP if flagship else LIMIT
        if (size := len(self.html.encode())) > limit:
            raise ValueError(
                f"explore({key!r}): {size / 1000:.0f} kB of HTML for {len(states)} states, at most "
                f"{limit // 1000} kB: take fewer values for a control, smaller pictures, or "
                f"dpi={dpi * 2 // 3}"
            )

    def __repr__(self) -> str:
        ranges = ", ".join(
            f"{words(n)} {c.labels[0]} to {c.labels[-1]}" for n, c in self.choices.items()
        )
        if not ranges:
            return f"Figure {self.key}. {self.states[0][1]}"
        return (
            f"Figure {self.key}: {len(self.states)} states ({ranges}). {self.states[self.place][1]}"
        )

    def _html(self) -> str:
        return self.html

    def _slider(self, name: str | None, what: str) -> int:
        """The place of a control that is a slider, -1 for None."""
        if name is None:
            return -1
        if name not in self.choices or not self.choices[name].slider:
            raise ValueError(
                f"explore({self.key!r}): expected {what} to be one of the sliders "
                f"{[n for n, c in self.choices.items() if c.slider]}, got {name!r}"
            )
        return [*self.choices].index(name)

    def _handles(self) -> list[list]:
        """For each chart with a point to drag: its panel and, for each axis, None or the control
        and the places of its values.
        """
        found = []
        for panel, (_, chart) in enumerate(self.states[self.place][0]):
            if not isinstance(chart, Chart) or chart.handle is None:
                continue
            spec = self.frames[panel].spec or {}
            axes: list[list | None] = []
            for axis, name in zip("xy", chart.handle):
                control = self._slider(name, "a handle")
                values = self.choices[name].values if name else []
                axes.append([control, places_along(spec[axis], values)] if name else None)
            found.append([panel, *axes])
        return found

    def _build(self) -> str:
        panels, text = self.states[self.place]
        room = max(map(len, self.choices), default=0) + 1
        small = sum(frame.share for frame in self.frames) < 1.5
        parts = [
            _control_html(name, choice, place, self.key)
            for (name, choice), place in zip(self.choices.items(), self.first)
        ]
        button = f'<button type="button" class="live-play" {CONTROL}>▶ Play</button>\n'
        body = (
            f'<div class="live-body{" live-aside" * small}">\n<div class="live-rows">'
            f"{panels_html(panels, text, self.frames)}</div>\n<div>"
            f'<div class="live-controls" style="--label:{room}ch">{"".join(parts)}'
            f"{button if self.play else ''}</div>\n"
            f'<div class="live-text"><output aria-live="polite">{escape(text)}</output></div>'
            "</div></div>"
        )
        scripts = ["charts.js", "explore.js"]
        return card("explore", self.key, self.title, body, self._data(), scripts)

    def _data(self) -> dict[str, list]:
        images, text, parts = Table(), Table(), Table()
        rows: list[list[int | list[int]]] = []
        for panels, description in self.states:
            rows.append([text.place(description)])
            for (caption, picture), frame in zip(panels, self.frames):
                rows[-1].append(text.place(caption))
                if isinstance(picture, Drawn):
                    drawn = picture.parts(frame.spec or {})
                    rows[-1].append([parts.place(json.dumps(part)) for part in drawn])
                else:
                    rows[-1].append(images.place(picture.address))
        choices = self.choices.values()
        return {
            "counts": [len(c.values) for c in choices],
            "values": [c.labels for c in choices],
            "panels": [f.spec for f in self.frames],
            "handles": self.handles,
            "play": [self._slider(self.play, "play")],
            "text": [*text],
            "images": [*images],
            "parts": [json.loads(part) for part in parts],
            "states": rows,
        }


def _with_kernel(
    draw: Callable[..., Drawing],
    key: str,
    title: str,
    start: Mapping,
    dpi: int,
    controls: Mapping[str, Sequence | Mapping | Thumbnails],
) -> "VBox":
    """The ipywidgets form of `explore`; only what ipywidgets 7.7 and 8 have in common."""
    import ipywidgets as widgets
    from IPython.display import HTML, display

    def control(name: str, values: Sequence | Mapping | Thumbnails) -> Any:  # a widget
        look: dict[str, Any] = {"description": words(name), "layout": {"width": "95%"}}
        look["style"] = {"description_width": "initial"}
        if isinstance(values, tuple) and [*map(type, values)] == [float, float]:
            low, high = values
            span = {"min": low, "max": high, "step": (high - low) / 200}
            value = start.get(name, low)
            return widgets.FloatSlider(value=value, readout_format=".3g", **span, **look)
        choice = Choice.of(name, values)
        kind = widgets.SelectionSlider if choice.slider else widgets.Dropdown
        first = choice.values[choice.find(name, start[name])] if name in start else choice.values[0]
        return kind(options=list(zip(choice.labels, choice.values)), value=first, **look)

    def show(**state: Any) -> None:
        panels, text = _drawn(draw, state, key, dpi)
        pictures = panels_html(panels, text, common_frames([(panels, text)], key))
        body = f"{pictures}<output>{escape(text)}</output>"
        display(HTML(card("explore", key, title, body)))

    made = {name: control(name, values) for name, values in controls.items()}
    return widgets.VBox([*made.values(), widgets.interactive_output(show, made)])


# ---------------------------------------------------------------- the network in the page

RULES = {
    "epsilon_plus": "epsilon, z-plus",
    "epsilon_gamma_box": "epsilon, gamma, z-box",
    "gamma": "gamma everywhere",
    "epsilon_alpha2_beta1": "epsilon, alpha 2 beta 1",
    "epsilon": "epsilon everywhere",
    "zero": "zero (LRP-0)",
}


class DrawDigit(Output):
    """A small network computed in the page: the reader draws a digit and sees the scores and the
    relevance map at once.

    model: nn.Sequential (nested or not) of Conv2d, ReLU, MaxPool2d, AvgPool2d, Flatten, Dropout and
        Linear, reading images (N, 1, S, S) in [0, 1]; any other part is refused with a TypeError.
        Drawings come to S = 8 as UCI made its digits (counts of ink in blocks of 4 x 4 of a bitmap
        of 32 x 32), to any other S as MNIST made its own.
    rules: names of composites as in lib.lrp, the first one chosen; with "gamma" in the name a
        slider moves gamma.
    examples: (N, 1, S, S) images to choose from, the first one shown; without them S is 8 or 28,
        whichever the model reads.
    contrast: lets the reader explain one class against another: relevance of f_a - f_b.
    names: what the examples are called in the menu, "example 1" and so on if None.
    still: relevance of the first example (S * S values), for print and for readers without
        JavaScript.

    Raises TypeError for a network with other layers, ValueError for examples of another shape,
    unknown rules, or more than 300 kB.

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    >>> figure = DrawDigit(model, key="digit", examples=torch.zeros(2, 1, 8, 8))
    >>> figure.names
    ['example 1', 'example 2']
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        key: str,
        title: str = "",
        rules: Sequence[str] = ("epsilon_plus", "epsilon_gamma_box"),
        examples: ArrayLike | None = None,
        contrast: bool = True,
        still: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        check_key("DrawDigit", key)
        if unknown := [rule for rule in rules if rule not in RULES]:
            raise ValueError(f"rules: expected names from {list(RULES)}, got {unknown}")
        self.key, self.title, self.rules, self.contrast = key, title, list(rules), contrast
        net = copy.deepcopy(model).cpu().float().eval()
        if examples is None:
            self.examples = torch.zeros(1, 1, _side(net), _side(net))
        else:
            self.examples = torch.as_tensor(examples).detach().cpu().float()
        shape = self.examples.shape
        if len(shape) != 4 or shape[1] != 1 or shape[2] != shape[3]:
            raise ValueError(f"examples: expected shape (N, 1, S, S), got {tuple(shape)}")
        self.blank, self.still = examples is None, still
        if names is None:
            names = [f"example {i + 1}" for i in range(len(self.examples))]
        self.names = [str(name) for name in names]
        if len(self.names) != len(self.examples):
            raise ValueError(
                f"names: expected {len(self.examples)}, one for each example, got {len(self.names)}"
            )
        self.layers, self.weights, scores = _layers(net, self.examples[:1])
        self.scores = [float(f"{score:.4g}") for score in scores]
        self.panels, self.text = self._first()
        self.frames = common_frames([(self.panels, self.text)], key)
        self.html = self._build()
        if (size := len(self.html.encode())) > LIMIT:
            raise ValueError(
                f"DrawDigit({key!r}): {size / 1000:.0f} kB of HTML, at most {LIMIT // 1000} kB: "
                "take a smaller network or fewer examples"
            )

    def __repr__(self) -> str:
        return (
            f"Figure {self.key}: a network of {sum(w.numel() for w in self.weights)} "
            f"weights in the page. {self.text}"
        )

    def _html(self) -> str:
        return self.html

    def _first(self) -> State:
        image, side = self.examples[0, 0].numpy(), self.examples.shape[-1]
        predicted = int(np.argmax(self.scores))
        example = (
            f"The first example, seen as a {predicted} with score {self.scores[predicted]:.2f}"
        )
        grey = array_image(np.round(255 * (1 - image)).clip(0, 255).astype(np.uint8))
        relevance = np.zeros((side, side))
        if self.still is not None:
            relevance = np.asarray(self.still, dtype=float).reshape(side, side)
        classes = [str(k) for k in range(len(self.scores))]
        panels: list[Panel] = [
            ("Draw here", grey),
            ("What the network sees", grey),
            ("Red for, blue against", array_image(diverging(relevance))),
            ("Scores", Bars(classes, self.scores, highlight=predicted, signed=False)),
        ]
        seen = "An empty square to draw in" if self.blank else example
        return panels, f"{seen}. In the live page you draw digits yourself."

    def _build(self) -> str:
        names = ("drawing", "seen", "map", "scores")
        pictures = [
            panel_html(caption, picture, self.text, frame, name)
            for (caption, picture), frame, name in zip(self.panels, self.frames, names)
        ]
        classes = {str(k): str(k) for k in range(len(self.scores))}
        examples = {} if self.blank else {str(i): name for i, name in enumerate(self.names)}
        controls = [
            menu("image", "example", {**examples, "": "my own drawing"}),
            menu("explain", "explain", {"": "predicted class", **classes}),
            menu("against", "against", {"": "no other class", **classes}) if self.contrast else "",
            menu("rules", "rules", {rule: RULES[rule] for rule in self.rules}),
            slider("gamma", "gamma", 'min="0" max="1" step="0.05" value="0.25"', "0.25")
            if any("gamma" in r for r in self.rules)
            else "",
            f'<label><span>fit to box</span><input {CONTROL} data-control="fit" '
            f'type="checkbox" checked></label>\n',
            f'<button type="button" {CONTROL}>Clear the drawing</button>\n',
        ]
        output = f'<output aria-live="polite">{escape(self.text)}</output>'
        three = "--columns:repeat(3,minmax(0,1fr))"
        two = "--columns:minmax(0,1fr) minmax(0,1fr)"
        body = (
            f'<div class="live-panels" style="{three}">\n{"".join(pictures[:3])}</div>\n'
            f'<div class="live-panels" style="{two}">\n{pictures[3]}'
            '<div class="live-controls live-beside" style="--label:5.2em">\n'
            f"{''.join(controls)}</div>\n</div>\n"
            f'<div class="live-text live-three">{output}</div>'
        )
        data = {
            "side": [self.examples.shape[-1]],
            "layers": self.layers,
            "weights": [floats(w) for w in self.weights],
            "examples": [] if self.blank else [floats(x) for x in self.examples],
        }
        scripts = ["charts.js", "lrpnet.js", "strokes.js", "drawing.js", "digit.js"]
        return card("digit", self.key, self.title, body, data, scripts)


def uci_counts(bitmap: ArrayLike) -> np.ndarray:
    """(32, 32) of 0 and 1 -> (8, 8) in [0, 1]: the ink in each block of 4 x 4, divided by 16, as
    UCI made its digits.
    """
    bitmap = np.asarray(bitmap)
    if bitmap.shape != (32, 32) or not np.isin(bitmap, (0, 1)).all():
        raise ValueError(f"bitmap: expected shape (32, 32) of 0 and 1, got shape {bitmap.shape}")
    return bitmap.reshape(8, 4, 8, 4).sum(axis=(1, 3)) / 16


def _side(model: nn.Module) -> int:
    """8 or 28, the first that the model reads."""
    for side in (8, 28):
        with contextlib.suppress(RuntimeError), torch.no_grad():
            model(torch.zeros(1, 1, side, side))
            return side
    raise ValueError(
        "examples: expected some, as the model reads images of neither 8 x 8 nor 28 x 28"
    )


@torch.no_grad()
def _layers(model: nn.Module, x: Tensor) -> tuple[list[dict], list[Tensor], list[float]]:
    """(layers as js/lrpnet.js reads them, weights and biases, scores of x)."""
    layers: list[dict[str, Any]] = []  # what JSON can hold
    weights: list[Tensor] = []
    for module in _parts(model):
        before, x = x, module(x)
        if isinstance(module, nn.ReLU):
            layers.append({"kind": "relu"})
        if isinstance(module, nn.Flatten | nn.Dropout | nn.Identity | nn.ReLU):
            continue
        layers.append(_geometry(module, before, x))
        if isinstance(module, nn.Linear | nn.Conv2d):
            layers[-1] |= {"w": len(weights), "b": len(weights) + 1}
            none = torch.zeros(len(module.weight))
            weights += [module.weight, none if module.bias is None else module.bias]
    if x.ndim != 2:
        raise ValueError(f"model: expected scores of shape (N, classes), got {tuple(x.shape)}")
    return layers, weights, x[0].tolist()


def _parts(model: nn.Module) -> Iterator[nn.Module]:
    """The layers of nested nn.Sequential in order. Raises TypeError at a layer that the page cannot
    compute.
    """
    if isinstance(model, nn.Sequential):
        for module in model:
            yield from _parts(module)
    elif not isinstance(model, _PLAIN):
        raise TypeError(
            f"model: expected nn.Sequential of {', '.join(part.__name__ for part in _PLAIN)}, "
            f"got {model}"
        )
    elif _has_options(model):
        raise TypeError(
            f"model: expected a layer without groups, dilation, ceil_mode or another padding "
            f"than zeros, got {model}"
        )
    else:
        yield model


_PLAIN = (
    nn.Conv2d,
    nn.ReLU,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.Flatten,
    nn.Dropout,
    nn.Identity,
    nn.Linear,
)


def _has_options(module: nn.Module) -> bool:
    """Whether a layer does more than js/lrpnet.js can."""
    if isinstance(module, nn.Conv2d):
        return (
            module.groups != 1
            or module.dilation != (1, 1)
            or module.padding_mode != "zeros"
            or module.padding == "same"
        )
    if isinstance(module, nn.MaxPool2d):
        return module.ceil_mode or module.dilation not in (1, (1, 1))
    return isinstance(module, nn.AvgPool2d) and bool(
        module.ceil_mode or module.divisor_override or module.padding not in (0, (0, 0))
    )


def _geometry(module: nn.Module, before: Tensor, after: Tensor) -> dict:
    """Shapes, kernel, stride and padding; a dense layer is a convolution over one pixel."""
    if isinstance(module, nn.Linear):
        sizes = {"in": [before.numel(), 1, 1], "out": [after.numel(), 1, 1]}
        one = {"kernel": [1, 1], "stride": [1, 1], "padding": [0, 0]}
        return {"kind": "linear", "dense": True, **sizes, **one}
    assert isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)  # what _PLAIN leaves
    kind = "max" if isinstance(module, nn.MaxPool2d) else "average"
    kind = "linear" if isinstance(module, nn.Conv2d) else kind
    sizes = {"in": list(before.shape[1:]), "out": list(after.shape[1:])}
    pairs = {
        "kernel": _pair(module.kernel_size),
        "stride": _pair(module.stride),
        "padding": _pair(module.padding),
    }
    return {"kind": kind, "dense": False, **sizes, **pairs}


def _pair(value: str | int | Sequence[int]) -> list[int]:
    """One number along each axis; padding may be called "valid", which is none."""
    if value == "valid":
        return [0, 0]
    return [value, value] if isinstance(value, int) else [int(v) for v in value]


# ---------------------------------------------------------------- the self-test

#: A question of a `quiz`, with its options: (option, correct, explanation).
Question = tuple[str, Sequence[tuple[str, bool, str]]]


class Quiz(Output):
    """Questions with one right option each; choosing an option explains it. Made by `quiz`, whose
    arguments and errors these are.

    >>> Quiz([("1 + 1?", [("2", True, "Yes."), ("3", False, "No.")])], "sums", "Sums")
    1. 1 + 1?
       (a) 2
       (b) 3
    """

    def __init__(self, questions: Sequence[Question], key: str, title: str) -> None:
        check_key("quiz", key)
        for question, options in questions:
            if sum(bool(correct) for _, correct, _ in options) != 1:
                raise ValueError(
                    f"quiz({key!r}): expected exactly one right option, got {options} for "
                    f"{question!r}"
                )
            if missing := [option for option, _, explanation in options if not explanation.strip()]:
                raise ValueError(
                    f"quiz({key!r}): expected an explanation of every option, got none for "
                    f"{missing} of {question!r}"
                )
        self.key, self.title, self.questions = key, title, list(questions)

    def __repr__(self) -> str:
        lines = []
        for n, (question, options) in enumerate(self.questions, 1):
            lines.append(f"{n}. {question}")
            lines += [
                f"   ({letter}) {option}" for letter, (option, *_) in zip("abcdefgh", options)
            ]
        return "\n".join(lines)

    def _html(self) -> str:
        fields = "\n".join(
            self._field(n, question, options)
            for n, (question, options) in enumerate(self.questions, 1)
        )
        body = (
            f'{fields}\n<p class="live-score" role="status">Choose an option of each '
            f"question: every option explains itself.</p>"
        )
        data = {
            "questions": [
                [[bool(c), _inline(e)] for _, c, e in options] for _, options in self.questions
            ]
        }
        return card("quiz", self.key, self.title, body, data, ["quiz.js"])

    def _field(self, number: int, question: str, options: Sequence[tuple[str, bool, str]]) -> str:
        radio = f'<input type="radio" name="{self.key}-{number}" {CONTROL}>'
        labels = "\n".join(
            f"<label>{radio}<span>{_inline(option)}</span></label>" for option, _, _ in options
        )
        return (
            f"<fieldset>\n<legend>{number}. {_inline(question)}</legend>\n{labels}\n"
            '<output aria-live="polite"></output>\n</fieldset>'
        )


def quiz(questions: Sequence[Question], key: str, title: str = "Test yourself") -> Quiz:
    """A self-test in the page that explains every option.

    questions: [(question, [(option, correct, explanation), ...]), ...]; `code` in backticks.
    key: lower-case letters, digits and hyphens; the figure's own name on its page.
    Raises ValueError where an option has no explanation or a question not exactly one right option.

    >>> quiz([("1 + 1?", [("2", True, "Yes."), ("3", False, "No.")])], key="sums")
    1. 1 + 1?
       (a) 2
       (b) 3
    """
    return Quiz(questions, key, title)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


# ---------------------------------------------------------------- one state: draw, check


def _progress(states: list) -> Sequence:
    from tqdm.auto import tqdm

    return tqdm(states, desc="drawing", leave=False, delay=1) if len(states) > 40 else states


def _drawn(draw: Callable[..., Drawing], state: dict, key: str, dpi: int) -> State:
    """([(caption, Shown or Drawn)], description) of one state, checked."""
    where = f"explore({key!r}) at {', '.join(f'{k}={compact(v)}' for k, v in state.items())}"
    result = draw(**state)
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(
            f"{where}: draw must return (picture, description), got {type(result).__name__}"
        )
    picture, description = result
    if not isinstance(description, str) or len(description.split()) < 6:
        raise ValueError(
            f"{where}: the description must be a sentence of at least six words, got "
            f"{description!r}"
        )
    panels = picture if isinstance(picture, list | tuple) else [("", picture)]
    pictures: list[Panel] = [(str(caption), shown(p, dpi, where)) for caption, p in panels]
    return pictures, " ".join(description.split())


def _control_html(name: str, choice: Choice, place: int, key: str) -> str:
    label = choice.labels[place]
    if choice.pictures is not None:
        return thumbnails(words(name), name, key, choice, place)
    if choice.slider:
        span = f'min="0" max="{len(choice.values) - 1}" step="1" value="{place}"'
        return slider(words(name), name, span, label)
    options = {str(i): option for i, option in enumerate(choice.labels)}
    return menu(words(name), name, options, place)
