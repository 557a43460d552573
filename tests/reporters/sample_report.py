"""A report built by hand: a sigmoid stack of any depth that barely learns, with something to show in every part."""

from __future__ import annotations

import math

from dltool.core.finding import Check, Finding, Severity, Where
from dltool.core.measured.training import (
    Baseline,
    EpochRecord,
    History,
    LayerRecord,
    Layers,
    LossTrace,
    Optimisation,
    Spike,
    Summary,
    UnitShare,
    Watch,
)
from dltool.core.measurements import Measurements
from dltool.core.report import Report, RunInfo


def summary(value: float) -> Summary:
    return Summary(first=value, median=value, last=value, minimum=value, maximum=value, count=40)


def share(value: float) -> UnitShare:
    return UnitShare(
        share=value, lower=value * 0.9, upper=min(1.0, value * 1.1), tolerance_ratio=0.01, units=64, observations=2560
    )


def layer(depth: int, of: int) -> LayerRecord:
    common = {"depth": depth, "activation": None, "trainable": True, "is_output": depth == of - 1}
    if depth % 2:
        return LayerRecord(
            **common | {"activation": "sigmoid"},
            name=f"layers.{depth}",
            kind="Sigmoid",
            output_shape=(64,),
            parameters=0,
            gradient_norm=None,
            weight_norm=None,
            update_ratio=None,
            dead=None,
            activation_mean=summary(0.5),
            activation_std=summary(0.12),
            saturated=share(min(0.97, 0.05 * depth)),
        )
    gradient = 10.0 ** (-(of - depth) / 4)
    return LayerRecord(
        **common,
        name=f"layers.{depth}",
        kind="Linear",
        output_shape=(64,),
        parameters=4160,
        gradient_norm=summary(gradient),
        weight_norm=summary(8.02),
        update_ratio=summary(gradient / 80),
        activation_mean=summary(-0.013),
        activation_std=summary(1.21),
        dead=None,
        saturated=None,
    )


def epoch(index: int, total: int) -> EpochRecord:
    train = 2.31 * math.exp(-4 * index / total) + 0.03
    val = 2.28 * math.exp(-6 * index / total) + 0.32 + 0.006 * max(0, index - total // 3)
    return EpochRecord(
        epoch=index,
        step=40 * (index + 1),
        lr=0.01 * 0.9**index,
        running_loss=train + 0.06,
        train_loss=train,
        val_loss=val,
        train_metrics={"accuracy": 0.99 - 0.2 * math.exp(-index)},
        val_metrics={"accuracy": 0.91 - 0.2 * math.exp(-index)},
    )


def findings() -> tuple[Finding, ...]:
    cause = Finding(
        rule="GRD103",
        name="vanishing-gradient",
        severity=Severity.ERROR,
        message="The gradient shrinks 1.78-fold per layer on the way back: layers.0 gets 0.00316 of what the output gets.",
        where=Where(
            phase="backward",
            module="layers.0",
            parameter="layers.0.weight",
            step=40,
            file="sigmoid.yaml",
            line=12,
            key="model.layers.0",
        ),
        cause="The slope of a sigmoid is at most 1/4, and less where it is saturated.",
        evidence={"shrink_per_layer": 1.778, "layers": 6, "first_to_last": 0.00316},
        limit={"shrink_per_layer": 1.5},
        advice=("use relu or gelu with kaiming_normal init", "put a batch_norm before each activation"),
    )
    symptom = Finding(
        rule="OPT102",
        name="learning-rate-too-low",
        severity=Severity.WARNING,
        message="The weights of [layers.0] move 2.1e-05 of their size a step.",
        where=Where(module="layers.0"),
        caused_by=cause.fingerprint,
        evidence={"update_ratio": 2.1e-05, "steps": [0, 1, 2]},
        limit={"update_ratio": 1e-4},
        advice=("raise the rate tenfold",),
    )
    note = Finding(rule="FIT103", name="not-converged", severity=Severity.INFO, message="The loss still falls.")
    return cause, symptom, note


def report(*, depth: int = 8, epochs: int = 30, found: bool = True) -> Report:
    """The report; ``found`` False gives the same run with a good fit and no findings."""
    measured = Measurements(
        [
            Optimisation(
                optimizer="sgd",
                lr=0.01,
                momentum=0.9,
                weight_decay=0.0,
                l1=0.0,
                l2=1e-4,
                max_norm=None,
                clip_norm=1.0,
                clip_value=None,
                clipped_steps=12,
                steps=40 * epochs,
                epochs_planned=epochs,
                epochs_run=epochs,
                schedule="exponential",
                precision="fp32",
                accumulate=1,
                stopped="finished",
            ),
            Baseline(description="always the class frequencies of the training split", train_loss=2.3026, val_loss=2.3031),
            History(epochs=tuple(epoch(i, epochs) for i in range(epochs)), best_epoch=epochs // 2),
            LossTrace(
                stride=4,
                losses=(2.3, 1.9, math.nan),
                smoothed=(2.3, 2.1, 2.1),
                spikes=(Spike(step=41, loss=9.0, expected=1.9),),
            ),
            Layers(layers=tuple(layer(i, depth) for i in range(depth))),
            Watch(overhead=0.05, every=30, looks=40, steps=40 * epochs),
        ]
    )
    fit = {
        "status": "not-converged" if found else "good-fit",
        "reason": "The validation loss still falls by 0.012 an epoch.",
        "evidence": {"val_loss": 0.412, "slope_per_epoch": -0.012, "more_epochs": 14},
        "advice": ["train for about 14 more epochs", "raise the rate tenfold"],
    }
    return Report(
        command="train",
        target="sample_configs/broken/[sigmoid].yaml",
        tool_version="0.1.0",
        run=RunInfo(
            seed=0,
            torch="2.13.0",
            device="cpu",
            spec_sha256="0" * 64,
            seconds=3.25,
            deterministic=True,
            assumptions=("no val split was given: a fifth of the rows was held out",),
        ),
        findings=findings() if found else (),
        checks=(
            Check(rule="GRD103", outcome="failed" if found else "passed"),
            Check(rule="ACT101", outcome="passed"),
            Check(rule="NAN105", outcome="skipped", reason="no loss was measured"),
        ),
        measurements=measured.to_dict() | {"fit_status": fit["status"], "fit": fit, "advice": fit["advice"]},
    )
