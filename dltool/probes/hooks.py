"""Which modules are watched, and hooks on them that are gone when the ``with`` block is left, however it is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

OPAQUE = (nn.MultiheadAttention,)
"""Modules that use the weights of their children without calling them: watched as a whole."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a watched module within a forward pass: its path, and which of its calls this is (from 0)."""

    path: str
    call: int
    module: nn.Module
    inputs: tuple[Any, ...]
    output: Any = None


Visit = Callable[[Run], None]


def kind_of(module: nn.Module) -> str:
    """The class name; of a parametrized module (weight norm, spectral norm) that of the class beneath."""
    cls = type(module)
    return (cls.__bases__[0] if parametrize.is_parametrized(module) else cls).__name__


def watched_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Modules that compute: the leaves, and those that hide their children (``OPAQUE``, parametrized), by path."""
    found: dict[str, nn.Module] = {}
    _collect(model, "", found, set())
    return found


def _collect(module: nn.Module, path: str, found: dict[str, nn.Module], seen: set[nn.Module]) -> None:
    if module in seen:
        return
    seen.add(module)
    children = [(name, child) for name, child in module.named_children() if name != "parametrizations"]
    if not children or isinstance(module, OPAQUE):
        found[path] = module
        return
    for name, child in children:
        _collect(child, f"{path}.{name}" if path else name, found, seen)


def owner_of(parameter: str, watched: Mapping[str, nn.Module]) -> str:
    """Path of the watched module that a parameter belongs to, else of the module that holds it directly."""
    path = parameter
    while "." in path:
        path = path.rpartition(".")[0]
        if path in watched:
            return path
    return parameter.rpartition(".")[0]


@contextmanager
def visiting(
    modules: Mapping[str, nn.Module], *, on_output: Visit | None = None, on_input: Visit | None = None
) -> Iterator[None]:
    """Call back at every run of ``modules``: ``on_input`` before it could overwrite its input, ``on_output`` after it."""
    handles = []
    try:
        for path, module in modules.items():
            if on_input is not None:
                handles.append(module.register_forward_pre_hook(_before(path, on_input), with_kwargs=True))
            if on_output is not None:
                handles.append(module.register_forward_hook(_after(path, on_output), with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _before(path: str, visit: Visit) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    calls = count()

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        visit(Run(path, next(calls), module, (*args, *kwargs.values())))

    return hook


def _after(path: str, visit: Visit) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]:
    calls = count()

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        visit(Run(path, next(calls), module, (*args, *kwargs.values()), output))

    return hook
