"""Where a tensor of a traced pass comes from: a node of the graph, weights alone, or constants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Origin:
    """``node`` is set for what depends on the model's input; else ``weights`` are the parameters that it is made of.

    ``noise_std`` is set for random numbers that nothing else went into (their scale, None inside where not known);
    ``dropped_p`` where values were dropped out of weights.
    """

    node: int | None = None
    weights: tuple[nn.Parameter, ...] = ()
    is_noise: bool = False
    noise_std: float | None = None
    dropped_p: float | None = None


CONSTANT = Origin()


class Origins:
    """By the identity of tensors, which are kept alive, and of the memory that they share."""

    def __init__(self) -> None:
        self._known: dict[int, Origin] = {}
        self._sharing: dict[int, list[Tensor]] = {}
        self._kept: list[Tensor] = []

    def of(self, tensor: Tensor) -> Origin | None:
        """None for a tensor that nobody saw made. A parameter is its own origin, known or not."""
        found = self._known.get(id(tensor))
        if found is not None:
            return found
        if isinstance(tensor, nn.Parameter):
            return Origin(weights=(tensor,))
        same = [other for other in self._sharing.get(_memory(tensor), ()) if _covers_same(other, tensor)]
        return self._known[id(same[-1])] if same else None

    def set(self, tensor: Tensor, origin: Origin) -> None:
        """From now on."""
        if id(tensor) not in self._known:
            self._kept.append(tensor)
            memory = _memory(tensor)
            if memory:
                self._sharing.setdefault(memory, []).append(tensor)
        self._known[id(tensor)] = origin

    def sharing(self, tensor: Tensor) -> list[Tensor]:
        """Other known tensors in the same memory."""
        return [other for other in self._sharing.get(_memory(tensor), ()) if other is not tensor]


def _memory(tensor: Tensor) -> int:
    """0 for those that have none of their own (sparse ones, wrappers of torch.func)."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):
        return 0


def _covers_same(one: Tensor, other: Tensor) -> bool:
    return one.storage_offset() == other.storage_offset() and one.shape == other.shape and one.stride() == other.stride()


def is_wrapped(tensor: Tensor) -> bool:
    """One that a transformation of torch.func put around another: its values are not those of a batch."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))  # noqa: SLF001 - there is no public question


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists, sets, mappings and dataclasses, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _in_all(value.values())
    elif isinstance(value, tuple | list):
        yield from _in_all(value)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _in_all(getattr(value, each.name) for each in fields(value))


def _in_all(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        yield from tensors_in(value)
