"""Inspections as one line of JSON each: what workers send, what the ledger keeps, what the report of a shard carries.

JSON, because a line may come from a process that a hostile file has taken over, or from another machine: reading it runs
nothing. Positional, because it is read and written millions of times.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable
from operator import attrgetter
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from dltool.core.finding import Severity
from dltool.scanning.record import Inspection

_to_text = json.JSONEncoder(ensure_ascii=True, check_circular=False, separators=(",", ":")).encode
_from_text = json.JSONDecoder().raw_decode  # ``decode`` looks for spaces first and last, which takes as long again

Convert = Callable[[Any], Any]


def write_inspection(found: Inspection) -> str:
    """One line, ASCII, without its end."""
    return _to_text(_write(found))


def read_inspection(line: str) -> Inspection:
    """What ``write_inspection`` wrote.

    Raises:
        ValueError: the line is something else.
    """
    try:
        values, end = _from_text(line)
        inspection: Inspection = _read(values)
    except (TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"is no inspection: {error}") from error
    if end != len(line):
        raise ValueError(f"is no inspection: {len(line) - end} characters follow it")
    return inspection


def _same(value: Any) -> Any:
    return value


def _write_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii") if value else ""


def _read_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True) if text else b""


def _converters(kind: Any) -> tuple[Convert, Convert]:
    """How to write and to read a value of the type ``kind``; ``_same`` where JSON does it."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        write, read = _converters(next(part for part in parts if part is not type(None)))
        if write is _same and read is _same:
            return _same, _same
        return (lambda v: None if v is None else write(v)), (lambda v: None if v is None else read(v))
    if origin is tuple:
        return _tuple_converters(parts)
    if kind is bytes:
        return _write_bytes, _read_bytes
    if kind is Severity:
        return _same, Severity  # a StrEnum is written as its text
    if dataclasses.is_dataclass(kind):
        return _record_converters(kind)  # type: ignore[arg-type]  # is_dataclass also takes instances
    return _same, _same


def _tuple_converters(parts: tuple[Any, ...]) -> tuple[Convert, Convert]:
    if parts[-1] is not Ellipsis:
        each = [_converters(part) for part in parts]
        return _same, lambda values: tuple(read(v) for (_, read), v in zip(each, values, strict=True))
    write, read = _converters(parts[0])
    if read is _same:
        return _same, tuple
    return (lambda values: [write(v) for v in values] if values else ()), (lambda values: tuple(map(read, values)))


def _record_converters(kind: type[Any]) -> tuple[Convert, Convert]:
    hints = get_type_hints(kind)
    names = tuple(field.name for field in dataclasses.fields(kind))
    special = [(at, *_converters(hints[name])) for at, name in enumerate(names)]
    writers = [(at, write) for at, write, _ in special if write is not _same]
    readers = [(at, read) for at, _, read in special if read is not _same]
    fields_of: Callable[[Any], tuple[Any, ...]] = attrgetter(*names)

    def write(record: Any) -> Any:
        if not writers:
            return fields_of(record)
        values = list(fields_of(record))
        for at, convert in writers:
            values[at] = convert(values[at])
        return values

    setters = [getattr(kind, name).__set__ for name in names]
    make: Any = kind.__new__

    def read(values: Any) -> Any:
        for at, convert in readers:
            if values[at] is not None:
                values[at] = convert(values[at])
        record = make(kind)  # a frozen record's own __init__ takes twice as long
        for put, value in zip(setters, values, strict=True):
            put(record, value)
        return record

    return write, read


_write, _read = _converters(Inspection)


def _layout(kind: Any) -> str:
    """The fields of a record and of the records in it, as text that changes when they do."""
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return f"{getattr(kind, '__name__', '')}({','.join(f'{name}:{_layout(hint)}' for name, hint in hints.items())})"
    parts = get_args(kind)
    return f"[{','.join(_layout(part) for part in parts)}]" if parts else str(kind)


LAYOUT = hashlib.blake2b(f"{_layout(Inspection)} {sys.byteorder}".encode(), digest_size=8).hexdigest()
"""Changes with the fields of ``Inspection``: lines of another layout cannot be read."""
