"""SPC117 pool-stride-exceeds-kernel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, DesignedLayer
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.change import below, put
from dltool.rules.spec.graph import NO_LAYERS, Graph, called, place_of
from dltool.rules.spec.windows import POOLS, WINDOWED, Window, windows_of


class PoolStrideExceedsKernel(Rule):
    """A pool steps farther than its window is wide: what lies between two windows is never seen.

    What it measures: the stride of pools against their dilated windows, dimension by dimension, wherever there is more than
    one window; the same for convolutions, where it is a warning, or information where each sees channels of its own.

    Why it is bad: whole rows and columns of the input have no influence on the output, and the layers before them compute
    them for nothing.

    How to fix: a stride no larger than the window; leave the stride out, and it is the window.

    When it is wrong: a window of one step is sampling on purpose (the shortcuts of residual nets, the last level of
    feature pyramids) and not reported; nor is a pool that covers all that arrives with its first window. Depthwise
    convolutions that thin out keys and values of an attention do so on purpose: information.

    References: NeuraLint (Nikanjam et al. 2021), "window size and stride"; He et al. 2016, section 4.1 (option B
    shortcuts); Lin et al. 2017, Feature pyramid networks; Li et al. 2022, MViTv2 (windows of 3, strides of 4).
    """

    id = "SPC117"
    name = "pool-stride-exceeds-kernel"
    severity = Severity.ERROR
    needs = (Architecture,)
    explains: ClassVar[tuple[str, ...]] = ("underfitting", "not-converged", "plateau")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        graph = Graph(measured[Architecture])
        if not graph.is_known:
            return Skip(NO_LAYERS)
        windowed = [(layer, windows_of(layer)) for layer in graph.layers if layer.kind in WINDOWED]
        return [
            self._told(layer, window)
            for layer, windows in windowed
            if (window := next((each for each in windows or () if _skips(each)), None)) is not None
        ]

    def _told(self, layer: DesignedLayer, window: Window) -> Finding:
        unseen = window.stride - window.reach
        return self.finding(
            f"{called(layer)} sees {window.reach} of every {window.stride} steps: the stride is larger than the window",
            where=place_of(layer),
            severity=None if layer.kind in POOLS else Severity.INFO if _is_depthwise(layer) else Severity.WARNING,
            cause=f"{unseen} {'step' if unseen == 1 else 'steps'} between two windows are never looked at",
            evidence={
                "kernel_size": window.size,
                "reach": window.reach,
                "stride": window.stride,
                **put(below(layer.key, layer.kind, "stride"), window.reach),
            },
            limit={"stride": window.reach},
            advice=(f"a stride of {window.reach} or less",),
        )


def _is_depthwise(layer: DesignedLayer) -> bool:
    groups = layer.arguments.get("groups", 1)
    return groups != 1 and groups == layer.arguments.get("in_channels")


def _skips(window: Window) -> bool:
    """Whether some of what arrives lies between two windows, or behind the last one that a full stride leaves room for."""
    if window.size <= 1 or window.stride <= window.reach:
        return False
    return window.arrives is None or window.arrives + window.padding > window.reach
