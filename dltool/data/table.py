"""What a source reads, before it is split, encoded and batched. Without torch: ``lint`` reads with the same readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dltool.core.errors import DataError, Problem, closest

if TYPE_CHECKING:
    from dltool.data.image_files import ImageFiles

Array = NDArray[Any]
EXAMPLES = 3
"""How many bad rows, cells or files a message names before it only counts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """How much of a source is read at the most, where a look at its first rows will do.

    Text ends at whichever comes first, ``most_bytes`` counted in characters; arrays end at ``most_bytes`` of inputs.
    """

    most_rows: int = 4096
    most_bytes: int = 2**22


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
    from 0 without the header: what messages and ``exclude`` refer to. ``left_out`` counts the rows behind those that a
    ``Glance`` read, None where it is not known how many there are.
    """

    path: str
    inputs: Array | list[Array] | ImageFiles
    targets: Array | list[Array]
    rows: NDArray[np.int64]
    feature_names: tuple[str, ...] = ()
    target_name: str = "target"
    left_out: int | None = 0

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: NDArray[np.int64]) -> Table:
        """The samples at ``index``, in that order."""
        return Table(
            path=self.path,
            inputs=_take(self.inputs, index) if isinstance(self.inputs, np.ndarray | list) else self.inputs.take(index),
            targets=_take(self.targets, index),
            rows=self.rows[index],
            feature_names=self.feature_names,
            target_name=self.target_name,
            left_out=self.left_out,
        )


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
