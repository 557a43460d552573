"""Frozen dataclasses to JSON and back, with NaN and infinities as strings (JSON has neither)."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encode(value: object) -> Any:
    """Turn dataclasses, mappings, sequences and numbers into what ``json`` can write without NaN."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _spell(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [encode(item) for item in value]
    raise TypeError(f"a report holds plain numbers and names, not {type(value).__name__}")


def dumps(value: object, *, indent: int | None = None) -> str:
    """``encode`` and write; the order of keys is the order of fields, so equal values give equal bytes."""
    return json.dumps(encode(value), indent=indent, allow_nan=False, ensure_ascii=False)


def decode(kind: type[T], data: Any) -> T:
    """Rebuild a dataclass from what ``encode`` made of it.

    Raises:
        TypeError: when ``data`` does not have the shape of ``kind``.
    """
    return _decode(kind, data)  # type: ignore[no-any-return]


def _spell(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, data: Any) -> Any:
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return data
    if origin is Literal:
        return data
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(kind), data)
    if origin is tuple:
        return tuple(_decode(get_args(kind)[0], item) for item in data)
    if origin is not None and issubclass(origin, Mapping):
        return {key: _decode(get_args(kind)[1], item) for key, item in data.items()}
    if kind is float:
        return NON_FINITE[data] if isinstance(data, str) else float(data)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        known = {f.name for f in dataclasses.fields(kind) if f.init}
        return kind(**{key: _decode(hints[key], item) for key, item in data.items() if key in known})
    return kind(data)


def _decode_union(choices: tuple[Any, ...], data: Any) -> Any:
    if data is None:
        return None
    rest = [choice for choice in choices if choice is not type(None)]
    if len(rest) == 1:
        return _decode(rest[0], data)
    if isinstance(data, str) and data in NON_FINITE and float in rest:
        return NON_FINITE[data]
    sequences = [choice for choice in rest if get_origin(choice) is tuple]
    return _decode(sequences[0], data) if sequences and isinstance(data, list) else data
