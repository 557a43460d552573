"""Samples that gave a value that is not finite when a scan passed them through a model."""

from __future__ import annotations

from collections.abc import Iterator

from dltool.core.finding import Finding, Where
from dltool.core.measured.scan import FINDINGS_A_RULE, Sample
from dltool.core.measured.scan_model import Probed, ProbedSample
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule
from dltool.rules.data.flawed import EXAMPLES, members

PHASES = {"forward": "forward pass"}
ADVICE = (
    "look at these samples, and repair or leave them out (data.exclude)",
    "run dltool nan-hunt on the model, which says why the operator gave it",
)


def of_probe(rule: Rule, measured: Measurements) -> Iterator[Finding]:
    """One finding for each file, or for rows of a dataset in which the value was born at one operator."""
    probed = measured.get(Probed)
    if probed is None:
        return
    for bad in probed.bad[:FINDINGS_A_RULE]:
        yield _one(rule, bad, probed.model)
    more = probed.bad[FINDINGS_A_RULE:]
    if more:
        yield rule.finding(
            f"{len(more):,} more files give values that are not finite",
            where=Where(phase="input", key="more probe"),
            evidence={"kind": "more", "samples": [sample for bad in more for sample in _members(bad)]},
            limit={"non_finite_values": 0},
            advice=ADVICE,
        )


def _one(rule: Rule, bad: ProbedSample, model: str) -> Finding:
    what = "NaN" if bad.value == "nan" else "Inf"
    who = bad.path
    if bad.rows:
        who = f"{bad.path}: sample {bad.rows[0]}" if len(bad.rows) == 1 else f"{bad.path}: {len(bad.rows):,} samples"
    born = "" if bad.op is None else f", born in {bad.op}"
    place = "" if not bad.module else f" of module {bad.module}"
    give = "give" if len(bad.rows) > 1 else "gives"
    return rule.finding(
        f"{who} {give} {what} in the {PHASES.get(bad.phase, bad.phase)} of {model}{born}{place}",
        where=Where(
            phase=bad.phase,
            op=bad.op,
            module=bad.module,
            samples=bad.rows[:EXAMPLES] or None,
            file=bad.file,
            key=f"{bad.path}#probe",
        ),
        cause=None if bad.code is None else f"at: {bad.code}",
        evidence={
            "kind": "probe",
            "value": bad.value,
            "model": model,
            "count": max(1, len(bad.rows)),
            "samples": _members(bad),
        },
        limit={"non_finite_values": 0},
        advice=ADVICE,
    )


def _members(bad: ProbedSample) -> list[dict[str, object]]:
    if not bad.rows:
        return members([Sample(path=bad.path)])
    return members(Sample(path=bad.path, row=row) for row in bad.rows)
