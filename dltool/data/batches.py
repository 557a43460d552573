"""Batches of one split, in memory or decoded as they come: the order follows from (seed, epoch) and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dltool.data.augment import Augmentation, add_noise, change_pixels
from dltool.data.image_files import ImageFiles
from dltool.data.padding import Padding, pad_inputs, pad_targets
from dltool.data.randomness import Stream, torch_generator
from dltool.data.transforms import Normalizer
from dltool.training.experiment import Batch

GATHER_BYTES = 4 * 2**20
"""Several small batches are gathered from memory at once and cut apart: up to so many bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The inputs and targets of one split.

    ``inputs`` is a tensor (N, ...), a list of N sequences, or image files. ``normalizer`` and ``padding`` are applied to
    every batch; None where the inputs are normalised already, or of one length. Targets of unequal length are filled up
    with the label ``ignored`` to ``target_length``, or to the longest of the batch. ``path`` and ``rows`` say where in which
    source the samples stand.
    """

    inputs: Tensor | list[Tensor] | ImageFiles
    targets: Tensor | list[Tensor]
    normalizer: Normalizer | None = None
    padding: Padding | None = None
    ignored: int = -100
    target_length: int | None = None
    path: str = ""
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def place(self, index: int) -> tuple[str, int | None]:
        """The file of a sample, and its row there where it is not a file of its own."""
        if isinstance(self.inputs, ImageFiles):
            return str(self.inputs.path(index)), None
        return self.path, index if self.rows is None else int(self.rows[index])

    @property
    def gathered_at_once(self) -> bool:
        """Inputs and targets are tensors that a batch is a plain selection of."""
        return isinstance(self.inputs, Tensor) and isinstance(self.targets, Tensor)

    @property
    def bytes_per_sample(self) -> int:
        """Memory of one sample, where it is gathered at once."""
        assert isinstance(self.inputs, Tensor)
        assert isinstance(self.targets, Tensor)
        return sum(part.element_size() * part[:1].numel() for part in (self.inputs, self.targets))

    def take(self, index: Tensor) -> tuple[Tensor | list[Tensor], Tensor]:
        """Inputs (floats, tokens or a list of sequences) and targets at ``index``; not normalised, not padded."""
        targets = (
            self.targets.index_select(0, index)
            if isinstance(self.targets, Tensor)
            else pad_targets([self.targets[i] for i in index.tolist()], self.ignored, self.target_length)
        )
        if isinstance(self.inputs, Tensor):
            return _as_float(self.inputs.index_select(0, index)), targets
        if isinstance(self.inputs, ImageFiles):
            return _as_float(self.inputs.read(index.tolist())) / 255, targets
        return [self.inputs[i] for i in index.tolist()], targets


def _cut(values: Tensor, size: int) -> tuple[Tensor, ...]:
    if len(values) == 0:  # which torch would cut into one empty piece
        return ()
    return values.split(size)  # type: ignore[no-any-return, no-untyped-call]


def _as_float(inputs: Tensor) -> Tensor:
    return inputs.float() if inputs.dtype == torch.uint8 else inputs


class Batches:
    """A ``training.experiment.BatchSource`` over samples; the last batch of an epoch may be smaller."""

    def __init__(
        self,
        samples: Samples,
        *,
        batch_size: int,
        seed: int,
        shuffle: bool = True,
        augmentation: Augmentation | None = None,
    ) -> None:
        self._samples = samples
        self._batch_size = batch_size
        self._seed = seed
        self._shuffle = shuffle
        self._augmentation = augmentation

    @property
    def samples(self) -> int:
        """Samples in an epoch."""
        return len(self._samples)

    @property
    def batch_size(self) -> int:
        """Samples in a full batch."""
        return self._batch_size

    def __len__(self) -> int:
        return (len(self._samples) + self._batch_size - 1) // self._batch_size

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``index`` from batch ``start``, shuffled and augmented where asked for."""
        order = self._order(Stream.ORDER, index) if self._shuffle else torch.arange(len(self._samples))
        if self._augmentation is None:
            yield from self._deliver(order[start * self._batch_size :], self._batch_size)
            return
        for number, part in enumerate(_cut(order, self._batch_size)):
            if number >= start:
                yield self._augmented(self._augmentation, part, index, number)

    def fixed(self, limit: int | None = None, batch_size: int | None = None) -> Iterator[Batch]:
        """The same samples in the same order at every call, never augmented; a lower limit gives the first of a higher."""
        yield from self._deliver(self._order(Stream.FIXED)[:limit], batch_size or self._batch_size)

    def in_order(self) -> Iterator[tuple[list[tuple[str, int | None]], Batch]]:
        """Every sample once, in the order of the source, never augmented; with the file (and row) of each."""
        for part in _cut(torch.arange(len(self._samples)), self._batch_size):
            inputs, targets = self._samples.take(part)
            yield [self._samples.place(index) for index in part.tolist()], self._finished(inputs, targets)

    def _order(self, stream: Stream, *position: int) -> Tensor:
        return torch.randperm(len(self._samples), generator=torch_generator(self._seed, stream, *position))

    def _deliver(self, order: Tensor, size: int) -> Iterator[Batch]:
        samples = self._samples
        if not samples.gathered_at_once or samples.normalizer is not None:
            for part in _cut(order, size):
                inputs, targets = samples.take(part)
                yield self._finished(inputs, targets)
            return
        batches = max(1, GATHER_BYTES // max(1, size * samples.bytes_per_sample))
        for part in _cut(order, size * batches):
            inputs, targets = samples.take(part)
            assert isinstance(inputs, Tensor)
            for x, y in zip(_cut(inputs, size), _cut(targets, size), strict=True):
                yield Batch(x, y)

    def _augmented(self, augmentation: Augmentation, part: Tensor, epoch: int, number: int) -> Batch:
        draw = torch_generator(self._seed, Stream.AUGMENT, epoch, number)
        inputs, targets = self._samples.take(part)
        if augmentation.needs_images:
            assert isinstance(inputs, Tensor)
            inputs, move = change_pixels(augmentation, inputs, draw)
            if move is not None and targets.ndim == 3:
                targets = move(targets, self._samples.ignored)
        batch = self._finished(inputs, targets)
        if not augmentation.noise_std:
            return batch
        return batch._replace(input=add_noise(batch.input, augmentation.noise_std, draw))

    def _finished(self, inputs: Tensor | list[Tensor], targets: Tensor) -> Batch:
        normalizer, padding = self._samples.normalizer, self._samples.padding
        if isinstance(inputs, Tensor):
            return Batch(inputs if normalizer is None else normalizer.apply(inputs, inputs.ndim - 1), targets)
        assert padding is not None
        return Batch(pad_inputs(inputs, padding), targets)
