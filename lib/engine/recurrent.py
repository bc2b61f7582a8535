"""Recurrent layers (LSTM, GRU, Elman) step by step, and the way of relevance back through time
(Arras et al., 2017).

The signal takes all: where a gate multiplies a signal, the signal gets the relevance and the gate
    gets none. So a sum
c_t = f c_{t-1} + i g shares R between the old cell and the new candidate g, and the candidate's
linear map of [x_t, h_{t-1}] has a rule like any dense layer. Activations (tanh) pass relevance on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .linear import LinearMap, Rule
from .refusal import NoRuleError

# 1 / z for LRP-0 and epsilon, whose denominators are a function of the stored output alone.
Denominator = Callable[[Tensor], Tensor]


@dataclass(eq=False)
class Cell:
    """One layer in one direction: its weights, and what the way back needs of all T steps at once.

    weights: w_ih (G H, D), w_hh (G H, H), b_ih and b_hh (G H,), with G = 4 gates (i, f, g, o),
    3 (r, z, n) or 1. call: the torch function that runs such a layer. template: a linear map with
    the layer's name, into which each step puts its own inputs.
    """

    kind: str
    call: Callable[..., Any]
    weights: tuple[Tensor, Tensor, Tensor | None, Tensor | None]
    template: LinearMap
    rule: Rule | None
    backwards: bool
    saved: dict[str, Tensor] = field(default_factory=dict)
    per: dict[str, Tensor] = field(default_factory=dict)  # reciprocals of what was saved
    quick: bool = False  # whether each step is a product with what is made once for all steps

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs (T, N, D) and first states (N, H) to outputs (T, N, H) and last states."""
        x = x.flip(0) if self.backwards else x
        w_ih, w_hh, b_ih, b_hh = self.weights
        flat = [p for p in self.weights if p is not None]
        states = (h[None], c[None]) if self.kind == "lstm" else h[None]
        out = self.call(x, states, flat, b_ih is not None, 1, 0.0, False, False, False)[0]
        before = torch.cat([h[None], out[:-1]])
        # What each gate gets from the input, and from the state.
        u, v = F.linear(x, w_ih, b_ih), F.linear(before, w_hh, b_hh)
        self.saved = {"x": x, "before": before}
        if self.kind == "lstm":
            c = self._save_lstm(u, v, c)
        elif self.kind == "gru":
            self._save_gru(u, v, out)
        else:
            self.saved["z"] = u + v
        return (out.flip(0) if self.backwards else out), out[-1], c

    def _save_lstm(self, u: Tensor, v: Tensor, c: Tensor) -> Tensor:
        """The two terms of c_t = f c_{t-1} + i g for all steps; returns the last state."""
        i, f, g, _ = (u + v).chunk(4, -1)
        f, new, terms = torch.sigmoid(f), torch.sigmoid(i) * torch.tanh(g), []
        for f_t, new_t in zip(f, new):
            terms.append(f_t * c)
            c = terms[-1] + new_t
        kept = torch.stack(terms)
        self.saved |= {"new": new, "kept": kept, "sum": new + kept, "z": g}
        return c

    def _save_gru(self, u: Tensor, v: Tensor, out: Tensor) -> None:
        """The two terms of h_t = (1 - z) n + z h_{t-1}, and those of the candidate n."""
        (r, z, n), (r_h, z_h, n_h) = u.chunk(3, -1), v.chunk(3, -1)
        r, z = torch.sigmoid(r + r_h), torch.sigmoid(z + z_h)
        kept = z * self.saved["before"]
        self.saved |= {"new": out - kept, "kept": kept, "sum": out}
        self.saved |= {"u": n, "v": r * n_h, "z": n + r * n_h, "z_h": n_h}

    def backward(
        self, above: Tensor, R_h: Tensor, R_c: Tensor, denominator: Denominator | None
    ) -> Tensor:
        """Relevance of the outputs (T, N, H) and of the last states to that of the inputs
        (T, N, D).
        """
        above = above.flip(0) if self.backwards else above
        self.quick = denominator is not None
        self.per = {
            name: _reciprocal(z if denominator is None else denominator(z))
            for name, z in self.saved.items()
            if name in ("sum", "z", "z_h", "u")
        }
        step_back = {"lstm": self._lstm, "gru": self._gru}.get(self.kind, self._rnn)
        back = []
        for t in reversed(range(len(above))):
            below, R_h, R_c = step_back(t, R_h + above[t], R_c)
            back.append(below)
        below = torch.stack(back[::-1])
        if self.quick:  # below holds R / z of the candidate
            below = self.saved["x"] * (below @ self._rows(0))
        return below.flip(0) if self.backwards else below

    def _lstm(self, t: int, R_h: Tensor, R_c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        s = (R_h + R_c) * self.per["sum"][t]
        below, R_h = self._candidate(t, self.saved["new"][t] * s)
        return below, R_h, self.saved["kept"][t] * s

    def _gru(self, t: int, R_h: Tensor, R_c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        s = R_h * self.per["sum"][t]
        s_n = self.saved["new"][t] * s * self.per["z"][t]
        R_u, R_v = self.saved["u"][t] * s_n, self.saved["v"][t] * s_n
        x, h = self.saved["x"][t], self.saved["before"][t]
        if self.quick:
            below = R_u * self.per["u"][t]
            from_state = h * (R_v * self.per["z_h"][t] @ self._rows(1))
        else:
            below = self._propagate(x, self._rows(0), self._bias(2), R_u)
            from_state = self._propagate(h, self._rows(1), self._bias(3), R_v)
        return below, self.saved["kept"][t] * s + from_state, R_c

    def _rnn(self, t: int, R_h: Tensor, R_c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (*self._candidate(t, R_h), R_c)

    def _candidate(self, t: int, relevance: Tensor) -> tuple[Tensor, Tensor]:
        """The rule for z = w_ih x + w_hh h + b_ih + b_hh, one linear map of [x, h]."""
        x, h = self.saved["x"][t], self.saved["before"][t]
        if self.quick:
            s = relevance * self.per["z"][t]
            return s, h * (s @ self._rows(1))
        b_ih, b_hh = self._bias(2), self._bias(3)
        bias = None if b_ih is None or b_hh is None else b_ih + b_hh
        weight = torch.cat([self._rows(0), self._rows(1)], 1)
        both = self._propagate(torch.cat([x, h], -1), weight, bias, relevance)
        to_x, to_h = both.split([x.shape[-1], h.shape[-1]], -1)
        return to_x, to_h

    def _propagate(
        self, a: Tensor, weight: Tensor, bias: Tensor | None, relevance: Tensor
    ) -> Tensor:
        layer = replace(
            self.template, a=a.detach().requires_grad_(), weight=weight, bias=bias, parts=None
        )
        layer.run(self.rule)
        assert self.rule is not None
        return self.rule.propagate(layer, relevance)

    def _rows(self, which: int) -> Tensor:
        """The part of a weight that makes the candidate: the third gate, or the only one."""
        weight, size = self.weights[which], self.weights[1].shape[1]
        assert weight is not None
        return weight if len(weight) == size else weight[2 * size : 3 * size]

    def _bias(self, which: int) -> Tensor | None:
        return None if self.weights[which] is None else self._rows(which)


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
        first_h, first_c = self._state(states[0]), self._state(states[-1])
        last_h: list[Tensor] = []
        last_c: list[Tensor] = []
        for layer in self.cells:
            made = []
            for cell in layer:
                out, h, c = cell.forward(x, first_h[len(last_h)], first_c[len(last_c)])
                made.append(out)
                last_h.append(h)
                last_c.append(c)
            x = torch.cat(made, -1)
        last = [last_h, last_c] if self.cells[0][0].kind == "lstm" else [last_h]
        return [self._outward(x), *(self._outward_state(torch.stack(state)) for state in last)]

    def backward(
        self,
        above: Sequence[Tensor | None],
        outputs: list[Tensor],
        denominator: Denominator | None = None,
    ) -> Tensor:
        """Relevance of the outputs (None where none arrived) to that of the input.

        First states are constants and get none. denominator: of LRP-0 and epsilon, the denominators
        for the stored outputs z; of other rules None, and then each step asks the rule.
        """
        R, *last = _or_zeros(above, outputs)
        R, R_h = self._inward(R), self._state(last[0])
        R_c = self._state(last[1]) if len(last) > 1 else torch.zeros_like(R_h)
        place = len(R_h)
        for layer in reversed(self.cells):
            place -= len(layer)
            parts = [
                cell.backward(part, R_h[place + k], R_c[place + k], denominator)
                for k, (cell, part) in enumerate(zip(layer, R.chunk(len(layer), -1)))
            ]
            R = torch.stack(parts).sum(0)
        return self._outward(R)

    def _inward(self, x: Tensor) -> Tensor:
        """(T, N, D), however torch lays it out."""
        if self.single:
            return x[:, None]
        return x.transpose(0, 1) if self.batch_first else x

    def _outward(self, x: Tensor) -> Tensor:
        return x[:, 0] if self.single else self._inward(x)

    def _state(self, state: Tensor) -> Tensor:
        return state[:, None] if self.single else state

    def _outward_state(self, state: Tensor) -> Tensor:
        return state[:, 0] if self.single else state


@dataclass(eq=False)
class PackedRecurrence:
    """The same for a packed sequence, whose rows are all samples' first steps, then all second ones
    and so on, the longest samples first: samples of one length run together.

    groups: the rows (T, n) of samples of one length, their places (n,), and their recurrence.
    """

    cells: list[list[Cell]]
    groups: list[tuple[Tensor, Tensor, Recurrence]]

    @staticmethod
    def of(cells: list[list[Cell]], batch_sizes: Tensor) -> "PackedRecurrence":
        """batch_sizes (T,): how many samples have a step t."""
        starts = batch_sizes.cumsum(0) - batch_sizes
        lengths = (batch_sizes[:, None] > torch.arange(int(batch_sizes[0]))).sum(0)
        groups = []
        for length in lengths.unique():
            samples = (lengths == length).nonzero()[:, 0]
            own = [[replace(cell, saved={}, per={}) for cell in layer] for layer in cells]
            rows = starts[:length, None] + samples
            groups.append((rows, samples, Recurrence(own, batch_first=False, single=False)))
        return PackedRecurrence(cells, groups)

    def forward(self, x: Tensor, states: list[Tensor]) -> list[Tensor]:
        """The outputs of the call: the packed output, h_n (and c_n)."""
        made = [
            (rows, samples, part.forward(x[rows], [state[:, samples] for state in states]))
            for rows, samples, part in self.groups
        ]
        whole = [x.new_zeros(len(x), made[0][2][0].shape[-1])]
        whole += [
            last.new_zeros(last.shape[0], states[0].shape[1], last.shape[-1])
            for last in made[0][2][1:]
        ]
        for rows, samples, (out, *last) in made:
            whole[0][rows] = out
            for state, part in zip(whole[1:], last):
                state[:, samples] = part
        return whole

    def backward(
        self,
        above: Sequence[Tensor | None],
        outputs: list[Tensor],
        denominator: Denominator | None = None,
    ) -> Tensor:
        """Relevance of the outputs (None where none arrived) to that of the packed input."""
        R, *last = _or_zeros(above, outputs)
        below = [
            (rows, part.backward([R[rows], *(r[:, samples] for r in last)], outputs, denominator))
            for rows, samples, part in self.groups
        ]
        whole = R.new_zeros(len(R), below[0][1].shape[-1])
        for rows, relevance in below:
            whole[rows] = relevance
        return whole


def recurrence(
    kind: str,
    call: Callable,
    args: tuple,
    make_map: Callable[[Tensor, Tensor | None], tuple[LinearMap, Rule | None]],
) -> tuple[Recurrence | PackedRecurrence, Tensor, list[Tensor]]:
    """Read the arguments of torch.lstm, torch.gru or torch.rnn_*: (recurrence, input, first
    states).

    make_map(weight, bias) returns a template `LinearMap` and its rule. Raises ValueError for what
    is not supported.
    """
    batch_sizes, batch_first = None, False
    if isinstance(args[3], bool):
        x, states, flat, has_bias, layers, _, _, bidirectional, batch_first = args
    else:
        x, batch_sizes, states, flat, has_bias, layers, _, _, bidirectional = args
    states = list(states) if isinstance(states, (tuple, list)) else [states]
    directions, per_cell = 1 + bidirectional, len(flat) // (layers * (1 + bidirectional))
    if per_cell != 2 + 2 * has_bias:
        raise NoRuleError(kind, "with a projection (proj_size) has no relevance rule")
    cells = []
    for layer in range(layers):
        row = []
        for direction in range(directions):
            first = (layer * directions + direction) * per_cell
            w_ih, w_hh, *biases = (p.detach() for p in flat[first : first + per_cell])
            b_ih, b_hh = biases or (None, None)
            template, rule = make_map(flat[first], b_ih)
            weights = (w_ih, w_hh, b_ih, b_hh)
            row.append(Cell(kind, call, weights, template, rule, backwards=direction == 1))
        cells.append(row)
    if batch_sizes is not None:
        return PackedRecurrence.of(cells, batch_sizes), x, states
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
CELLS: dict[str, Callable[..., Any]] = {
    "lstm_cell": _lstm_cell,
    "gru_cell": _gru_cell,
    "rnn_tanh_cell": lambda x, h, w, u, b=None, d=None: torch.tanh(
        F.linear(x, w, b) + F.linear(h, u, d)
    ),
    "rnn_relu_cell": lambda x, h, w, u, b=None, d=None: torch.relu(
        F.linear(x, w, b) + F.linear(h, u, d)
    ),
}


def _or_zeros(above: Sequence[Tensor | None], outputs: list[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(z) if r is None else r for r, z in zip(above, outputs)]


def _reciprocal(z: Tensor) -> Tensor:
    """1 / z, and 0 where z is 0."""
    return torch.where(z == 0, 0, 1 / z)
