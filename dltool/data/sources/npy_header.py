"""Look at a .npy header before its data is loaded: a small file may promise an array that no memory holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dltool.core.errors import DataError, Location, Problem


@dataclass(frozen=True, slots=True)
class Header:
    """What a header promises of its array."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[np.generic]

    @property
    def row_bytes(self) -> int:
        """Bytes of one entry along the first axis."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize


def check_header(stream: IO[bytes], available_bytes: int, path: str, member: str | None = None) -> Header:
    """Read the header at the stream's position and compare what it promises with the bytes that are there.

    Args:
        stream: positioned at the magic string.
        available_bytes: size of the whole .npy file or archive member, header included.
        path: the file, for messages.
        member: the array's name inside an .npz archive.

    Raises:
        DataError: not a .npy file, an object array (a pickle), a type that is no number, bool or text, or too few bytes.
    """
    name = f"array {member!r}" if member else "the array"
    location = Location(file=path)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(stream)
    except (ValueError, EOFError) as error:
        raise DataError(Problem(message=f"{name} is not in npy format: {error}", location=location)) from None
    if dtype.hasobject:
        problem = Problem(
            message=f"{name} holds Python objects (a pickle, which can run code), so it is not read",
            location=location,
            expected="an array of numbers; for sequences of unequal length use jsonl",
        )
        raise DataError(problem)
    if dtype.kind not in "biufU":
        problem = Problem(message=f"{name} has type {dtype}", location=location, expected="numbers or text")
        raise DataError(problem)
    promised = math.prod(shape) * dtype.itemsize
    present = available_bytes - stream.tell()
    if promised > present:
        raise DataError(
            Problem(
                message=f"{name} is cut short: its header promises {promised} bytes {shape}, the file holds {present}",
                location=location,
            )
        )
    return Header(tuple(shape), fortran_order, dtype)


def read_values(stream: IO[bytes], header: Header, rows: int | None) -> NDArray[Any]:
    """The array behind a header that was just read; only its first ``rows`` where the order of bytes allows it."""
    if rows is None or header.fortran_order or not header.shape or rows >= header.shape[0]:
        stream.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return array
    values = np.frombuffer(stream.read(rows * header.row_bytes), dtype=header.dtype)
    return values.reshape(rows, *header.shape[1:])
