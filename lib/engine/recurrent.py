"""Recurrent layers (LSTM, GRU, Elman) step by step, and the way of relevance back through time
(Arras et al., 2017).

The signal takes all: where a gate multiplies a signal, the signal gets the relevance and the gate
    gets none. So a sum
c_t = f c_{t-1} + i g shares R between the old cell and the new candidate g, and the candidate's
linear map of [x_t, h_{t-1}] has a rule like any dense layer. Activations (tanh) pass relevance on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(eq=False)
class Cell:
    """One layer in one direction: its weights, and what the way back needs of all T steps at once.

    weights: w_ih (G H, D), w_hh (G H, H), b_ih and b_hh (G H,), with G = 4 gates (i, f, g, o), 3
        (r, z, n) or 1.
    call: the torch function that runs such a layer.
    """

    kind: str
    call: Callable[..., Any]
    weights: tuple[Tensor, ...]
    template: Any  # a LinearMap with the layer's name; each step puts in its own inputs
    rule: Any
    backwards: bool
    saved: dict[str, Tensor] = field(default_factory=dict)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs (T, N, D) and first states (N, H) to outputs (T, N, H) and last states."""
        x = x.flip(0) if self.backwards else x
        w_ih, w_hh, b_ih, b_hh = self.weights
        flat = [p for p in self.weights if p is not None]
        states = (h[None], c[None]) if self.kind == "lstm" else h[None]
        out = self.call(x, states, flat, b_ih is not None, 1, 0.0, False, False, False)[0]
        before = torch.cat([h[None], out[:-1]])
        # what each gate gets from the input and from the state
        u, v = (
            F.linear(x, w_ih, b_ih),
            F.linear(before, w_hh, b_hh),
        )
        self.saved = {"x": x, "before": before}
        if self.kind == "lstm":
            i, f, g, _ = (u + v).chunk(4, -1)
            f, new, kept = torch.sigmoid(f), torch.sigmoid(i) * torch.tanh(g), []
            for t in range(len(x)):
                kept.append(f[t] * c)
                c = kept[t] + new[t]
            kept = torch.stack(kept)
            self.saved |= {"new": new, "kept": kept, "sum": new + kept, "z": g}
        elif self.kind == "gru":
            (r, z, n), (r_h, z_h, n_h) = u.chunk(3, -1), v.chunk(3, -1)
            r, z = torch.sigmoid(r + r_h), torch.sigmoid(z + z_h)
            self.saved |= {
                "new": out - z * before,
                "kept": z * before,
                "sum": out,
                "u": n,
                "v": r * n_h,
                "z": n + r * n_h,
                "z_h": n_h,
            }
        else:
            self.saved |= {"z": u + v}
        return (out.flip(0) if self.backwards else out), out[-1], c

    def backward(self, above: Tensor, R_h: Tensor, R_c: Tensor) -> Tensor:
        """Relevance of the outputs (T, N, H) and of the last states to that of the inputs (T, N,
        D).
        """
        above = above.flip(0) if self.backwards else above
        # LRP-0 and epsilon: each step is a product with what is made here, once
        eps = getattr(self.rule, "eps", None)
        per = {
            name: _reciprocal(self.saved[name], eps or 0.0)
            for name in ("sum", "z", "z_h", "u")
            if name in self.saved
        }
        back = [None] * len(above)
        for t in reversed(range(len(above))):
            R_h = R_h + above[t]
            back[t], R_h, R_c = getattr(self, f"_{self.kind.partition('_')[0]}")(
                t, R_h, R_c, per, eps
            )
        below = torch.stack(back)
        if eps is not None:  # below holds R / z of the candidate
            below = self.saved["x"] * (below @ self._rows(0))
        return below.flip(0) if self.backwards else below

    def _lstm(
        self, t: int, R_h: Tensor, R_c: Tensor, per: dict[str, Tensor], eps: float | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        s = (R_h + R_c) * per["sum"][t]
        below, R_h = self._candidate(t, self.saved["new"][t] * s, per, eps)
        return below, R_h, self.saved["kept"][t] * s

    def _gru(
        self, t: int, R_h: Tensor, R_c: Tensor, per: dict[str, Tensor], eps: float | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        s = R_h * per["sum"][t]
        s_n = self.saved["new"][t] * s * per["z"][t]
        R_u, R_v, h = self.saved["u"][t] * s_n, self.saved["v"][t] * s_n, self.saved["before"][t]
        if eps is None:
            below, from_state = self._apply(self.saved["x"][t], 0, R_u), self._apply(h, 1, R_v)
        else:
            below, from_state = R_u * per["u"][t], h * (R_v * per["z_h"][t] @ self._rows(1))
        return below, self.saved["kept"][t] * s + from_state, R_c

    def _rnn(
        self, t: int, R_h: Tensor, R_c: Tensor, per: dict[str, Tensor], eps: float | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        return (*self._candidate(t, R_h, per, eps), R_c)

    def _candidate(
        self, t: int, relevance: Tensor, per: dict[str, Tensor], eps: float | None
    ) -> tuple[Tensor, Tensor]:
        """The rule for z = w_ih x + w_hh h + b_ih + b_hh, one linear map of [x, h]."""
        x, h = self.saved["x"][t], self.saved["before"][t]
        if eps is not None:
            s = relevance * per["z"][t]
            return s, h * (s @ self._rows(1))
        weight = torch.cat([self._rows(0), self._rows(1)], 1)
        bias = None if self.weights[2] is None else self._rows(2) + self._rows(3)
        return self._propagate(torch.cat([x, h], -1), weight, bias, relevance).split(
            [x.shape[-1], h.shape[-1]], -1
        )

    def _apply(self, a: Tensor, which: int, relevance: Tensor) -> Tensor:
        return self._propagate(a, self._rows(which), self._rows(which + 2), relevance)

    def _propagate(
        self, a: Tensor, weight: Tensor, bias: Tensor | None, relevance: Tensor
    ) -> Tensor:
        layer = replace(
            self.template, a=a.detach().requires_grad_(), weight=weight, bias=bias, parts=None
        )
        with torch.enable_grad():
            layer.root = F.linear(layer.a, weight, bias)
        layer.z = layer.root.detach()
        return self.rule.propagate(layer, relevance)

    def _rows(self, which: int) -> Tensor | None:
        """The part of a weight or bias that makes the candidate: the third gate, or the only
        one.
        """
        parameter, size = self.weights[which], self.weights[1].shape[1]
        return (
            parameter
            if parameter is None or len(parameter) == size
            else parameter[2 * size : 3 * size]
        )


@dataclass(eq=False)
class Recurrence:
    """A call of torch.lstm, torch.gru or torch.rnn_*: all its layers and directions, and how the
    tensors are laid out.
    """

    cells: list[list[Cell]]
    batch_first: bool
    single: bool  # without a batch dimension

    def forward(self, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        """The outputs of the call: output, h_n (and c_n), as torch lays them out."""
        x = self._inward(x)
        last_h, last_c, place = [], [], 0
        for layer in self.cells:
            made = []
            for cell in layer:
                h, c = (self._state(s)[place] for s in (states * 2)[:2])
                out, h, c = cell.forward(x, h, c)
                made, last_h, last_c, place = made + [out], last_h + [h], last_c + [c], place + 1
            x = torch.cat(made, -1)
        results = [self._outward(x), self._outward_state(torch.stack(last_h))]
        return (
            results + [self._outward_state(torch.stack(last_c))]
            if self.cells[0][0].kind == "lstm"
            else results
        )

    def backward(self, above: list[Tensor | None], outputs: list[Tensor]) -> Tensor:
        """Relevance of the outputs (None where none arrived) to that of the input; first states are
        constants.
        """
        R, R_h, R_c = (
            [torch.zeros_like(z) if r is None else r for r, z in zip(above, outputs)] + [None]
        )[:3]
        R, R_h = self._inward(R), self._state(R_h)
        R_c = torch.zeros_like(R_h) if R_c is None else self._state(R_c)
        place = len(R_h)
        for layer in reversed(self.cells):
            place -= len(layer)
            parts = R.chunk(len(layer), -1)
            R = sum(
                cell.backward(part, R_h[place + k], R_c[place + k])
                for k, (cell, part) in enumerate(zip(layer, parts))
            )
        return self._outward(R)

    def _inward(self, x: Tensor) -> Tensor:
        return x[:, None] if self.single else x.transpose(0, 1) if self.batch_first else x

    def _outward(self, x: Tensor) -> Tensor:
        return x[:, 0] if self.single else x.transpose(0, 1) if self.batch_first else x

    def _state(self, state: Tensor) -> Tensor:
        return state[:, None] if self.single else state

    def _outward_state(self, state: Tensor) -> Tensor:
        return state[:, 0] if self.single else state


def recurrence(
    kind: str,
    call: Callable,
    args: tuple,
    make_map: Callable[[Tensor, Tensor | None], tuple[Any, Any]],
) -> tuple[Recurrence, Tensor, list[Tensor]]:
    """Read the arguments of torch.lstm, torch.gru or torch.rnn_*: (recurrence, input, first
    states).

    make_map(weight, bias) returns a template `LinearMap` and its rule. Raises ValueError for what
    is not supported.
    """
    if not isinstance(args[3], bool):
        raise ValueError(
            f"model: the operation {kind!r} on a packed sequence has no relevance rule; give "
            f"a padded batch"
        )
    x, states, flat, has_bias, layers, _, _, bidirectional, batch_first = args
    states = list(states) if isinstance(states, (tuple, list)) else [states]
    directions, per_cell = 1 + bidirectional, len(flat) // (layers * (1 + bidirectional))
    if per_cell != 2 + 2 * has_bias:
        raise ValueError(
            f"model: the operation {kind!r} with a projection (proj_size) has no relevance rule"
        )
    cells = []
    for layer in range(layers):
        row = []
        for direction in range(directions):
            first = (layer * directions + direction) * per_cell
            weights = tuple(p.detach() for p in flat[first : first + per_cell]) + (None,) * (
                4 - per_cell
            )
            row.append(
                Cell(
                    kind,
                    call,
                    weights,
                    *make_map(flat[first], weights[2]),
                    backwards=direction == 1,
                )
            )
        cells.append(row)
    return Recurrence(cells, batch_first, x.dim() == 2), x, states


def _lstm_cell(
    x: Tensor,
    states: tuple[Tensor, Tensor],
    w: Tensor,
    u: Tensor,
    b: Tensor | None = None,
    d: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    h, c = states
    # a first state is a signal like the others, no number that the gate would speak for
    c = c + 0 * x.sum(-1, keepdim=True)
    i, f, g, o = (F.linear(x, w, b) + F.linear(h, u, d)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru_cell(
    x: Tensor, h: Tensor, w: Tensor, u: Tensor, b: Tensor | None = None, d: Tensor | None = None
) -> Tensor:
    h = h + 0 * x.sum(-1, keepdim=True)
    (r, z, n), (r_h, z_h, n_h) = F.linear(x, w, b).chunk(3, -1), F.linear(h, u, d).chunk(3, -1)
    z = torch.sigmoid(z + z_h)
    return (1 - z) * torch.tanh(n + torch.sigmoid(r + r_h) * n_h) + z * h


# Single steps (nn.LSTMCell and the like), written out so that each of their calls is followed.
CELLS = {
    "lstm_cell": _lstm_cell,
    "gru_cell": _gru_cell,
    "rnn_tanh_cell": lambda x, h, w, u, b=None, d=None: torch.tanh(
        F.linear(x, w, b) + F.linear(h, u, d)
    ),
    "rnn_relu_cell": lambda x, h, w, u, b=None, d=None: torch.relu(
        F.linear(x, w, b) + F.linear(h, u, d)
    ),
}


def _reciprocal(z: Tensor, eps: float) -> Tensor:
    """1 / (z + eps s(z)), and 0 where z + eps s(z) is 0."""
    z = z if eps == 0 else z + torch.copysign(z.new_tensor(eps), z)
    return torch.where(z == 0, 0, 1 / z)
