"""SPC122 global-stats-in-training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, DesignedLayer, Plan
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.spec.change import Evidence, below, drop, put_all
from dltool.rules.spec.graph import NO_LAYERS, Graph, called, number, place_of

Reason = tuple[str, str, Severity]


class GlobalStatsInTraining(Rule):
    """A batch norm's running statistics are not what training and evaluation need of them.

    What it measures: batch norms that use their running statistics in training although nothing has set them (frozen, or in
    eval mode, in a net that is not pretrained); that never update them (momentum 0); or that keep little but the last batch
    (a momentum of 0.9 and more, as Keras and Caffe count it).

    Why it is bad: statistics that still are mean 0 and variance 1 normalise nothing in training; ones that are never
    updated make evaluation another model than the one that was trained; ones of a single batch make it a noisy one.

    How to fix: do not freeze a norm that starts anew; momentum 0.1 (torch's momentum is 1 minus that of Keras).

    When it is wrong: frozen norms of a pretrained net are right, and common with small batches; momentum null is a mean
    over all batches; with full batches the last one is all there is. None of them is reported.

    References: Ioffe & Szegedy 2015, algorithm 2; PyTorch documentation, "BatchNorm2d" (momentum); Keras documentation,
    "BatchNormalization" (momentum 0.99, trainable); MXNet documentation, "BatchNorm" (use_global_stats).
    """

    id = "SPC122"
    name = "global-stats-in-training"
    severity = Severity.ERROR
    needs = (Architecture,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="momentum",
            default=0.9,
            unit="share of the last batch in the running statistics, from which on it is reported (as a warning)",
            source="Keras (0.99) and TensorFlow models (0.9) count the share that stays: torch's 0.01 and 0.1",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "exploding-activations",
        "vanishing-activations",
        "exploding-gradient",
        "learning-rate-too-high",
        "oscillating-loss",
        "overfitting",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        graph, plan = Graph(measured[Architecture]), measured.get(Plan) or Plan()
        if not graph.is_known:
            return Skip(NO_LAYERS)
        norms = [layer for layer in graph.layers if layer.kind == "batch_norm"]
        told = [(layer, reason) for layer in norms if (reason := self._reason(layer, plan)) is not None]
        by_reason: dict[str, list[DesignedLayer]] = {}
        for layer, reason in told:
            by_reason.setdefault(reason[0], []).append(layer)
        return [self._told(layers, next(r for _, r in told if r[0] == message)) for message, layers in by_reason.items()]

    def _told(self, layers: list[DesignedLayer], reason: Reason) -> Finding:
        layer = layers[0]
        more = f" ({len(layers)} norms)" if len(layers) > 1 else ""
        return self.finding(
            f"{called(layer)} {reason[0]}{more}",
            where=place_of(layer),
            severity=reason[2],
            evidence={
                "momentum": layer.arguments.get("momentum"),
                "frozen": layer.frozen,
                "layers": [each.key or each.module for each in layers],
                **_change(layers, reason),
            },
            limit=dict(self.limits),
            advice=(reason[1],),
        )

    def _reason(self, layer: DesignedLayer, plan: Plan) -> Reason | None:
        given = layer.arguments
        if given.get("track_running_stats") is False:
            return None
        held = given.get("training") is False or (layer.frozen and "training" not in given)
        if held:
            told = "normalises by running statistics that no data have set: mean 0 and variance 1"
            return None if plan.pretrained else (told, "leave out frozen, or load pretrained weights", Severity.ERROR)
        momentum = given.get("momentum")
        if momentum is None or layer.frozen:
            return None
        share = number(momentum, 0.1)
        if share == 0.0:
            told = "never updates the running statistics that evaluation will use"
            return told, "momentum: 0.1", Severity.WARNING if plan.pretrained else Severity.ERROR
        if not share < self.limits["momentum"] and not plan.full_batch:
            told = f"keeps {1.0 - share:.0%} of its running statistics at each batch: evaluation rests on the last one"
            return told, f"momentum: {1.0 - share:.2g}, if {share:g} was counted as Keras does", Severity.WARNING
        return None


def _change(layers: list[DesignedLayer], reason: Reason) -> Evidence:
    if not reason[1].startswith("momentum"):
        return drop(below(layers[0].key, layers[0].kind, "frozen")) if len(layers) == 1 else {}
    return put_all([below(layer.key, layer.kind, "momentum") for layer in layers], 0.1)
