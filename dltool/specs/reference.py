"""docs/spec.md, written from the schema: every name, its arguments, what they take and what they are when absent."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from pydantic.fields import FieldInfo

from dltool.specs.describe import describe
from dltool.specs.field_docs import field_doc
from dltool.specs.schema.augmentations import AUGMENTATION
from dltool.specs.schema.base import Family, Named, SpecModel
from dltool.specs.schema.data import Data, Pad, Split
from dltool.specs.schema.generators import GENERATOR
from dltool.specs.schema.initialisers import INITIALISER
from dltool.specs.schema.layer_base import Layer, Weighted
from dltool.specs.schema.layers import LAYER
from dltool.specs.schema.losses import LOSS, Loss
from dltool.specs.schema.metrics import METRIC
from dltool.specs.schema.model import Layered, Pretrained
from dltool.specs.schema.optimizers import OPTIMIZER, Optimizer
from dltool.specs.schema.schedules import SCHEDULE, Schedule
from dltool.specs.schema.sources import SOURCE
from dltool.specs.schema.spec import Spec
from dltool.specs.schema.train import EarlyStopping, Regularize, Rules, Train, Watch

_INTRODUCTION = """\
# The spec

<!-- Generated from dltool/specs/schema. Change it there, then run: python -m dltool.specs.reference > docs/spec.md -->

A spec is one YAML file. `dltool new` writes one to start from, `dltool show SPEC` prints it with everything resolved,
`dltool schema` prints its JSON Schema for editors.

Wherever a name stands (a layer, a loss, an optimizer, ...), it is written in one of these forms:

| form | example |
|---|---|
| the bare name | `relu` |
| the name and its arguments | `linear: {out_features: 64, bias: false}` |
| the name and a scalar: its **first** argument (bold below) | `linear: 64` |
| the name and a list: the one argument that is a shape or sequence (*italic* below) | `residual: [{linear: 64}, relu]` |

Arguments are torch's own, with torch's defaults; sizes of the input are inferred. An argument without a default is required.

- Numbers are YAML 1.2: `1e-3` is a number. Only `true` and `false` are booleans. Tabs cannot indent, and a
  key cannot stand twice.
- `${vars.width}` takes a value from elsewhere in the spec, `${env:NAME,default}` from the environment. Alone it keeps its
  type; within text it is text. `$${` writes `${`.
- `extends: base.yaml` (or a list) starts from other specs: mappings are merged key by key, lists and values are replaced,
  and another optimizer, loss, schedule or source takes the place of the one before.
- On the command line `key.sub=value` sets a value (entries of lists by number: `model.layers.0.linear=32`),
  `~key` removes one.
- A path is relative to the file that names it; one on the command line, to the current folder.
- `_target_: package.module.Class` with its keyword arguments stands for a layer, the model, the loss or the optimizer. It
  runs code, so it needs `--allow-import package` on the command line.
"""


def spec_reference() -> str:
    """The page as Markdown."""
    parts = [_INTRODUCTION, _section("Top level", Spec)]
    parts += [_section("data", Data), _section("data.split", Split), _section("data.pad", Pad)]
    parts += [_family("Sources", SOURCE, ()), _family("Synthetic data", GENERATOR, ())]
    parts += [_family("Augmentations (data.augment)", AUGMENTATION, ())]
    parts += [_section("model", Layered), _section("model.pretrained", Pretrained), _layers()]
    parts += [_family("Initialisers (init)", INITIALISER, (), _INIT)]
    parts += [_family("Losses (loss)", LOSS, _own_fields(Loss), f"Every one but `terms` also takes {_listed(Loss)}.")]
    parts += [_family("Metrics (metrics)", METRIC, ())]
    parts += [
        _family("Optimizers (optimizer)", OPTIMIZER, _own_fields(Optimizer), f"Every one also takes {_listed(Optimizer)}.")
    ]
    parts += [_family("Schedules (schedule)", SCHEDULE, _own_fields(Schedule), f"Every one also takes {_listed(Schedule)}.")]
    parts += [_section("regularize", Regularize), _section("train", Train), _section("train.early_stopping", EarlyStopping)]
    parts += [_section("watch", Watch), _section("rules", Rules)]
    return "\n".join(parts)


_INIT = """\
`init` takes a name for the weights, or one each for `weight` and `bias`. With a named weight initialiser biases start at
zero unless `bias` says otherwise; without `init`, torch's own stands."""


def _layers() -> str:
    note = f"Every layer takes {_listed(Layer)}; those with weights also {_listed(Weighted, Layer)}."
    return _family("Layers (model.layers)", LAYER, _own_fields(Weighted), note)


def _section(title: str, model: type[SpecModel]) -> str:
    rows = ["| key | takes | default | |", "|---|---|---|---|"]
    hidden = model.inlined[0] if model.inlined else None
    if model.inlined:
        names = ", ".join(f"`{name}`" for name in model.inlined[1].members)
        rows.append(f"| one of {names} | the source and its arguments | | {_text(model, model.inlined[0])} |")
    for name, field in model.model_fields.items():
        if name != hidden:
            key = f"**`{name}`**" if name == model.first else f"`{name}`"
            rows.append(f"| {key} | {_cell(describe(field))} | {_default(field)} | {_text(model, name)} |")
    return "\n".join([f"## {title}", "", _doc(model), "", *rows, ""])


def _family(title: str, family: Family, common: Iterable[str], note: str = "") -> str:
    rows = ["| name | arguments | |", "|---|---|---|"]
    for member in dict.fromkeys(family.members.values()):
        names = ", ".join(f"`{name}`" for name in (member.kind, *member.aliases))
        rows.append(f"| {names} | {_arguments(member, set(common))} | {_cell(_doc(member))} |")
    return "\n".join([f"## {title}", "", *([note, ""] if note else []), *rows, ""])


def _arguments(member: type[Named], common: set[str]) -> str:
    parts = []
    for name, field in member.model_fields.items():
        if name in common and field.annotation == _common_annotation(member, name):
            continue
        shown = f"`{name}`"
        if name == member.sequence and name == member.first:
            shown = f"***{shown}***"
        elif name in (member.first, member.whole):
            shown = f"**{shown}**"
        elif name == member.sequence:
            shown = f"*{shown}*"
        default = _default(field)
        parts.append(f"{shown}: {_cell(describe(field))}{f' = {default}' if default else ''}")
    return "<br>".join(parts)


def _common_annotation(member: type[Named], name: str) -> Any:
    """The annotation that a base gives the field; prelu's ``init`` is its own and has to be shown."""
    bases = [base for base in member.__mro__[1:] if issubclass(base, Named) and name in base.model_fields]
    return bases[-1].model_fields[name].annotation if bases else None


def _own_fields(base: type[SpecModel]) -> list[str]:
    return list(base.model_fields)


def _listed(base: type[SpecModel], without: type[SpecModel] = SpecModel) -> str:
    fields = {name: field for name, field in base.model_fields.items() if name not in without.model_fields}
    words = [f"`{name}` ({describe(field)}; default {_default(field)})" for name, field in fields.items()]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}) or isinstance(value, SpecModel):
        return "absent"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(str(item) for item in value)}]`"
    return f"`{value:.6g}`" if isinstance(value, float) else f"`{value}`"


def _text(model: type[SpecModel], name: str) -> str:
    return _cell(field_doc(model, name).replace("\n", " "))


def _doc(model: type[SpecModel]) -> str:
    return (inspect.getdoc(model) or "").replace("``", "`")


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("\n", " ").replace("|", "\\|")


if __name__ == "__main__":
    import sys

    sys.stdout.write(spec_reference())
