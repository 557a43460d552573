"""The layers and operations of a traced forward pass as a graph, numbered in the order in which they ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from dltool.core.measured.design import Argument, DesignedInit, DesignedLayer

INPUT = -1
"""The number of the model's input."""
LINEAR_MAPS = frozenset(
    {"linear", "conv1d", "conv2d", "conv3d", "batch_norm", "group_norm", "layer_norm", "flatten", "reshape", "permute"}
    | {"avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d", "pad", "dropout"}
    | {"scale", "shift", "instance_norm", "rms_norm", "interpolate", "drop_connect"}
)
"""What a shortcut may be made of: it projects, and takes no decision of its own (He et al. 2016, options A to C)."""


@dataclass(slots=True, kw_only=True)
class Node:
    """A layer or operation that ran; ``loss`` where it ran after the model had returned.

    ``is_layer`` where it has weights or is a module: it is told even if nothing comes of it.
    """

    kind: str
    module: str | None
    follows: tuple[int, ...]
    file: str | None = None
    line: int | None = None
    arrives: tuple[int, ...] | None = None
    leaves: tuple[int, ...] | None = None
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    parameters: int = 0
    init: DesignedInit | None = None
    frozen: bool = False
    is_layer: bool = False
    loss: bool = False


class Graph:
    """Nodes by number; what a node follows has a smaller number than itself."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._ancestors: list[int] = []
        """For each node a number whose bit i + 1 says that it depends on node i, or is it; bit 0 stands for the input."""
        self._projections = 0
        """The same for all nodes of ``LINEAR_MAPS``."""

    def add(self, node: Node) -> int:
        """Its number."""
        number = len(self.nodes)
        bit = 2 << number
        self.nodes.append(node)
        self._ancestors.append(reduce(or_, (self._bits(before) for before in node.follows), bit))
        self._projections |= bit if node.kind in LINEAR_MAPS else 0
        return number

    def _bits(self, number: int) -> int:
        return 1 if number == INPUT else self._ancestors[number]

    def depends(self, number: int, on: int) -> bool:
        """Whether one node depends on another (or the input), or is it."""
        return bool(self._bits(number) >> (on + 1) & 1)

    def kind(self, number: int | None) -> str:
        """Of a node; nothing for the input and for constants."""
        return "" if number is None or number == INPUT else self.nodes[number].kind

    def before(self, numbers: Iterable[int]) -> set[int]:
        """These and all that they depend on, the input among them where they do."""
        found: set[int] = set()
        waiting = list(numbers)
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting.extend(() if number == INPUT else self.nodes[number].follows)
        return found

    def ends_residual(self, first: int, second: int) -> bool:
        """Whether the sum of the two is that of a branch and what it began with, or a projection of that."""
        if first == second:
            return False
        if self.depends(first, second) or self.depends(second, first):
            return True
        shared = self._bits(first) & self._bits(second)
        sides = [self._bits(side) & ~shared for side in (first, second)]
        behind_the_fork = [side >> shared.bit_length() << shared.bit_length() for side in sides]
        projections = [not side & ~self._projections for side in behind_the_fork]
        return bool(shared) and any(projections) and not all(projections)

    def layers(self, outputs: Sequence[int]) -> tuple[tuple[DesignedLayer, ...], tuple[int, ...], dict[int, int]]:
        """The layers that matter, the numbers of ``outputs`` among them, and the new number of every one that stays.

        Operations that nothing depends on (statistics that a model keeps, shapes) are left out, layers are not.
        """
        kept = self.before([*outputs, *(i for i, node in enumerate(self.nodes) if node.is_layer)]) - {INPUT}
        order = sorted(kept)
        numbers = {old: new for new, old in enumerate(order)} | {INPUT: INPUT}
        layers = tuple(_designed(self.nodes[old], numbers) for old in order)
        return layers, tuple(dict.fromkeys(numbers[output] for output in outputs)), numbers


def _designed(node: Node, numbers: Mapping[int, int]) -> DesignedLayer:
    return DesignedLayer(
        kind=node.kind,
        module=node.module,
        follows=tuple(dict.fromkeys(numbers[before] for before in node.follows)),
        file=node.file,
        line=node.line,
        arrives=node.arrives,
        leaves=node.leaves,
        arguments=dict(node.arguments),
        parameters=node.parameters,
        init=node.init,
        frozen=node.frozen,
    )
