"""Training and evaluation mode, module by module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn


def set_training(model: nn.Module, kept_in_eval: Iterable[str]) -> None:
    """Training mode, but for the modules named: a frozen batch norm must go on using its stored statistics."""
    model.train()
    for name in kept_in_eval:
        model.get_submodule(name).eval()


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Whatever the block does to the modes, every module leaves it in the mode it had."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
