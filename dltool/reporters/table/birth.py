"""Where a NaN or Inf was born, for the block of its finding: the line, what the operator took and gave, what proved it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from dltool.core.finding import Finding
from dltool.reporters.numbers import plural, trimmed
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import GOOD_STYLE, QUIET_STYLE, said
from dltool.reporters.table.words import worded

if TYPE_CHECKING:
    from dltool.core.measured.non_finite import NonFiniteEvent, TensorFacts

MOST_INPUTS = 4
"""Inputs of an operator that are shown; the rest is in the JSON report."""


def event_of(finding: Finding, page: Page) -> NonFiniteEvent | None:
    """What was measured of the value that ``finding`` reports; None for findings about anything else."""
    if "non_finite" not in page.measured.keys or not finding.rule.startswith("NAN"):
        return None
    from dltool.core.measured.non_finite import NonFinite

    events = page.measured[NonFinite].events
    return next((e for e in events if (e.phase, e.step) == (finding.where.phase, finding.where.step)), None)


def birth(event: NonFiniteEvent, page: Page) -> Iterator[tuple[str, Text]]:
    """The user's line and the operator's values; nothing where the step was not traced."""
    if event.code is not None:
        yield "code", said(event.code, "bold")
    for index, taken in enumerate(event.inputs[:MOST_INPUTS]):
        yield "took" if index == 0 else "", said(tensor(taken, page))
    if event.output is not None:
        at = f" at [{', '.join(map(str, event.index))}]" if event.index else ""
        yield "gave", said(f"{tensor(event.output, page)}{at}{_computed(event)}")
    if page.verbose:
        yield from _details(event)


def proof(event: NonFiniteEvent, advice: Sequence[str], page: Page) -> Iterator[tuple[str, Text]]:
    """What shows that this is the cause, which cures were tried that ``advice`` does not tell, how to repeat the step."""
    from dltool.core.measured.hunt import Evidence, FixTrials

    if event.proof is not None:
        yield "proof", said(event.proof)
    trials = page.measured[FixTrials].trials if FixTrials in page.measured else ()
    trials = tuple(trial for trial in trials if not any(text.startswith(trial.fix) for text in advice))
    for index, trial in enumerate(trials):
        sign, style = (page.sign.good, GOOD_STYLE) if trial.healed else (page.sign.error, "red")
        outcome = f"{'finite for' if trial.healed else 'bad again after'} {plural(trial.steps, 'step')}"
        told = Text.assemble((f"{sign} ", style), said(trial.fix), (f": {outcome}", QUIET_STYLE))
        yield "tried" if index == 0 else "", told.append(f" ({trial.note})", QUIET_STYLE) if trial.note else told
    if Evidence in page.measured:
        yield "replay", said(f"python {page.measured[Evidence].folder}/replay.py", "cyan")


def tensor(facts: TensorFacts, page: Page) -> str:
    """A tensor in words: ``float32 32×8, -3.2 to 4.1, 12 zeros, 3 NaN``."""
    shape = page.sign.times.join(map(str, facts.shape)) or "scalar"
    parts = [f"{facts.dtype} {shape}"]
    if facts.minimum is not None and facts.maximum is not None:
        same = facts.minimum == facts.maximum
        parts.append(trimmed(facts.minimum) if same else f"{trimmed(facts.minimum)} to {trimmed(facts.maximum)}")
    if 0 in facts.shape:
        parts.append("empty")
    bad = {"NaN": facts.nan, "inf": facts.positive_inf, "-inf": facts.negative_inf}
    if facts.zeros and (facts.minimum, facts.maximum) != (0, 0):
        parts.append(plural(facts.zeros, "zero"))
    return ", ".join(parts + [f"{count:,} {name}" for name, count in bad.items() if count])


def _computed(event: NonFiniteEvent) -> str:
    """``: div(1, 0)``, with the aten operator's name in backward, whose nodes compute with several."""
    if not event.operands:
        return ""
    aten = (event.aten or "").removeprefix("aten.").split(".")[0].strip("_")
    name = aten if event.phase == "backward" or event.op is None else event.op
    return f": {name}({', '.join(trimmed(value) for value in event.operands)})"


def _details(event: NonFiniteEvent) -> Iterator[tuple[str, Text]]:
    given = {"aten": event.aten, "gradient of": event.forward_op, "from": event.source, **event.arguments, **event.settings}
    told = ", ".join(f"{name.replace('_', ' ')} {worded(value)}" for name, value in given.items() if value is not None)
    if told:
        yield "details", said(told)
