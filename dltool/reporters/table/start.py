"""The start of a network: a heat map of layers by statistic, a histogram for each layer, and the first loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.measured.init_stats import Growth, InitLayer, InitLayers, LossAtStart, SignalGrowth
from dltool.reporters.numbers import count, percent, significant
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import QUIET_STYLE, facts, heading, indented, said

MOST_ROWS = 40
WIDE = 110
HEAT = ("", "yellow", "bold dark_orange", "bold red")
MARKS = (" ", "░", "▒", "▓")
ASCII_MARKS = (" ", ".", "+", "#")
BARS_ASCII = " .:-=+*#%@"
RESIDUAL_LIMIT = 100.0
"""Growth of the stream at which exploding-activations speaks."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A column: the number of a layer, how it is written, and how hot it is from 0 (fine) to 3."""

    title: str
    pick: Callable[[InitLayer], float | None]
    write: Callable[[float], str]
    heat: Callable[[float], int]
    wide_only: bool = False


def _by_factor(value: float) -> int:
    """A factor of one layer: 2, 5 and 20 either way are the steps."""
    if not 0.0 < value < math.inf:
        return 3
    off = abs(math.log10(value))
    return sum(off > math.log10(step) for step in (2.0, 5.0, 20.0))


def _by_share(value: float) -> int:
    return sum(value > step for step in (0.2, 0.5, 0.9)) if not math.isnan(value) else 3


def _finite(value: float) -> int:
    return 0 if math.isfinite(value) else 3


def _variance(layer: InitLayer) -> float | None:
    return layer.weights[0].variance_ratio if layer.weights else None


STATISTICS = (
    Statistic("mean", lambda layer: layer.mean, significant, _finite, wide_only=True),
    Statistic("std", lambda layer: layer.std, significant, _finite),
    Statistic("signal", lambda layer: layer.signal_std, significant, _finite),
    Statistic("growth", lambda layer: layer.signal_growth, lambda v: f"×{significant(v, 2)}", _by_factor),
    Statistic("dead", lambda layer: None if layer.dead is None else layer.dead.share, percent, _by_share),
    Statistic("saturated", lambda layer: None if layer.saturated is None else layer.saturated.share, percent, _by_share),
    Statistic("gradient", lambda layer: layer.gradient_norm, significant, _finite),
    Statistic("growth", lambda layer: layer.gradient_growth, lambda v: f"×{significant(v, 2)}", _by_factor),
    Statistic("variance", _variance, lambda v: f"×{significant(v, 2)}", lambda _: 0),
)


def start(page: Page) -> Iterator[RenderableType]:
    """The heat map, what it amounts to, and the first loss."""
    section = page.measured.get(InitLayers)
    if section is None:
        return
    yield heading("Start, layer by layer", page.width, page.sign, _aside(section.layers, page))
    yield indented(_heat_map(_shown(section.layers, page), page), 1)
    yield from _legend(page)
    yield ""
    rows = list(_sums(page))
    if rows:
        yield heading("What it amounts to", page.width, page.sign)
        yield facts(rows)
        yield ""


def histograms(page: Page) -> Iterator[RenderableType]:
    """How each layer's outputs are spread: a row of bars from its lowest to its highest value."""
    section = page.measured.get(InitLayers)
    if section is None:
        return
    layers = [layer for layer in _shown(section.layers, page) if layer.histogram is not None]
    if not layers:
        return
    yield heading("Histograms of the outputs", page.width, page.sign, "without 0.1 % at either end")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    for title, right in (("layer", False), ("low", True), ("", False), ("high", False)):
        table.add_column(title, justify="right" if right else "left", no_wrap=True, style="cyan" if title == "layer" else "")
    for layer in layers:
        seen = layer.histogram
        assert seen is not None
        table.add_row(_name(layer, page), significant(seen.low), bars(seen.counts, page), significant(seen.high))
    yield indented(table, 1)
    yield ""


def bars(counts: Sequence[int], page: Page) -> str:
    """Counts as characters of rising height."""
    if page.look.unicode and len(counts) > 1:
        top = max(counts)
        return "".join(" ▁▂▃▄▅▆▇█"[math.ceil(8 * c / top)] for c in counts)
    return "".join(BARS_ASCII[math.ceil(9 * c / max(counts))] for c in counts)


def _shown(layers: Sequence[InitLayer], page: Page) -> list[InitLayer]:
    """Of a deep net the trunk, unless everything is asked for; of a very deep one its ends."""
    if page.verbose:
        return list(layers)
    layers = [layer for layer in layers if layer.role != "other"]
    if len(layers) <= MOST_ROWS:
        return layers
    outer = [layer for layer in layers if layer.inside is None and (layer.role in {"weights", "block"} or layer.dead)]
    kept = outer or list(layers)
    half = MOST_ROWS // 2
    return kept if len(kept) <= MOST_ROWS else [*kept[:half], *kept[-half:]]


def _aside(layers: Sequence[InitLayer], page: Page) -> str:
    shown = len(_shown(layers, page))
    return "" if shown == len(layers) else f"{shown} of {len(layers)} shown, all with --verbose"


def _heat_map(layers: Sequence[InitLayer], page: Page) -> Table:
    wide = page.width >= WIDE
    filled = [s for s in STATISTICS if (wide or not s.wide_only) and any(s.pick(layer) is not None for layer in layers)]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    table.add_column("layer", no_wrap=True, style="cyan")
    table.add_column("kind", no_wrap=True)
    for statistic in filled:
        table.add_column(statistic.title, justify="right", no_wrap=True)
    for layer in layers:
        cells = [_cell(statistic, layer, page) for statistic in filled]
        table.add_row(_name(layer, page), said(layer.kind[: 24 if wide else 12]), *cells)
    return table


def _cell(statistic: Statistic, layer: InitLayer, page: Page) -> Text:
    value = statistic.pick(layer)
    if value is None:
        return Text()
    heat = statistic.heat(value)
    marks = MARKS if page.look.unicode else ASCII_MARKS
    text = statistic.write(value).replace("×", page.sign.times)
    return Text(f"{text}{marks[heat]}", style=HEAT[heat])


def _name(layer: InitLayer, page: Page) -> Text:
    indent = "  " if layer.inside is not None else ""
    name = f"{indent}{layer.name or '(the model)'}{f' call {layer.call}' if layer.call else ''}"
    room = 32 if page.width >= WIDE else 18
    mark = "…" if page.look.unicode else ".."
    return said(name if len(name) <= room else mark + name[len(mark) - room :])


def _legend(page: Page) -> Iterator[Text]:
    marks = MARKS if page.look.unicode else ASCII_MARKS
    times = page.sign.times
    rows = (
        "signal: spread from sample to sample; gradient: norm, at the output",
        "growth: over the layer before (after, for gradients); variance: over theory's",
        f"{marks[1]} off by 2{times} or 20 %  {marks[2]} by 5{times} or 50 %  {marks[3]} by 20{times} or 90 %",
    )
    yield from (said(f"   {row}", QUIET_STYLE) for row in rows)


def _sums(page: Page) -> Iterator[tuple[str, Text]]:
    growth = page.measured.get(SignalGrowth)
    if growth is not None:
        yield "signals", said(_way(growth.forward, "output", page))
        yield "gradients", said(_way(growth.backward, "input", page))
        if growth.zero_head:
            yield "", said("the output layer starts at zero: no gradient passes it in the first step", QUIET_STYLE)
        yield from _stream(growth.forward, page)
        yield from _weights(page, growth)
    for layer in page.measured[InitLayers].layers:
        if layer.through_time is not None and layer.time_steps is not None:
            over = layer.through_time ** (layer.time_steps - 1)
            told = f"{layer.name}: gradient {page.sign.times}{significant(layer.through_time, 2)} a time step, "
            yield "recurrent", said(f"{told}{page.sign.times}{significant(over, 2)} over the {layer.time_steps} there are")
    loss = page.measured.get(LossAtStart)
    if loss is not None:
        yield "first loss", said(_loss(loss))


def _way(growth: Growth | None, towards: str, page: Page) -> str:
    if growth is None:
        return "not measured"
    times = page.sign.times
    if growth.non_finite_at is not None:
        return f"not finite from layer {growth.non_finite_at} on"
    if growth.cut_at is not None:
        return f"nothing arrives from layer {growth.cut_at} on towards the {towards}"
    steady = "" if growth.steady or growth.layers < 3 else ", without a steady trend"
    return (
        f"{times}{significant(growth.per_layer, 2)} a layer towards the {towards}, "
        f"{times}{significant(growth.factor, 2)} over {growth.layers} layers{steady}"
    )


def _stream(growth: Growth | None, page: Page) -> Iterator[tuple[str, Text]]:
    """How fast a residual stream grows, and from how many blocks on that matters."""
    if growth is None or growth.blocks < 2 or not 0.0 < growth.per_layer < math.inf:
        return
    told = f"{growth.blocks} blocks; the stream grows {page.sign.times}{significant(growth.per_layer, 3)} a block"
    if growth.per_layer > 1.0:
        far = math.ceil(math.log(RESIDUAL_LIMIT) / math.log(growth.per_layer))
        told += f", which matters from {page.sign.times}{RESIDUAL_LIMIT:g} on: after some {count(far)} blocks at this rate"
    yield "residual", said(told)


def _weights(page: Page, growth: SignalGrowth) -> Iterator[tuple[str, Text]]:
    if growth.variance_ratio is None:
        return
    theories = {w.theory: w for layer in page.measured[InitLayers].layers for w in layer.weights if not w.before_norm}
    names = {"he": "He", "xavier": "Xavier", "lecun": "LeCun"}
    told = ", ".join(
        f"{names[name]} for {w.activation or 'no activation'} (gain {significant(w.gain, 3)})"
        for name, w in theories.items()
    )
    yield "weights", said(f"variance {page.sign.times}{significant(growth.variance_ratio, 2)} of theory (median); {told}")


def _loss(loss: LossAtStart) -> str:
    told = [significant(loss.loss)]
    if loss.chance_loss is not None:
        told.append(f"chance is {significant(loss.chance_loss)}")
    if loss.trivial_loss is not None:
        told.append(f"the best constant output gives {significant(loss.trivial_loss)} ({loss.trivial})")
    return "; ".join(told)
