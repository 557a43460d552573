"""Between which numbers the output of a layer lies, whatever its weights are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dltool.core.measured.design import DesignedLayer, LossTerm
from dltool.rules.spec.graph import AFFINE, KEEPS_RANGE, NORMS, Graph, number

SOFTMAXES = frozenset({"softmax", "softmin", "softmax2d"})
SIGMOIDS = frozenset({"sigmoid", "hardsigmoid"})
RELUS = frozenset({"relu", "relu6"})
LOGARITHMS = frozenset({"log_softmax", "log_sigmoid"})
UNBOUNDED = AFFINE | NORMS | {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "embedding"}
"""Layers that can return any number, negative ones among them."""
EITHER_WAY = frozenset({"prelu", "rrelu", "tanhshrink", "softshrink", "hardshrink", "glu"})
"""Activations without bounds."""
FIXED: dict[str, tuple[float, float]] = {
    **dict.fromkeys(SOFTMAXES | SIGMOIDS, (0.0, 1.0)),
    **dict.fromkeys(LOGARITHMS, (-math.inf, 0.0)),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, math.inf),
    "exp": (0.0, math.inf),
    "selu": (-1.7581, math.inf),
    "gelu": (-0.17, math.inf),
    "silu": (-0.2785, math.inf),
    "mish": (-0.3089, math.inf),
    "hardswish": (-0.375, math.inf),
    "gru": (-1.0, 1.0),
}
"""Of functions without arguments; the smallest value of gelu, silu, mish and hardswish rounded down."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """``low`` to ``high``, either of them possibly infinite; ``layer`` is what sets them."""

    low: float
    high: float
    layer: DesignedLayer

    @property
    def is_bounded(self) -> bool:
        """Whether there is a number that it cannot return."""
        return not (math.isinf(self.low) and math.isinf(self.high))

    @property
    def told(self) -> str:
        """As a sentence says it."""
        if not self.is_bounded:
            return "any number"
        if math.isinf(self.high):
            return f"never below {self.low:g}"
        return f"never above {self.high:g}" if math.isinf(self.low) else f"between {self.low:g} and {self.high:g}"


def bounds_of(layer: DesignedLayer) -> tuple[float, float] | None:
    """The range of a layer's output; None where it is not known or depends on what comes in."""
    if layer.kind in {"elu", "celu"}:
        alpha = number(layer.arguments.get("alpha"), 1.0)
        return (-alpha, math.inf) if alpha > 0.0 else None
    if layer.kind == "hardtanh":
        return number(layer.arguments.get("min_val"), -1.0), number(layer.arguments.get("max_val"), 1.0)
    if layer.kind == "lstm":
        return None if layer.arguments.get("proj_size") else (-1.0, 1.0)
    if layer.kind == "rnn":
        return (0.0, math.inf) if layer.arguments.get("nonlinearity") == "relu" else (-1.0, 1.0)
    if layer.kind == "leaky_relu":
        return (-math.inf, math.inf) if number(layer.arguments.get("negative_slope"), 0.01) > 0.0 else (0.0, math.inf)
    return (-math.inf, math.inf) if layer.kind in UNBOUNDED | EITHER_WAY else FIXED.get(layer.kind)


def output_bounds(graph: Graph, term: LossTerm) -> Bounds | None:
    """The range of what a loss is given, as the last layer sets it that does; None where that is not known."""
    layer = graph.end(term, KEEPS_RANGE)
    found = None if layer is None else bounds_of(layer)
    return None if layer is None or found is None else Bounds(*found, layer)
