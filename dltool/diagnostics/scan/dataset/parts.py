"""What a factory returned to a scan: datasets, loaders or batches, by name; and a model, where it gives one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from dltool.core.errors import Problem, TargetError, closest
from dltool.specs.factory import KEYS, call_code
from dltool.specs.factory_batches import DEFAULT_EPOCH_STEPS

DATA_KEYS = ("dataset", "val_dataset", "batches", "val_batches")
EXPECTED = (
    "a Dataset or IterableDataset, a DataLoader, or a mapping with `dataset` or `batches` (and `val_dataset`, "
    "`val_batches`, `model`, `loss`)"
)

Collate = Callable[[list[Any]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Samples of one split.

    Attributes:
        name: the key it was returned under.
        split: "train" or "val", None where there is only one part.
        source: where samples come from.
        form: "indexed" has ``__getitem__`` and a length, "streamed" is iterated, "batches" gives (input, target) of many.
        collate: what makes a batch of samples, where that is known.
        batch_size: samples in a batch, where that is known.
        workers: processes that share a streamed dataset, as its loader has them.
    """

    name: str
    split: Literal["train", "val"] | None
    source: Any
    form: Literal["indexed", "streamed", "batches"]
    collate: Collate | None = None
    batch_size: int | None = None
    workers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Everything that a factory gave."""

    parts: tuple[Part, ...]
    model: nn.Module | None = None
    given: Mapping[str, Any] = field(default_factory=dict)


def open_code(target: str, seed: int) -> Opened:
    """Call the factory and see what it returns.

    Raises:
        TargetError: code that raises, or a result that holds no data.
    """
    result = call_code(target, seed)
    if not isinstance(result, Mapping) or hasattr(result, "__getitems__"):
        if isinstance(result, nn.Module):
            raise _wrong(target, "a model and no data")
        return Opened(parts=(_part(target, "dataset", None, result, None),))
    known = dict.fromkeys((*DATA_KEYS, *KEYS))
    problems = [
        Problem(message=f"{target} returned an unknown key", value=repr(key), suggestion=closest(str(key), known))
        for key in result
        if key not in known
    ]
    given = {key: value for key, value in result.items() if value is not None}
    model = given.get("model")
    if model is not None and not isinstance(model, nn.Module):
        problems.append(
            Problem(message=f"{target} returned no model", value=type(model).__name__, expected="an nn.Module as `model`")
        )
    if problems:
        raise TargetError(*problems)
    keys = [key for key in DATA_KEYS if key in given]
    if not {"dataset", "batches"} & set(keys):
        raise _wrong(target, f"a mapping without data ({', '.join(map(str, given)) or 'empty'})")
    several = any(key.startswith("val_") for key in keys)
    parts = [_part(target, key, _split(key) if several else None, given[key], given.get("epoch_steps")) for key in keys]
    return Opened(parts=tuple(parts), model=model, given=given)


def _split(key: str) -> Literal["train", "val"]:
    return "val" if key.startswith("val_") else "train"


def _part(target: str, name: str, split: Literal["train", "val"] | None, source: Any, steps: int | None) -> Part:
    if isinstance(source, DataLoader):
        return _of_loader(name, split, source)
    in_batches = name.endswith("batches")
    if isinstance(source, Tensor | np.ndarray | str | bytes | tuple | Mapping | type) or source is None:
        raise _wrong(target, f"{type(source).__name__} as `{name}`" if source is not None else "nothing")
    if in_batches:
        if not hasattr(source, "__iter__") and not hasattr(source, "__getitem__") and callable(source):
            count = steps or DEFAULT_EPOCH_STEPS
            make = source
            return Part(name=name, split=split, source=_Made(lambda: make(count)), form="batches")
        if hasattr(source, "__iter__") or hasattr(source, "__getitem__"):
            return Part(name=name, split=split, source=source, form="batches")
        raise _wrong(target, f"{type(source).__name__} as `{name}`")
    if isinstance(source, IterableDataset):
        return Part(name=name, split=split, source=source, form="streamed")
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return Part(name=name, split=split, source=source, form="indexed")
    if hasattr(source, "__iter__"):
        return Part(name=name, split=split, source=source, form="streamed")
    raise _wrong(target, f"{type(source).__name__}, which has neither `__getitem__` with `__len__` nor `__iter__`")


class _Made:
    """Batches that a callable makes when they are asked for."""

    def __init__(self, make: Callable[[], Iterable[Any]]) -> None:
        self._make = make

    def __iter__(self) -> Any:
        return iter(self._make())


def _of_loader(name: str, split: Literal["train", "val"] | None, loader: DataLoader[Any]) -> Part:
    """The loader's dataset, sample by sample; its batches where samples are made nowhere else."""
    size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None)
    if size is None:  # the dataset gives batches itself
        return Part(name=name, split=split, source=loader, form="batches")
    streamed = isinstance(loader.dataset, IterableDataset)
    return Part(
        name=name,
        split=split,
        source=loader.dataset,
        form="streamed" if streamed else "indexed",
        collate=loader.collate_fn,
        batch_size=size,
        workers=loader.num_workers if streamed else 0,
    )


def _wrong(target: str, found: str) -> TargetError:
    return TargetError(Problem(message=f"{target} returned nothing that can be scanned", value=found, expected=EXPECTED))
