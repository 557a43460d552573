"""Which module, and which operator in it, first turned finite values into NaN or Inf: one traced forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

from dltool.probes.finite import has_nan, is_allowed, is_finite
from dltool.probes.hooks import Run, visiting
from dltool.probes.nested import Nested, tensors, transform

MASKING = frozenset({"masked_fill", "where", "full", "full_like", "new_full", "fill", "tensor", "setitem", "index_fill"})
"""Operators that write an Inf because they were asked to: a mask."""

ARITHMETIC = frozenset({"add", "sub", "mul", "truediv", "div", "pow", "matmul"})


@dataclass(frozen=True, slots=True)
class Born:
    """A module whose inputs were finite and whose output is not; ``op`` is the operator in it, where one could be seen."""

    path: str
    output: Nested
    op: str | None


@dataclass(frozen=True, slots=True)
class _Op:
    path: str | None
    name: str
    nan: bool


class Births(TorchFunctionMode):
    """Traces a forward pass and its loss.

    What a module absorbs is forgiven: when its output is finite, nothing that was born inside it matters (a -inf mask that
    softmax turned to zeros, an overflow that a division undid).
    """

    def __init__(self, model: nn.Module, allow: Sequence[str] = ()) -> None:
        super().__init__()
        self._modules = dict(model.named_modules())
        self._allow = tuple(allow)
        self._stack: list[str] = []
        self._born: list[tuple[str, Nested]] = []
        self._ops: list[_Op] = []
        self._looking_on = False

    @contextmanager
    def tracing(self) -> Iterator[None]:
        """Trace the forward pass and the loss within."""
        with visiting(self._modules, on_input=self._enter, on_output=self._leave), self:
            yield

    def guilty(self) -> Born | None:
        """The module where the first value that was never absorbed was born; None when the model's output is finite."""
        if not self._born:
            return None
        candidates = [Born(path, output, self._first_op(path)) for path, output in self._born]
        return next((born for born in candidates if born.op is not None), candidates[0])

    def _first_op(self, path: str) -> str | None:
        return next((op.name for op in self._ops if op.path is not None and _within(op.path, path)), None)

    def op_in_loss(self) -> str | None:
        """The operator outside of all modules, that is in the loss, where a value went bad first."""
        return next((op.name for op in self._ops if op.path is None), None)

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and note whether it made finite values non-finite, or numbers NaN."""
        kwargs = kwargs or {}
        if self._looking_on:
            return func(*args, **kwargs)
        finite_before = is_finite((args, kwargs))
        nan_before = not finite_before and has_nan((args, kwargs))
        result = func(*args, **kwargs)
        name = _public_name(func)
        path = self._stack[-1] if self._stack else None
        if is_finite(result):
            if not finite_before and any(tensor.is_floating_point() for tensor in tensors(result)):
                self._ops = [op for op in self._ops if op.path != path or op.nan]
        elif (finite_before and name not in MASKING) or (not nan_before and has_nan(result)):
            self._ops.append(_Op(path, name, has_nan(result)))
        return result

    def _enter(self, run: Run) -> None:
        self._stack.append(run.path)

    def _leave(self, run: Run) -> None:
        self._stack.pop()
        self._looking_on = True  # what follows are operators too, but ours
        try:
            self._judge(run)
        finally:
            self._looking_on = False

    def _judge(self, run: Run) -> None:
        if is_finite(run.output) or is_allowed(run.path, self._allow):
            self._born = [born for born in self._born if not _within(born[0], run.path)]
            self._ops = [op for op in self._ops if op.path is None or not _within(op.path, run.path)]
            if not is_finite(run.inputs):
                self._born = [born for born in self._born if has_nan(born[1])]
        elif is_finite(run.inputs):
            self._born.append((run.path, transform(run.output, lambda t: t.clone())))


def _within(path: str, container: str) -> bool:
    return not container or path == container or path.startswith(container + ".")


def _public_name(func: Any) -> str:
    """``Tensor.__rtruediv__`` and ``Tensor.div_`` are both ``div``."""
    name = getattr(func, "__name__", str(func)).strip("_")
    for prefix in ("r", "i"):
        if name.removeprefix(prefix) in ARITHMETIC:
            name = name.removeprefix(prefix)
    return "div" if name == "truediv" else name
