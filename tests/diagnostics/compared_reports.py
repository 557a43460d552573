"""Reports for the tests of compare, made in memory: a small training with what a test wants different."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from dltool.core.codec import dumps
from dltool.core.finding import Check, Finding, Severity, Where
from dltool.core.measured.speed import Speed
from dltool.core.measured.task import Task
from dltool.core.measured.training import (
    Baseline,
    EpochRecord,
    History,
    LayerRecord,
    Layers,
    Optimisation,
    ParameterRecord,
    Parameters,
    Summary,
    UnitShare,
)
from dltool.core.measurements import Measurements, Section
from dltool.core.report import Report, RunInfo

BLOCK_OFFSETS = (-0.02, 0.01, 0.03, -0.01, 0.02, -0.03, 0.0, 0.0)


def summary(value: float) -> Summary:
    return Summary(first=value, median=value, last=value, minimum=value, maximum=value, count=9)


def history(losses: list[float], accuracy: float = 0.95, metric: str = "accuracy") -> History:
    """An epoch for each loss; validation and training have the same, with blocks around it."""
    epochs = tuple(
        EpochRecord(
            epoch=index,
            step=10 * (index + 1),
            lr=0.1,
            running_loss=loss,
            train_loss=loss,
            val_loss=loss,
            train_blocks=tuple(loss + offset for offset in BLOCK_OFFSETS),
            val_blocks=tuple(loss + offset for offset in BLOCK_OFFSETS),
            train_metrics={metric: accuracy},
            val_metrics={metric: accuracy},
        )
        for index, loss in enumerate(losses)
    )
    weights = (1.0,) * len(BLOCK_OFFSETS)
    return History(epochs=epochs, best_epoch=len(losses) - 1, train_block_weights=weights, val_block_weights=weights)


TASK = Task(
    kind="classification", loss="cross_entropy", loss_terms=("cross_entropy",), outputs=3, train_samples=800,
    val_samples=200, batch_size=32, full_batch=False, steps_per_epoch=10,
)  # fmt: skip
OPTIMISATION = Optimisation(
    optimizer="sgd", lr=0.1, momentum=0.9, weight_decay=0.0, l1=0.0, l2=0.0, max_norm=None, clip_norm=None, clip_value=None,
    clipped_steps=0, steps=60, epochs_planned=6, epochs_run=6, schedule=None, precision="fp32", accumulate=1,
    stopped="finished",
)  # fmt: skip
BASELINE = Baseline(description="the class frequencies", train_loss=1.1, val_loss=1.1)
SPEED = Speed(
    step_ms=(2.0,) * 9, step_cpu_ms=(2.0,) * 9, reference_ms=(1.0,) * 9, batch_samples=32, machine="a processor, 2 threads"
)
FALLING = [1.1, 0.8, 0.6, 0.5, 0.45, 0.42]


def parameter(name: str, gradient: float = 0.5, ratio: float = 1e-3) -> ParameterRecord:
    return ParameterRecord(
        name=name, module=name.rpartition(".")[0], shape=(64, 64), role="weight", depth=0, requires_grad=True,
        in_optimizer=True, gradient="present", moved=True, gradient_norm=summary(gradient), gradient_rms=None,
        weight_norm=summary(2.0), update_ratio=summary(ratio),
    )  # fmt: skip


def layer(name: str, dead: float = 0.0, std: float = 1.0) -> LayerRecord:
    share = UnitShare(share=dead, lower=dead, upper=dead, tolerance_ratio=0.01, units=64, observations=500)
    return LayerRecord(
        name=name, kind="ReLU", depth=0, activation="relu", output_shape=(64,), parameters=0, trainable=False,
        gradient_norm=None, weight_norm=None, update_ratio=None, activation_mean=None, activation_std=summary(std),
        dead=share, saturated=None,
    )  # fmt: skip


def sections(*changed: Section) -> list[Section]:
    """What a training measures, with ``changed`` in place of its own."""
    usual: list[Section] = [
        TASK, OPTIMISATION, BASELINE, history(FALLING), SPEED,
        Parameters(parameters=(parameter("0.weight"), parameter("1.weight")), steps=60), Layers(layers=(layer("1"),)),
    ]  # fmt: skip
    kinds = {type(section) for section in changed}
    return [section for section in usual if type(section) not in kinds] + list(changed)


def finding(rule: str = "ACT101", key: str = "model.layers.1", severity: Severity = Severity.ERROR) -> Finding:
    return Finding(
        rule=rule, name={"ACT101": "dead-relu", "FIT102": "overfitting"}[rule], severity=severity,
        message="something is wrong", where=Where(key=key),
    )  # fmt: skip


def report(*changed: Section, findings: tuple[Finding, ...] = (), skipped: tuple[str, ...] = (), **fields: Any) -> Report:
    """A report of train; ``fields`` are the report's, or those of its run."""
    rules = ("ACT101", "FIT102")
    failed = {each.rule for each in findings}
    checks = tuple(
        Check(
            rule=rule,
            outcome="skipped" if rule in skipped else "failed" if rule in failed else "passed",
            reason="no units were seen" if rule in skipped else None,
        )
        for rule in rules
    )
    run = RunInfo(seed=0, torch="2.13.0", device="cpu", spec_sha256="aa", seconds=1.0, deterministic=True)
    own = {name: fields.pop(name) for name in ("seed", "torch", "device", "interrupted") if name in fields}
    made = Report(
        command="train",
        target="spec.yaml",
        run=replace(run, **own),
        tool_version="0.1.0",
        findings=findings,
        checks=checks,
        measurements={"fit_status": "good-fit", **Measurements(sections(*changed)).to_dict()},
    )
    return replace(made, **fields)


def written(folder: Path, name: str, one: Report, **keys: Any) -> str:
    """The report as a file; ``keys`` replace its own."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**json.loads(dumps(one.to_dict())), **keys}))
    return str(path)
