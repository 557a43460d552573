"""A loaded spec as YAML that loads back to the same spec: nothing left to merge, override or look up, defaults spelt out.

Layers and initialisers keep what they leave to torch unwritten: twenty lines of ``bias: true`` hide the one that matters.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dltool.specs.load import LoadedSpec
from dltool.specs.places import is_path
from dltool.specs.schema.base import TARGET_KEY, Named, SpecModel, Target
from dltool.specs.schema.initialisers import Initialiser
from dltool.specs.schema.layer_base import Layer
from dltool.specs.schema.losses import Term
from dltool.specs.yaml_nodes import add_plain_scalars


class _Dumper(yaml.SafeDumper):
    """SafeDumper that also quotes text which YAML 1.2 would read as something else, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature is PyYAML's)
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Text with line breaks and the like in double quotes: PyYAML writes some of them raw in the other styles."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _text)
_Dumper.yaml_implicit_resolvers = {key: list(entries) for key, entries in yaml.SafeDumper.yaml_implicit_resolvers.items()}
add_plain_scalars(_Dumper)


def render(loaded: LoadedSpec, directory: Path | None = None, *, unicode: bool = True) -> str:
    """The resolved spec as YAML, with paths relative to ``directory`` (the spec's own folder when None).

    Without ``unicode`` it is ASCII, by the escapes of YAML.
    """
    plain = _Writer(loaded.directory, loaded.directory if directory is None else directory).model(loaded.spec)
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=110, allow_unicode=unicode)
    return text


class _Writer:
    """Models back to the forms that they are read from."""

    def __init__(self, written_for: Path, directory: Path) -> None:
        self._from = written_for
        self._to = directory

    def model(self, model: SpecModel) -> Any:
        if isinstance(model, Target):
            return {TARGET_KEY: model.target} | {key: self._value(value) for key, value in model.arguments.items()}
        if isinstance(model, Named):
            return self._named(model)
        if isinstance(model, Term):
            form = self.model(model.loss)
            return {**(form if isinstance(form, dict) else {form: None}), "weight": model.weight}
        fields = self._fields(model, all_of_them=True)
        if model.whole is not None and fields.keys() == {model.whole}:
            return fields[model.whole]
        if model.inlined is not None:
            source = fields.pop(model.inlined[0], {})
            return source | fields
        return fields

    def _named(self, model: Named) -> Any:
        if model.whole is not None:
            return {model.kind: self._value(getattr(model, model.whole))}
        fields = self._fields(model, all_of_them=not isinstance(model, Layer | Initialiser))
        if not fields:
            return model.kind
        only = next(iter(fields)) if len(fields) == 1 else None
        if only is not None and only == (model.sequence if isinstance(fields[only], list) else model.first):
            return {model.kind: fields[only]}
        return {model.kind: fields}

    def _fields(self, model: SpecModel, *, all_of_them: bool) -> dict[str, Any]:
        fields = {}
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            default = field.get_default(call_default_factory=True)
            if (value is None and default is None) or value in ((), {}) or (not all_of_them and value == default):
                continue
            fields[name] = self._path(value) if is_path(field) else self._value(value)
        return fields

    def _value(self, value: Any) -> Any:
        if isinstance(value, SpecModel):
            return self.model(value)
        if isinstance(value, Mapping):
            return {key: self._value(inner) for key, inner in value.items()}
        if isinstance(value, tuple | list):
            return [self._value(inner) for inner in value]
        return value.replace("${", "$${") if isinstance(value, str) else value

    def _path(self, path: str) -> str:
        if self._from != self._to and not Path(path).is_absolute():
            path = Path(os.path.relpath(self._from / path, self._to)).as_posix()
        return path.replace("${", "$${")
