"""Batches from a factory: any iterable of (input, target) as a ``BatchSource`` whose order (seed, epoch) alone decides."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dltool.core.errors import Problem, TargetError, UserError
from dltool.probes.nested import batch_size, take, tensors
from dltool.training import rng
from dltool.training.experiment import Batch
from dltool.training.failure import explain

CPU = torch.device("cpu")
MOST_BUFFERED = 10_000
"""Batches after which an iterator that nobody bounds is taken to be endless."""
DEFAULT_EPOCH_STEPS = 100
"""Batches asked of a callable in an epoch where ``epoch_steps`` does not say."""
FIXED_PASS = 2**31 - 1
"""The pass that ``fixed`` reads: one that training never gets to."""

END = object()

Make = Callable[[], Iterable[Any]]


class FactoryBatches:
    """Batches that are made anew for every pass, each pass under a random state of its own; or a list of them.

    While a batch is being made, torch's, Python's and numpy's global generators hold that state, and afterwards what they
    held before: a loader that shuffles with them gives the same order in the same epoch, whatever else was drawn.
    """

    def __init__(self, make: Make | Sequence[Any], *, name: str, seed: int, epoch_steps: int | None) -> None:
        self._stored = None if callable(make) else make
        self.generators: tuple[torch.Generator, ...] = ()
        """Generators that the user's loader draws its order from, instead of from the global ones."""
        self._make = make if callable(make) else lambda: iter(())
        self._name = name
        self._seed = seed
        self._kept: dict[int | None, list[Batch]] = {}
        self._whole = False
        first = next(self._pass(FIXED_PASS), None)
        if first is None:
            raise TargetError(f"`{name}` gives no batch")
        self._batch_size = batch_size(first.input)
        self._samples: int | None = None
        self._length = epoch_steps or self._count()

    @property
    def samples(self) -> int | None:
        """Samples in an epoch, where all batches were counted."""
        return self._samples

    @property
    def batch_size(self) -> int | None:
        """Samples in the first batch."""
        return self._batch_size

    def __len__(self) -> int:
        return self._length

    def deliver_whole(self) -> None:
        """From now on ``fixed`` cuts no batch: for a model that takes batches of its own size alone."""
        self._whole = True
        self._kept.clear()

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``index`` from batch ``start``; a source shorter than ``epoch_steps`` is read again."""
        yield from itertools.islice(self._endless(index), start, self._length)

    def fixed(self, limit: int | None = None, batch_size: int | None = None) -> Iterator[Batch]:
        """At most ``limit`` samples, in whole batches drawn over one pass but for the last; the same at every call.

        What the loader augments it augments here too, in the same way every time. ``batch_size`` splits larger batches.
        After ``deliver_whole`` nothing is split, and the last batch may go beyond ``limit``.
        """
        for batch in self._fixed(limit):
            samples = _samples(batch)
            size = min(batch_size or samples, samples) if not self._whole and can_be_cut(batch) else samples
            for begin in range(0, samples, size):
                rows = torch.arange(begin, min(begin + size, samples))
                yield rows_of(batch, rows)

    def _fixed(self, limit: int | None) -> Iterable[Batch]:
        if limit is None:
            return self._one_epoch()
        if limit not in self._kept:
            wanted = max(-(-limit // max(self._batch_size or 1, 1)), 1)
            drawn = _sample(self._one_epoch(), wanted, self._seed)
            self._kept[limit] = drawn if self._whole else list(_at_most(drawn, limit))
        return self._kept[limit]

    def _one_epoch(self) -> Iterator[Batch]:
        return itertools.islice(self._pass(FIXED_PASS), self._length)

    def _endless(self, index: int) -> Iterator[Batch]:
        again = 0
        while True:
            seen = False
            for batch in self._pass(index, again):
                seen = True
                yield batch
            if not seen:
                raise TargetError(f"`{self._name}` gave batches at first and none in epoch {index}")
            again += 1

    def _pass(self, *position: int) -> Iterator[Batch]:
        if self._stored is not None:
            for item in self._stored:
                yield as_batch(item, self._name)
            return
        words = np.random.SeedSequence([self._seed, *position]).generate_state(1, np.uint32)
        with rng.seeded(int(words[0]), CPU):
            iterator = self._guarded(lambda: iter(self._make()))
            state = rng.capture(CPU)
        while True:
            with rng.randomness_kept(CPU):
                rng.restore(state, CPU)
                item = self._guarded(lambda: next(iterator, END))
                state = rng.capture(CPU)
            if item is END:
                return
            yield as_batch(item, self._name)

    def _guarded(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except UserError:
            raise
        except Exception as error:
            raise explain(error, f"reading `{self._name}`") from error

    def _count(self) -> int:
        batches = samples = 0
        for batch in self._pass(FIXED_PASS):
            batches += 1
            samples += _samples(batch)
            if batches > MOST_BUFFERED:
                raise endless(self._name)
        self._samples = samples
        return batches


def as_batch(item: Any, name: str) -> Batch:
    """The pair as a batch of tensors.

    Raises:
        TargetError: it is no pair, or holds no tensors.
    """
    if not isinstance(item, tuple | list) or len(item) != 2:
        found = f"{type(item).__name__} of {len(item)}" if isinstance(item, tuple | list | dict) else type(item).__name__
        raise TargetError(Problem(message=f"a batch of `{name}` is no pair", value=found, expected="(input, target)"))
    for part, what in zip(item, ("input", "target"), strict=True):
        if next(tensors(part), None) is None:
            raise TargetError(
                Problem(
                    message=f"the {what} of a batch of `{name}` holds no tensor",
                    value=type(part).__name__,
                    expected="a tensor, or nested tuples and dicts of tensors",
                )
            )
    if batch_size(item[0]) == 0:
        raise TargetError(Problem(message=f"a batch of `{name}` holds no sample", expected="at least one"))
    return Batch(item[0], item[1])


def endless(name: str) -> TargetError:
    """An iterable whose end was not reached."""
    return TargetError(
        Problem(
            message=f"`{name}` gave {MOST_BUFFERED} batches and goes on",
            expected="`epoch_steps` in what the factory returns: the batches that make an epoch"
            if name == "batches"
            else "an iterable that ends",
        )
    )


def open_batches(given: Any, *, name: str, seed: int, epoch_steps: int | None) -> FactoryBatches:
    """The source for what a factory gave: an iterable, a one-shot iterator (read into memory), or a callable.

    Raises:
        TargetError: it is neither, or gives no usable batch.
    """
    if isinstance(given, Tensor | str | bytes | dict):
        raise _no_batches(given, name)
    if isinstance(given, Iterator):
        kept = _buffer(given, name, epoch_steps)
        return FactoryBatches(kept, name=name, seed=seed, epoch_steps=None)
    if isinstance(given, list | tuple):
        return FactoryBatches(given, name=name, seed=seed, epoch_steps=epoch_steps)
    if isinstance(given, Iterable) or hasattr(given, "__getitem__"):
        source = FactoryBatches(lambda: given, name=name, seed=seed, epoch_steps=epoch_steps)
        source.generators = _generators_of(given)
        return source
    if callable(given):
        steps = epoch_steps or DEFAULT_EPOCH_STEPS
        return FactoryBatches(lambda: given(steps), name=name, seed=seed, epoch_steps=steps)
    raise _no_batches(given, name)


def _generators_of(loader: Any) -> tuple[torch.Generator, ...]:
    """Of a DataLoader and its samplers."""
    sampler, batch_sampler = getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)
    holders = (loader, sampler, batch_sampler, getattr(batch_sampler, "sampler", None))
    found = (getattr(holder, "generator", None) for holder in holders)
    return tuple({id(each): each for each in found if isinstance(each, torch.Generator)}.values())


def _no_batches(given: Any, name: str) -> TargetError:
    return TargetError(
        Problem(
            message=f"`{name}` cannot be read",
            value=type(given).__name__,
            expected="an iterable of (input, target), or a callable that takes a number of batches and returns one",
        )
    )


def _buffer(given: Iterator[Any], name: str, epoch_steps: int | None) -> list[Any]:
    try:
        kept = list(itertools.islice(given, epoch_steps or MOST_BUFFERED + 1))
    except UserError:
        raise
    except Exception as error:
        raise explain(error, f"reading `{name}`") from error
    if epoch_steps is None and len(kept) > MOST_BUFFERED:
        raise endless(name)
    if epoch_steps is not None and 0 < len(kept) < epoch_steps:
        raise TargetError(
            Problem(
                message=f"`{name}` is an iterator that ended early",
                value=f"{len(kept)} batches",
                expected=f"the {epoch_steps} of `epoch_steps`, or an iterable that can be read again",
            )
        )
    return kept


def _samples(batch: Batch) -> int:
    return batch_size(batch.input) or 1


def _sample(batches: Iterable[Batch], wanted: int, seed: int) -> list[Batch]:
    """``wanted`` of the batches, drawn without replacement (Vitter 1985, algorithm R), in their own order."""
    generator = np.random.default_rng(seed)
    kept: list[tuple[int, Batch]] = []
    for place, batch in enumerate(batches):
        if len(kept) < wanted:
            kept.append((place, batch))
        elif (slot := int(generator.integers(place + 1))) < wanted:
            kept[slot] = (place, batch)
    return [batch for _, batch in sorted(kept, key=lambda one: one[0])]


def _at_most(batches: Iterable[Batch], limit: int) -> Iterator[Batch]:
    left = limit
    for batch in batches:
        rows = torch.arange(min(left, _samples(batch)))
        if len(rows) == 0:
            return
        yield rows_of(batch, rows)
        left -= len(rows)


def can_be_cut(batch: Batch) -> bool:
    """Whether all of it begins with the samples, as the edges of a graph, sequence-first inputs and lengths do not."""
    return all(len(tensor) == _samples(batch) for part in batch for tensor in tensors(part) if tensor.ndim)


def rows_of(batch: Batch, rows: torch.Tensor) -> Batch:
    """Some samples of a batch; all of it where it cannot be cut."""
    if len(rows) == _samples(batch) or not can_be_cut(batch):
        return batch
    return Batch(take(batch.input, rows), take(batch.target, rows))
