"""What a source reads, before it is split, encoded and batched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dltool.core.errors import DataError, Problem, closest
from dltool.core.measurements import DataFacts, TaskKind
from dltool.data.image_files import ImageFiles
from dltool.training.experiment import BatchSource

Array = NDArray[Any]
EXAMPLES = 3
"""How many bad rows, cells or files a message names before it only counts them."""


def to_float32(values: Array) -> Array:
    """As torch computes with them; numbers beyond 3.4e38 become Inf, which is then reported as such."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The samples of one source.

    ``inputs`` is an array (N, ...), a list of N arrays (T_i, ...) for sequences of unequal length, or image files that are
    decoded when asked for. ``targets`` likewise; class names are an array of ``str``, "" where the label is missing.
    ``rows`` (N,) are positions in the source, counted
    from 0 without the header: what messages and ``exclude`` refer to.
    """

    path: str
    inputs: Array | list[Array] | ImageFiles
    targets: Array | list[Array]
    rows: NDArray[np.int64]
    feature_names: tuple[str, ...] = ()
    target_name: str = "target"

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: NDArray[np.int64]) -> Table:
        """The samples at ``index``, in that order."""
        return Table(
            path=self.path,
            inputs=self.inputs.take(index) if isinstance(self.inputs, ImageFiles) else _take(self.inputs, index),
            targets=_take(self.targets, index),
            rows=self.rows[index],
            feature_names=self.feature_names,
            target_name=self.target_name,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Class numbers of one split, with the row of every sample in its source."""

    split: str
    rows: NDArray[np.int64]
    values: Tensor | list[Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataBundle:
    """Data that is ready to be trained on, and what is known of it.

    ``input_shape`` is one sample's (for sequences of unequal length with the longest); ``output_size`` the number of
    classes, or of target columns. ``target_*`` are statistics of the training targets as delivered, and a delivered target
    times ``target_scale`` plus ``target_shift`` is the original one. ``labels`` and ``valid_labels`` are what
    ``data.facts.with_outputs`` judges against a model's outputs.
    """

    train: BatchSource
    val: BatchSource | None
    facts: DataFacts
    task: TaskKind
    input_shape: tuple[int, ...]
    output_size: int | None
    class_counts: tuple[int, ...] | None = None
    class_names: tuple[str, ...] | None = None
    target_mean: float | None = None
    target_std: float | None = None
    target_min: float | None = None
    target_max: float | None = None
    target_shift: tuple[float, ...] | None = None
    target_scale: tuple[float, ...] | None = None
    integer_inputs: bool = False
    variable_length: bool = False
    labels: tuple[Labels, ...] = ()
    valid_labels: tuple[int, ...] | None = None
    ignored_label: int = -100
    assumptions: tuple[str, ...] = ()


def _take(values: Array | list[Array], index: NDArray[np.int64]) -> Array | list[Array]:
    return [values[i] for i in index.tolist()] if isinstance(values, list) else values[index]


def existing_file(path: Path, key: str = "path") -> Path:
    """``path``, once it is known to be a file with something in it; ``key`` is where the spec names it.

    Raises:
        DataError: it is missing, a folder, empty, or cannot be looked at.
    """
    try:
        if path.is_dir():
            raise DataError(Problem(message=f"{path} is a folder, not a file", key=key))
        size = path.stat().st_size
    except OSError as error:
        raise DataError(missing_path(path, key, error)) from None
    if size == 0:
        raise DataError(Problem(message=f"{path} is empty", key=key))
    return path


def missing_path(path: Path, key: str, error: OSError | None = None) -> Problem:
    """Why a path cannot be looked at, with the name in its folder that was likely meant."""
    if error is not None and not isinstance(error, FileNotFoundError | NotADirectoryError):
        return Problem(message=f"{path} cannot be read: {error.strerror}", key=key)
    if not path.parent.is_dir():
        return Problem(message=f"no such file: {path} (there is no folder {path.parent})", key=key)
    names = sorted(entry.name for entry in path.parent.iterdir())
    return Problem(message=f"no such file: {path}", key=key, suggestion=closest(path.name, names))


def examples(values: Sequence[object], count: int | None = None) -> str:
    """The first few of ``values`` and, where there are more, how many there are in all."""
    total = len(values) if count is None else count
    shown = ", ".join(str(value) for value in values[:EXAMPLES])
    return shown if total <= EXAMPLES else f"{shown}, ... ({total} in all)"
