"""The samples of a batch: which dimension of each tensor is theirs, and batches with some of them exchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from dltool.probes.nested import tensors, transform
from dltool.training.experiment import Batch, Nested


class Axis(NamedTuple):
    """Where the samples are in one tensor: seen with shape ``view``, they are dimension ``dim``."""

    dim: int
    view: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """How ``samples`` lie in a batch.

    ``axes`` has one entry for each tensor of input and target, in order; None for a tensor that is not one row a sample, and
    is carried along. ``listed``: the batch is a list of samples (images of different sizes) instead, and its target is a
    list, or a tensor of as many rows. ``ambiguous``: by the sizes the second dimension could be that of the samples as well.
    """

    samples: int
    axes: tuple[Axis | None, ...]
    listed: bool = False
    ambiguous: bool = False


def layout(batch: Batch, *, sequence_first: bool = False) -> Layout | None:
    """Which dimension is that of the samples, by what the sizes of inputs and targets agree on; None where nothing fits.

    Most tensors decide; among equals the first dimension counts more than the second, and a target that was flattened, of a
    multiple of the samples, least. With ``sequence_first`` the second dimension is taken where both are as good.
    """
    given = list(tensors(tuple(batch)))
    if not given or _has_packed(batch) or any(t.layout not in {torch.strided, torch.sparse_coo} for t in given):
        return None
    sized = [tensor for tensor in given if tensor.ndim]
    sizes = dict.fromkeys(size for dim in (0, 1) for t in sized if t.ndim > dim and (size := t.shape[dim]))
    votes = {size: _votes(sized, size) for size in sizes}
    best = max(votes, key=lambda size: votes[size], default=None)
    if best is None or votes[best][0] < len(sized):
        listed = _listed(batch)
        if listed is not None:
            return listed
    if best is None:
        return None
    second = next(
        (size for size in sizes if size != best and votes[size][0] == votes[best][0] and _is_second(sized, size)), None
    )
    square = all(tensor.ndim > 1 and tensor.shape[1] == best for tensor in sized)
    if sequence_first and (second is not None or square):
        best = best if second is None else second
        return Layout(best, tuple(_axis(tensor, best, first=1) for tensor in given))
    axes = [_axis(tensor, best, first=0) for tensor in given]
    inner = next((axis.dim for axis in axes if axis is not None), 0)
    for place in range(sum(1 for _ in tensors(batch.input)), len(given)):
        axes[place] = axes[place] or _flattened(given[place], best, inner)
    return Layout(best, tuple(axes), ambiguous=second is not None or square)


def exchanged(batch: Batch, of: Layout, index: Sequence[int], donor: tuple[Batch, Layout] | None = None) -> Batch:
    """A batch with sample ``index[i]`` of ``batch`` at place i, inputs and targets alike.

    Indices from ``of.samples`` on are the samples of ``donor``. A batch that uses one tensor twice (an autoencoder's) gets
    one that is used twice. Nothing is shared with ``batch``.
    """
    if of.listed:
        return _exchanged_list(batch, index, None if donor is None else donor[0])
    own = list(tensors(tuple(batch)))
    lent: Sequence[Tensor | None] = [None] * len(own) if donor is None else list(tensors(tuple(donor[0])))
    lent_axes: Sequence[Axis | None] = [None] * len(own) if donor is None else donor[1].axes
    made: dict[int, Tensor] = {}
    for tensor, axis, other, other_axis in zip(own, of.axes, lent, lent_axes, strict=True):
        if id(tensor) not in made:
            made[id(tensor)] = _picked(tensor, axis, index, other, other_axis)
    return Batch(*transform(tuple(batch), lambda tensor: made[id(tensor)]))


def alike(batch: Batch, of: Layout, other: Batch) -> Layout | None:
    """The layout of another batch that is made like this one, whatever its sizes suggest; None where it is not.

    Made alike is: the same nesting, dtypes and shape of a sample, so that samples of one fit into the other.
    """
    if of.listed:
        return _listed(other)
    own, others = list(tensors(tuple(batch))), list(tensors(tuple(other)))
    if [(t.dtype, t.ndim) for t in own] != [(t.dtype, t.ndim) for t in others]:
        return None
    axes = [None if axis is None else _axis_alike(axis, tensor) for axis, tensor in zip(of.axes, others, strict=True)]
    samples = {axis.view[axis.dim] for axis in axes if axis is not None}
    same = all(_sample_shape(x) == _sample_shape(y) for x, y in zip(of.axes, axes, strict=True))
    return Layout(samples.pop(), tuple(axes)) if same and len(samples) == 1 else None


def rows_where(batch: Batch, of: Layout, test: Callable[[Tensor], Tensor], part: int | None = None) -> tuple[int, ...]:
    """Samples with a value for which ``test`` holds; ``part`` 0 looks at the input alone, 1 at the target."""
    if of.listed:
        looked = batch if part is None else (batch[part],)
        return tuple(i for i in range(of.samples) if any(bool(test(t).any()) for v in looked for t in tensors(v[i])))
    found: set[int] = set()
    inputs = sum(1 for _ in tensors(batch.input))
    for place, (tensor, axis) in enumerate(zip(tensors(tuple(batch)), of.axes, strict=True)):
        is_target = int(place >= inputs)
        if axis is None or part not in {None, is_target} or tensor.layout is not torch.strided:
            continue
        hit = test(tensor).reshape(axis.view).movedim(axis.dim, 0).reshape(of.samples, -1).any(1)
        found.update(hit.nonzero().flatten().tolist())
    return tuple(sorted(found))


def same_rows(batch: Batch, of: Layout, known: Batch, knowns: Layout, rows: Sequence[int]) -> frozenset[int]:
    """Samples of ``batch`` whose input is one of the samples ``rows`` of another batch, value for value."""
    found: set[int] = set()
    for row in rows:
        wanted = list(tensors(exchanged(known, knowns, [row]).input))
        found |= {i for i in range(of.samples) if _equal(list(tensors(exchanged(batch, of, [i]).input)), wanted)}
    return frozenset(found)


def _equal(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """NaN equals NaN here."""
    return len(some) == len(others) and all(
        a.shape == b.shape and a.dtype == b.dtype and bool(torch.isclose(a, b, rtol=0, atol=0, equal_nan=True).all())
        for a, b in zip(some, others, strict=True)
    )


def _votes(sized: Sequence[Tensor], size: int) -> tuple[int, int]:
    first = sum(tensor.shape[0] == size for tensor in sized)
    second = sum(tensor.shape[0] != size and tensor.ndim > 1 and tensor.shape[1] == size for tensor in sized)
    multiples = sum(size > 1 and tensor.shape[0] > size and tensor.shape[0] % size == 0 for tensor in sized)
    return first + second, 10 * (2 * first + second) + multiples


def _is_second(sized: Sequence[Tensor], size: int) -> bool:
    return all(tensor.ndim > 1 and tensor.shape[1] == size for tensor in sized)


def _axis(tensor: Tensor, samples: int, *, first: int) -> Axis | None:
    for dim in (first, 1 - first):
        if tensor.ndim > dim and tensor.shape[dim] == samples:
            return Axis(dim, tuple(tensor.shape))
    return None


def _flattened(tensor: Tensor, samples: int, dim: int) -> Axis | None:
    """Targets of a sequence that were flattened: (samples · length,), or (length · samples,) where the input is so."""
    if samples < 2 or tensor.ndim != 1 or tensor.shape[0] % samples or tensor.layout is not torch.strided:
        return None
    length = tensor.shape[0] // samples
    return Axis(dim, (length, samples) if dim else (samples, length))


def _sample_shape(axis: Axis | None) -> tuple[int, tuple[int, ...]] | None:
    return None if axis is None else (axis.dim, axis.view[: axis.dim] + axis.view[axis.dim + 1 :])


def _axis_alike(axis: Axis, tensor: Tensor) -> Axis | None:
    if tensor.ndim == len(axis.view):
        return Axis(axis.dim, tuple(tensor.shape))
    length = axis.view[1 - axis.dim]
    samples, rest = divmod(tensor.shape[0], length)
    if rest:
        return None
    return Axis(axis.dim, (length, samples) if axis.dim else (samples, length))


def _picked(tensor: Tensor, axis: Axis | None, index: Sequence[int], lent: Tensor | None, lent_axis: Axis | None) -> Tensor:
    if axis is None:
        return tensor.detach().clone()
    values = _viewed(tensor, axis)
    if lent is not None and lent_axis is not None:
        values = torch.cat([values, _viewed(lent, lent_axis)], axis.dim)
    picked = values.index_select(axis.dim, torch.tensor(index, device=values.device))
    return picked if picked.ndim == tensor.ndim else picked.reshape(-1)


def _viewed(tensor: Tensor, axis: Axis) -> Tensor:
    return tensor.detach() if tensor.ndim == len(axis.view) else tensor.detach().reshape(axis.view)


def _has_packed(value: Nested) -> bool:
    if isinstance(value, PackedSequence):
        return True
    items: Iterator[Nested] | Sequence[Nested] = ()
    if isinstance(value, Mapping):
        items = list(value.values())
    elif isinstance(value, tuple | list):
        items = value
    return any(_has_packed(item) for item in items)


def _listed(batch: Batch) -> Layout | None:
    """Samples of different sizes come as a list of them (detection: images, and a dict of boxes for each)."""
    given, target = batch
    if not isinstance(given, list | tuple) or hasattr(given, "_fields") or not given:
        return None
    if isinstance(target, Tensor):
        fits = target.ndim > 0 and len(target) == len(given)
    else:
        fits = isinstance(target, list | tuple) and not hasattr(target, "_fields") and len(target) == len(given)
    return Layout(len(given), (), listed=True) if fits else None


def _exchanged_list(batch: Batch, index: Sequence[int], donor: Batch | None) -> Batch:
    made: list[Nested] = []
    for place, part in enumerate(batch):
        items = list(part) + ([] if donor is None else list(donor[place]))
        picked = [transform(items[i], lambda tensor: tensor.detach().clone()) for i in index]
        made.append(torch.stack(picked) if isinstance(part, Tensor) else type(part)(picked))
    return Batch(*made)
