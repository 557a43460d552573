"""One forward pass taken down call by call, so that the part before a layer need not be computed again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dltool.probes.gradcheck.forward_only import FunctionType, applied_as
from dltool.probes.gradcheck.point import Point
from dltool.probes.nested import Nested, transform
from dltool.probes.preserve import TorchRandom


@dataclass(slots=True)
class Call:
    """One call of a module, or of a custom autograd.Function (then ``function``) within module ``path`` (None: in the loss).

    ``start`` and ``end`` count events of the pass. ``random_before`` and ``random_after`` are states of torch's generators,
    kept where the pass draws from them.
    """

    path: str | None
    what: Any
    start: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    parent: Call | None
    function: FunctionType | None = None
    end: int = -1
    output: Nested = None
    random_before: TorchRandom | None = None
    random_after: TorchRandom | None = None
    inner: list[Call] = field(default_factory=list)


class Recording:
    """The calls of one forward pass in the order in which they began; tensors are copies, as they were then."""

    def __init__(self, point: Point) -> None:
        self.calls: list[Call] = []
        self._open: list[Call] = []
        self._events = 0
        self._device = next(iter(point.leaves.values())).device
        self._draws = point.rewinder.draws

    def begin(self, path: str | None, what: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """A call begins."""
        self._events += 1
        parent = self._open[-1] if self._open else None
        call = Call(path, what, self._events, transform(args, _copy), transform(kwargs, _copy), parent)
        call.random_before = self._random()
        if parent is not None:
            parent.inner.append(call)
        self.calls.append(call)
        self._open.append(call)
        return call

    def finish(self, output: Nested) -> None:
        """The innermost open call ends."""
        self._events += 1
        call = self._open.pop()
        call.end, call.output, call.random_after = self._events, transform(output, _copy), self._random()

    @property
    def path(self) -> str | None:
        """Of the module that runs now, None outside of the model."""
        return self._open[-1].path if self._open else None

    def _random(self) -> TorchRandom | None:
        return TorchRandom.capture(self._device) if self._draws else None


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def record(point: Point, forward: Callable[[], object], functions: frozenset[FunctionType] = frozenset()) -> Recording:
    """Take down the calls of every module, and of ``functions``, while ``forward`` runs."""
    recording = Recording(point)
    with ExitStack() as scope:
        for path, module in point.model.named_modules():
            scope.callback(module.register_forward_pre_hook(_before(recording, path), with_kwargs=True).remove)
            scope.callback(module.register_forward_hook(_after(recording), with_kwargs=True).remove)
        scope.enter_context(applied_as(functions, lambda kind, apply: _applied(recording, kind, apply)))
        forward()
    return recording


def _before(recording: Recording, path: str) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        recording.begin(path, module, args, kwargs)

    return hook


def _after(recording: Recording) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:  # noqa: ARG001
        recording.finish(output)

    return hook


def _applied(recording: Recording, kind: FunctionType, apply: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        recording.begin(recording.path, apply, args, kwargs).function = kind
        output = apply(*args, **kwargs)
        recording.finish(output)
        return output

    return staticmethod(call)


class Replay:
    """Calls that had ended before event ``frontier`` give what they gave then, and compute nothing.

    Modules with forward hooks of the user's compute as ever, since those would see the output twice.
    """

    def __init__(self, recording: Recording, frontier: int) -> None:
        self._known: dict[nn.Module, list[Call]] = defaultdict(list)
        self._given: dict[nn.Module, int] = {}
        for call in recording.calls:
            if call.function is None and _ended(call, frontier) and not _given_by_parent(call, frontier):
                self._known[call.what].append(call)

    @contextmanager
    def once(self) -> Iterator[None]:
        """Within the block one evaluation is replayed."""
        self._given = dict.fromkeys(self._known, 0)
        with ExitStack() as scope:
            for module, calls in self._known.items():
                scope.enter_context(forward_as(module, self._giving(module, calls, module.forward)))
            yield

    def _giving(self, module: nn.Module, calls: list[Call], compute: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            given = self._given[module]
            self._given[module] = given + 1
            if given >= len(calls):
                return compute(*args, **kwargs)
            after = calls[given].random_after
            if after is not None:
                after.restore()
            return transform(calls[given].output, Tensor.clone)

        return forward


def _ended(call: Call, frontier: int) -> bool:
    return call.end < frontier and not call.what._forward_hooks and not call.what._forward_pre_hooks  # noqa: SLF001


def _given_by_parent(call: Call, frontier: int) -> bool:
    parent = call.parent
    while parent is not None:
        if _ended(parent, frontier):
            return True
        parent = parent.parent
    return False


@contextmanager
def forward_as(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Within the block ``module`` computes ``forward``."""
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def record_values(point: Point) -> Recording:
    """The calls of an evaluation of the loss, as numbers: nothing in it wants a gradient."""
    with torch.no_grad():
        return record(point, point.loss)
