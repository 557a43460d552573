"""Reading a design as a graph: what ends the model, what follows what, and what lies between two layers with weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property

from dltool.core.finding import Where
from dltool.core.measured.design import UNKNOWN_LAYER, Architecture, DesignedLayer, LossTerm

INPUT = -1
DROPOUTS = frozenset({"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"})
SHAPING = frozenset({"flatten", "reshape", "expand", "permute", "select", "pixel_shuffle"})
TRANSPARENT = DROPOUTS | SHAPING | {"gaussian_noise"}
"""Layers whose values are those that came in, at least in eval mode."""
AVERAGING = frozenset(
    {f"{kind}{dims}d" for kind in ("avg_pool", "adaptive_avg_pool") for dims in (1, 2, 3)} | {"global_avg_pool", "mean"}
)
PICKING = frozenset(
    {f"{kind}{dims}d" for kind in ("max_pool", "adaptive_max_pool") for dims in (1, 2, 3)} | {"global_max_pool"}
)
KEEPS_RANGE = TRANSPARENT | AVERAGING | PICKING
"""Layers that return no value beyond those that came in."""
CONVS = frozenset({"conv1d", "conv2d", "conv3d"})
ARITHMETIC = frozenset({"scale", "shift", "add", "sub", "residual-add", "mean", "sum", "global_avg_pool"})
"""Traced operations that are linear in what they take: times or plus a constant, sums, means.

``mul``, ``div`` and ``matmul`` are so only where they take one layer alone (a learned scale). All others (exp, log, sqrt,
abs, pow, clamp, where, compare, maximum, max, norm, einsum, matmul of two, ...) bend what they take.
"""
AFFINE = CONVS | {"linear", "drop_connect"}
"""Weights times input, plus bias."""
RECURRENT = frozenset({"rnn", "lstm", "gru"})
ATTENTION = frozenset({"multihead_attention", "transformer_encoder_layer"})
WEIGHTED = AFFINE | RECURRENT | ATTENTION | {"embedding", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
BATCH_NORMS = frozenset({"batch_norm"})
NORMS = BATCH_NORMS | {"layer_norm", "group_norm", "rms_norm", "instance_norm"}
SUMS = frozenset({"residual-add", "add"})

NO_LAYERS = "the layers of the model are not known"
NO_END = "what ends the model is not known"
NO_LOSS = "the loss is not known before the data are read, or is code of its own"


class Graph:
    """The layers of an ``Architecture`` by index, read in both directions."""

    def __init__(self, architecture: Architecture) -> None:
        self.layers = architecture.layers
        self.outputs = architecture.outputs
        self.complete = architecture.complete

    @cached_property
    def _readers(self) -> dict[int, list[int]]:
        readers: dict[int, list[int]] = {}
        for index, layer in enumerate(self.layers):
            for source in layer.follows:
                readers.setdefault(source, []).append(index)
        return readers

    @property
    def is_known(self) -> bool:
        """Whether anything in it has a name."""
        return any(layer.kind != UNKNOWN_LAYER for layer in self.layers)

    def readers(self, index: int) -> tuple[int, ...]:
        """Indices of the layers that take their input from this one."""
        return tuple(self._readers.get(index, ()))

    def only_reader(self, index: int) -> int | None:
        """The one layer that what leaves ``index`` goes to; None where it goes elsewhere too, out of the model included."""
        readers = self._readers.get(index, [])
        return readers[0] if len(readers) == 1 and index not in self.outputs else None

    def back(self, index: int, through: Collection[str]) -> int:
        """``index``, or the first layer before it that is none of ``through``; ``INPUT`` where there is none."""
        while index != INPUT and self.layers[index].kind in through and len(self.layers[index].follows) == 1:
            index = self.layers[index].follows[0]
        return index

    def taken(self, term: LossTerm | None = None) -> int | None:
        """The layer whose result a loss is given, or the model returns; None where that is not one layer."""
        outputs = self.outputs if term is None or term.takes is None else term.takes
        return outputs[0] if len(outputs) == 1 and outputs[0] != INPUT else None

    def end_index(self, term: LossTerm | None = None, through: Collection[str] = TRANSPARENT) -> int | None:
        """``taken``, walking back through layers that change nothing; None also where that is no known layer."""
        taken = self.taken(term)
        index = INPUT if taken is None else self.back(taken, through)
        return None if index == INPUT or self.layers[index].kind == UNKNOWN_LAYER else index

    def end(self, term: LossTerm | None = None, through: Collection[str] = TRANSPARENT) -> DesignedLayer | None:
        """The layer at ``end_index``."""
        index = self.end_index(term, through)
        return None if index is None else self.layers[index]

    def leaves(self, term: LossTerm | None = None) -> tuple[int, ...] | None:
        """The shape of one sample's output as the loss is given it."""
        taken = self.taken(term)
        return None if taken is None else self.layers[taken].leaves

    def next_weighted(self, index: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The next layers with weights behind ``index``, each with the layers on one way there."""
        waiting: list[tuple[int, tuple[int, ...]]] = [(reader, ()) for reader in self.readers(index)]
        seen: set[int] = set()
        while waiting:
            at, way = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            if self.layers[at].kind in WEIGHTED:
                yield at, way
            else:
                waiting.extend((reader, (*way, at)) for reader in self.readers(at))

    def reaches(self, index: int, kinds: Collection[str]) -> bool:
        """Whether a layer of ``kinds`` lies behind ``index`` before the next layers with weights."""
        waiting, seen = list(self.readers(index)), set[int]()
        while waiting:
            at = waiting.pop()
            if at in seen or self.layers[at].kind in WEIGHTED:
                continue
            if self.layers[at].kind in kinds:
                return True
            seen.add(at)
            waiting.extend(self.readers(at))
        return False


def place_of(layer: DesignedLayer) -> Where:
    """Where a finding about a layer points at."""
    return Where(phase="forward", module=layer.module, file=layer.file, line=layer.line, key=layer.key)


def place_of_term(term: LossTerm) -> Where:
    """Where a finding about a loss points at."""
    return Where(phase="loss", file=term.file, line=term.line, key=term.key)


def called(layer: DesignedLayer) -> str:
    """A layer as a sentence names it: "softmax (layer 7)"."""
    return f"{layer.kind} (layer {layer.module})" if layer.module else layer.kind


def numbers(value: object, count: int) -> tuple[int, ...] | None:
    """An argument that is one whole number or one for each of ``count`` dimensions; None for what it is not."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return (value,) * count
    if isinstance(value, tuple) and len(value) == count and all(isinstance(each, int) for each in value):
        return tuple(int(each) for each in value)
    return None


def number(value: object, default: float) -> float:
    """An argument that is a number; ``default`` for what is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default
