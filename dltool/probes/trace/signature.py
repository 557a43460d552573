"""What an aten operator takes and writes, read from its schema once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dltool.probes.nested import tensors
from dltool.probes.trace.names import base_name, fills, is_uninitialised, moves

WRITES_STATISTICS = frozenset({"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"})
"""Operators that write running statistics without their schema saying so."""


@dataclass(frozen=True, slots=True)
class Signature:
    """``lists``: it works on lists of tensors, item by item; ``written`` are the names of the arguments that it writes."""

    base: str
    arguments: tuple[str, ...]
    written: frozenset[str]
    lists: bool
    is_view: bool
    pointwise: bool
    moves: bool
    fills: bool
    uninitialised: bool

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of one call by name."""
        return dict(zip(self.arguments, args, strict=False)) | dict(kwargs)


@cache
def signature(func: torch._ops.OpOverload) -> Signature:
    """The signature of ``func``."""
    schema = func._schema  # noqa: SLF001 - there is no public way to it
    name = schema.name.rpartition("::")[2]
    written = {a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write}
    if name in WRITES_STATISTICS:
        written |= {"running_mean", "running_var"}
    lists = name.startswith(("_foreach_", "_fused_", "_amp_foreach_"))
    return Signature(
        base=base_name(func),
        arguments=tuple(argument.name for argument in schema.arguments),
        written=frozenset(written),
        lists=lists,
        is_view=func.is_view,
        pointwise=lists or torch.Tag.pointwise in func.tags,
        moves=moves(func),
        fills=fills(func),
        uninitialised=is_uninitialised(func),
    )


@dataclass(frozen=True, slots=True)
class Unit:
    """One item's share of a call: all of it, but for operators on lists."""

    taken: dict[str, Tensor]
    written: tuple[Tensor, ...]


def units(kind: Signature, named: Mapping[str, Any]) -> list[Unit]:
    """The call item by item."""
    length = next((len(v) for v in named.values() if isinstance(v, list | tuple) and v), 1) if kind.lists else 1
    found = []
    for i in range(length):
        mine = {name: _item(value, i) if kind.lists else value for name, value in named.items()}
        taken = dict(_named_tensors(mine))
        written = tuple(t for name in mine if name in kind.written for t in tensors(mine[name]))
        found.append(Unit(taken, written))
    return found


def given(kind: Signature, result: Any, unit: Unit, index: int) -> list[Tensor]:
    """What the call gave for this unit: returned and written tensors, each once."""
    returned = _item(result, index) if kind.lists else result
    unique = {id(tensor): tensor for tensor in (*tensors(returned), *unit.written)}
    return list(unique.values())


def plain_arguments(named: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers and the like, not tensors: an exponent, an eps, the dimensions."""
    return {name: value for name, value in named.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(item, int | float) for item in value)
    return isinstance(value, bool | int | float | str)


def _item(value: Any, index: int) -> Any:
    if isinstance(value, list | tuple):
        return value[index] if index < len(value) else None
    return value


def _named_tensors(mine: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    for name, value in mine.items():
        for place, tensor in enumerate(tensors(value)):
            yield (name if place == 0 else f"{name}.{place}", tensor)
