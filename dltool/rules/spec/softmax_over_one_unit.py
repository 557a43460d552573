"""SPC102 softmax-over-one-unit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, DesignedLayer, Objective
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.change import drop, put
from dltool.rules.spec.graph import DROPOUTS, INPUT, NO_LAYERS, Graph, called, place_of
from dltool.rules.spec.softmax_dim import OVER_A_DIM, is_unit_dim, softmax_dim, softmax_size


class SoftmaxOverOneUnit(Rule):
    """A softmax over a single unit: its output is 1, whatever comes in.

    What it measures: the size of the dimension that a softmax (softmin, log_softmax) sums over: at the end of the model,
    and anywhere right behind a linear layer or convolution whose units it should weigh.

    Why it is bad: e^x / e^x is 1 (0 for log_softmax). The output is a constant, its gradient is zero, and nothing
    before it learns.

    How to fix: sigmoid for one yes-or-no output, or as many units as classes; for weights over steps or places, the
    softmax along that dimension.

    When it is wrong: attention over a sequence that happens to have one step is healthy and not reported: the dimension
    is then not that of a layer's units.

    References: Keras documentation, "softmax" (axis); Zhang et al. 2018, An empirical study on TensorFlow program bugs;
    PyTorch documentation, "Softmax" (dim).
    """

    id = "SPC102"
    name = "softmax-over-one-unit"
    severity = Severity.ERROR
    needs = (Architecture,)
    explains: ClassVar[tuple[str, ...]] = (
        "parameter-without-gradient",
        "vanishing-gradient",
        "parameter-not-updated",
        "collapsed-representation",
        "underfitting",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        graph = Graph(measured[Architecture])
        if not graph.is_known:
            return Skip(NO_LAYERS)
        losses = {term.name for term in measured[Objective].terms} if Objective in measured else set()
        softmaxes = [(i, layer) for i, layer in enumerate(graph.layers) if layer.kind in OVER_A_DIM]
        unknown = [layer for _, layer in softmaxes if softmax_size(layer) is None]
        found = [self._told(layer, losses) for i, layer in softmaxes if softmax_size(layer) == 1 and _weighs_units(graph, i)]
        return found or (Skip(f"what {called(unknown[0])} sums over is not known") if unknown else ())

    def _told(self, layer: DesignedLayer, losses: set[str]) -> Finding:
        change = {"bce": put(layer.key, "sigmoid"), "bce_with_logits": drop(layer.key)}.get("".join(losses), {})
        always = "0" if layer.kind == "log_softmax" else "1"
        return self.finding(
            f"{called(layer)} sums over a single unit: its output is always {always}",
            where=place_of(layer),
            cause=f"what arrives has shape {layer.arrives}, and the softmax is along a dimension of size 1",
            evidence={
                "arrives": layer.arrives,
                "dim": layer.arguments.get("dim", 1),
                **change,
            },
            limit={"units": 2},
            advice=("sigmoid for one yes-or-no output (with bce; or none, with bce_with_logits)", "one unit for each class"),
        )


def _weighs_units(graph: Graph, index: int) -> bool:
    layer = graph.layers[index]
    if index == graph.end_index() and layer.arrives is not None and math.prod(layer.arrives) == 1:
        return True
    dim = softmax_dim(layer)
    source = graph.back(layer.follows[0], DROPOUTS) if len(layer.follows) == 1 else INPUT
    return dim is not None and source != INPUT and is_unit_dim(graph.layers[source], dim)
