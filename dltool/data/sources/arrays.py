"""Arrays saved by numpy: one .npz archive with inputs and targets, or two .npy files."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dltool.core.errors import DataError, Location, Problem, closest
from dltool.data.sources.npy_header import check_header
from dltool.data.table import Array, Table, existing_file

PAIRS = (("x", "y"), ("inputs", "targets"), ("input", "target"), ("data", "target"), ("images", "labels"))
"""Names under which inputs and targets are looked for, in this order."""


def read_npz(path: Path, *, inputs: str | None = None, targets: str | None = None) -> Table:
    """Read two arrays of an archive, by name; without names the usual pairs, or the only two arrays there are.

    Raises:
        DataError: not an archive, no such array, objects inside, sizes that do not match.
    """
    existing_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename.removesuffix(".npy") for info in archive.infolist() if info.filename.endswith(".npy")]
            x_name, y_name = _pick(str(path), names, inputs, targets)
            x, y = (_read_member(archive, str(path), name) for name in (x_name, y_name))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise DataError(Problem(message=f"not a readable npz archive: {error}", location=Location(file=str(path)))) from None
    return _table(str(path), x, y, (x_name, y_name))


def read_npy(inputs: Path, targets: Path) -> Table:
    """Read inputs and targets from two files.

    Raises:
        DataError: a file is missing, cut short or holds objects, or the two differ in length; both files' problems at once.
    """
    problems: list[Problem] = []
    arrays: list[Array] = []
    for path, key in ((inputs, "path"), (targets, "target")):
        try:
            with existing_file(path, key).open("rb") as stream:
                check_header(stream, path.stat().st_size, str(path))
                stream.seek(0)
                arrays.append(np.lib.format.read_array(stream, allow_pickle=False))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(*problems)
    return _table(str(inputs), arrays[0], arrays[1], ("inputs", "targets"))


def _pick(path: str, names: Sequence[str], inputs: str | None, targets: str | None) -> tuple[str, str]:
    problems = [
        Problem(
            message=f"{path} holds no array {name!r}; it holds {', '.join(names) or 'none'}",
            key=key,
            suggestion=closest(name, names),
        )
        for key, name in (("input", inputs), ("target", targets))
        if name is not None and name not in names
    ]
    if problems:
        raise DataError(*problems)
    if inputs is not None and targets is not None:
        return inputs, targets
    for x_name, y_name in PAIRS:
        found = inputs or x_name, targets or y_name
        if found[0] in names and found[1] in names and found[0] != found[1]:
            return found
    rest = [name for name in names if name not in (inputs, targets)]
    if len(names) == 2:
        return inputs or rest[0], targets or rest[-1]
    message = f"which arrays of {path} are the inputs and the targets? It holds {', '.join(names) or 'none'}"
    raise DataError(Problem(message=message, key="input", expected="`input:` and `target:` with two of these names"))


def _read_member(archive: zipfile.ZipFile, path: str, name: str) -> Array:
    info = archive.getinfo(name + ".npy")
    with archive.open(info) as stream:
        check_header(stream, info.file_size, path, name)
    with archive.open(info) as stream:
        try:
            array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        except (ValueError, zipfile.BadZipFile) as error:
            raise DataError(Problem(message=f"array {name!r} is corrupt: {error}", location=Location(file=path))) from None
    return array


def _table(path: str, inputs: Array, targets: Array, names: tuple[str, str]) -> Table:
    problems = []
    if inputs.dtype.kind == "U":
        problems.append(f"{names[0]!r} holds text, and a network takes numbers")
    if inputs.ndim == 0 or targets.ndim == 0:
        problems.append("a single number is no data set: the first axis counts the samples")
    elif len(inputs) != len(targets):
        problems.append(f"{names[0]!r} has {len(inputs)} samples {inputs.shape}, {names[1]!r} has {len(targets)}")
    elif len(inputs) == 0:
        problems.append(f"{names[0]!r} has no samples {inputs.shape}")
    elif inputs.size == 0 or targets.size == 0:
        empty = 0 if inputs.size == 0 else 1
        problems.append(f"{names[empty]!r} has samples without values {(inputs, targets)[empty].shape}")
    if problems:
        raise DataError(*(Problem(message=text, location=Location(file=path)) for text in problems))
    if inputs.ndim == 1:
        inputs = inputs[:, None]
    rows = np.arange(len(inputs), dtype=np.int64)
    return Table(path=path, inputs=inputs, targets=targets, rows=rows, target_name=names[1])
