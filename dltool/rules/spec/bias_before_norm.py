"""SPC114 bias-before-norm."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, DesignedLayer
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.change import below, put_all
from dltool.rules.spec.graph import AFFINE, CONVS, NO_LAYERS, Graph, called, place_of


class BiasBeforeNorm(Rule):
    """A bias that the normalisation right behind it subtracts again.

    What it measures: linear layers and convolutions with a bias whose only reader is a batch norm over their own units
    with a bias of its own (or a group or instance norm that normalises each of their channels alone).

    Why it is bad: it does no harm, but it does nothing: the norm subtracts each unit's mean, the bias with it. Its
    gradient is exactly zero, which looks like a fault in training.

    How to fix: `bias: false` in the layer before the norm.

    When it is wrong: layer norm, RMS norm and group norm over several channels subtract one mean of many units and keep the
    differences of their biases: not reported. Nor is a frozen norm, which subtracts what it once learnt.

    References: Ioffe & Szegedy 2015, Batch normalization, section 3.2 ("the bias b can be ignored"); NeuraLint (Nikanjam et
    al. 2021), "bias before BatchNorm".
    """

    id = "SPC114"
    name = "bias-before-norm"
    severity = Severity.INFO
    needs = (Architecture,)
    explains: ClassVar[tuple[str, ...]] = ("parameter-without-gradient", "parameter-not-updated")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        graph = Graph(measured[Architecture])
        if not graph.is_known:
            return Skip(NO_LAYERS)
        pairs = [(layer, norm) for i, layer in enumerate(graph.layers) if (norm := _norm_behind(graph, i)) is not None]
        if not pairs:
            return ()
        layer, norm = pairs[0]
        more = f", and in {len(pairs) - 1} more layers" if len(pairs) > 1 else ""
        return [
            self.finding(
                f"the bias of {called(layer)} has no effect: {called(norm)} right behind subtracts it{more}",
                where=place_of(layer),
                cause="a normalisation subtracts the mean of each unit, and adds a bias of its own",
                evidence={
                    "layers": [each.key or each.module for each, _ in pairs],
                    **put_all([below(each.key, each.kind, "bias") for each, _ in pairs], value=False),
                },
                advice=("bias: false in the layer before the norm",),
            )
        ]


def _norm_behind(graph: Graph, index: int) -> DesignedLayer | None:
    layer = graph.layers[index]
    if layer.kind not in AFFINE or layer.arguments.get("bias") is not True or layer.frozen or layer.leaves is None:
        return None
    reader = graph.only_reader(index)
    norm = None if reader is None else graph.layers[reader]
    return norm if norm is not None and _subtracts(norm, layer, layer.leaves) else None


def _subtracts(norm: DesignedLayer, layer: DesignedLayer, leaves: tuple[int, ...]) -> bool:
    """Whether the norm takes away the mean of each of the layer's units, and so its bias."""
    given = norm.arguments
    if norm.frozen or given.get("training") is False or given.get("bias") is False:
        return False
    units = leaves[0] if layer.kind in CONVS else leaves[-1]
    by_channel = layer.kind in CONVS or len(leaves) == 1 or (norm.key is not None and leaves[0] != leaves[-1])
    if norm.kind == "batch_norm":
        return given.get("affine") is True and given.get("num_features") == units and by_channel
    alone = layer.kind in CONVS and math.prod(leaves[1:]) > 1
    if norm.kind == "group_norm":
        return alone and given.get("affine") is True and given.get("num_groups") == units
    return norm.kind == "instance_norm" and alone and given.get("affine") is True
