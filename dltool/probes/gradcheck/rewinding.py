"""Whatever one evaluation of the loss moves is put back before the next: random generators, buffers, what modules count."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dltool.probes.contents import Contents
from dltool.probes.preserve import TorchRandom, overwrite


class Rewinder:
    """Remembers the state of now, learns from one run what moves, and puts that back at every call."""

    def __init__(self, modules: Sequence[nn.Module], device: torch.device) -> None:
        self._torch = TorchRandom.capture(device)
        self._numpy: Any = np.random.get_state()  # noqa: NPY002 - the global generator is the one that users' modules draw from
        self._python = random.getstate()
        self._buffers = [
            (owner._buffers, name, buffer, buffer.clone())  # noqa: SLF001 - the identity of a buffer is kept nowhere else
            for root in modules
            for owner in root.modules()
            for name, buffer in owner._buffers.items()  # noqa: SLF001
            if buffer is not None
        ]
        self._contents = Contents(modules)
        known = {id(buffer) for _, _, buffer, _ in self._buffers}
        self._others = [
            (tensor, tensor.detach().clone())
            for tensor in self._contents.tensors
            if tensor.is_leaf and not isinstance(tensor, nn.Parameter) and id(tensor) not in known
        ]
        self._device = device
        self._moved: list[Callable[[], None]] = [
            self._rewind_torch,
            self._rewind_numpy,
            self._rewind_python,
            self._rewind_all,
            self._rewind_objects,
        ]
        self.draws = True
        """Whether an evaluation draws from torch's generators."""

    def __call__(self) -> None:
        """Put back what an evaluation moves."""
        for rewind in self._moved:
            rewind()

    def learn(self) -> None:
        """Call after one evaluation: what did not move need not be put back."""
        now = TorchRandom.capture(self._device)
        self.draws = not (
            torch.equal(now.cpu, self._torch.cpu)
            and (now.on_device is None or self._torch.on_device is None or torch.equal(now.on_device, self._torch.on_device))
        )
        self._moved = [self._rewind_torch] if self.draws else []
        numpy_now: Any = np.random.get_state()  # noqa: NPY002
        if not (np.array_equal(numpy_now[1], self._numpy[1]) and numpy_now[2:] == self._numpy[2:]):
            self._moved.append(self._rewind_numpy)
        if random.getstate() != self._python:
            self._moved.append(self._rewind_python)
        self._buffers = [entry for entry in self._buffers if _changed(*entry)]
        if self._buffers:
            self._moved.append(self._rewind_all)
        self._others = [(tensor, value) for tensor, value in self._others if not _equal(tensor, value)]
        self._contents.records = self._contents.restore()
        if self._others or self._contents.records:
            self._moved.append(self._rewind_objects)

    def _rewind_torch(self) -> None:
        self._torch.restore()

    def _rewind_numpy(self) -> None:
        np.random.set_state(self._numpy)  # noqa: NPY002

    def _rewind_python(self) -> None:
        random.setstate(self._python)

    @torch.no_grad()
    def _rewind_all(self) -> None:
        for owner, name, buffer, value in self._buffers:
            overwrite(buffer, value)
            owner[name] = buffer

    @torch.no_grad()
    def _rewind_objects(self) -> None:
        """Counters, caches and generators that modules hold as plain attributes."""
        self._contents.restore()
        for tensor, value in self._others:
            overwrite(tensor, value)


def _changed(owner: dict[str, Tensor | None], name: str, buffer: Tensor, value: Tensor) -> bool:
    return owner.get(name) is not buffer or not _equal(buffer, value)


def _equal(tensor: Tensor, value: Tensor) -> bool:
    return tensor.shape == value.shape and torch.equal(tensor.nan_to_num(), value.nan_to_num())
