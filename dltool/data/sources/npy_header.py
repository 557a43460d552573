"""Look at a .npy header before its data is loaded: a small file may promise an array that no memory holds."""

from __future__ import annotations

import math
from typing import IO

import numpy as np

from dltool.core.errors import DataError, Location, Problem


def check_header(stream: IO[bytes], available_bytes: int, path: str, member: str | None = None) -> None:
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
        shape, _, dtype = read(stream)
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
