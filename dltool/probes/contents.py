"""Everything that a step may change, found by following references, so that it can be put back in place.

A module, an optimizer or a user's own object is a graph of dicts, lists and tensors. What is recorded is what each mutable
object of the graph holds, by identity, so that whatever was shared before is shared after, and a tensor that others refer to
stays the tensor they refer to.
"""

from __future__ import annotations

import ast
import functools
import itertools
import logging
import pickle
import random
import sys
from collections import UserDict, UserList, deque
from collections.abc import Callable, Iterable
from enum import Enum
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType, NoneType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

ATOMS = frozenset(
    {int, float, complex, bool, str, bytes, NoneType, type, ModuleType, BuiltinFunctionType, range, slice}
    | {torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format}
)
FOLLOWED = (
    nn.Module,
    torch.optim.Optimizer,
    torch.optim.lr_scheduler.LRScheduler,
    torch.amp.GradScaler,
    SimpleNamespace,
    UserDict,
    UserList,
)
"""Classes of torch and of the standard library whose instances hold what training changes."""
LEFT_ALONE = (type, Enum, ModuleType, logging.Logger, DataLoader, Dataset, Sampler)
"""Not to be followed, not even a user's own: data are not the model's state, and loggers lead everywhere."""
MOST_LOOSE_BYTES = 64 * 2**10
"""A tensor or array that only a function refers to (a closure) is recorded up to this size: beyond it, it is data."""

HOOKS = frozenset(
    name for name in vars(nn.Module()) if name.endswith(("_hooks", "_hooks_with_kwargs", "_hooks_always_called"))
)
"""A module's dicts of hooks, a dozen of them: one that is empty is not worth a record."""

PutBack = Callable[[Any, Any], bool]
"""Gives a holder its content back, and says whether it had another."""
Stack = list[Any]


class Contents:
    """What the mutable objects reachable from ``roots`` hold; the values of ``tensors`` are the caller's business.

    What is reached only through a function (what it closes over, its defaults) is recorded too: a user's loss may count its
    calls there. What cannot be copied (an open file, a generator that runs) is left alone.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self.tensors: list[Tensor] = []
        self.firm: Stack = list(roots)[::-1]
        """Objects still to be looked at."""
        self.loose: Stack = []
        """The same, that only functions refer to: they come last, and large ones are data, not state."""
        self.records: list[tuple[PutBack, Any, Any]] = []
        seen: set[int] = set()
        while self.firm or self.loose:
            onto = self.firm or self.loose
            value = onto.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            kind: Any = type(value)
            look = _how_to_look(kind)
            if look is not None and (onto is self.firm or not _is_data(value)):
                look(self, value, onto)

    def record(self, put_back: PutBack, holder: Any, content: Any) -> None:
        """Remember that ``put_back(holder, content)`` gives ``holder`` what it holds now."""
        self.records.append((put_back, holder, content))

    def restore(self) -> list[tuple[PutBack, Any, Any]]:
        """Give every object its content back; one that still has it is not touched. Tensors keep the values they have.

        Returns:
            The records of those that had something else.
        """
        return [record for record in self.records if record[0](record[1], record[2])]


def _look_at_tensor(contents: Contents, value: Tensor, onto: Stack) -> None:
    contents.tensors.append(value)
    if value.__dict__:
        _look_at_dict(contents, value.__dict__, onto)


def _look_at_dict(contents: Contents, value: dict[Any, Any], onto: Stack, leaving_out: frozenset[str] = frozenset()) -> None:
    """``leaving_out`` names entries that are not worth a record while they are empty."""
    content = dict(value)
    for key, item in value.items():
        kind = type(item)
        if kind in ATOMS or (key in leaving_out and not item):
            continue
        if kind is itertools.count:
            content[key] = _kept(item)
        onto.append(item)
    contents.record(_refill_dict, value, content)


def _look_at_list(contents: Contents, value: list[Any] | deque[Any], onto: Stack) -> None:
    contents.record(_refill_list, value, [_kept(item) for item in value])
    onto.extend(item for item in value if type(item) not in ATOMS)


def _look_at_set(contents: Contents, value: set[Any], onto: Stack) -> None:
    contents.record(_refill_set, value, set(value))
    onto.extend(value)


def _look_at_tuple(contents: Contents, value: tuple[Any, ...] | frozenset[Any], onto: Stack) -> None:  # noqa: ARG001
    onto.extend(value)


def _look_at_array(contents: Contents, value: np.ndarray[Any, Any], onto: Stack) -> None:  # noqa: ARG001
    contents.record(_refill_array, value, value.copy())


def _look_at_torch_generator(contents: Contents, value: torch.Generator, onto: Stack) -> None:  # noqa: ARG001
    contents.record(_reset_torch_generator, value, value.get_state())


def _look_at_numpy_generator(contents: Contents, value: np.random.Generator, onto: Stack) -> None:  # noqa: ARG001
    contents.record(_set_bits, value.bit_generator, value.bit_generator.state)


def _look_at_numpy_random_state(contents: Contents, value: np.random.RandomState, onto: Stack) -> None:  # noqa: ARG001
    contents.record(_reset_random_state, value, value.get_state())


def _look_at_python_random(contents: Contents, value: random.Random, onto: Stack) -> None:  # noqa: ARG001
    contents.record(_reset_python_random, value, value.getstate())


def _look_at_method(contents: Contents, value: MethodType, onto: Stack) -> None:  # noqa: ARG001
    onto.extend((value.__self__, value.__func__))


def _look_at_partial(contents: Contents, value: functools.partial[Any], onto: Stack) -> None:  # noqa: ARG001
    onto.extend((value.func, value.args, value.keywords))


def _look_at_function(contents: Contents, value: FunctionType, onto: Stack) -> None:  # noqa: ARG001
    if _package(value.__globals__.get("__name__", "")) == "torch":
        return
    _look_at_dict(contents, value.__dict__, contents.loose)
    contents.loose.extend((*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *(value.__closure__ or ())))


def _look_at_cell(contents: Contents, value: CellType, onto: Stack) -> None:
    try:
        content = value.cell_contents
    except ValueError:  # a name that is not bound yet
        return
    contents.record(_refill_cell, value, _kept(content))
    onto.append(content)


def _look_at_module(contents: Contents, value: nn.Module, onto: Stack) -> None:  # noqa: ARG001 - a module is never loose
    _look_at_dict(contents, value.__dict__, contents.firm, leaving_out=HOOKS)


def _look_at_object(contents: Contents, value: Any, onto: Stack) -> None:  # noqa: ARG001 - nor is an object
    """An optimizer, or an instance of a user's own class; what it holds is state, whoever refers to it."""
    kind: Any = type(value)
    slots = {name: getattr(value, name) for name in _slots(kind) if hasattr(value, name)}
    if slots:
        contents.record(_refill_slots, value, slots)
        contents.firm.extend(slots.values())
    if hasattr(value, "__dict__"):
        _look_at_dict(contents, value.__dict__, contents.firm)


Look = Callable[[Contents, Any, Stack], None]
LOOKS: tuple[tuple[Any, Look], ...] = (
    (nn.Module, _look_at_module),
    (Tensor, _look_at_tensor),
    (dict, _look_at_dict),
    (list | deque, _look_at_list),
    (set, _look_at_set),
    (tuple | frozenset, _look_at_tuple),
    (np.ndarray, _look_at_array),
    (torch.Generator, _look_at_torch_generator),
    (np.random.Generator, _look_at_numpy_generator),
    (np.random.RandomState, _look_at_numpy_random_state),
    (random.Random, _look_at_python_random),
    (FunctionType, _look_at_function),
    (CellType, _look_at_cell),
    (MethodType, _look_at_method),
    (functools.partial, _look_at_partial),
)


@functools.cache
def _how_to_look(kind: Any) -> Look | None:
    if kind in ATOMS:
        return None
    for kinds, look in LOOKS:
        if issubclass(kind, kinds):
            return look
    return _look_at_object if _is_followed(kind) else None


def _is_followed(kind: type) -> bool:
    """Whether what an instance holds is looked into: models, and the user's own classes."""
    if issubclass(kind, LEFT_ALONE):
        return False
    package = _package(kind.__module__)
    return issubclass(kind, FOLLOWED) or (package not in {"torch", "numpy"} and package not in sys.stdlib_module_names)


def _is_data(value: Any) -> bool:
    """Too large to be a counter, a running mean or the like."""
    return isinstance(value, Tensor | np.ndarray) and value.nbytes > MOST_LOOSE_BYTES


def _package(module: str) -> str:
    return module.partition(".")[0]


@functools.cache
def _slots(kind: Any) -> tuple[str, ...]:
    names: list[str] = []
    for base in kind.__mro__:
        own = vars(base).get("__slots__", ())
        names += [own] if isinstance(own, str) else own
    return tuple(name for name in names if not name.startswith("__"))


def _kept(value: Any) -> Any:
    """``value``, or a copy of it where it is used up by being read: a count has no way back."""
    if type(value) is itertools.count:
        return itertools.count(*ast.literal_eval(repr(value).removeprefix("count")[:-1] + ",)"))
    return value


def _refill_dict(held: dict[Any, Any], content: dict[Any, Any]) -> bool:
    same = len(held) == len(content) and all(
        key is kept_key and item is kept for (key, item), (kept_key, kept) in zip(held.items(), content.items(), strict=True)
    )
    if not same:
        held.clear()
        held.update({key: _kept(item) for key, item in content.items()})
    return not same


def _refill_list(held: list[Any] | deque[Any], content: list[Any]) -> bool:
    same = len(held) == len(content) and all(a is b for a, b in zip(held, content, strict=True))
    if not same:
        held.clear()
        held.extend(_kept(item) for item in content)
    return not same


def _refill_set(held: set[Any], content: set[Any]) -> bool:
    same = len(held) == len(content) and {id(item) for item in held} == {id(item) for item in content}
    if not same:
        held.clear()
        held.update(content)
    return not same


def _refill_array(held: np.ndarray[Any, Any], content: np.ndarray[Any, Any]) -> bool:
    same = bool(np.array_equal(held, content))
    if not same:
        np.copyto(held, content)
    return not same


def _refill_cell(cell: CellType, content: Any) -> bool:
    try:
        same = cell.cell_contents is content
    except ValueError:  # its name was deleted
        same = False
    if not same:
        cell.cell_contents = _kept(content)
    return not same


def _refill_slots(held: Any, content: dict[str, Any]) -> bool:
    changed = [name for name, item in content.items() if getattr(held, name, None) is not item]
    for name in changed:
        object.__setattr__(held, name, _kept(content[name]))
    return bool(changed)


def _reset_torch_generator(generator: torch.Generator, state: Tensor) -> bool:
    same = torch.equal(generator.get_state(), state)
    if not same:
        generator.set_state(state)
    return not same


def _reset_random_state(generator: np.random.RandomState, state: Any) -> bool:
    same = pickle.dumps(generator.get_state()) == pickle.dumps(state)
    if not same:
        generator.set_state(state)
    return not same


def _reset_python_random(generator: random.Random, state: Any) -> bool:
    same = bool(generator.getstate() == state)
    if not same:
        generator.setstate(state)
    return not same


def _set_bits(bits: Any, state: Any) -> bool:
    same = pickle.dumps(bits.state) == pickle.dumps(state)
    if not same:
        bits.state = state
    return not same
