"""The model of a spec: assembled, initialised from the seed, loaded, frozen, and mapped back to the lines that wrote it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from dltool.core.errors import Location
from dltool.specs.build import lsuv
from dltool.specs.build.assemble import Assembly, BuiltLayer
from dltool.specs.build.imports import construct
from dltool.specs.build.initialise import initialise
from dltool.specs.build.modules import Residual
from dltool.specs.build.pretrained import freeze, load_weights, matching
from dltool.specs.load import LoadedSpec
from dltool.specs.misfit import Collector, MisfitError
from dltool.specs.schema.base import Target
from dltool.specs.schema.initialisers import LayerInit, Lsuv
from dltool.specs.schema.model import Layered, Pretrained
from dltool.specs.shapes.incoming import Incoming
from dltool.training.experiment import Nested


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltModel:
    """A model on the CPU, in training mode. ``output`` is what leaves its last layer, None for a model of the user's own."""

    model: nn.Module
    output: Incoming | None = None
    sources: Mapping[str, tuple[str, Location | None]] = field(default_factory=dict)
    layer_l2: Mapping[str, float] = field(default_factory=dict)
    kept_in_eval: frozenset[str] = frozenset()


def build_model(
    loaded: LoadedSpec, incoming: Incoming, first_input: Nested, seed: int, allowed: Collection[str]
) -> BuiltModel:
    """The spec's model for samples like ``incoming``; its weights follow from ``seed`` alone.

    ``first_input`` is the input of a training batch, for the initialisers that look at data (lsuv). The caller's random
    state is left as it was.

    Raises:
        SpecError: layers, weights or patterns that do not fit.
    """
    spec = loaded.spec.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(spec, Target):
            return _own_model(loaded, spec, allowed)
        return _layered(loaded, spec, incoming, first_input, allowed)


def _own_model(loaded: LoadedSpec, spec: Target, allowed: Collection[str]) -> BuiltModel:
    model = construct(spec, allowed)
    if not isinstance(model, nn.Module):
        raise MisfitError("the model must be an nn.Module", value=type(model).__name__, below=("_target_",))
    where = ("model", loaded.locate(("model",)))
    return BuiltModel(model=model, sources=dict.fromkeys(_names(model, ""), where))


def _layered(
    loaded: LoadedSpec, spec: Layered, incoming: Incoming, first_input: Nested, allowed: Collection[str]
) -> BuiltModel:
    assembly = Assembly(loaded, allowed)
    model, output = assembly.model(spec.layers, incoming)
    _initialise(loaded, spec.init, assembly.layers, model, first_input)
    kept: frozenset[str] = frozenset()
    for built in assembly.layers:
        if getattr(built.spec, "frozen", False) and not _is_shortcut(built):
            kept |= freeze(model, set(_names(built.module, built.path)))
    if spec.pretrained is not None:
        kept |= _transfer(loaded, spec.pretrained, model, {built.path: built.spec.kind for built in assembly.layers})
    return BuiltModel(
        model=model,
        output=output,
        sources=_sources(loaded, assembly.layers),
        layer_l2=_layer_l2(assembly.layers),
        kept_in_eval=kept,
    )


def _is_shortcut(built: BuiltLayer) -> bool:
    """The projection that a residual block got by itself, which stands in the list beside the block."""
    return built.spec.kind == "residual" and not isinstance(built.module, Residual)


def _initialise(
    loaded: LoadedSpec, default: LayerInit | None, layers: list[BuiltLayer], model: nn.Module, first_input: Nested
) -> None:
    collector = Collector(loaded)
    scaled: dict[str, Lsuv] = {}
    for built in layers:
        init = built.init or default
        if init is None or isinstance(built.module, Residual) or isinstance(built.spec, Target):
            continue
        own = built.own_init
        key: tuple[str | int, ...] = (*built.key_path, built.spec.kind) if own else ("model",)
        collector.build(key, lambda module=built.module, init=init, own=own: initialise(module, init, own=own))  # type: ignore[misc]
        if isinstance(init.weight, Lsuv) and isinstance(built.module, nn.Linear | _ConvNd):
            scaled[built.path] = init.weight
    collector.raise_if_any()
    if scaled:
        collector.build(("model", "init"), lambda: lsuv.rescale(model, scaled, first_input))
        collector.raise_if_any()


def _transfer(loaded: LoadedSpec, spec: Pretrained, model: nn.Module, kinds: Mapping[str, str]) -> frozenset[str]:
    collector = Collector(loaded)
    key = ("model", "pretrained")
    skipped: set[str] = set()
    frozen: set[str] = set()
    for argument, patterns, meant in (("skip", spec.skip, skipped), ("freeze", spec.freeze, frozen)):
        for index, pattern in enumerate(patterns):
            found = collector.build((*key, argument, index), lambda pattern=pattern: matching(model, pattern, kinds))  # type: ignore[misc]
            meant.update(found or ())
    collector.raise_if_any()
    collector.build(key, lambda: load_weights(model, Path(loaded.path).parent / spec.weights, skipped))
    collector.raise_if_any()
    return freeze(model, frozen)


def _names(module: nn.Module, path: str) -> list[str]:
    """The paths of a module and all in it, and the names of its parameters and buffers."""
    prefix = f"{path}." if path else ""
    modules = [f"{prefix}{name}".rstrip(".") for name, _ in module.named_modules()]
    return modules + [f"{prefix}{name}" for name, _ in (*module.named_parameters(), *module.named_buffers())]


def _sources(loaded: LoadedSpec, layers: list[BuiltLayer]) -> dict[str, tuple[str, Location | None]]:
    """Blocks come before what is in them, so that the innermost layer has the last word."""
    found: dict[str, tuple[str, Location | None]] = {}
    for built in layers:
        where = (".".join(map(str, built.key_path)), loaded.locate(built.key_path))
        found |= dict.fromkeys(_names(built.module, built.path), where)
    return found


def _layer_l2(layers: list[BuiltLayer]) -> dict[str, float]:
    """The coefficient of every weight (not bias, not normalisation) of the layers that name their own ``l2``."""
    found: dict[str, float] = {}
    for built in layers:
        l2 = getattr(built.spec, "l2", None)
        if l2 is not None:
            named = built.module.named_parameters(prefix=built.path)
            weights = [name for name, tensor in named if tensor.dim() > 1]
            found |= dict.fromkeys(weights, l2)
    return found
