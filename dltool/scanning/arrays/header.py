"""The header of a .npy file, read without trust: it is compared with the bytes that are there before anything is loaded."""

from __future__ import annotations

import math
import struct
import tokenize
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from dltool.scanning.flaws import corrupt, unsafe
from dltool.scanning.record import Flaw


@dataclass(frozen=True, slots=True)
class Layout:
    """An array in a file: ``size_bytes`` of values from ``offset_bytes`` on. ``rows`` is the length of the first axis."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    offset_bytes: int

    @property
    def size_bytes(self) -> int:
        """Bytes that the values take."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def rows(self) -> int:
        """Samples: the length of the first axis; 1 for a scalar."""
        return self.shape[0] if self.shape else 1


@dataclass(frozen=True, slots=True)
class Header:
    """``layout`` is None where the array must not, or cannot, be read."""

    layout: Layout | None
    flaws: tuple[Flaw, ...] = ()


def read_header(stream: IO[bytes], size_bytes: int, what: str) -> Header:
    """Read the header at the stream's beginning; ``size_bytes`` of header and values should be there.

    Raises OSError.
    """
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        if version > (3, 0):
            return _refused(f"{what} has the unknown npy version {version[0]}.{version[1]}")
        shape, is_fortran, dtype = read(stream)
    except (ValueError, EOFError, struct.error, SyntaxError, TypeError, RecursionError, tokenize.TokenError) as error:
        return _refused(f"the header of {what} cannot be read: {str(error)[:200]}")
    if dtype.hasobject:
        detail = f"{what} holds Python objects (a pickle, which can run code), so it is not loaded"
        return Header(None, (unsafe("pickle", detail),))
    if any(length < 0 for length in shape):
        return _refused(f"{what} has the shape {shape}")
    layout = Layout(tuple(int(length) for length in shape), dtype, bool(is_fortran), stream.tell())
    present = size_bytes - layout.offset_bytes
    if layout.size_bytes > present:
        detail = f"{what} is cut off: shape {layout.shape} of {dtype} takes {layout.size_bytes} bytes, {present} are there"
        return Header(layout, (corrupt("truncated", detail, offset_bytes=size_bytes),))
    return Header(layout)


def _refused(detail: str) -> Header:
    return Header(None, (corrupt("bad-header", detail, offset_bytes=0),))
