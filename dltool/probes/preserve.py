"""Leave a model and the random number generators bit for bit as they were found, also after an exception."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class TorchRandom:
    """The state of torch's generators: the CPU's, and the accelerator's where the model is on one."""

    cpu: Tensor
    device: torch.device | None
    on_device: Tensor | None

    @classmethod
    def capture(cls, device: torch.device) -> TorchRandom:
        """The state now; about a microsecond on the CPU, so that it can be kept for every step."""
        if device.type == "cpu":
            return cls(torch.get_rng_state(), None, None)
        return cls(torch.get_rng_state(), device, torch.get_device_module(device).get_rng_state(device))

    def restore(self) -> None:
        """Go back to this state."""
        torch.set_rng_state(self.cpu)
        if self.device is not None:
            torch.get_device_module(self.device).set_rng_state(self.on_device, self.device)


def device_of(model: nn.Module) -> torch.device:
    """Where the model's first parameter or buffer lives; the CPU for a model without any."""
    return next((tensor.device for tensor in chain(model.parameters(), model.buffers())), torch.device("cpu"))


@contextmanager
def preserved(model: nn.Module, *, replay: TorchRandom | None = None) -> Iterator[None]:
    """Run forward passes on a model and leave no trace of them.

    Within, gradients are off and torch's fused transformer path is off too (it skips the submodules, and their hooks).
    Restored on the way out: every buffer (values and identity), every module's mode, the generators of torch, numpy and
    Python. Weights and gradients are not written by a forward pass and are not copied.

    Args:
        model: the model whose state is kept.
        replay: start from this random state, so that dropout draws the same mask again.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module._buffers, name, buffer, buffer.clone())  # noqa: SLF001 - the identity of a buffer is kept nowhere else
        for module in model.modules()
        for name, buffer in module._buffers.items()  # noqa: SLF001
        if buffer is not None
    ]
    torch_random = TorchRandom.capture(device_of(model))
    numpy_random = np.random.get_state()  # noqa: NPY002 - the global generator is the one that users' modules draw from
    python_random = random.getstate()
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(value=False)
        if replay is not None:
            replay.restore()
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=fused)
        torch_random.restore()
        np.random.set_state(numpy_random)  # noqa: NPY002
        random.setstate(python_random)
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for owner, name, buffer, value in buffers:
                overwrite(buffer, value)
                owner[name] = buffer


def overwrite(tensor: Tensor, value: Tensor) -> None:
    """``tensor.copy_(value)``, for expanded tensors too: torch refuses to write to one place of memory twice."""
    if tensor.layout is torch.strided:
        for dim, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
            if stride == 0 and size > 1:
                tensor, value = tensor.narrow(dim, 0, 1), value.narrow(dim, 0, 1)
    tensor.copy_(value)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """``preserved``, with every module in eval mode."""
    with preserved(model):
        model.eval()
        yield
