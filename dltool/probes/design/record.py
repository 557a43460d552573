"""What is noted of a pass while it runs: the graph, and where every tensor comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from dltool.core.measured.design import UNKNOWN_LAYER
from dltool.probes.design.calls import words
from dltool.probes.design.nodes import Graph, Node
from dltool.probes.design.origins import CONSTANT, Origin, Origins, is_wrapped, tensors_in
from dltool.probes.paths import seen_from_here
from dltool.probes.trace.frames import user_line

MOST_NODES = 5000
"""Beyond it (a loop over thousands of time steps) nothing more is noted."""
MOST_AT_A_SITE = 64
"""Calls at one line of one module that get nodes of their own; later ones of a loop stand with the last of these."""
RANDOM = words("randn rand randn_like rand_like normal uniform bernoulli exponential random cauchy log_normal")
NORMAL = words("randn randn_like")


class Record:
    """``complete`` is False where a part of the pass was not seen; ``running`` are the paths of the modules that run."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.origins = Origins()
        self.complete = True
        self.in_loss = False
        """Set when the model has returned."""
        self.samples: int | None = None
        self.running: list[str] = []
        self.escaped: list[int] = []
        """Nodes whose values Python, or another library, was given."""
        self._shown: dict[str, str] = {}
        self._sites: dict[tuple[Any, ...], list[int]] = {}

    @property
    def module(self) -> str | None:
        """The innermost module of the user's that runs; None for the root."""
        return (self.running[-1] if self.running else "") or None

    def add(self, node: Node) -> int:
        """The number of the node, at the user's line; calls in a long loop share one."""
        place = user_line()
        node.loss = self.in_loss
        if place is not None:
            if place.file not in self._shown:
                self._shown[place.file] = seen_from_here(place.file)
            node.file, node.line = self._shown[place.file], place.number
        there = self._sites.setdefault((node.module, node.kind, node.file, node.line, self.in_loss), [])
        if len(self.graph.nodes) >= MOST_NODES or len(there) >= MOST_AT_A_SITE:
            self.complete = False
            return there[-1] if there else len(self.graph.nodes) - 1
        there.append(self.graph.add(node))
        return there[-1]

    def numbers_of(self, value: Any) -> tuple[int, ...]:
        """The nodes that the tensors in ``value`` come from; constants have none."""
        found = (self.origin(tensor).node for tensor in tensors_in(value))
        return tuple(dict.fromkeys(number for number in found if number is not None))

    def origin(self, tensor: Tensor) -> Origin:
        """Where a tensor comes from; one that nobody saw made is constant, unless it shows that it was computed."""
        known = self.origins.of(tensor)
        if known is not None:
            return known
        if not (is_wrapped(tensor) or tensor.grad_fn is not None or self.escaped):
            return CONSTANT
        origin = self.unseen()
        self.origins.set(tensor, origin)
        return origin

    def unseen(self) -> Origin:
        """Of what was computed where no function of torch was called: compiled code, a transformation, another library."""
        self.complete = False
        follows = tuple(dict.fromkeys(self.escaped))
        return Origin(node=self.add(Node(kind=UNKNOWN_LAYER, module=None, follows=follows)))

    def without_data(
        self, name: str, taken: Sequence[Tensor], weights: Sequence[nn.Parameter] = (), numbers: Sequence[float] = ()
    ) -> Origin:
        """The origin of what a function called ``name`` made of weights and constants alone, ``numbers`` among them."""
        origins = [self.origin(tensor) for tensor in taken]
        held = tuple(dict.fromkeys([*(w for origin in origins for w in origin.weights), *weights]))
        if held:
            p = next((o.dropped_p for o in origins if o.dropped_p is not None), None)
            dropped_p = next(iter(numbers), 0.5) if name == "dropout" and p is None else p
            return Origin(weights=held, dropped_p=dropped_p)
        if name in RANDOM:
            return Origin(is_noise=True, noise_std=1.0 if name in NORMAL else None)
        std = next((origin.noise_std for origin in origins if origin.is_noise), None)
        if not any(origin.is_noise for origin in origins):
            return CONSTANT
        factor = next(iter(numbers), None) if name == "mul" else None
        return Origin(is_noise=True, noise_std=None if std is None or factor is None else std * factor)

    def spread(self, made: Sequence[Tensor], origin: Origin) -> None:
        """Tensors that a call gave; weights stay weights."""
        for tensor in made:
            if not isinstance(tensor, nn.Parameter):
                self.origins.set(tensor, origin)

    def overwrite(self, written: Sequence[Tensor], new: Origin) -> None:
        """What shares memory with an overwritten tensor has changed too: all of it, or a part."""
        for tensor in written:
            if isinstance(tensor, nn.Parameter):
                continue
            for other in self.origins.sharing(tensor):
                old = self.origin(other)
                if isinstance(other, nn.Parameter) or old == new:
                    continue
                if other.numel() > tensor.numel():
                    if new.node is not None:
                        self.origins.set(other, self._partly(other, old, new.node))
                elif other.numel() < tensor.numel() or other.storage_offset() == tensor.storage_offset():
                    self.origins.set(other, new)
            self.origins.set(tensor, new)

    def _partly(self, tensor: Tensor, old: Origin, number: int) -> Origin:
        follows = tuple(dict.fromkeys(n for n in (old.node, number) if n is not None))
        shape = self.sample_shape(tensor)
        node = Node(kind="assign", module=self.module, follows=follows, arrives=shape, leaves=shape)
        return Origin(node=self.add(node))

    def sample_shape(self, tensor: Tensor) -> tuple[int, ...] | None:
        """Without the dimension of the samples, the first or the second; None where there is none.

        Where samples are merged with another dimension (N · T, F), that of one sample is what is left of it.
        """
        shape, samples = tuple(tensor.shape), self.samples
        if samples is None or is_wrapped(tensor) or not shape:
            return None
        if shape[0] == samples:
            return shape[1:]
        if len(shape) > 1 and shape[1] == samples:
            return (shape[0], *shape[2:])
        return (shape[0] // samples, *shape[1:]) if shape[0] and shape[0] % samples == 0 else None
