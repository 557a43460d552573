"""Reports of a hunt built by hand: one that ended in an infinite slope, one that stayed healthy, one of inputs alone."""

from __future__ import annotations

from dltool.core.finding import Check, Finding, Severity, Where
from dltool.core.measured.hunt import (
    BadInput,
    BadInputs,
    Evidence,
    FirstBadStep,
    FixTrial,
    FixTrials,
    Guarding,
    LayerGrowth,
    LeadUp,
    StepsPlanned,
    StepsRun,
)
from dltool.core.measured.non_finite import NonFinite, NonFiniteEvent, TensorFacts
from dltool.core.measurements import Measurements, Section
from dltool.core.report import Report, RunInfo

GUARDING = Guarding(snapshot_every=16, snapshot_bytes=1_234_000, kept_bytes=2_900_000)
SUDDEN = LeadUp(
    first_step=36,
    losses=(0.693, 0.672, 0.655, 0.641, 0.633),
    gradient_norms=(1.02, 0.97, 0.99, 0.91, 0.9),
    growing_steps=0,
    growth_ratio=1.0,
)
GROWING = LeadUp(
    first_step=12,
    losses=tuple(0.69 * 3.2**i for i in range(16)),
    gradient_norms=tuple(1.1 * 8.5**i for i in range(16)),
    growing_steps=15,
    growth_ratio=8.5,
    layers=tuple(
        LayerGrowth(parameter=f"[blocks].{i}.weight", norms=tuple(0.1 * 9.0**k for k in range(8))) for i in range(5)
    ),
)
EVENT = NonFiniteEvent(
    phase="backward",
    step=41,
    value="inf",
    count=1,
    module="frontend",
    parameter="frontend.window",
    op="SqrtBackward0",
    samples=(5,),
    file="net.py",
    line=41,
    code="return torch.sqrt((x * self.window).sum(-1))",
    aten="aten.div.Tensor",
    forward_op="sqrt",
    inputs=(
        TensorFacts(shape=(32, 1), dtype="float32", minimum=-0.0313, maximum=0.0312),
        TensorFacts(shape=(32, 1), dtype="float32", minimum=0.0, maximum=6.41, zeros=1),
    ),
    output=TensorFacts(shape=(32, 1), dtype="float32", minimum=-0.8, maximum=0.9, positive_inf=1),
    index=(5, 0),
    operands=(0.0312, 0.0),
    proof="with the gradient of sqrt at net.py:41 mended the step stays finite",
    settings={"lr": 0.001, "eps": 1e-8},
)


def finding(event: NonFiniteEvent = EVENT) -> Finding:
    return Finding(
        rule="NAN106",
        name="non-finite-backward",
        severity=Severity.ERROR,
        message="the gradient of sqrt is Inf at step 41, because sample 5 takes it at 0",
        where=Where(
            phase=event.phase,
            op=event.op,
            module=event.module,
            parameter=event.parameter,
            step=event.step,
            samples=event.samples,
            file=event.file,
            line=event.line,
        ),
        cause="sqrt at 0 has an infinite slope",
        evidence={"value": event.value, "count": event.count},
        advice=("add an eps inside: torch.sqrt(x + 1e-8)", "drop sample 5"),
    )


def hunted(*, found: bool = True, growing: bool = False, fixes: bool = False) -> Report:
    measured: list[Section] = [StepsRun(steps=42 if found else 100), StepsPlanned(steps=100), GUARDING]
    measured += [FirstBadStep(step=41 if found else None), NonFinite(events=(EVENT,) if found else ())]
    if found:
        measured += [GROWING if growing else SUDDEN, Evidence(folder="runs/net-1/nan")]
    if fixes:
        trials = (
            FixTrial(fix="without sample 5", healed=True, steps=50),
            FixTrial(fix="the gradient norm clipped at 1", healed=False, steps=0),
            FixTrial(fix="a tenth of the rate", healed=False, steps=12, note="from the start of the run"),
        )
        measured.append(FixTrials(trials=trials))
    return report(measured, (finding(),) if found else ())


def passed(*, bad_batches: int) -> Report:
    batches = tuple(
        BadInput(batch=3 * i, samples=(5, 9) if i % 2 else tuple(range(32)), phase="forward", op="log", module="front")
        for i in range(bad_batches)
    )
    seen = BadInputs(samples=1234, batches=batches, batches_passed=39)
    return report([StepsRun(steps=39), StepsPlanned(steps=39), FirstBadStep(step=0 if batches else None), seen], ())


def report(measured: list[Section], findings: tuple[Finding, ...]) -> Report:
    run = RunInfo(
        seed=0,
        torch="2.13.0",
        device="cpu",
        spec_sha256=None,
        seconds=1.9,
        deterministic=True,
        assumptions=("No optimizer was given: AdamW with a learning rate of 0.001 was taken.",),
    )
    return Report(
        command="nan-hunt",
        target="net.py:make",
        run=run,
        tool_version="0.1.0",
        findings=findings,
        checks=(Check(rule="NAN106", outcome="failed" if findings else "passed"),),
        measurements=Measurements(measured).to_dict(),
    )
