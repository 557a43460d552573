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
import random
import sys
from collections import UserDict, UserList, deque
from collections.abc import Callable, Iterable
from enum import Enum
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType, NoneType, SimpleNamespace
from typing import Any, NamedTuple

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

Restore = Callable[[], Any]


class Held(NamedTuple):
    """What one object holds: how to give it back, and the objects to go on with.

    ``loose`` marks what a function refers to; None is as loosely held as the object itself.
    """

    restore: Restore | None
    refers_to: Iterable[Any] = ()
    loose: bool | None = None


class Contents:
    """What the mutable objects reachable from ``roots`` hold; the values of ``tensors`` are the caller's business.

    What is reached only through a function (what it closes over, its defaults) is recorded too: a user's loss may count its
    calls there. What cannot be copied (an open file, a generator that runs) is left alone.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self.tensors: list[Tensor] = []
        self._restore: list[Restore] = []
        seen: set[int] = set()
        waiting: dict[bool, list[Any]] = {False: list(roots)[::-1], True: []}
        while waiting[False] or waiting[True]:
            loose = not waiting[False]
            value = waiting[loose].pop()
            kind: Any = type(value)
            look = _how_to_look(kind)
            if look is None or id(value) in seen or (loose and _is_data(value)):
                continue
            seen.add(id(value))
            if isinstance(value, Tensor):
                self.tensors.append(value)
            held = look(value)
            if held.restore is not None:
                self._restore.append(held.restore)
            further = loose if held.loose is None else held.loose
            waiting[further].extend(item for item in held.refers_to if type(item) not in ATOMS)

    def restore(self) -> None:
        """Give every object its content back; one that still has it is not touched. Tensors keep the values they have."""
        for put_back in self._restore:
            put_back()


def _in_dict(value: dict[Any, Any]) -> Held:
    content = {key: _kept(item) for key, item in value.items()}
    return Held(lambda: _refill_dict(value, content), value.values())


def _in_list(value: list[Any] | deque[Any]) -> Held:
    content = [_kept(item) for item in value]
    return Held(lambda: _refill_list(value, content), value)


def _in_set(value: set[Any]) -> Held:
    content = set(value)
    return Held(lambda: _refill_set(value, content), value)


def _in_tuple(value: tuple[Any, ...] | frozenset[Any]) -> Held:
    return Held(None, value)


def _in_attributes(value: Any) -> Held:
    return _in_dict(vars(value))


def _in_array(value: np.ndarray[Any, Any]) -> Held:
    content = value.copy()
    return Held(lambda: np.copyto(value, content))


def _in_torch_generator(value: torch.Generator) -> Held:
    state = value.get_state()
    return Held(lambda: value.set_state(state))


def _in_numpy_generator(value: np.random.Generator) -> Held:
    bits = value.bit_generator
    state = bits.state
    return Held(lambda: setattr(bits, "state", state))


def _in_numpy_random_state(value: np.random.RandomState) -> Held:
    state = value.get_state()
    return Held(lambda: value.set_state(state))


def _in_python_random(value: random.Random) -> Held:
    state = value.getstate()
    return Held(lambda: value.setstate(state))


def _in_method(value: MethodType) -> Held:
    return Held(None, (value.__self__, value.__func__))


def _in_partial(value: functools.partial[Any]) -> Held:
    return Held(None, (value.func, value.args, value.keywords))


def _in_function(value: FunctionType) -> Held:
    if _package(value.__globals__.get("__name__", "")) == "torch":
        return Held(None)
    given = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *(value.__closure__ or ()))
    own = _in_attributes(value)
    return Held(own.restore, (*own.refers_to, *given), loose=True)


def _in_cell(value: CellType) -> Held:
    try:
        content = value.cell_contents
    except ValueError:  # a name that is not bound yet
        return Held(None)
    kept = _kept(content)
    return Held(lambda: setattr(value, "cell_contents", _kept(kept)), (content,))


def _in_object(value: Any) -> Held:
    """A model, an optimizer, or an instance of a user's own class; what it holds is not loose, whoever refers to it."""
    kind: Any = type(value)
    slots = {name: getattr(value, name) for name in _slots(kind) if hasattr(value, name)}
    if not slots:
        return _in_attributes(value)._replace(loose=False) if hasattr(value, "__dict__") else Held(None)
    rest = _in_attributes(value) if hasattr(value, "__dict__") else Held(None)

    def restore() -> None:
        for name, content in slots.items():
            object.__setattr__(value, name, content)
        if rest.restore is not None:
            rest.restore()

    return Held(restore, (*slots.values(), *rest.refers_to), loose=False)


Look = Callable[[Any], Held]
LOOKS: tuple[tuple[Any, Look], ...] = (
    (Tensor, _in_attributes),
    (dict, _in_dict),
    (list | deque, _in_list),
    (set, _in_set),
    (tuple | frozenset, _in_tuple),
    (np.ndarray, _in_array),
    (torch.Generator, _in_torch_generator),
    (np.random.Generator, _in_numpy_generator),
    (np.random.RandomState, _in_numpy_random_state),
    (random.Random, _in_python_random),
    (FunctionType, _in_function),
    (CellType, _in_cell),
    (MethodType, _in_method),
    (functools.partial, _in_partial),
)


@functools.cache
def _how_to_look(kind: Any) -> Look | None:
    if kind in ATOMS:
        return None
    for kinds, look in LOOKS:
        if issubclass(kind, kinds):
            return look
    return _in_object if _is_followed(kind) else None


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


def _refill_dict(held: dict[Any, Any], content: dict[Any, Any]) -> None:
    same = len(held) == len(content) and all(
        key is kept_key and item is kept for (key, item), (kept_key, kept) in zip(held.items(), content.items(), strict=True)
    )
    if not same:
        held.clear()
        held.update({key: _kept(item) for key, item in content.items()})


def _refill_list(held: list[Any] | deque[Any], content: list[Any]) -> None:
    if len(held) != len(content) or any(a is not b for a, b in zip(held, content, strict=True)):
        held.clear()
        held.extend(_kept(item) for item in content)


def _refill_set(held: set[Any], content: set[Any]) -> None:
    held.clear()
    held.update(content)
