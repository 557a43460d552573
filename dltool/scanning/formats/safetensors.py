"""safetensors files: the header by the letter of the format, then every value.

Format: https://huggingface.co/docs/safetensors (8 bytes of header length, JSON, one buffer without holes or overlaps).
"""

from __future__ import annotations

import json
import math
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dltool.core.finding import Severity
from dltool.scanning.flaws import corrupt
from dltool.scanning.record import ColumnFacts, Flaw, Inspection, TableFacts, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source

LENGTH_BYTES = 8
MOST_HEADER_BYTES = 100_000_000
"""The reference reader refuses more."""
MOST_COLUMNS = 4096
BLOCK_BYTES = 1 << 22
BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
        "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
        "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}  # fmt: skip
NUMPY = {"BOOL": "u1", "U8": "u1", "I8": "i1", "I16": "<i2", "U16": "<u2", "F16": "<f2", "BF16": "<u2", "I32": "<i4",
         "U32": "<u4", "F32": "<f4", "I64": "<i8", "U64": "<u8", "F64": "<f8", "C64": "<f4"}  # fmt: skip


class BadHeaderError(ValueError):
    """The header breaks the format."""


def inspect_safetensors(source: Source, settings: InspectSettings) -> Inspection:
    """Check the header against the file and look at every value of every tensor.

    Raises OSError.
    """
    with source.open() as stream:
        try:
            tensors, start = read_tensors(stream, source.size_bytes)
        except BadHeaderError as error:
            kind = "truncated" if "cut off" in str(error) else "bad-header"
            return _found(source, [corrupt(kind, str(error), offset_bytes=0)])
        if settings.tier is Tier.QUICK:
            return _found(source, [])
        flaws: list[Flaw] = []
        columns = [_values(stream, start, name, entry, flaws) for name, entry in tensors]
    table = TableFacts(rows=len(tensors), columns=tuple(columns[:MOST_COLUMNS]))
    return Inspection(format="safetensors", size_bytes=source.size_bytes, flaws=tuple(flaws), table=table)


def read_tensors(stream: IO[bytes], size_bytes: int) -> tuple[list[tuple[str, dict[str, Any]]], int]:
    """Tensors in the order of their bytes, and where the buffer begins. Raises BadHeaderError."""
    length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
    if size_bytes < LENGTH_BYTES or length > MOST_HEADER_BYTES:
        raise BadHeaderError(f"the header claims {length} bytes")
    if length > size_bytes - LENGTH_BYTES:
        raise BadHeaderError(f"is cut off: the header claims {length} bytes of a file of {size_bytes}")
    try:
        header = json.loads(stream.read(length), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise BadHeaderError(f"the header is no JSON object: {str(error)[:200]}") from None
    if not isinstance(header, dict):
        raise BadHeaderError("the header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise BadHeaderError("__metadata__ must map text to text")
    for name, entry in header.items():
        _check_entry(name, entry)
    tensors = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    end = 0
    for name, entry in tensors:
        begin, stop = entry["data_offsets"]
        if begin != end:
            what = "overlaps the one before" if begin < end else f"leaves a hole of {begin - end} bytes before it"
            raise BadHeaderError(f"the tensor {name!r} {what}")
        end = stop
    start = LENGTH_BYTES + length
    if start + end > size_bytes:
        raise BadHeaderError(f"is cut off: the tensors take {end} bytes, {size_bytes - start} are there")
    if start + end < size_bytes:
        raise BadHeaderError(f"{size_bytes - start - end} bytes belong to no tensor")
    return tensors, start


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _check_entry(name: str, entry: Any) -> None:
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise BadHeaderError(f"the tensor {name!r} lacks dtype, shape or data_offsets")
    shape, offsets, kind = entry["shape"], entry["data_offsets"], entry["dtype"]
    if not all(isinstance(numbers, list) and all(_is_natural(n) for n in numbers) for numbers in (shape, offsets)):
        raise BadHeaderError(f"shape or data_offsets of the tensor {name!r} are no lists of natural numbers")
    if len(offsets) != 2 or offsets[1] < offsets[0]:
        raise BadHeaderError(f"data_offsets of the tensor {name!r} are {offsets}")
    if kind not in BITS:
        raise BadHeaderError(f"the tensor {name!r} has the unknown dtype {kind!r}")
    size_bytes = -(-math.prod(shape) * BITS[kind] // 8)
    if size_bytes != offsets[1] - offsets[0]:
        raise BadHeaderError(f"the tensor {name!r} of {kind} {shape} takes {size_bytes} bytes, its offsets {offsets}")


def _is_natural(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _values(stream: IO[bytes], start: int, name: str, entry: dict[str, Any], flaws: list[Flaw]) -> ColumnFacts:
    begin, stop = entry["data_offsets"]
    kind = entry["dtype"]
    count = math.prod(entry["shape"])
    if kind not in NUMPY or not count:
        return ColumnFacts(name=name, dtype=kind, rows=count)
    stream.seek(start + begin)
    left, low, high = stop - begin, math.inf, -math.inf
    counts = np.zeros(3, np.int64)
    while left > 0 and (data := stream.read(min(left, BLOCK_BYTES))):
        left -= len(data)
        values = _decoded(data, kind)
        finite = values
        if values.dtype.kind == "f":
            with np.errstate(all="ignore"):
                if not np.isfinite(values).all():
                    counts += (np.isnan(values).sum(), np.isposinf(values).sum(), np.isneginf(values).sum())
                    finite = values[np.isfinite(values)]
        if len(finite):
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    nan, positive, negative = counts.tolist()
    if nan + positive + negative:
        told = ", ".join(f"{n} {word}" for n, word in ((nan, "NaN"), (positive, "Inf"), (negative, "-Inf")) if n)
        detail = f"the tensor {name!r} holds {told} among {count} values"
        flaws.append(
            Flaw(rule="non-finite-value", kind="nan" if nan else "inf", severity=Severity.ERROR, detail=detail,
                 column=name, count=nan + positive + negative)
        )  # fmt: skip
    return ColumnFacts(
        name=name,
        dtype=kind,
        rows=count,
        nan=nan,
        positive_inf=positive,
        negative_inf=negative,
        minimum=low if low <= high else None,
        maximum=high if low <= high else None,
    )


def _decoded(data: bytes, kind: str) -> NDArray[Any]:
    values = np.frombuffer(data, NUMPY[kind])
    if kind == "BF16":
        return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values


def _found(source: Source, flaws: list[Flaw]) -> Inspection:
    return Inspection(format="safetensors", size_bytes=source.size_bytes, flaws=tuple(flaws))
