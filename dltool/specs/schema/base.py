"""One form everywhere: a bare name, or a one-key mapping of the name to its arguments.

The arguments are a mapping, a scalar (the first argument) or a list (the one argument that is a shape or sequence). A
``Family`` reads that form into the model of the name, for layers, losses, optimizers and all the rest alike.

The modules of this package do without postponed annotations: pydantic would evaluate each of the thousand, at every start.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

TARGET_KEY = "_target_"


class SpecModel(BaseModel):
    """Base of every part of a spec: unknown keys are errors, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)
    inlined: ClassVar["tuple[str, Family] | None"] = None
    """A field that is not written itself: the names of its family stand among the other keys (``csv`` in data)."""

    first: ClassVar[str | None] = None
    """The argument that a scalar stands for."""
    whole: ClassVar[str | None] = None
    """The field that the form as a whole is for, when it is not written by name (``init: zeros`` is for the weight)."""

    @classmethod
    def keys(cls) -> list[str]:
        """The keys that a spec may write here."""
        inlined, names = (cls.inlined[0], list(cls.inlined[1].members)) if cls.inlined else (None, [])
        return names + [field.alias or name for name, field in cls.model_fields.items() if name != inlined]


class Short(SpecModel):
    """A part of a spec that a scalar may stand for: ``early_stopping: 5`` is ``early_stopping: {patience: 5}``."""

    @model_validator(mode="before")
    @classmethod
    def _scalar_is_first(cls, form: Any) -> Any:
        return {cls.first: form} if isinstance(form, str | int | float) else form


class Named(SpecModel):
    """One name of a family, such as ``linear`` or ``adam``; its fields are its arguments."""

    kind: ClassVar[str]
    """The name in the spec."""
    aliases: ClassVar[tuple[str, ...]] = ()
    sequence: ClassVar[str | None] = None
    """The argument that a list stands for."""

    @classmethod
    def arguments(cls, form: Any) -> dict[str, Any]:
        """The arguments by name, whatever form they were written in."""
        if cls.whole is not None:
            return {cls.whole: form}
        if form is None:
            return {}
        if isinstance(form, Mapping):
            return dict(form)
        is_list = isinstance(form, Sequence) and not isinstance(form, str)
        argument = cls.sequence if is_list else cls.first
        if argument is None:
            what = "a list" if is_list else "a single value"
            raise PydanticCustomError(
                "no_short_form",
                "{kind} does not take {what}; give its arguments by name",
                {"kind": cls.kind, "what": what, "arguments": sorted(cls.model_fields)},
            )
        return {argument: form}


class Target(SpecModel):
    """``_target_: package.module.name`` and its arguments: the user's own code, run only with ``--allow-import``."""

    kind: ClassVar[str] = TARGET_KEY
    target: str = Field(alias="_target_", pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$", examples=["package.module.Class"])
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments, handed over as they are."""

    @model_validator(mode="before")
    @classmethod
    def _gather_arguments(cls, form: Any) -> Any:
        if not isinstance(form, Mapping):
            return form
        return {TARGET_KEY: form[TARGET_KEY], "arguments": {key: form[key] for key in form if key != TARGET_KEY}}


class Family:
    """The names that may stand in one place of a spec; annotate a field with it to have the form read."""

    def __init__(self, noun: str, members: Callable[[], tuple[type[Named], ...]], *, target: bool = False) -> None:
        self.noun = noun
        self._members = members
        self.allows_target = target

    @cached_property
    def members(self) -> dict[str, type[Named]]:
        """Model classes by name, aliases included."""
        return {name: member for member in self._members() for name in (member.kind, *member.aliases)}

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """A union whose members are validated each on its own, so that pydantic builds those alone that a spec names."""
        choices: dict[Any, CoreSchema] = {
            name: core_schema.no_info_plain_validator_function(_reader(name, member))
            for name, member in self.members.items()
        }
        if self.allows_target:
            choices[TARGET_KEY] = core_schema.no_info_plain_validator_function(Target.model_validate)
        return core_schema.tagged_union_schema(
            choices,
            discriminator=self._name_of,
            custom_error_type="unknown_name",
            custom_error_message="{noun} was expected",
            custom_error_context={"noun": self.noun, "names": " ".join(choices)},
        )

    def _name_of(self, form: Any) -> str | None:
        if isinstance(form, str):
            return form
        if isinstance(form, Named | Target):
            return form.kind
        if isinstance(form, Mapping):
            if self.allows_target and TARGET_KEY in form:
                return TARGET_KEY
            if len(form) == 1:
                return str(next(iter(form)))
        return None


def _reader(name: str, member: type[Named]) -> Callable[[Any], Any]:
    def read(form: Any) -> Any:
        if isinstance(form, Named):
            return form
        return member.model_validate(member.arguments(None if isinstance(form, str) else form[name]))

    return read
