"""From the spec's list of layers to a module: ``specs.shapes`` fits each to what arrives, and here it is made.

Layers of the user's own are made first, and run on zeros: nothing else tells what leaves them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dltool.core.errors import SpecError
from dltool.specs.build.imports import construct
from dltool.specs.build.layers import BUILDERS
from dltool.specs.build.modules import Residual, SpecModel
from dltool.specs.build.sequences import LengthAware, Stack
from dltool.specs.load import LoadedSpec
from dltool.specs.misfit import KeyPath, MisfitError, first_line, placed, shape_text
from dltool.specs.schema.base import Target
from dltool.specs.schema.initialisers import LayerInit
from dltool.specs.schema.layer_base import Layer
from dltool.specs.schema.layers import AnyLayer
from dltool.specs.shapes.incoming import Incoming
from dltool.specs.shapes.row import Block, Projection, Row, RowLayer

PROBE_SAMPLES = 2
"""Samples in the batch of zeros that is run through a layer: more than one, so that mixing them shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltLayer:
    """A layer's spec beside its module. ``init`` is the layer's own, or that of the residual block around it."""

    path: str
    key_path: KeyPath
    spec: Layer | Target
    module: nn.Module
    init: LayerInit | None
    own_init: bool


@dataclass(slots=True)
class Assembly:
    """A model under construction; ``layers`` in the order in which they run, blocks before what is in them."""

    loaded: LoadedSpec
    allowed: Collection[str]
    layers: list[BuiltLayer] = field(default_factory=list)
    _own: dict[KeyPath, nn.Module] = field(default_factory=dict)

    def model(self, layers: Sequence[AnyLayer], incoming: Incoming) -> tuple[SpecModel, Incoming]:
        """The model and what leaves it.

        Raises:
            SpecError: layers that cannot take what arrives; what follows such a one cannot be judged.
        """
        row = Row(self.loaded, own_code=self._own_layer)
        fitted, outgoing = row.model(layers, incoming)
        if row.problems:
            raise SpecError(*row.problems)
        assert outgoing is not None
        return SpecModel(self._children(fitted)), outgoing

    def _children(self, row: Sequence[RowLayer]) -> list[tuple[str, nn.Module]]:
        return [(layer.name, self._made(layer)) for layer in row]

    def _made(self, layer: RowLayer) -> nn.Module:
        place = len(self.layers)
        if layer.block is not None:
            module: nn.Module = self._block(layer, layer.block)
        elif isinstance(layer.spec, Target):
            module = self._own[layer.key_path]
        else:
            try:
                module = _built(layer)
            except MisfitError as misfit:
                raise placed(self.loaded, layer.key_path, misfit) from misfit
        init = layer.init if layer.block is None or layer.own_init else None
        self.layers.insert(place, _beside(layer, layer.path, module, init, own=layer.own_init))
        return module

    def _block(self, layer: RowLayer, block: Block) -> Residual:
        children = self._children(block.layers)
        if block.shortcut:
            return Residual(children, Stack(self._children(block.shortcut)))
        if block.projection is None:
            return Residual(children)
        module = _projected(block.projection)
        self.layers.append(_beside(layer, f"{layer.path}.shortcut.0", module, layer.init, own=False))
        return Residual(children, Stack([("0", module)]))

    def _own_layer(self, target: Target, key: KeyPath, incoming: Incoming) -> Incoming:
        module = construct(target, self.allowed)
        if not isinstance(module, nn.Module):
            raise MisfitError("a layer must be an nn.Module", value=type(module).__name__, below=("_target_",))
        self._own[key] = module
        return _leaving(target, module, incoming)


def _beside(layer: RowLayer, path: str, module: nn.Module, init: LayerInit | None, *, own: bool) -> BuiltLayer:
    return BuiltLayer(path=path, key_path=layer.key_path, spec=layer.spec, module=module, init=init, own_init=own)


def _built(layer: RowLayer) -> nn.Module:
    assert layer.fitted is not None
    assert layer.arrives is not None
    try:
        return BUILDERS[layer.spec.kind](dict(layer.fitted.arguments), layer.arrives)
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        raise MisfitError(f"torch cannot build this {layer.spec.kind}: {first_line(error)}") from error


def _projected(projection: Projection) -> nn.Module:
    before, after = projection.before, projection.after
    if projection.kind == "linear":
        return nn.Linear(before[-1], after[-1], bias=False)
    conv: Any = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d, "conv3d": nn.Conv3d}[projection.kind]
    return conv(before[0], after[0], 1, projection.stride, bias=False)  # type: ignore[no-any-return]


def _leaving(target: Target, module: nn.Module, incoming: Incoming) -> Incoming:
    output = _run(target, module, incoming)
    if not isinstance(output, Tensor):
        raise MisfitError(f"{target.kind} returns no tensor", value=type(output).__name__)
    if output.dim() == 0 or output.shape[0] != PROBE_SAMPLES:
        raise MisfitError(
            f"{target.kind} mixes the samples of a batch: {PROBE_SAMPLES} went in, the first dimension out is not theirs",
            value=shape_text(output.shape),
            expected="dimension 0 left alone",
        )
    if output.numel() == 0:
        raise MisfitError(f"{target.kind} leaves nothing of what arrives", value=shape_text(output.shape[1:]))
    ended = isinstance(module, LengthAware) and module.ends_sequence
    return Incoming(tuple(output.shape[1:]), padded=incoming.padded and not ended)


def _run(target: Target, module: nn.Module, incoming: Incoming) -> object:
    dtype = torch.long if incoming.integers else torch.get_default_dtype()
    batch = torch.zeros(PROBE_SAMPLES, *incoming.shape, dtype=dtype)
    lengths = torch.full((PROBE_SAMPLES,), incoming.shape[0]) if incoming.padded else None
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            return module(batch, lengths) if isinstance(module, LengthAware) else module(batch)
    except Exception as error:
        text = first_line(error)
        raise MisfitError(f"{target.kind} cannot take what arrives: {text}", value=shape_text(incoming.shape)) from error
    finally:
        module.train(was_training)
