"""The JSON Schema (draft-07) of a spec, for editors: every short form is in it, so that names and arguments complete.

Keys that a section needs are not required here, since a spec that ``extends`` another may leave them out; the loader sees
the merged whole and does require them. Arguments of a name (``linear`` needs ``out_features``) are required.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from dltool.specs.field_docs import field_doc
from dltool.specs.schema.base import TARGET_KEY, Family, Named, SpecModel, Target
from dltool.specs.schema.losses import TERM_LOSS, Term
from dltool.specs.schema.spec import Spec

DRAFT = "http://json-schema.org/draft-07/schema#"
_TYPES: dict[Any, str] = {int: "integer", float: "number", bool: "boolean", str: "string", type(None): "null"}
_BOUNDS = {
    annotated_types.Ge: ("ge", "minimum"),
    annotated_types.Gt: ("gt", "exclusiveMinimum"),
    annotated_types.Le: ("le", "maximum"),
    annotated_types.Lt: ("lt", "exclusiveMaximum"),
}
_REFERENCE = {
    "type": "string",
    "pattern": r"^\$\{[^{}]+\}$",
    "description": "${vars.name}, ${any.key}, or ${env:NAME,default}",
}

Json = dict[str, Any]


def spec_schema() -> Json:
    """The schema as plain JSON data."""
    definitions = _Definitions()
    root = definitions.reference_to(Spec)
    return {
        "$schema": DRAFT,
        "title": "dltool spec",
        "allOf": [root],
        "definitions": {"reference": _REFERENCE, **dict(sorted(definitions.made.items()))},
    }


class _Definitions:
    """Makes each model and family once, and refers to it everywhere else."""

    def __init__(self) -> None:
        self.made: dict[str, Json] = {}

    def reference_to(self, thing: type[SpecModel] | Family) -> Json:
        name = _name(thing)
        if name not in self.made:
            self.made[name] = {}
            self.made[name] = self._family(thing) if isinstance(thing, Family) else self._model(thing)
        return {"$ref": f"#/definitions/{name}"}

    def _model(self, model: type[SpecModel]) -> Json:
        if model is Target:
            return _target()
        if model is Term:
            return self._term()
        by_name = self._object(model)
        forms = [by_name]
        if model.first is not None and not issubclass(model, Named):
            forms.append(self.field(model.model_fields[model.first]))
        if model.whole is not None:
            forms.append(self.field(model.model_fields[model.whole]))
        return by_name if len(forms) == 1 else {"anyOf": forms}

    def _object(self, model: type[SpecModel]) -> Json:
        inlined = model.inlined[0] if model.inlined else None
        properties = self._arguments_by_name(model.inlined[1].members) if model.inlined else {}
        for name, field in model.model_fields.items():
            if name != inlined:
                properties[field.alias or name] = _described(self.field(field), field_doc(model, name))
        required = [name for name, field in model.model_fields.items() if issubclass(model, Named) and field.is_required()]
        schema = {"type": "object", "description": _doc(model), "properties": properties, "additionalProperties": False}
        return schema | ({"required": required} if required else {})

    def _family(self, family: Family) -> Json:
        bare = [
            {"const": name, "description": _doc(member)} for name, member in family.members.items() if _may_be_bare(member)
        ]
        with_arguments = {
            "type": "object",
            "properties": self._arguments_by_name(family.members),
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        target = [self.reference_to(Target)] if family.allows_target else []
        return {"anyOf": [*bare, with_arguments, *target, {"$ref": "#/definitions/reference"}]}

    def _arguments_by_name(self, members: dict[str, type[Named]]) -> Json:
        return {name: _described(self._arguments(member), _doc(member)) for name, member in members.items()}

    def _arguments(self, member: type[Named]) -> Json:
        """The mapping, the scalar, the list, or nothing at all, as far as the member allows them."""
        if member.whole is not None:
            return self.field(member.model_fields[member.whole])
        forms = [self.reference_to(member)]
        short = dict.fromkeys(name for name in (member.first, member.sequence) if name is not None)
        forms += [self.field(member.model_fields[name]) for name in short]
        if _may_be_bare(member):
            forms.append({"type": "null"})
        return {"anyOf": [*forms, {"$ref": "#/definitions/reference"}]}

    def _term(self) -> Json:
        """A loss with its ``weight`` among its arguments or beside its name."""
        names: Json = {name: {"description": _doc(member)} for name, member in TERM_LOSS.members.items()}
        weighted = {
            "type": "object",
            "properties": {**names, "weight": {"anyOf": [{"type": "number"}, {"$ref": "#/definitions/reference"}]}},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 2,
        }
        return {"anyOf": [{"enum": list(names)}, weighted, self.reference_to(Target)]}

    def field(self, field: FieldInfo) -> Json:
        """What may stand as a field's value; a reference may, too."""
        schema = self._of(field.annotation, field.metadata)
        if isinstance(field.annotation, type) and issubclass(field.annotation, SpecModel) and not field.is_required():
            return {"anyOf": [schema, {"type": "null"}, {"$ref": "#/definitions/reference"}]}
        plain_text = schema.get("type") == "string" and "pattern" not in schema
        return schema if plain_text or "$ref" in schema else {"anyOf": [schema, {"$ref": "#/definitions/reference"}]}

    def _of(self, annotation: Any, marks: Iterable[Any]) -> Json:
        marks = list(marks)
        family = next((mark for mark in marks if isinstance(mark, Family)), None)
        if family is not None:
            return self.reference_to(family)
        origin = get_origin(annotation)
        if origin is Annotated:
            inner, *more = get_args(annotation)
            return self._of(inner, [*_flat(more), *marks])
        if origin in (Union, types.UnionType):
            return {"anyOf": [self._of(option, ()) for option in get_args(annotation)]}
        if origin is Literal:
            return {"enum": list(get_args(annotation))}
        if origin is tuple:
            return self._array(get_args(annotation), marks)
        if origin is dict:
            return {"type": "object", "additionalProperties": self._of(get_args(annotation)[1], ())}
        if isinstance(annotation, type) and issubclass(annotation, SpecModel):
            return self.reference_to(annotation)
        return _scalar(annotation, marks)

    def _array(self, items: tuple[Any, ...], marks: list[Any]) -> Json:
        each = {"anyOf": [self._of(items[0], ()), {"$ref": "#/definitions/reference"}]}
        if len(items) == 2 and items[1] is Ellipsis:
            least = next((mark.min_length for mark in marks if isinstance(mark, annotated_types.MinLen)), 0)
            return {"type": "array", "items": each, **({"minItems": least} if least else {})}
        return {"type": "array", "items": each, "minItems": len(items), "maxItems": len(items)}


def _name(thing: type[SpecModel] | Family) -> str:
    """``layer``, or ``schedules.Constant``: an initialiser is called Constant as well."""
    if isinstance(thing, Family):
        return thing.noun.split(" ", 1)[1].replace(" ", "-")
    return f"{thing.__module__.rpartition('.')[2]}.{thing.__name__}"


def _scalar(annotation: Any, marks: Iterable[Any]) -> Json:
    schema: Json = {"type": _TYPES[annotation]} if annotation in _TYPES else {}
    for mark in marks:
        if type(mark) in _BOUNDS:
            attribute, keyword = _BOUNDS[type(mark)]
            schema[keyword] = getattr(mark, attribute)
        elif isinstance(mark, annotated_types.MinLen):
            schema["minLength"] = mark.min_length
        elif isinstance(mark, annotated_types.MaxLen):
            schema["maxLength"] = mark.max_length
        elif getattr(mark, "pattern", None):
            schema["pattern"] = mark.pattern
    return schema


def _flat(marks: Iterable[Any]) -> list[Any]:
    return [inner for mark in marks for inner in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]


def _target() -> Json:
    name = {"type": "string", "pattern": Target.model_fields["target"].metadata[-1].pattern}
    return {"type": "object", "description": _doc(Target), "properties": {TARGET_KEY: name}, "required": [TARGET_KEY]}


def _may_be_bare(member: type[Named]) -> bool:
    return not any(field.is_required() for field in member.model_fields.values())


def _described(schema: Json, description: str | None) -> Json:
    """Draft-07 passes over what stands beside a ``$ref``, so the description goes around it."""
    if not description:
        return schema
    return {"description": description, **({"allOf": [schema]} if "$ref" in schema else schema)}


def _doc(model: type[SpecModel]) -> str:
    return (inspect.getdoc(model) or "").replace("``", "`").replace("\n", " ")
