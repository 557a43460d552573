"""The names that ``--compare`` takes, what they do to a model, and the lines that make a target start so."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from dltool.core.errors import Problem, SpecError, closest
from dltool.specs.build import lsuv
from dltool.specs.build.initialise import initialise
from dltool.specs.schema.initialisers import INITIALISER, Initialiser, LayerInit, Lsuv
from dltool.training import rng
from dltool.training.experiment import Experiment, Nested

AS_IT_IS = "as it is"

VALUE_MEANS = {"normal": "std", "truncated_normal": "std"}
"""Where the number after the colon is not the initialiser's first argument: N(1, 1) is nobody's candidate."""


@dataclass(frozen=True, slots=True)
class Named:
    """One candidate: as the user wrote it, and as a spec has it."""

    name: str
    init: Initialiser

    @property
    def yaml(self) -> str:
        """The value of ``model.init`` in flow style: ``{normal: {std: 0.01}}``."""
        given = self.init.model_dump(exclude_unset=True)
        inner = ", ".join(f"{key}: {value:g}" for key, value in given.items())
        return f"{{{self.init.kind}: {{{inner}}}}}" if inner else self.init.kind


def parse(words: Sequence[str]) -> list[Named]:
    """``normal:0.01`` and the like; every name once.

    Raises:
        SpecError: names that no initialiser has, and values that it does not take, all at once.
    """
    found: dict[str, Named] = {}
    problems: list[Problem] = []
    for word in words:
        try:
            found.setdefault(word, _parse(word))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(*problems)
    return list(found.values())


def _parse(word: str) -> Named:
    kind, colon, text = word.partition(":")
    members = {name: member for name, member in INITIALISER.members.items() if issubclass(member, Initialiser)}
    if kind not in members:
        raise _error(word, "no initialiser has this name", "one of " + ", ".join(members), closest(kind, members))
    member = members[kind]
    try:
        arguments = _arguments(member, kind, float(text)) if colon else {}
        init = member(**arguments)
    except ValueError:  # pydantic's errors are such
        value = VALUE_MEANS.get(kind) or member.first
        takes = "no value" if value is None else f"{kind} or {kind}:NUMBER, the number being {value}"
        raise _error(word, f"{kind} cannot start so", takes) from None
    return Named(word, init)


def _arguments(member: type[Initialiser], kind: str, value: float) -> dict[str, Any]:
    if not math.isfinite(value) or (member.first is None and kind not in VALUE_MEANS):
        raise ValueError(value)
    if kind == "uniform":
        return {"a": -abs(value), "b": abs(value)}
    return {VALUE_MEANS.get(kind) or str(member.first): value}


def _error(word: str, message: str, expected: str, suggestion: str | None = None) -> SpecError:
    return SpecError(Problem(message=message, key="--compare", value=repr(word), expected=expected, suggestion=suggestion))


def start_with(experiment: Experiment, init: Initialiser, batch: Nested, seed: int, kept: Iterable[str]) -> None:
    """Fill the model in place as ``model.init`` would, but for the modules named in ``kept`` and all within them.

    Raises:
        MisfitError: weights that this initialiser cannot fill.
    """
    kept = set(kept)
    model = experiment.model
    whole = LayerInit(weight=init)
    scaled: dict[str, Lsuv] = {}
    with rng.seeded(seed, experiment.device):
        for path, layer in model.named_modules():
            if path in kept or any(path.startswith(f"{name}.") for name in kept):
                continue
            if isinstance(layer, nn.MultiheadAttention) or not list(layer.children()):
                initialise(layer, whole, own=False)
            if isinstance(init, Lsuv) and isinstance(layer, nn.Linear | _ConvNd) and path not in _inside_attention(model):
                scaled[path] = init
        if scaled:
            with torch.no_grad():
                lsuv.rescale(model, scaled, batch)


def _inside_attention(model: nn.Module) -> set[str]:
    """Projections that attention uses without calling them, so that no output of theirs can be seen."""
    found = (path for path, module in model.named_modules() if isinstance(module, nn.MultiheadAttention))
    return {f"{path}.out_proj" if path else "out_proj" for path in found}


def is_layered(experiment: Experiment) -> bool:
    """Whether the model is a spec's list of layers, so that ``model.init`` means something."""
    return "layers" in _model_of(experiment)


def kept_layers(experiment: Experiment) -> list[str]:
    """Layers that ``model.init`` does not reach: with an init of their own in the spec, or frozen in a model of code."""
    if not is_layered(experiment):
        named = [(path, list(m.parameters(recurse=False))) for path, m in experiment.model.named_modules()]
        return [path for path, own in named if own and not any(p.requires_grad for p in own)]
    paths = {path for path, _ in experiment.model.named_modules() if path}
    return sorted(p for p in paths if p in experiment.sources and _has_own(experiment.spec, experiment.sources[p][0]))


def _model_of(experiment: Experiment) -> Mapping[str, Any]:
    return (experiment.spec or {}).get("model") or {}


def _has_own(form: Any, key: str) -> bool:
    """Whether the layer at ``key``, or a block around it, is written with an ``init``."""
    for part in key.split("."):
        form = form[int(part)] if isinstance(form, list) else form[part] if isinstance(form, Mapping) else None
        inner = next(iter(form.values()), None) if isinstance(form, Mapping) and len(form) == 1 else None
        if isinstance(inner, Mapping) and "init" in inner and part.isdigit():
            return True
    return False


def lines_for(experiment: Experiment, named: Named) -> tuple[str, ...]:
    """What to write to start so: YAML for a spec, Python for a model of code."""
    if is_layered(experiment):
        return ("model:", f"  init: {named.yaml}")
    init = named.init
    if isinstance(init, Lsuv):
        return ("# orthogonal, then divide each layer's weight by the standard deviation of its output on a batch",)
    given = init.model_dump()
    lecun = {"lecun_normal": "kaiming_normal", "lecun_uniform": "kaiming_uniform"}
    kind = lecun.get(init.kind, {"truncated_normal": "trunc_normal", "identity": "eye"}.get(init.kind, init.kind))
    given = {"nonlinearity": "linear"} if init.kind in lecun else {} if kind == "eye" else given
    arguments = "".join(f", {key}={value!r}" for key, value in given.items())
    return (
        "for layer in model.modules():",
        "    if isinstance(layer, (nn.Linear, nn.Conv2d)):",
        f"        nn.init.{kind}_(layer.weight{arguments})",
        "        if layer.bias is not None:",
        "            nn.init.zeros_(layer.bias)",
    )
