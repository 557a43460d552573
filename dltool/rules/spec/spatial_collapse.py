"""SPC118 spatial-collapse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.graph import CONVS, Graph, called, place_of
from dltool.rules.spec.windows import WINDOWED, Window, windows_of


class SpatialCollapse(Rule):
    """The maps have shrunk to nothing before the convolutions and pools are done with them.

    What it measures: whether a window is larger than what arrives with its padding (the model cannot run), and whether a
    convolution with a window of several steps gets maps of a single place.

    Why it is bad: at one place all but the middle of the window lies on padding: those weights multiply zeros, get no
    gradient, and nothing spatial is left to learn.

    How to fix: fewer strides and pools, padding, or larger inputs; end with global pooling.

    When it is wrong: convolutions of 1 after global pooling (squeeze-and-excitation), pooling down to one place as the
    last step, and a net that starts from one place and grows (generators) are healthy and not reported. A residual net made
    for large pictures still trains on small ones; wasted windows are therefore a warning.

    References: NeuraLint (Nikanjam et al. 2021), "too small feature map for a filter"; PyTorch documentation, "Conv2d"
    (Shape).
    """

    id = "SPC118"
    name = "spatial-collapse"
    severity = Severity.ERROR
    needs = (Architecture,)
    explains: ClassVar[tuple[str, ...]] = ("parameter-without-gradient", "collapsed-representation", "underfitting")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        graph = Graph(measured[Architecture])
        windowed = [layer for layer in graph.layers if layer.kind in WINDOWED]
        if not windowed:
            return () if graph.complete else Skip("no layer with a window was seen, but not all of the model was")
        if all(layer.arrives is None for layer in windowed):
            return Skip("the shapes that arrive are not known")
        return [*self._too_large(graph), *self._wasted(graph)]

    def _too_large(self, graph: Graph) -> Iterator[Finding]:
        for layer in graph.layers:
            short = [w for w in windows_of(layer) or () if w.arrives is not None and w.reach > w.arrives + 2 * w.padding]
            if short and layer.leaves is None:
                yield self.finding(
                    f"the window of {called(layer)} is {short[0].reach} steps wide, but only {short[0].arrives} arrive",
                    where=place_of(layer),
                    cause=f"what arrives has shape {layer.arrives}; the layers before it have shrunk it",
                    evidence={"arrives": layer.arrives, "window": short[0].reach, "padding": short[0].padding},
                    limit={"window": (short[0].arrives or 0) + 2 * short[0].padding},
                    advice=("a smaller window or padding", "fewer strides and pools before it"),
                )

    def _wasted(self, graph: Graph) -> Iterator[Finding]:
        wasted = [layer for layer in graph.layers if layer.kind in CONVS and _on_one_place(windows_of(layer) or ())]
        if wasted:
            layer = wasted[0]
            more = f", and {len(wasted) - 1} more behind it" if len(wasted) > 1 else ""
            yield self.finding(
                f"{called(layer)} gets maps of a single place: only the middle of its window sees anything{more}",
                where=place_of(layer),
                severity=Severity.WARNING,
                cause=f"what arrives has shape {layer.arrives}",
                evidence={"arrives": layer.arrives, "layers": [each.key or each.module for each in wasted]},
                advice=("fewer strides and pools before it", "kernel_size: 1, or global pooling"),
            )


def _on_one_place(windows: tuple[Window, ...]) -> bool:
    wide = any(window.size > 1 and window.padding > 0 for window in windows)
    return wide and all(window.arrives == 1 for window in windows)
