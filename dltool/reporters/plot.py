"""A line plot of characters: braille dots (2 by 4 to a cell), or plain letters where the encoding has no braille.

Each curve is named at its right end, and each has its own dash, so that the plot reads without colour. A point that is
NaN or infinite is a cross on the top row: it is never left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dltool.reporters.axis import Axis, fit_axis, whole_ticks
from dltool.reporters.numbers import short, significant

BRAILLE = 0x2800
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bit of the dot at [column][row] of a braille cell (Unicode 15, chapter 21.1)."""

SOLID = (True,)
DASHED = (True, True, True, False, False)
DOTTED = (True, False, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One curve: points by rising x. ``letter`` draws it where there is no braille, ``style`` is its colour.

    ``last`` is what it ends at where that is not its last point: values far off are drawn as infinite, or left out.
    """

    label: str
    points: Sequence[tuple[int, float]]
    dash: tuple[bool, ...] = SOLID
    letter: str = "*"
    style: str = ""
    last: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line in one style."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign under the x axis."""

    x: int
    sign: str
    style: str = ""


Line = list[Span]


def plot(
    series: Sequence[Series],
    *,
    width: int,
    height: int,
    unicode: bool,
    x_name: str,
    x_ticks: Mapping[int, str] | None = None,
    marks: Sequence[Mark] = (),
) -> list[Line]:
    """The lines of a plot ``width`` cells wide, with ``height`` rows for the curves and two for the x axis.

    Series without a point are passed over. Nothing at all is drawn, and the list is empty, when no point is finite.
    ``x_ticks`` are the labels of an axis that does not count (of a logarithm, say); ``marks``, of which later ones cover
    earlier ones, add a line below it.
    """
    series = [s for s in series if s.points]
    values = [y for s in series for _, y in s.points if math.isfinite(y)]
    if not values:
        return []
    axis = fit_axis(values, ticks=max(2, height // 3))
    ticks = _tick_labels(axis, height)
    left = max(len(text) for text in ticks.values()) if ticks else 0
    names = [f"{s.label} {significant(s.points[-1][1] if s.last is None else s.last)}" for s in series]
    columns = max(8, width - left - 2 - 1 - max(map(len, names)))
    first, last = min(s.points[0][0] for s in series), max(s.points[-1][0] for s in series)
    canvas = _Canvas(columns, height, unicode=unicode)
    for one in series:
        _draw(canvas, one, axis, first, last)
    ends = _end_labels(series, names, axis, height)
    lines = [_row(canvas, row, ticks, left, ends, unicode=unicode) for row in range(height)]
    labels = {tick: f"{tick:,}" for tick in whole_ticks(first, last, max(2, columns // 14))} if x_ticks is None else x_ticks
    scale = _Scale(first, last, left, columns)
    return lines + _x_axis(scale, labels, x_name, unicode=unicode) + _marked(scale, marks)


def sparkline(values: Sequence[float], *, width: int, unicode: bool) -> str:
    """One row of bars, by the same scale rule as a plot; a non-finite value is a cross. Empty without Unicode."""
    finite = [v for v in values if math.isfinite(v)]
    if not unicode or not finite:
        return ""
    axis = fit_axis(finite, ticks=2)
    picked = [values[index * len(values) // width] for index in range(width)] if len(values) > width else values
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * axis.place(v)))] if math.isfinite(v) else "✖" for v in picked)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where the x axis lies: its ends, the cells left of it, and its own."""

    first: int
    last: int
    left: int
    columns: int

    def column(self, x: int) -> int:
        return round((self.columns - 1) * (x - self.first) / max(1, self.last - self.first))


class _Canvas:
    """Dots on a grid of cells; a cell takes the style of whoever drew in it last."""

    def __init__(self, columns: int, rows: int, *, unicode: bool) -> None:
        self.columns, self.rows, self.unicode = columns, rows, unicode
        self.across, self.down = (2, 4) if unicode else (1, 1)
        self._bits = [[0] * columns for _ in range(rows)]
        self._cells = [[Span(" ") for _ in range(columns)] for _ in range(rows)]

    def dot(self, x: int, y: int, series: Series) -> None:
        """Set a dot; x counts from the left, y from the top."""
        column, row = x // self.across, y // self.down
        self._bits[row][column] |= DOTS[x % self.across][y % self.down]
        text = chr(BRAILLE + self._bits[row][column]) if self.unicode else series.letter
        self._cells[row][column] = Span(text, series.style)

    def cross(self, x: int) -> None:
        """Mark a non-finite value at the top."""
        self._cells[0][x // self.across] = Span("✖" if self.unicode else "X", "bold red")

    def line(self, row: int) -> Line:
        """The cells of one row, neighbours of one style joined."""
        joined: Line = []
        for cell in self._cells[row]:
            if joined and joined[-1].style == cell.style:
                joined[-1] = Span(joined[-1].text + cell.text, cell.style)
            else:
                joined.append(cell)
        return joined


def _draw(canvas: _Canvas, series: Series, axis: Axis, first: int, last: int) -> None:
    across, down = canvas.columns * canvas.across - 1, canvas.rows * canvas.down - 1
    before: tuple[int, int] | None = None
    crosses = []
    drawn = 0
    for x, y in series.points:
        column = round(across * (x - first) / max(1, last - first))
        if not math.isfinite(y):
            crosses.append(column)
            before = None
            continue
        here = (column, round(down * (1 - axis.place(y))))
        for dot in _segment(before, here):
            if not canvas.unicode or before is None or series.dash[drawn % len(series.dash)]:
                canvas.dot(*dot, series)
            drawn += 1
        before = here
    for column in crosses:
        canvas.cross(column)


def _segment(start: tuple[int, int] | None, end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The dots from ``start`` (left out) to ``end``."""
    if start is None:
        yield end
        return
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    for step in range(1, steps + 1):
        yield (
            round(start[0] + (end[0] - start[0]) * step / steps),
            round(start[1] + (end[1] - start[1]) * step / steps),
        )


def _tick_labels(axis: Axis, height: int) -> dict[int, str]:
    """Row to label; of two ticks on one row the lower stays."""
    rows: dict[int, str] = {}
    for tick in axis.ticks:
        rows.setdefault(_row_of(axis, tick, height), short(tick))
    return rows


def _row_of(axis: Axis, value: float, height: int) -> int:
    if not math.isfinite(value):
        return 0
    return round((height * 4 - 1) * (1 - axis.place(value))) // 4


def _end_labels(series: Sequence[Series], names: Sequence[str], axis: Axis, height: int) -> dict[int, Span]:
    """Each curve's name on the row where it ends, or the nearest free one; where none is free, left to the tables."""
    taken: dict[int, Span] = {}
    for one, name in zip(series, names, strict=True):
        wanted = _row_of(axis, one.points[-1][1], height)
        free = [row for row in range(height) if row not in taken]
        if free:
            style = one.style if math.isfinite(one.points[-1][1]) else "bold red"
            taken[min(free, key=lambda row: (abs(row - wanted), row))] = Span(name, style)
    return taken


def _row(canvas: _Canvas, row: int, ticks: dict[int, str], left: int, ends: dict[int, Span], *, unicode: bool) -> Line:
    bar = ("┤" if row in ticks else "│") if unicode else ("+" if row in ticks else "|")
    line = [Span(f"{ticks.get(row, ''):>{left}} {bar}", "dim"), *canvas.line(row)]
    return [*line, Span(" "), ends[row]] if row in ends else line


def _x_axis(scale: _Scale, labels: Mapping[int, str], name: str, *, unicode: bool) -> list[Line]:
    corner, dash, mark = ("└", "─", "┴") if unicode else ("+", "-", "+")
    ticks = list(labels)
    edge, text = [dash] * scale.columns, [" "] * (scale.columns + max(map(len, labels.values()), default=0))
    for tick in (*ticks[:1], *reversed(ticks[1:])):
        column = scale.column(tick)
        label = labels[tick]
        start = max(0, column - len(label) // 2)
        if any(text[at] != " " for at in range(max(0, start - 2), min(len(text), start + len(label) + 2))):
            continue
        edge[column] = mark if column else dash
        text[start : start + len(label)] = label
    axis_line = [Span(f"{'':>{scale.left}} {corner}{''.join(edge)}", "dim")]
    return [axis_line, [Span(f"{'':>{scale.left}}  {''.join(text).rstrip()}  {name}", "dim")]]


def _marked(scale: _Scale, marks: Sequence[Mark]) -> list[Line]:
    """One line with the marks that are within the axis."""
    cells = {scale.column(mark.x): mark for mark in marks if scale.first <= mark.x <= scale.last}
    if not cells:
        return []
    line = [Span(" " * (scale.left + 2))]
    for column in range(max(cells) + 1):
        mark = cells.get(column)
        line.append(Span(" ") if mark is None else Span(mark.sign, mark.style))
    return [line]
