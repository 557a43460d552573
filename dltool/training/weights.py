"""A model's weights and buffers as plain tensors: taken, put back, and the best of them kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dltool.core.measured.training import EpochRecord
from dltool.probes.preserve import overwrite


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of ``state_dict()``, not copied, and the buffers that it leaves out (``persistent=False``)."""
    persistent = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    return persistent | {name: buffer for name, buffer in model.named_buffers() if name not in persistent}


@torch.no_grad()
def put_back(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy into the model in place, so that its optimizer goes on holding the same parameters."""
    for name, tensor in tensors_of(model).items():
        value = tensors[name]
        if tensor.shape == value.shape:
            overwrite(tensor, value)
        else:  # a buffer that the model replaces by a longer one, step by step
            place, _, last = name.rpartition(".")
            setattr(model.get_submodule(place), last, value.to(tensor.device, copy=True))


class BestWeights:
    """A copy, on the CPU, of the weights after the epoch with the lowest loss; one copy, overwritten by a better epoch."""

    def __init__(self) -> None:
        self.epoch: int | None = None
        self.loss = math.inf
        self.tensors: dict[str, Tensor] = {}

    def offer(self, record: EpochRecord, model: nn.Module) -> None:
        """Keep the model's weights if this epoch's validation loss (or running loss) is the lowest; NaN never is."""
        loss = record.running_loss if record.val_loss is None else record.val_loss
        if loss < self.loss:
            self.loss, self.epoch = loss, record.epoch
            self._copy(model)

    @torch.no_grad()
    def _copy(self, model: nn.Module) -> None:
        current = tensors_of(model)
        if {name: tensor.shape for name, tensor in current.items()} != {n: t.shape for n, t in self.tensors.items()}:
            self.tensors = {name: torch.empty_like(tensor, device="cpu") for name, tensor in current.items()}
        for name, tensor in current.items():
            self.tensors[name].copy_(tensor)

    @contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """Within the block the model has the best weights; afterwards its own again, bit for bit."""
        own = {name: tensor.detach().clone() for name, tensor in tensors_of(model).items()}
        try:
            put_back(model, self.tensors)
            yield
        finally:
            put_back(model, own)
