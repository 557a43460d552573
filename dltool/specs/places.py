"""From a key path to what the schema says of that place: which keys or names may stand there, and what a value must be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic.fields import FieldInfo

from dltool.specs.schema.base import TARGET_KEY, Family, Named, SpecModel, Target
from dltool.specs.schema.spec import Spec
from dltool.specs.schema.types import PathMark

Container = type[SpecModel] | Family
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """What may stand at a key path: ``containers`` are the models and families, ``field`` is the last field on the way.

    ``field_end`` is how many parts of the path lead to that field.
    """

    containers: tuple[Container, ...] = (Spec,)
    field: FieldInfo | None = None
    field_end: int = 0

    def keys(self) -> list[str]:
        """Keys and names that may stand here."""
        return [key for container in self.containers if container is not Target for key in _keys_of(container)]

    def families(self) -> list[Family]:
        """The families whose names may stand here, or stand among the keys here."""
        inlined = [c.inlined[1] for c in self.containers if not isinstance(c, Family) and c.inlined]
        return [c for c in self.containers if isinstance(c, Family)] + inlined


def place_at(path: KeyPath) -> Place:
    """Walk the schema along ``path``; parts that are no key of it (list indices, names of one's own) change nothing."""
    place = Place()
    for end, part in enumerate(path, start=1):
        place = _step(place, part, end)
    return place


def _step(place: Place, part: str | int, end: int) -> Place:
    for container in place.containers:
        if isinstance(container, Family) and part == TARGET_KEY and container.allows_target:
            return Place((Target,), place.field, place.field_end)
        members = _members(container)
        if part in members:
            member = members[str(part)]
            value = member.model_fields[member.first] if member.first else place.field
            return Place((member, *_within(member)), value, end)
        if not isinstance(container, Family):
            field = _field(container, part)
            if field is not None:
                inner = tuple(containers_in(field))
                return Place(inner + tuple(c for model in inner for c in _within(model)), field, end)
    return place


def _members(container: Container) -> dict[str, type[Named]]:
    if isinstance(container, Family):
        return container.members
    return container.inlined[1].members if container.inlined else {}


def _within(container: Container) -> Iterator[Container]:
    """What a model's short form holds without saying so: ``residual: [...]`` layers, ``synthetic: ...`` a generator."""
    if isinstance(container, Family):
        return
    hidden = container.whole or (container.sequence if issubclass(container, Named) else None)
    if hidden:
        for inner in containers_in(container.model_fields[hidden]):
            yield inner
            yield from _within(inner)


def _field(model: type[SpecModel], part: str | int) -> FieldInfo | None:
    for name, field in model.model_fields.items():
        if part in (name, field.alias):
            return field
    return None


def _keys_of(container: Container) -> list[str]:
    return list(container.members) if isinstance(container, Family) else container.keys()


def is_path(field: FieldInfo) -> bool:
    """Whether a field holds a path, which is relative to the file that it is written in."""
    options = [getattr(option, "__metadata__", ()) for option in get_args(field.annotation)]
    return any(isinstance(mark, PathMark) for marks in (field.metadata, *options) for mark in marks)


def containers_in(field: FieldInfo) -> Iterator[Container]:
    """The models and families that a field's value can be, or hold in a list or mapping."""
    families = [mark for mark in field.metadata if isinstance(mark, Family)]
    if families:
        yield from families
    else:
        yield from _containers(field.annotation)


def _containers(annotation: Any) -> Iterator[Container]:
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        families = [mark for mark in marks if isinstance(mark, Family)]
        if families:
            yield from families
        else:
            yield from _containers(inner)
    elif isinstance(annotation, type) and issubclass(annotation, SpecModel):
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from _containers(inner)
