"""Running code in float64 that was written for float32: default dtype, casts and constants are lifted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from dltool.probes.nested import tensors

LOWER = frozenset({torch.float32, torch.float16, torch.bfloat16})
CASTS: frozenset[Any] = frozenset({Tensor.float, Tensor.half, Tensor.bfloat16})


@contextmanager
def double_by_default() -> Iterator[None]:
    """Within the block ``torch.zeros(n)`` makes float64, and torch's fused transformer path (eval mode alone) is off."""
    with _defaults(torch.float64, fused=False):
        yield


@contextmanager
def single_by_default() -> Iterator[None]:
    """Within the block, inside one of ``double_by_default``, things are as torch has them: training goes on as ever."""
    with _defaults(torch.float32, fused=True):
        yield


@contextmanager
def _defaults(dtype: torch.dtype, *, fused: bool) -> Iterator[None]:
    before, fused_before = torch.get_default_dtype(), torch.backends.mha.get_fastpath_enabled()
    try:
        torch.set_default_dtype(dtype)
        torch.backends.mha.set_fastpath_enabled(value=fused)
        yield
    finally:
        torch.set_default_dtype(before)
        torch.backends.mha.set_fastpath_enabled(value=fused_before)


class Lifted(TorchFunctionMode):
    """Makes every float64 of what asks for a lower precision: casts, dtype arguments, and tensors met on the way."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Called for every function of torch's that Python calls."""
        if func in CASTS:
            return args[0].double()
        lifted = [_lift(value) for value in args]
        return func(*lifted, **{key: _lift(value) for key, value in (kwargs or {}).items()})


def _lift(value: Any) -> Any:
    if isinstance(value, torch.dtype):
        return torch.float64 if value in LOWER else value
    if isinstance(value, Tensor):
        return value.double() if value.dtype in LOWER else value
    if type(value) in (list, tuple):
        return type(value)(_lift(item) for item in value)
    return value


def computes_lower(forward: Callable[[], object]) -> bool:
    """Whether ``forward``, run once, computes any floating-point tensor in less than float64."""
    watch = _Watch()
    with watch:
        forward()
    return watch.seen


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: bool = False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.seen = self.seen or any(tensor.dtype in LOWER for tensor in tensors(out))
        return out
