"""Validation errors in the user's words: where the value stands, what it is, what would be right, what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from dltool.core.errors import Problem, closest
from dltool.specs.describe import describe
from dltool.specs.keras_names import keras_hint
from dltool.specs.nodes import KeyPath, Node, dotted, follow
from dltool.specs.places import Place, place_at

_WRONG_TYPE = "wrong kind of value"
_MESSAGES = {
    "greater_than": "out of range",
    "greater_than_equal": "out of range",
    "less_than": "out of range",
    "less_than_equal": "out of range",
    "finite_number": "not a finite number",
    "literal_error": "not one of the choices",
    "too_short": "too few entries",
    "too_long": "too many entries",
    "string_too_short": "empty",
    "string_too_long": "too long",
    "string_pattern_mismatch": "not a name that can stand here",
}


@dataclass(frozen=True, slots=True)
class _Found:
    error: ErrorDetails
    path: KeyPath
    node: Node
    place: Place

    @property
    def field_path(self) -> KeyPath:
        """The part of the error's path that leads to the field; the branches of a union differ only behind it."""
        return self.error["loc"][: self.place.field_end]


def problems_of(errors: Iterable[ErrorDetails], root: Node) -> list[Problem]:
    """One problem for each mistake, in the order of the document."""
    found = [_Found(e, *follow(root, e["loc"]), place_at(e["loc"])) for e in errors if not _is_echo(e)]
    kept = [one for one in found if not any(_explains(other, one) for other in found)]
    unique: dict[object, _Found] = {}
    for one in sorted(kept, key=_is_misspelt_choice, reverse=True):
        unique.setdefault((one.path, one.field_path, one.error["type"] in ("extra_forbidden", "missing")), one)
    problems = [_problem(one) for one in unique.values()]
    return sorted(dict.fromkeys(problems), key=_order)


def _order(problem: Problem) -> tuple[str, int, int, str]:
    at = problem.location
    return (at.file, at.line or 0, at.column or 0, problem.key or "") if at else ("", 0, 0, problem.key or "")


def _is_echo(error: ErrorDetails) -> bool:
    """Pydantic calls a list too short when its entries were wrong; that is no mistake of its own."""
    context = error.get("ctx", {})
    return error["type"] == "too_short" and len(error["input"]) >= context.get("min_length", 0)


def _explains(deeper: _Found, one: _Found) -> bool:
    """A list whose entry is wrong is no wrong list, even if a number could stand in its place."""
    same_field = deeper.field_path == one.field_path
    return same_field and len(deeper.path) > len(one.path) and deeper.path[: len(one.path)] == one.path


def _problem(found: _Found) -> Problem:
    kind = found.error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(found)
    if kind == "unknown_name":
        return _unknown_name(found)
    if kind == "missing":
        return _missing(found)
    own_words = kind not in _MESSAGES and not _is_pydantic(kind)
    return Problem(
        message=found.error["msg"] if own_words else _MESSAGES.get(kind, _WRONG_TYPE),
        location=found.node.at,
        key=dotted(found.path) or None,
        value=None if own_words else show_value(found.node.plain()),
        expected=None if own_words or found.place.field is None else describe(found.place.field),
        suggestion=_suggested_choice(found),
    )


def _is_pydantic(kind: str) -> bool:
    return kind.endswith(("_type", "_parsing", "_error", "_size")) or kind in ("int_from_float", "is_instance_of")


def _is_misspelt_choice(found: _Found) -> bool:
    """Of the branches of a union, the choice of names can say what was meant."""
    return found.error["type"] == "literal_error" and isinstance(found.node.value, str)


def _suggested_choice(found: _Found) -> str | None:
    if not _is_misspelt_choice(found):
        return None
    return closest(
        str(found.node.value), str(found.error["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
    )


def _unknown_key(found: _Found) -> Problem:
    key = str(found.error["loc"][-1])
    keys = place_at(found.error["loc"][:-1]).keys()
    at = found.node.key_at or found.node.at
    return Problem(
        message="unknown key",
        location=at,
        key=dotted(found.path),
        expected=f"one of {', '.join(keys)}" if len(keys) <= 20 else None,
        suggestion=closest(key, keys),
    )


def _unknown_name(found: _Found) -> Problem:
    noun, names = found.error["ctx"]["noun"], str(found.error["ctx"]["names"]).split()
    value, at = found.node.value, found.node.at
    name = value if isinstance(value, str) else None
    if isinstance(value, dict) and len(value) == 1:
        name, child = next(iter(value.items()))
        at = child.key_at or at
    known = f"one of {', '.join(names)}" if len(names) <= 30 else None
    if name is not None:
        return Problem(
            message=f"{name!r} is not {noun} that dltool knows",
            location=at,
            key=dotted(found.path) or None,
            expected=known,
            suggestion=keras_hint(name, names) or closest(name, names),
        )
    several = isinstance(value, dict) and len(value) > 1
    return Problem(
        message=f"{noun} is one name with its arguments; here are several" if several else f"{noun} is missing here",
        location=at,
        key=dotted(found.path) or None,
        value=show_value(found.node.plain()),
        expected=known or "a name, or one name and its arguments",
    )


def _missing(found: _Found) -> Problem:
    name = str(found.error["loc"][-1])
    return Problem(
        message=f"{name} is missing",
        location=found.node.key_at or found.node.at,
        key=dotted(found.path) or None,
        expected=f"{name}: {describe(found.place.field)}" if found.place.field else None,
    )


def show_value(value: Any, limit: int = 60) -> str:
    """A value as it would stand in a spec, cut where it is long."""
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {show_value(item)}" for key, item in list(value.items())[:8]) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(show_value(item) for item in value[:8]) + "]"
    elif isinstance(value, bool) or value is None:
        text = {True: "true", False: "false", None: "null"}[value]
    else:
        text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
