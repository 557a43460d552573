"""SPC113 missing-nonlinearity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, DesignedLayer
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.change import insert
from dltool.rules.spec.factorised import begins_separable, ends_separable, is_bottleneck, is_separable
from dltool.rules.spec.graph import (
    AFFINE,
    AVERAGING,
    BATCH_NORMS,
    CONVS,
    INPUT,
    NO_LAYERS,
    TRANSPARENT,
    Graph,
    called,
    place_of,
)

GLOBAL = frozenset({"mean", "global_avg_pool", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"})
STRAIGHT = TRANSPARENT | AVERAGING | BATCH_NORMS | {"scale", "shift"}
"""What lies between two layers without bending anything, at least in eval mode."""


class MissingNonlinearity(Rule):
    """Two layers with weights follow each other with nothing non-linear between them.

    What it measures: pairs of linear layers and convolutions that are joined by dropout, reshaping, means and batch norm
    alone, where nothing else reads what is between.

    Why it is bad: the product of two matrices is a matrix. The pair can express nothing that the second alone could not, at
    the price of both.

    How to fix: an activation between them (relu, gelu, tanh), or only one of them.

    When it is wrong: a bottleneck narrower than both its sides is a low-rank factorisation, and grouped, depthwise and
    separable convolutions are structure, not repetition; sums of branches, max pooling, recurrent and attention layers bend;
    what enters and leaves a depthwise separable block is linear on purpose; frozen layers are someone else's features.
    None of them is reported. A deep linear model on purpose is. A projection whose mean over time or places a classifier
    reads is as much too many, but common, and costs little: information.

    References: NeuraLint (Nikanjam et al. 2021), "missing non-linearity"; UMLAUT (Schoop et al. 2021), "linear activation
    in a hidden layer"; Sandler et al. 2018, MobileNetV2 (linear bottlenecks); Baevski et al. 2020,
    wav2vec 2.0 (its classifier: projector, mean over time, linear); Goodfellow et al. 2016, section 6.1.
    """

    id = "SPC113"
    name = "missing-nonlinearity"
    severity = Severity.WARNING
    needs = (Architecture,)
    explains: ClassVar[tuple[str, ...]] = (
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        graph = Graph(measured[Architecture])
        if not graph.is_known:
            return Skip(NO_LAYERS)
        pairs = [pair for i in range(len(graph.layers)) if (pair := _pair(graph, i)) is not None]
        if not pairs:
            return ()
        pairs.sort(key=lambda pair: pair.averaged)
        before, after, averaged = pairs[0]
        more = (
            f", and {len(pairs) - 1} more such pairs"
            if len(pairs) > 2
            else ", and another such pair"
            if len(pairs) == 2
            else ""
        )
        return [
            self.finding(
                f"nothing non-linear stands between {called(before)} and {called(after)}{more}",
                where=place_of(after),
                severity=Severity.INFO if averaged else None,
                cause="two linear maps in a row are one linear map",
                evidence={
                    "pairs": len(pairs),
                    "before": [pair.before.key or pair.before.module for pair in pairs],
                    "after": [pair.after.key or pair.after.module for pair in pairs],
                    **insert([pair.after.key for pair in pairs], "relu"),
                },
                advice=(f"an activation (relu, gelu) before {called(after)}", "only one of the two layers"),
            )
        ]


class _Pair(NamedTuple):
    """``averaged``: a mean over places or time stands between the two."""

    before: DesignedLayer
    after: DesignedLayer
    averaged: bool


def _pair(graph: Graph, index: int) -> _Pair | None:
    """The layer at ``index`` and the one before it, where the two amount to one."""
    after = graph.layers[index]
    if after.kind not in AFFINE or len(after.follows) != 1:
        return None
    at, reshaped, averaged = after.follows[0], False, False
    while at != INPUT and graph.layers[at].kind in STRAIGHT and len(graph.layers[at].follows) == 1:
        if graph.only_reader(at) is None:
            return None
        reshaped = reshaped or graph.layers[at].kind == "reshape"
        averaged = averaged or graph.layers[at].kind in GLOBAL
        at = graph.layers[at].follows[0]
    if at == INPUT or graph.only_reader(at) is None or graph.layers[at].kind not in AFFINE:
        return None
    before = graph.layers[at]
    folded = reshaped and before.kind not in CONVS and after.kind in CONVS  # a vector made into maps, as in generators
    if before.frozen or after.frozen or folded or is_bottleneck(before, after) or is_separable(before, after):
        return None
    return None if ends_separable(graph, at) or begins_separable(graph, index) else _Pair(before, after, averaged)
