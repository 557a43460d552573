"""SPC120 constant-init."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.design import Architecture, DesignedLayer
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.change import put
from dltool.rules.spec.graph import AFFINE, CONVS, DROPOUTS, NO_LAYERS, RECURRENT, SUMS, Graph, called, number

FLAT_AT_ZERO = frozenset({"relu", "relu6"})
"""Activations without a slope at 0: behind weights of zero nothing ever learns."""


class ConstantInit(Rule):
    """Hidden weights that all start at the same number: the units of a layer can never become different.

    What it measures: hidden layers of at least two units whose weights start at one number (zeros, ones, constant, a spread
    of 0) and whose readers do too; and hidden layers of zeros behind which a ReLU stands.

    Why it is bad: units that are alike and are read alike get the same gradient and stay one unit for ever, however wide the
    layer is. From zeros through a ReLU no gradient comes at all.

    How to fix: random weights (kaiming_normal for ReLU, xavier_normal for tanh); keep constants for biases and norms.

    When it is wrong: an output layer of zeros, the last layer of a residual branch at zero, norms at one, biases at zero, a
    linear model, a single constant layer between random ones and frozen filters are healthy and not reported. Dropout
    tells units apart, so that with it the finding is a warning.

    References: Goodfellow, Bengio & Courville 2016, Deep learning, section 8.4 ("break symmetry"); NeuraLint (Nikanjam et
    al. 2021), "constant initialisation"; Zhang, Dauphin & Ma 2019, Fixup (zeros that are right).
    """

    id = "SPC120"
    name = "constant-init"
    severity = Severity.ERROR
    needs = (Architecture,)
    explains: ClassVar[tuple[str, ...]] = (
        "symmetric-units",
        "vanishing-activations",
        "exploding-activations",
        "vanishing-gradients-at-init",
        "exploding-gradients-at-init",
        "surprising-initial-loss",
        "vanishing-gradient",
        "exploding-gradient",
        "parameter-without-gradient",
        "parameter-not-updated",
        "dead-relu",
        "saturated-activation",
        "collapsed-representation",
        "learning-rate-too-high",
        "learning-rate-too-low",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        graph = Graph(measured[Architecture])
        if not graph.is_known:
            return Skip(NO_LAYERS)
        alike = [i for i, layer in enumerate(graph.layers) if _units(layer) > 1 and constant_of(layer) is not None]
        stuck = [(i, reason) for i in alike if (reason := _stays_alike(graph, i)) is not None]
        if not stuck:
            return ()
        index, reason = stuck[0]
        layer = graph.layers[index]
        value = constant_of(layer)
        dropped = value != 0.0 and any(each.kind in DROPOUTS for each in graph.layers)
        more = f", and so do {len(stuck) - 1} more layers" if len(stuck) > 1 else ""
        key = layer.init.key if layer.init is not None and layer.init.key is not None else layer.key
        return [
            self.finding(
                f"all weights of {called(layer)} start at {value:g}{more}: {reason}",
                where=Where(phase="parameter", module=layer.module, file=layer.file, line=layer.line, key=key),
                severity=Severity.WARNING if dropped else None,
                cause="a constant initialisation: nothing tells the units apart",
                evidence={
                    "value": value,
                    "units": _units(layer),
                    "layers": [graph.layers[i].key or graph.layers[i].module for i, _ in stuck],
                    **(put(key, "kaiming_normal") if layer.init is not None and key == layer.init.key else {}),
                },
                advice=("initialise with random numbers: kaiming_normal for ReLU, xavier_normal for tanh and sigmoid",),
            )
        ]


def constant_of(layer: DesignedLayer) -> float | None:
    """The number that all weights of a layer start at; None where they differ, or where it is not known."""
    if layer.init is None or layer.frozen:
        return None
    name, given = layer.init.name, layer.init.arguments
    if name in {"zeros", "ones"}:
        return 0.0 if name == "zeros" else 1.0
    if name == "constant":
        return number(given.get("val"), float("nan"))
    if name in {"normal", "truncated_normal"} and given.get("std") == 0.0:
        return number(given.get("mean"), 0.0)
    if name == "uniform" and given.get("a") is not None and given.get("a") == given.get("b"):
        return number(given.get("a"), 0.0)
    return None


def _units(layer: DesignedLayer) -> int:
    """How many units a hidden layer has that could stay alike; 0 for layers that are not judged."""
    if layer.kind in CONVS:
        units = layer.arguments.get("out_channels") if layer.arguments.get("groups", 1) == 1 else 0
    elif layer.kind in AFFINE:
        units = layer.arguments.get("out_features")
    else:
        units = layer.arguments.get("hidden_size") if layer.kind in RECURRENT else 0
    return units if isinstance(units, int) else 0


def _stays_alike(graph: Graph, index: int) -> str | None:
    """Why nothing ever tells the units of this layer apart; None where something does."""
    behind = list(graph.next_weighted(index))
    if not behind or index in graph.outputs or graph.reaches(index, SUMS | {"unknown"}):
        return None
    readers = [graph.layers[reader] for reader, _ in behind]
    if all(constant_of(reader) is not None for reader in readers):
        return "its units are alike, are read alike, and so stay alike"
    ways = [{graph.layers[i].kind for i in way} for _, way in behind]
    layer = graph.layers[index]
    if constant_of(layer) == 0.0 and layer.kind in AFFINE and all(kinds & FLAT_AT_ZERO for kinds in ways):
        return "behind a ReLU, no gradient ever reaches it"
    return None
