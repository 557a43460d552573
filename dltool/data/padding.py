"""Sequences of unequal length made into one tensor, with the lengths beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Padding:
    """What fills up a sequence, and to which length: the batch's longest when ``length`` is None."""

    value: float = 0.0
    length: int | None = None


def pad_inputs(sequences: Sequence[Tensor], padding: Padding) -> dict[str, Tensor]:
    """``{"values": (N, T, ...), "lengths": (N,) int64}`` from N tensors (T_i, ...)."""
    import torch

    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return {"values": _pad(sequences, padding.value, padding.length), "lengths": lengths}


def pad_targets(sequences: Sequence[Tensor], ignored: int, length: int | None = None) -> Tensor:
    """Targets for every step, (N, T, ...), filled up with the label that the loss passes over."""
    return _pad(sequences, ignored, length)


def _pad(sequences: Sequence[Tensor], value: float, length: int | None) -> Tensor:
    steps = max(len(sequence) for sequence in sequences) if length is None else length
    padded = sequences[0].new_full((len(sequences), steps, *sequences[0].shape[1:]), value)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded
