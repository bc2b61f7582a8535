"""A table of results: HTML in a page, plain text elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from .. import palette
from ..palette import INK
from .drawn import STILL, Drawn, label, svg

#: A number, a mean with its plus or minus, words, or nothing.
Cell = float | int | str | tuple[float, float] | None

_STYLE = (
    ".live-table{border-collapse:collapse;margin:0 0 1em;font-size:14px;line-height:1.35;"
    "width:auto}"
    ".live-table :is(th,td){padding:4px 10px;text-align:right;vertical-align:top;border:0;"
    "border-bottom:1px solid color-mix(in srgb,currentColor 40%,transparent);"
    "font-variant-numeric:tabular-nums;white-space:normal;overflow-wrap:break-word}"
    ".live-table :is(th[scope=row],.live-words-cell){text-align:left}"
    ".live-table tbody th{font-weight:400}"
    ".live-table thead th{font-weight:600;vertical-align:bottom;border-bottom-width:2px}"
    ".live-table thead th:first-child{text-align:left}"
    ".live-table caption{caption-side:top;text-align:left;font-weight:600;padding:0 0 4px}"
    "@media (min-width:521px){.live-table :is(td:not(.live-words-cell),th[scope=row])"
    "{white-space:nowrap}}"
    "@media (max-width:520px){.live-table{font-size:13px}.live-table :is(th,td){padding:4px 3px}}"
)


class Table(Drawn):
    """Results in rows and columns. Made by `lib.plots.table`, whose arguments and errors these are.

    >>> Table({"gradient": [0.81], "LRP": [0.93]}, ["share inside"], best={"share inside": max})
              share inside
    gradient          0.81
    LRP              0.93*
    """

    kind = "table"

    def __init__(
        self,
        rows: Mapping[str, Sequence[Cell]],
        columns: Sequence[str],
        *,
        title: str = "",
        corner: str = "",
        digits: int | Mapping[str, int] = 2,
        best: Mapping[str, Any] | None = None,
        shade: Sequence[str] = (),
    ) -> None:
        self.columns, self.title, self.corner = [*map(str, columns)], str(title), str(corner)
        self.rows = {str(name): [*map(_plain, cells)] for name, cells in rows.items()}
        for name, cells in self.rows.items():
            if len(cells) != len(self.columns):
                raise ValueError(
                    f"rows: expected {len(self.columns)} cells in {name!r}, got {len(cells)}"
                )
        if unknown := {*(best or {}), *shade, *(digits if isinstance(digits, Mapping) else ())} - {
            *self.columns
        }:
            raise ValueError(f"columns: expected some of {self.columns}, got {sorted(unknown)}")
        self.digits = {
            column: digits.get(column, 2) if isinstance(digits, Mapping) else digits
            for column in self.columns
        }
        self.best = {column: self._best(column, choose) for column, choose in (best or {}).items()}
        self.shade = {column: self._range(column) for column in shade}

    def _values(self, column: str) -> list[float]:
        """The numbers of a column, NaN where a cell holds none."""
        place = self.columns.index(column)
        return [_value(cells[place]) for cells in self.rows.values()]

    def _best(self, column: str, choose: Any) -> str | None:
        """As it is written, so that cells that look the same are marked alike."""
        known = [value for value in self._values(column) if value == value]
        return self._written(choose(known), column) if known else None

    def _range(self, column: str) -> tuple[float, float]:
        known = [value for value in self._values(column) if value == value]
        return (min(known), max(known)) if known else (0.0, 0.0)

    def _written(self, cell: Cell, column: str) -> str:
        digits = self.digits[column]
        if cell is None:
            return "–"
        if isinstance(cell, tuple):
            return f"{_decimal(cell[0], digits)} ± {_decimal(cell[1], digits)}"
        if isinstance(cell, str):
            return cell
        return _decimal(cell, digits)

    def _is_best(self, cell: Cell, column: str) -> bool:
        value = _value(cell)
        return value == value and self.best.get(column) == self._written(value, column)

    def __repr__(self) -> str:
        lines = [[self.corner, *self.columns]]
        for name, cells in self.rows.items():
            marks = ("*" * self._is_best(cell, column) for cell, column in zip(cells, self.columns))
            written = (self._written(cell, column) for cell, column in zip(cells, self.columns))
            lines.append([name, *(text + mark for text, mark in zip(written, marks))])
        widths = [max(map(len, column)) for column in zip(*lines)]
        text = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in lines
        ]
        return "\n".join([self.title] * bool(self.title) + text)

    def html(self) -> str:
        """The table alone, without its style."""
        head = "".join(
            f'<th scope="col"{self._look(column)}>{escape(column)}</th>' for column in self.columns
        )
        body = "\n".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            + "".join(map(self._cell, cells, self.columns))
            + "</tr>"
            for name, cells in self.rows.items()
        )
        caption = f"<caption>{escape(self.title)}</caption>\n" if self.title else ""
        corner = f'<th scope="col">{escape(self.corner)}</th>' if self.corner else "<td></td>"
        return (
            f'<table class="live-table">\n{caption}<thead><tr>{corner}{head}</tr></thead>\n'
            f"<tbody>\n{body}\n</tbody></table>"
        )

    def _look(self, column: str) -> str:
        """Words stand to the left, numbers to the right."""
        place = self.columns.index(column)
        words = all(isinstance(cells[place], str) for cells in self.rows.values())
        return ' class="live-words-cell"' if words else ""

    def _cell(self, cell: Cell, column: str) -> str:
        text = escape(self._written(cell, column))
        if self._is_best(cell, column):
            text = f"<strong>{text}</strong>"
        look = ' class="live-words-cell"' if isinstance(cell, str) else ""
        value = _value(cell)
        if column in self.shade and value == value:
            low, high = self.shade[column]
            share = 45 * (value - low) / ((high - low) or 1)
            mix = f"color-mix(in srgb,{palette.TEAL} {share:.0f}%,transparent)"
            look += f' style="background:{mix}"'
        return f"<td{look}>{text}</td>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": f"<style>{_STYLE}</style>\n{self.html()}", "text/plain": repr(self)}

    # what explore asks for

    @classmethod
    def spec(cls, own: Sequence["Table"], every: Sequence[Drawn]) -> dict[str, Any]:
        return {"kind": cls.kind, "rows": max(len(table.rows) for table in own)}

    def parts(self, spec: Mapping[str, Any]) -> list:
        return [f"<style>{_STYLE}</style>", self.html()]

    def still(self, spec: Mapping[str, Any]) -> str:
        lines = [["", *self.columns]] + [
            [name, *(self._written(cell, column) for cell, column in zip(cells, self.columns))]
            for name, cells in self.rows.items()
        ]
        widths = np.array([max(map(len, column)) for column in zip(*lines)]) + 2.0
        ends = np.cumsum(widths) * STILL / widths.sum()
        body = []
        for y, row in enumerate(lines):
            body.append(label(0, 20 * y + 15, row[0]))
            body += [
                label(end - 4, 20 * y + 15, text, "end", INK)
                for end, text in zip(ends[1:], row[1:])
            ]
        return svg(STILL, 20 * (spec["rows"] + 1), body)


def _plain(cell: Any) -> Cell:
    """Numbers of numpy and torch as numbers of Python."""
    if isinstance(cell, tuple):
        return float(cell[0]), float(cell[1])
    return cell.item() if hasattr(cell, "item") else cell


def _value(cell: Cell) -> float:
    if isinstance(cell, tuple):
        return cell[0]
    return float("nan") if cell is None or isinstance(cell, str) else float(cell)


def _decimal(value: float, digits: int) -> str:
    """With the minus of print; whole numbers without decimals, and no minus before zero."""
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−").replace(",", " ")
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
