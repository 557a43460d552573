"""Candidate initialisations side by side, the recommended one over seeds, and the lines to use."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dltool.core.measured.init_stats import Candidate, Comparison, Growth
from dltool.reporters.numbers import percent, plural, significant
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import GOOD_STYLE, QUIET_STYLE, facts, heading, indented, said

AS_IT_IS = "as it is"


def candidates(page: Page) -> Iterator[RenderableType]:
    """Best first, on the same batches."""
    found = page.measured.get(Comparison)
    if found is None:
        return
    yield heading("Initialisations", page.width, page.sign, "best first, on the same batches")
    yield indented(_table(found.candidates, page), 1)
    yield said("   a layer / over the depth; off: powers of ten off, all in all", QUIET_STYLE)
    yield ""


def candidates_answer(page: Page) -> Iterator[RenderableType]:
    """The best ones over seeds, the one to use, and how to write it."""
    found = page.measured.get(Comparison)
    if found is None:
        return
    yield heading("Initialisation to use", page.width, page.sign)
    yield facts(_choice(found, page))
    for line in found.lines:
        yield said(f"      {line}", "green")
    yield ""


def _table(found: Sequence[Candidate], page: Page) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style=QUIET_STYLE)
    table.add_column("start", no_wrap=True, style="cyan")
    for title in ("off", "signals", "gradients", "loss", "dead", "saturated"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in found:
        if one.problem is not None:
            table.add_row(said(one.name), "-", said(one.problem), "", "", "", "")
            continue
        off = "twins" if one.symmetric else "-" if not math.isfinite(one.score) else f"{one.score:.2f}"
        shares = ["" if share is None else percent(share) for share in (one.dead, one.saturated)]
        table.add_row(said(one.name), off, _way(one.forward, page), _way(one.backward, page), significant(one.loss), *shares)
    return table


def _way(growth: Growth | None, page: Page) -> Text:
    if growth is None:
        return Text("-")
    if growth.non_finite_at is not None:
        return Text("not finite")
    if growth.cut_at is not None:
        return Text("cut off")
    times = page.sign.times
    return Text(f"{times}{significant(growth.per_layer, 2)} / {times}{significant(growth.factor, 2)}")


def _choice(found: Comparison, page: Page) -> Iterator[tuple[str, Text]]:
    for again in found.remeasured:
        spread = ", ".join(
            f"{what} {page.sign.times}{significant(min(values), 2)} to {page.sign.times}{significant(max(values), 2)}"
            for what, values in (("signals", again.forward_factors), ("gradients", again.backward_factors))
            if values
        )
        scores = f"off by {min(again.scores):.2f} to {max(again.scores):.2f}"
        yield again.name, said(f"over {plural(len(again.scores), 'further seed')}: {scores}; {spread}")
    if found.kept:
        yield "left alone", said(", ".join(found.kept))
    if found.recommended is None:
        yield (
            "use",
            said("none of these: no start carries this net; put normalisation or residual connections between its layers"),
        )
    elif found.recommended == AS_IT_IS:
        yield "use", said("the start as it is: no candidate is clearly better", GOOD_STYLE)
    else:
        yield "use", said(found.recommended, GOOD_STYLE)
