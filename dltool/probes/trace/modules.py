"""Where in the model the step is: which module, and whether it is forward, loss, backward or optimizer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from dltool.core.finding import Phase

WRAPPERS = re.compile(r"(^|\.)(_orig_mod|_fsdp_wrapped_module|_forward_module)(?=\.|$)")
"""Names that torch.compile and others put between the user's."""
PARAMETRIZED = re.compile(r"\.?parametrizations\..*$")


def plain_path(path: str) -> str:
    """The path in the user's own model: without wrappers, and of a parametrization the module that has it."""
    return PARAMETRIZED.sub("", WRAPPERS.sub("", path).removeprefix("."))


class Position:
    """Follows a step through the modules; ``backward`` and ``after`` are set by who sees the calls."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = {module: plain_path(path) for path, module in reversed(list(model.named_modules()))}
        self._stack: list[str] = []
        self._stage: Phase = "loss"

    @property
    def module(self) -> str | None:
        """The innermost module that is running."""
        return self._stack[-1] if self._stack else None

    def phase(self, node: object | None) -> Phase:
        """Of the operator that runs now; ``node`` is the autograd node that runs it."""
        if self._stack:
            return "forward"
        if self._stage == "loss" and node is not None:
            return "loss"  # a gradient that the loss itself asked for
        return self._stage

    def enter_backward(self) -> None:
        """``loss.backward()`` was called."""
        self._stage = "backward"

    def leave_backward(self) -> None:
        """It returned: what comes now shapes gradients and updates."""
        self._stage = "optimizer"

    @contextmanager
    def following(self) -> Iterator[None]:
        """Within the block the modules tell when they run."""
        handles = []
        try:
            for module, path in self._modules.items():
                handles.append(module.register_forward_pre_hook(self._entering(path), prepend=True))
                handles.append(module.register_forward_hook(self._left, always_call=True))
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._stack.clear()

    def _entering(self, path: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            del module, args
            if not self._stack and self._stage == "optimizer":
                self._stage = "loss"  # the next batch of the step, or an optimizer that asks for the loss again
            self._stack.append(path)

        return hook

    def _left(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        del module, args, output
        if self._stack:
            self._stack.pop()
