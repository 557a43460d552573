"""What a scan with torch says of shapes: samples of a dataset unlike the others, and batches that the model cannot take."""

from __future__ import annotations

from collections.abc import Iterator

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan import Sample
from dltool.core.measured.scan_model import Misfit, ModelFit, OddSamples, SampleShapes
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule
from dltool.rules.data.flawed import EXAMPLES, members


def odd_shapes(rule: Rule, measured: Measurements) -> Iterator[Finding]:
    """One finding for each form that some samples have and nine in ten have not."""
    for odd in measured[SampleShapes].odd if SampleShapes in measured else ():
        yield _odd(rule, odd)


def misfits(rule: Rule, measured: Measurements) -> Iterator[Finding]:
    """What the model cannot take."""
    for misfit in measured[ModelFit].misfits if ModelFit in measured else ():
        yield _misfit(rule, misfit)


def _odd(rule: Rule, odd: OddSamples) -> Finding:
    who = f"sample {odd.rows[0]} has" if odd.count == 1 else f"{odd.count:,} samples, the first at {odd.rows[0]}, have"
    part = "parts" if odd.part.startswith("(") else odd.part
    message = f"{odd.path}: {who} {part} {odd.value}, where most have {odd.usual}"
    severity = Severity.WARNING
    if odd.refusal is not None:
        severity, message = Severity.ERROR, f"{message}; a batch of both raises {odd.refusal}"
    elif odd.tried:
        severity = Severity.INFO
    return rule.finding(
        message,
        severity=severity,
        where=Where(phase="input", file=odd.file, samples=odd.rows[:EXAMPLES], key=f"{odd.path}#{odd.part} {odd.value}"),
        evidence={
            "kind": "sample",
            "part": odd.part,
            "value": odd.value,
            "usual": odd.usual,
            "count": odd.count,
            "refusal": odd.refusal,
            "samples": members(Sample(path=odd.path, row=row) for row in odd.rows),
        },
        advice=("bring all samples to one shape and type in __getitem__, or pad them in collate_fn",),
    )


def _misfit(rule: Rule, misfit: Misfit) -> Finding:
    place = "the model" if misfit.module is None else f"module {misfit.module or '(the model itself)'}"
    kind = "" if misfit.kind is None else f" ({misfit.kind})"
    wants = "" if misfit.wants is None else f" and wants {misfit.wants}"
    told = f"{place}{kind} got {misfit.got}{wants}: {misfit.error}" if misfit.got else misfit.error
    return rule.finding(
        f"the model cannot take a batch of this data: {told}",
        where=Where(
            phase="forward",
            module=misfit.module,
            file=misfit.file,
            line=misfit.line,
            key=misfit.key or f"model {misfit.module or ''}".rstrip(),
        ),
        evidence={"kind": "model", "got": misfit.got, "wants": misfit.wants, "error": misfit.error},
        advice=(misfit.hint or "bring the data to what the first layer takes, or change that layer",),
    )
