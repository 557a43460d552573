"""Training and evaluation mode, module by module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
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


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode, computed by the same operators as training.

    torch's fused transformer path, which is taken in eval mode alone, rounds differently and packs padded sequences into
    nested tensors, whose work cannot be counted.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    with modes_kept(model):
        try:
            torch.backends.mha.set_fastpath_enabled(value=False)
            model.eval()
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(value=fused)
