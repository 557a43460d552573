"""Every random choice in the data has a stream of its own, so that one more of one kind never shifts another."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


class Stream(IntEnum):
    """What the numbers are drawn for."""

    ORDER = 0
    AUGMENT = 1
    SPLIT = 2
    FIXED = 3
    LIMIT = 4
    SYNTHETIC = 5


def torch_generator(seed: int, stream: Stream, *position: int) -> torch.Generator:
    """A torch generator that (seed, stream, position) decides alone; ``position`` is, say, an epoch and a batch."""
    import torch

    digest = hashlib.sha256(repr((seed, int(stream), *position)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def numpy_generator(seed: int, stream: Stream, *position: int) -> np.random.Generator:
    """The same for numpy."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stream, *position])))
