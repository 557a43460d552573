"""Which learning rates an optimizer is used with, and what makes larger ones right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dltool.core.measured.design import Architecture, DesignedLayer, Plan
from dltool.rules.base import Threshold
from dltool.rules.spec.graph import CONVS, NORMS, WEIGHTED, numbers

ADAPTIVE = frozenset({"adam", "adamw", "nadam", "rmsprop"})
"""Optimizers whose first steps move every weight by about the rate itself."""
USUAL_BATCH = 256
UNKNOWN_FAN = 32
"""Inputs of a unit where no layer says how many there are: rates above 0.1 are then too high for adam."""
RATES = (
    Threshold(
        name="sgd",
        default=2.0,
        unit="learning rate over 1 - momentum, above which plain nets diverge",
        source="digits, two hidden layers: 1.0 trains in 6 of 6 runs, 3.0 in none of 6; rates grow with batches above 256 "
        "(Goyal et al. 2017)",
    ),
    Threshold(
        name="sgd_normalised",
        default=5.0,
        unit="the same with normalisation layers",
        source="digits with batch norm: 3.0 trains in 6 of 6 runs, 10 in 3 of 6 and worse; Smith & Topin 2018: peaks of 3",
    ),
    Threshold(
        name="clipped_step",
        default=10.0,
        unit="learning rate times clip_norm, the longest step",
        source="Merity et al. 2018, AWD-LSTM: a rate of 30, clipped at 0.25",
    ),
    Threshold(
        name="adaptive",
        default=1.0,
        unit="learning rate of adam, adamw, nadam, rmsprop over the size of weights in the widest layer, 1 / sqrt(3 fan in)",
        source="digits: 0.4 trains in 6 of 6 runs, 1.4 loses 5 to 45 points; where each step is as large as the weights",
    ),
    Threshold(
        name="adaptive_normalised",
        default=5.0,
        unit="the same with batch norm",
        source="digits with batch norm: 4.2 trains in 3 of 3 runs, 14 in none",
    ),
    Threshold(
        name="adaptive_usual",
        default=1e-2,
        unit="learning rate of adam, adamw, nadam, rmsprop, up to which none is called too high",
        source="UMLAUT (Schoop et al. 2021): 0.01; benchmarks/untrained.py and the samples train with it",
    ),
    Threshold(
        name="adagrad",
        default=1.0,
        unit="learning rate",
        source="Duchi et al. 2011 and PyTorch (default 0.01): a first step of the rate itself for every weight",
    ),
    Threshold(name="adadelta", default=10.0, unit="learning rate", source="Zeiler 2012: the method has a rate of 1.0"),
    Threshold(
        name="lbfgs",
        default=2.0,
        unit="learning rate",
        source="Nocedal & Wright 2006, section 7.2: a quasi-Newton step has length 1",
    ),
    Threshold(
        name="sgd_low",
        default=1e-5,
        unit="learning rate, below which nothing moves",
        source="digits at 1e-6: no change in ten epochs (sample rate_too_low.yaml); fine-tuning and sums are not judged",
    ),
    Threshold(
        name="adaptive_low",
        default=1e-7,
        unit="learning rate of adam, adamw, nadam, rmsprop, adagrad",
        source="UMLAUT (Schoop et al. 2021): 1e-7",
    ),
    Threshold(
        name="adadelta_low",
        default=1e-2,
        unit="learning rate",
        source="Keras documentation, Adadelta: its default of 0.001 is not the paper's 1.0",
    ),
    Threshold(name="lbfgs_low", default=1e-4, unit="learning rate", source="PyTorch documentation, LBFGS: default 1"),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A number that stands for the rate, beside the limit that bears ``name``."""

    name: str
    value: float
    limit: float


def upper(plan: Plan, lr: float, architecture: Architecture | None, limits: Mapping[str, float]) -> Judged | None:
    """The upper limit for this rate; None for an optimizer that is not known."""
    layers = () if architecture is None else tuple(layer for layer in architecture.layers if not layer.frozen)
    kinds = {layer.kind for layer in layers}
    weighted = [layer for layer in layers if layer.kind in WEIGHTED]
    linear = 10.0 if architecture is not None and architecture.complete and len(weighted) == 1 else 1.0  # a convex problem
    growth = max(1.0, (plan.batch_size or 0) / USUAL_BATCH)
    if plan.optimizer == "sgd":
        if plan.clip_norm is not None:
            return Judged("clipped_step", lr * plan.clip_norm, limits["clipped_step"])
        momentum = 0.0 if plan.schedule == "one_cycle" else plan.momentum or 0.0  # it is low where the rate is high
        name = "sgd_normalised" if kinds & (NORMS | {"transformer_encoder_layer"}) else "sgd"
        return Judged(name, lr / max(1.0 - momentum, 1e-6), limits[name] * growth * linear)
    if plan.optimizer in ADAPTIVE:
        if lr <= limits["adaptive_usual"]:
            return Judged("adaptive_usual", lr, limits["adaptive_usual"])
        name = "adaptive_normalised" if "batch_norm" in kinds else "adaptive"
        known = [fan for layer in weighted if (fan := _fan_in(layer)) > 0]
        fan = max(known, default=UNKNOWN_FAN)
        return Judged(name, lr * math.sqrt(3.0 * fan), limits[name] * math.sqrt(growth) * linear)
    if plan.optimizer in {"adagrad", "adadelta", "lbfgs"}:
        return Judged(plan.optimizer, lr, limits[plan.optimizer])
    return None


def lower(plan: Plan, limits: Mapping[str, float]) -> tuple[str, float] | None:
    """The name and value of the lower limit; None for an optimizer that is not known."""
    name = "adaptive_low" if plan.optimizer in ADAPTIVE | {"adagrad"} else f"{plan.optimizer}_low"
    return (name, limits[name]) if name in limits else None


def _fan_in(layer: DesignedLayer) -> int:
    """What one unit sums over; 0 where it is not known, and for embeddings, which sum over nothing."""
    given = layer.arguments
    if layer.kind in CONVS:
        kernel = numbers(given.get("kernel_size"), int(layer.kind[4]))
        channels, groups = given.get("in_channels"), given.get("groups", 1)
        if kernel is None or not isinstance(channels, int) or not isinstance(groups, int) or groups < 1:
            return 0
        return channels // groups * math.prod(kernel)
    sizes = [given.get(name) for name in ("in_features", "hidden_size", "embed_dim", "d_model", "dim_feedforward")]
    return max((size for size in sizes if isinstance(size, int)), default=0)
