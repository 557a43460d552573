"""The JSON Schema (draft-07) of the report, derived from the dataclasses that it is made of, so that it cannot drift."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from dltool.core.codec import NON_FINITE
from dltool.core.finding import Check, Finding
from dltool.core.measurements import Section, every_section
from dltool.core.report import SCHEMA_VERSION, RunInfo
from dltool.core.suppression import Stale, Suppression
from dltool.rules.fit_status.case import FitStatus

FIT_STATUSES = get_args(FitStatus)
PLAIN = {bool: "boolean", int: "integer", str: "string", type(None): "null"}


def report_schema() -> dict[str, Any]:
    """The schema of every command's report; newer versions of dltool may add keys, never change these."""
    tool = {"name": {"const": "dltool"}, "version": {"type": "string"}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "dltool report",
        **_object(
            {
                "schema_version": {"const": SCHEMA_VERSION},
                "tool": _object(tool),
                "command": {"type": "string"},
                "target": {"type": "string"},
                "run": _schema(RunInfo),
                "findings": {"type": "array", "items": _finding()},
                "checks": {"type": "array", "items": _schema(Check)},
                "measurements": _measurements(),
            },
            {
                "suppressed": {"type": "array", "items": _finding({"suppression": _schema(Suppression)})},
                "stale": {"type": "array", "items": _schema(Stale)},
                "baseline": {"type": "string"},
            },
        ),
        "definitions": {"number": {"anyOf": [{"type": "number"}, {"enum": list(NON_FINITE)}]}},
    }


def _finding(more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    schema = _schema(Finding)
    properties = schema["properties"] | {"fingerprint": {"type": "string", "pattern": "^[0-9a-f]{16}$"}}
    return _object(properties | dict(more or {}))


def _measurements() -> dict[str, Any]:
    """What commands measure: each key is present where it was measured."""
    by_key: dict[str, list[dict[str, Any]]] = {}
    for kind in every_section():
        by_key.setdefault(kind.key, []).append(_section(kind))
    sections = {key: forms[0] if len(forms) == 1 else {"anyOf": forms} for key, forms in by_key.items()}
    fit = {"status": {"enum": list(FIT_STATUSES)}, "reason": {"type": "string"}, "evidence": {"type": "object"}}
    strings = {"type": "array", "items": {"type": "string"}}
    others = {"fit_status": {"enum": list(FIT_STATUSES)}, "fit": _object(fit), "advice": strings}
    return {"type": "object", "properties": sections | others}


def _section(kind: type[Section]) -> dict[str, Any]:
    schema = _schema(kind)
    (first, *more) = schema["properties"].values()
    return schema if more else first


def _object(properties: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``optional`` are properties that are left out where they say nothing."""
    return {"type": "object", "properties": {**properties, **(optional or {})}, "required": list(properties)}


def _schema(kind: Any) -> dict[str, Any]:
    origin = get_origin(kind)
    if kind is float:
        return {"$ref": "#/definitions/number"}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(choice) for choice in get_args(kind)]}
    if origin is tuple:
        return {"type": "array", "items": _schema(get_args(kind)[0])}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(get_args(kind)[1])}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return _object({field.name: _schema(hints[field.name]) for field in dataclasses.fields(kind)})
    return {}
