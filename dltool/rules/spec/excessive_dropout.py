"""SPC115 excessive-dropout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, DesignedLayer
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.spec.change import below, drop, put
from dltool.rules.spec.graph import (
    ATTENTION,
    DROPOUTS,
    INPUT,
    NO_LAYERS,
    RECURRENT,
    SHAPING,
    Graph,
    called,
    number,
    place_of,
)

OWN = {
    "drop_connect": "p",
    **dict.fromkeys(RECURRENT | ATTENTION | {"transformer_decoder_layer"}, "dropout"),
}
"""Layers that drop out by themselves, and the argument that says how much."""


class ExcessiveDropout(Rule):
    """More is dropped than any layer behind can do without, or it is dropped where it only hurts.

    What it measures: the share of values dropped, dropouts in a row counted together; dropout right before a batch norm;
    and dropout on the output itself.

    Why it is bad: the signal drowns in the noise of the masks. Before a batch norm dropout changes the variance that it
    learns, and in eval mode all is scaled wrongly. Dropped outputs are wrong answers that no weight can mend.

    How to fix: 0.5 and less inside, 0.2 at the input; dropout behind the last batch norm, and before the last layer.

    When it is wrong: very wide layers stand more, and masked pretraining hides most of its input on purpose.

    References: Srivastava et al. 2014, Dropout, sections 7.3 and A.4 (0.5 inside, 0.2 at the input); Li et al. 2019,
    Understanding the disharmony between dropout and batch normalization; UMLAUT (Schoop et al. 2021), "dropout > 0.5".
    """

    id = "SPC115"
    name = "excessive-dropout"
    severity = Severity.WARNING
    needs = (Architecture,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="share",
            default=0.7,
            unit="share of values dropped",
            source="Srivastava et al. 2014, figure 9: the error is flat while 0.4 to 0.8 of the units are kept; graph "
            "attention networks (Velickovic et al. 2018) drop 0.6 of their input, GoogLeNet (Szegedy et al. 2015) 0.7",
        ),
        Threshold(
            name="before_norm",
            default=0.5,
            unit="share of values dropped right before a batch norm, from which on it is reported",
            source="Li et al. 2019: a rate of 0.5 before batch norm raises errors; wide ResNets (Zagoruyko 2016) take 0.3",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ("learning-rate-too-low", "underfitting", "not-converged", "plateau")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        graph = Graph(measured[Architecture])
        return list(self._found(graph)) if graph.is_known else Skip(NO_LAYERS)

    def _found(self, graph: Graph) -> Iterator[Finding]:
        for index, layer in enumerate(graph.layers):
            if layer.kind in OWN:
                yield from self._too_much(layer, number(layer.arguments.get(OWN[layer.kind]), 0.0))
            if layer.kind not in DROPOUTS or _rate(layer) <= 0.0:
                continue
            reader = graph.only_reader(index)
            if index in _on_the_way_out(graph):
                yield self._told(
                    layer, "it drops the outputs themselves: each is a wrong answer in training", _rate(layer), {}
                )
            elif reader is None or graph.layers[reader].kind not in DROPOUTS | SHAPING:
                yield from self._too_much(layer, _in_a_row(graph, index))
            if (
                reader is not None
                and graph.layers[reader].kind == "batch_norm"
                and _rate(layer) >= self.limits["before_norm"]
            ):
                message = "the batch norm right behind learns a variance that eval mode, without dropout, does not have"
                yield self._told(layer, message, _rate(layer), {"before_norm": self.limits["before_norm"]})

    def _too_much(self, layer: DesignedLayer, dropped: float) -> Iterator[Finding]:
        if not dropped <= self.limits["share"]:
            yield self._told(layer, f"{dropped:.0%} of what arrives is dropped", dropped, dict(self.limits))

    def _told(self, layer: DesignedLayer, message: str, dropped: float, limit: dict[str, float]) -> Finding:
        alone = layer.kind in OWN or _rate(layer) > self.limits["share"]
        lower = put(below(layer.key, layer.kind, OWN.get(layer.kind, "p")), 0.5)
        change = lower if "share" in limit and alone else drop(layer.key)
        return self.finding(
            f"{called(layer)}: {message}",
            where=place_of(layer),
            evidence={"dropped": dropped, "p": layer.arguments.get("p", layer.arguments.get("dropout")), **change},
            limit=limit,
            advice=("0.5 or less inside the net, 0.2 at the input, none before a batch norm or behind the last layer",),
        )


def _rate(layer: DesignedLayer) -> float:
    return 0.0 if layer.arguments.get("training") is False else number(layer.arguments.get("p"), 0.0)


def _in_a_row(graph: Graph, index: int) -> float:
    """What a row of dropouts drops in all."""
    kept, at = 1.0, index
    while at != INPUT and graph.layers[at].kind in DROPOUTS | SHAPING and len(graph.layers[at].follows) == 1:
        kept *= 1.0 - (_rate(graph.layers[at]) if graph.layers[at].kind in DROPOUTS else 0.0)
        at = graph.layers[at].follows[0]
    return round(1.0 - kept, 12)


def _on_the_way_out(graph: Graph) -> set[int]:
    """Layers between the last one that changes anything and the model's outputs."""
    found: set[int] = set()
    for output in graph.outputs:
        at = output
        while at != INPUT and graph.layers[at].kind in DROPOUTS | SHAPING and len(graph.layers[at].follows) == 1:
            found.add(at)
            at = graph.layers[at].follows[0]
    return found
