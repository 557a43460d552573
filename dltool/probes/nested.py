"""Inputs, targets and outputs: a tensor, or nested tuples, lists and mappings of tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol

import torch
from torch import Tensor

Nested = Any
"""A tensor, or a nested tuple, list or mapping of tensors; other leaves are carried along untouched."""

Pair = tuple[Nested, Nested]
"""One batch: (input, target)."""


class Loss(Protocol):
    """What a probe asks of a loss: the scalar, its named terms, and the loss of every sample where it can be split."""

    name: str

    def __call__(self, output: Nested, target: Nested) -> Tensor:
        """The scalar that is trained on."""

    def term_values(self, output: Nested, target: Nested) -> Mapping[str, Tensor]:
        """Each term before its weight."""

    def per_sample(self, output: Nested, target: Nested) -> Tensor | None:
        """Loss of every sample, shape (N,), or None where the loss cannot be split."""


def tensors(value: Nested) -> Iterator[Tensor]:
    """The tensors in ``value``, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors(item)


def first_tensor(value: Nested) -> Tensor | None:
    """The first tensor in ``value``: of a module with several outputs, the main one by convention."""
    return next(tensors(value), None)


def transform(value: Nested, function: Callable[[Tensor], Tensor]) -> Nested:
    """The same nesting with ``function`` applied to every tensor; the original is not touched."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, MutableMapping):
        changed = copy.copy(value)
        for key, item in value.items():
            changed[key] = transform(item, function)
        return changed
    if isinstance(value, Mapping):
        return {key: transform(item, function) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(transform(item, function) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(transform(item, function) for item in value)
    return value


def batch_size(value: Nested) -> int | None:
    """Samples in a batch: the first dimension of its first tensor that has one."""
    return next((len(tensor) for tensor in tensors(value) if tensor.ndim), None)


def take(value: Nested, rows: Tensor) -> Nested:
    """The samples ``rows`` of a batch; tensors that are not one row a sample are carried along."""
    samples = batch_size(value)
    return transform(value, lambda t: _rows(t, rows.to(t.device)) if t.ndim and len(t) == samples else t)


def _rows(tensor: Tensor, rows: Tensor) -> Tensor:
    return tensor.index_select(0, rows) if tensor.is_sparse else tensor[rows]


def place(value: Nested, device: torch.device, dtype: torch.dtype | None = None) -> Nested:
    """``value`` on ``device``, its floating-point tensors in ``dtype`` where one is given."""
    return transform(value, lambda t: t.to(device, dtype if dtype is not None and t.is_floating_point() else None))
