"""Custom autograd.Functions: found in a graph, and run without autograd where only their forward is wanted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor
from torch.autograd import Function

FunctionType = type[Function]


def functions_in(loss: Tensor) -> frozenset[FunctionType]:
    """The classes of the custom Functions that ``loss`` was computed with."""
    found: set[FunctionType] = set()
    waiting, seen = [loss.grad_fn], {loss.grad_fn}
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        kind = getattr(type(node), "_forward_cls", None)
        if kind is not None:
            found.add(kind)
        for following, _ in node.next_functions:
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return frozenset(found)


class Context:
    """Takes what a forward saves for its backward, and keeps none of it."""

    needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Forget them."""

    def save_for_forward(self, *tensors: Any) -> None:
        """Forget them."""

    def mark_dirty(self, *tensors: Any) -> None:
        """Nothing to mark."""

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Nothing to mark."""

    def set_materialize_grads(self, value: bool) -> None:  # noqa: FBT001 - torch's own signature
        """Nothing to set."""


@contextmanager
def applied_as(kinds: Collection[FunctionType], make: Callable[[FunctionType, Any], Any]) -> Iterator[None]:
    """Within the block ``kind.apply`` is ``make(kind, its own apply)``."""
    with ExitStack() as scope:
        for kind in sorted(kinds, key=lambda each: f"{each.__module__}.{each.__qualname__}"):
            own = "apply" in vars(kind)
            before = vars(kind).get("apply")
            kind.apply = make(kind, kind.apply)  # type: ignore[method-assign]
            scope.callback(_give_back, kind, before, own=own)
        yield


def _give_back(kind: FunctionType, before: Any, *, own: bool) -> None:
    if own:
        kind.apply = before  # type: ignore[method-assign]
    else:
        del kind.apply


def without_autograd(kinds: Collection[FunctionType]) -> Any:
    """Within the block these Functions are plain functions: their forward, which ``vmap`` can go through."""
    return applied_as(kinds, lambda kind, _: _forward_of(kind))


def _forward_of(kind: FunctionType) -> Any:
    has_context = kind.setup_context is Function.setup_context

    def forward(*args: Any, **kwargs: Any) -> Any:
        if not has_context:
            return kind.forward(*args, **kwargs)
        context = Context()
        context.needs_input_grad = tuple(isinstance(value, Tensor) and value.is_floating_point() for value in args)
        return kind.forward(context, *args, **kwargs)

    return staticmethod(forward)
