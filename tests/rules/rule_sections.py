"""Sections of an unremarkable run, to be spoilt by a test in one place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dltool.core.measured.task import DataFacts, Output, Task
from dltool.core.measured.training import (
    LayerRecord,
    Optimisation,
    ParameterRecord,
    Parameters,
    StepGain,
    StepGains,
    Summary,
    UnitShare,
)
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.fit_verdict import FitVerdict


def summary(value: float, first: float | None = None) -> Summary:
    start = value if first is None else first
    return Summary(first=start, median=value, last=value, minimum=value, maximum=value, count=10)


def fit(status: str, explained: float | None = None) -> FitVerdict:
    return FitVerdict(status=status, reason="because", explained_ratio=explained)


GOOD = fit("good-fit", 0.9)
NOTHING = fit("no-better-than-trivial", 0.0)

TASK = Task(
    kind="classification",
    loss="cross_entropy",
    loss_terms=("cross_entropy",),
    outputs=3,
    train_samples=1000,
    val_samples=200,
    batch_size=64,
    full_batch=False,
    steps_per_epoch=16,
    class_counts=(300, 350, 350),
)
REGRESSION = replace(TASK, kind="regression", loss="mse", class_counts=None, target_mean=0.0, target_std=1.0)
OPTIMISATION = Optimisation(
    optimizer="SGD",
    lr=0.1,
    momentum=0.0,
    weight_decay=0.0,
    l1=0.0,
    l2=0.0,
    max_norm=None,
    clip_norm=None,
    clip_value=None,
    clipped_steps=0,
    steps=100,
    epochs_planned=10,
    epochs_run=10,
    schedule=None,
    precision="fp32",
    accumulate=1,
    stopped="finished",
)
OUTPUT = Output(
    final_module="head",
    final_activation=None,
    loss_expects="logits",
    rows_sum_to_one=False,
    non_negative=False,
    within_unit_interval=False,
    spread_ratio=0.8,
    initial_loss=1.1,
    expected_initial_loss=1.0986,
)
FACTS = DataFacts(
    non_finite_inputs=(),
    non_finite_targets=(),
    label_min=0,
    label_max=2,
    labels_present=3,
    outputs=3,
    out_of_range=(),
    input_mean=0.0,
    input_std=1.0,
    input_min=-3.0,
    input_max=3.0,
    constant_features=(),
)


def layer(name: str = "relu", kind: str = "ReLU", **changes: Any) -> LayerRecord:
    plain = LayerRecord(
        name=name,
        kind=kind,
        depth=1,
        activation="relu",
        output_shape=(64,),
        parameters=0,
        trainable=False,
        gradient_norm=None,
        weight_norm=None,
        update_ratio=None,
        activation_mean=None,
        activation_std=None,
        dead=None,
        saturated=None,
    )
    return replace(plain, **changes)


def share(lower: float, seen: float | None = None) -> UnitShare:
    return UnitShare(
        share=lower if seen is None else seen,
        lower=lower,
        upper=1.0,
        tolerance_ratio=0.01,
        units=64,
        observations=1000,
        examples=(1, 2),
    )


def parameter(
    name: str, depth: int = 0, *, rms: float = 1e-3, update: float | None = 1e-3, **changes: Any
) -> ParameterRecord:
    plain = ParameterRecord(
        name=name,
        module=name.rpartition(".")[0],
        shape=(8, 8),
        role="bias" if name.endswith("bias") else "weight",
        depth=depth,
        requires_grad=True,
        in_optimizer=True,
        gradient="present",
        moved=True,
        gradient_norm=summary(rms * 8),
        gradient_rms=summary(rms),
        weight_norm=summary(1.0),
        update_ratio=None if update is None else summary(update),
    )
    return replace(plain, **changes)


def stack(rms: list[float], update: list[float] | float = 1e-3, **changes: Any) -> Parameters:
    """Weights of a plain net, the one nearest the input first."""
    updates = update if isinstance(update, list) else [update] * len(rms)
    records = [
        parameter(f"l{i}.weight", i, rms=r, update=u, **changes) for i, (r, u) in enumerate(zip(rms, updates, strict=True))
    ]
    return Parameters(parameters=tuple(records), steps=100)


def gains(*pairs: tuple[float, float], loss: float = 1.0) -> StepGains:
    """(predicted, actual) change of steps 0, 10, 20, ..."""
    return StepGains(
        gains=tuple(
            StepGain(step=10 * i, loss_before=loss, predicted_change=p, actual_change=a) for i, (p, a) in enumerate(pairs)
        )
    )


def judged(rule: type[Rule], *sections: Any, **limits: float) -> Any:
    """A list of findings, or the Skip."""
    answer = rule(limits).judge(Measurements(sections))
    return answer if isinstance(answer, Skip) else list(answer)
