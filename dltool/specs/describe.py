"""What a field takes, in words: for messages and for the reference page."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from dltool.specs.schema.base import TARGET_KEY, Family, SpecModel, Target

_PLAIN = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "null",
    dict: "a mapping",
}


def describe(field: FieldInfo) -> str:
    """One phrase for everything that the field takes, such as ``a whole number of at least 1, or full``."""
    example = f" such as {field.examples[0]}" if field.examples else ""
    return _describe(field.annotation, field.metadata) + example


def _describe(annotation: Any, marks: Iterable[Any]) -> str:
    words = list(dict.fromkeys(_options(annotation, list(marks))))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _options(annotation: Any, marks: list[Any]) -> Iterator[str]:
    """One phrase for each kind of value."""
    family = next((mark for mark in marks if isinstance(mark, Family)), None)
    origin = get_origin(annotation)
    if family is not None:
        yield f"{family.noun}, by name"
    elif origin is Annotated:
        inner, *more = get_args(annotation)
        yield from _options(inner, [*_flat(more), *marks])
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _options(option, [])
    elif origin is Literal:
        yield from (str(choice) for choice in get_args(annotation))
    elif origin is tuple:
        yield _describe_tuple(get_args(annotation), marks)
    elif origin is dict:
        each = get_args(annotation)[1]
        yield "a mapping of names to " + ("values" if each is Any else f"values, each {_describe(each, ())}")
    elif isinstance(annotation, type) and issubclass(annotation, SpecModel):
        yield f"{TARGET_KEY} and its arguments" if annotation is Target else "a mapping of " + ", ".join(annotation.keys())
    else:
        yield _PLAIN.get(annotation, "a value") + _bounds(marks)


def _flat(marks: Iterable[Any]) -> list[Any]:
    return [inner for mark in marks for inner in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]


def _describe_tuple(items: tuple[Any, ...], marks: list[Any]) -> str:
    each = _describe(items[0], ())
    if len(items) == 2 and items[1] is Ellipsis:
        least = next((mark.min_length for mark in marks if isinstance(mark, annotated_types.MinLen)), 0)
        return f"a list ({f'at least {least}, ' if least else ''}each {each})"
    return f"a list of {len(items)} (each {each})"


def _bounds(marks: Iterable[Any]) -> str:
    words = []
    for mark in marks:
        if isinstance(mark, annotated_types.Ge):
            words.append(f"of at least {mark.ge}")
        elif isinstance(mark, annotated_types.Gt):
            words.append(f"above {mark.gt}")
        elif isinstance(mark, annotated_types.Le):
            words.append(f"at most {mark.le}")
        elif isinstance(mark, annotated_types.Lt):
            words.append(f"below {mark.lt}")
    return f" {' and '.join(words)}" if words else ""
