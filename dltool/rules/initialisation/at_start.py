"""What the rules on signals and gradients at the start have in common: when to judge, what to blame and what to advise."""

from __future__ import annotations

from collections.abc import Mapping

from dltool.core.measured.init_stats import Growth, SignalGrowth
from dltool.rules.base import Skip

LEAST_LAYERS = 4
"""A trend through fewer is a matter of one layer, such as a head that starts small on purpose."""

OFF_RATIO = 2.0
"""Weights whose variance is off by more than this are to blame before the architecture is."""

ADVICE = (
    "initialise for the activation in use: kaiming_normal for ReLU and its kin, xavier_normal for tanh and sigmoid",
    "let candidates show it on your data: dltool init-stats TARGET --compare kaiming_normal,xavier_normal,orthogonal,lsuv",
    "put batch_norm or layer_norm between the layers, or residual connections around them",
)


def not_judged(measured: SignalGrowth, growth: Growth | None) -> Skip | None:
    """Why this way through the network cannot be judged; None where it can."""
    if not measured.input_finite:
        return Skip("the batch itself holds NaN or Inf, which is another rule's matter")
    return Skip("fewer than two layers, or no gradient, to follow") if growth is None else None


def has_trend(growth: Growth) -> bool:
    """Whether a line through the layers says something."""
    return growth.steady and growth.layers >= LEAST_LAYERS


def blame(measured: SignalGrowth, *, grows: bool) -> str | None:
    """The weights, where their variance is off to the side that explains it."""
    ratio = measured.variance_ratio
    if ratio is None or (not ratio > OFF_RATIO if grows else not ratio * OFF_RATIO < 1.0):
        return None
    return f"the weights' variance is {ratio:.2g} times what theory asks for the activations in use"


def evidence(measured: SignalGrowth, growth: Growth) -> Mapping[str, object]:
    """The numbers behind a judgement."""
    return {
        "factor": growth.factor,
        "factor_per_layer": growth.per_layer,
        "layers": growth.layers,
        "blocks": growth.blocks,
        "variance_ratio": measured.variance_ratio,
        "samples": measured.samples,
    }
