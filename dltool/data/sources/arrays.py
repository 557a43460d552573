"""Arrays saved by numpy: one .npz archive with inputs and targets, or two .npy files."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dltool.core.errors import DataError, Location, Problem, closest
from dltool.data.sources.npy_header import Header, check_header, read_values
from dltool.data.table import Array, Glance, Table, existing_file

PAIRS = (("x", "y"), ("inputs", "targets"), ("input", "target"), ("data", "target"), ("images", "labels"))
"""Names under which inputs and targets are looked for, in this order."""


def read_npz(path: Path, *, inputs: str | None = None, targets: str | None = None, glance: Glance | None = None) -> Table:
    """Read two arrays of an archive, by name; without names the usual pairs, or the only two arrays there are.

    Raises:
        DataError: not an archive, no such array, objects inside, sizes that do not match.
    """
    existing_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename.removesuffix(".npy") for info in archive.infolist() if info.filename.endswith(".npy")]
            x_name, y_name = _pick(str(path), names, inputs, targets)
            headers = [_member_header(archive, str(path), name) for name in (x_name, y_name)]
            rows = _rows(headers[0], glance)
            x, y = (
                _read_member(archive, str(path), name, header, rows)
                for name, header in zip((x_name, y_name), headers, strict=True)
            )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise DataError(Problem(message=f"not a readable npz archive: {error}", location=Location(file=str(path)))) from None
    return _table(str(path), x, y, (x_name, y_name), headers)


def read_npy(inputs: Path, targets: Path, *, glance: Glance | None = None) -> Table:
    """Read inputs and targets from two files.

    Raises:
        DataError: a file is missing, cut short or holds objects, or the two differ in length; both files' problems at once.
    """
    problems: list[Problem] = []
    arrays: list[Array] = []
    headers: list[Header] = []
    for path, key in ((inputs, "path"), (targets, "target")):
        try:
            with existing_file(path, key).open("rb") as stream:
                headers.append(check_header(stream, path.stat().st_size, str(path)))
                arrays.append(read_values(stream, headers[-1], _rows(headers[0], glance)))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(*problems)
    return _table(str(inputs), arrays[0], arrays[1], ("inputs", "targets"), headers)


def _rows(inputs: Header, glance: Glance | None) -> int | None:
    """Samples that a glance reads; None for all."""
    return None if glance is None else max(1, glance.most_bytes // max(1, inputs.row_bytes))


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


def _member_header(archive: zipfile.ZipFile, path: str, name: str) -> Header:
    info = archive.getinfo(name + ".npy")
    with archive.open(info) as stream:
        return check_header(stream, info.file_size, path, name)


def _read_member(archive: zipfile.ZipFile, path: str, name: str, header: Header, rows: int | None) -> Array:
    with archive.open(name + ".npy") as stream:
        try:
            check_header(stream, archive.getinfo(name + ".npy").file_size, path, name)
            array = read_values(stream, header, rows)
        except (ValueError, zipfile.BadZipFile) as error:
            raise DataError(Problem(message=f"array {name!r} is corrupt: {error}", location=Location(file=path))) from None
    return array


def _table(path: str, inputs: Array, targets: Array, names: tuple[str, str], headers: Sequence[Header]) -> Table:
    problems = []
    if inputs.dtype.kind == "U":
        problems.append(f"{names[0]!r} holds text, and a network takes numbers")
    if inputs.ndim == 0 or targets.ndim == 0:
        problems.append("a single number is no data set: the first axis counts the samples")
    elif headers[0].shape[0] != headers[1].shape[0]:
        (samples, *_), (others, *_) = (header.shape for header in headers)
        problems.append(f"{names[0]!r} has {samples} samples {headers[0].shape}, {names[1]!r} has {others}")
    elif len(inputs) == 0:
        problems.append(f"{names[0]!r} has no samples {inputs.shape}")
    elif inputs.size == 0 or targets.size == 0:
        empty = 0 if inputs.size == 0 else 1
        problems.append(f"{names[empty]!r} has samples without values {(inputs, targets)[empty].shape}")
    if problems:
        raise DataError(*(Problem(message=text, location=Location(file=path)) for text in problems))
    if inputs.ndim == 1:
        inputs = inputs[:, None]
    read = min(len(inputs), len(targets))  # arrays in Fortran order are read as a whole
    return Table(
        path=path,
        inputs=inputs[:read],
        targets=targets[:read],
        rows=np.arange(read, dtype=np.int64),
        target_name=names[1],
        left_out=headers[0].shape[0] - read,
    )
