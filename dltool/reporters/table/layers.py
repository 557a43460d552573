"""The network as a table: a row for each layer, and of a deep one the rows that stand out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.finding import Severity
from dltool.core.measured.training import LayerRecord, Layers, Summary
from dltool.reporters.numbers import count, percent, significant
from dltool.reporters.table.page import TABLE_WIDTH, Page
from dltool.reporters.table.style import QUIET_STYLE, SEVERITY_STYLE, heading, indented, said

MOST_ROWS = 24
WIDE = 120
USUAL_UPDATE_RATIO = 1e-3
"""A usual ‖Δw‖/‖w‖ of one step (Karpathy, CS231n notes, neural-networks-3, "Ratio of weights:updates")."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers; ``cell`` gives "" where the layer has none, and an empty column is left out."""

    title: str
    cell: Callable[[LayerRecord], str]
    wide_only: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """How a table is laid out: cells between columns, and the most that names and kinds may take."""

    gap: int
    name: int
    kind: int


ROOMS = (Room(2, 48, 32), Room(2, 24, 16), Room(1, 24, 16), Room(1, 18, 12), Room(1, 14, 9))


def _median(pick: Callable[[LayerRecord], Summary | None]) -> Callable[[LayerRecord], str]:
    def cell(layer: LayerRecord) -> str:
        summary = pick(layer)
        return "" if summary is None else significant(summary.median)

    return cell


COLUMNS = (
    Column("params", lambda layer: count(layer.parameters) if layer.parameters else ""),
    Column("weights", _median(lambda layer: layer.weight_norm), wide_only=True),
    Column("gradient", _median(lambda layer: layer.gradient_norm)),
    Column("update", _median(lambda layer: layer.update_ratio)),
    Column("output mean", _median(lambda layer: layer.activation_mean), wide_only=True),
    Column("output std", _median(lambda layer: layer.activation_std), wide_only=True),
    Column("dead", lambda layer: "" if layer.dead is None else percent(layer.dead.share)),
    Column("saturated", lambda layer: "" if layer.saturated is None else percent(layer.saturated.share)),
)


def layers(page: Page) -> Iterator[RenderableType]:
    """Every layer in the order of the forward pass; beyond 24 those that stand out, the gaps counted."""
    section = page.measured.get(Layers)
    if section is None or not section.layers:
        return
    every = section.layers
    blamed = _blamed(page)
    limit = len(every) if page.verbose else MOST_ROWS
    shown = _standing_out(every, blamed, limit)
    hidden = len(every) - len(shown)
    aside = f"{len(shown)} of {len(every)} shown, all with --verbose" if hidden else ""
    yield heading("Layers", page.width, page.sign, aside)
    yield indented(_table(every, shown, blamed, page), 1)
    yield said("   medians over the run; update: size of one step over size of the weights", QUIET_STYLE)
    yield ""


def _blamed(page: Page) -> dict[str, Severity]:
    """The gravest severity found at each module."""
    worst: dict[str, Severity] = {}
    for finding in page.report.findings:
        module = finding.where.module
        if module and (module not in worst or worst[module].rank < finding.severity.rank):
            worst[module] = finding.severity
    return worst


def _standing_out(every: Sequence[LayerRecord], blamed: dict[str, Severity], limit: int) -> list[int]:
    """Indices of at most ``limit`` layers: first, last, those with findings, then the least healthy numbers."""
    if len(every) <= limit:
        return list(range(len(every)))
    ends = (0, len(every) - 1)
    order = sorted(range(len(every)), key=lambda i: (i not in ends, every[i].name not in blamed, -_oddity(every[i]), i))
    return sorted(order[:limit])


def _oddity(layer: LayerRecord) -> float:
    """How far a layer's numbers stand from usual ones: 0 is unremarkable, 1 as bad as a share can be, 2 not finite."""
    shares = [share.share for share in (layer.dead, layer.saturated) if share is not None]
    norms = [s.median for s in (layer.gradient_norm, layer.update_ratio) if s is not None]
    if not all(map(math.isfinite, norms)):
        return 2.0
    if layer.update_ratio is not None:
        ratio = max(layer.update_ratio.median, 1e-12)
        shares.append(min(1.0, abs(math.log10(ratio / USUAL_UPDATE_RATIO)) / 4))
    return max(shares, default=-1.0)


def _table(every: Sequence[LayerRecord], shown: list[int], blamed: dict[str, Severity], page: Page) -> Table:
    wide = page.width >= WIDE
    filled = [c for c in COLUMNS if (wide or not c.wide_only) and any(c.cell(layer) for layer in every)]
    rows = {index: _row(every[index], filled, blamed, page) for index in shown}
    titles = ["", "layer", "kind", "output", *(column.title for column in filled)]
    room = _room(titles, list(rows.values()), max(TABLE_WIDTH, page.width) - 1)
    table = Table(box=None, padding=(0, room.gap, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    for index, title in enumerate(titles):
        table.add_column(title, no_wrap=True, style="cyan" if index == 1 else "", justify="right" if index > 2 else "left")
    before = -1
    for index, (sign, name, kind, *numbers) in rows.items():
        _gap(table, index - before - 1, page)
        before = index
        table.add_row(sign, _cut(name, room.name, page, tail=True), _cut(kind, room.kind, page), *numbers)
    _gap(table, len(every) - before - 1, page)
    return table


def _room(titles: list[str], rows: list[list[Text]], width: int) -> Room:
    """The most generous room in which the table is no wider than the page; the meanest where none is."""
    natural = [max(len(title), *(row[index].cell_len for row in rows)) for index, title in enumerate(titles)]
    for room in ROOMS:
        taken = [natural[0], min(natural[1], room.name), min(natural[2], room.kind), *natural[3:]]
        if sum(taken) + room.gap * len(taken) <= width:
            return room
    return ROOMS[-1]


def _gap(table: Table, hidden: int, page: Page) -> None:
    if hidden > 1:  # a line that stands for one line would save nothing
        table.add_row("", Text(f"{page.sign.gap} {hidden} more", style=QUIET_STYLE))


def _row(layer: LayerRecord, filled: Sequence[Column], blamed: dict[str, Severity], page: Page) -> list[Text]:
    severity = blamed.get(layer.name)
    sign = Text() if severity is None else Text(page.sign.of(severity), style=SEVERITY_STYLE[severity])
    frozen = layer.parameters > 0 and not layer.trainable
    numbers = [Text("frozen" if frozen and c.title == "gradient" else c.cell(layer)) for c in filled]
    shape = page.sign.times.join(str(size) for size in layer.output_shape)
    return [sign, said(layer.name or "(the model)"), said(layer.kind), Text(shape, style=QUIET_STYLE), *numbers]


def _cut(text: Text, room: int, page: Page, *, tail: bool = False) -> Text:
    """Text in ``room`` cells; of a dotted path the tail is kept, since that is what tells layers apart."""
    if text.cell_len <= room:
        return text
    mark = "…" if page.look.unicode else ".."
    kept = room - len(mark)
    return Text(mark + text.plain[-kept:] if tail else text.plain[:kept] + mark, style=text.style)
