"""From the spec's list of layers to a module: each layer is built for the shape that arrives, and run to see what leaves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dltool.core.errors import SpecError
from dltool.specs.build.imports import construct
from dltool.specs.build.layers import ACTIVATIONS, BUILDERS, KEEPS_SEQUENCE, MAKES_SEQUENCE, POOLS_TIME, Incoming
from dltool.specs.build.modules import Residual, SpecModel
from dltool.specs.build.sequences import LengthAware, Stack
from dltool.specs.load import LoadedSpec
from dltool.specs.misfit import KeyPath, MisfitError, first_line, placed, shape_text
from dltool.specs.schema.base import Target
from dltool.specs.schema.initialisers import LayerInit
from dltool.specs.schema.layer_base import Layer, Weighted
from dltool.specs.schema.layers import AnyLayer
from dltool.specs.schema.layers import Residual as ResidualSpec

PROBE_SAMPLES = 2
"""Samples in the batch of zeros that is run through each layer: more than one, so that mixing them shows."""
TOO_SMALL = ("Output size is too small", "Kernel size can't be greater", "should be at least", "non-zero dimensions")


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

    def model(self, layers: Sequence[AnyLayer], incoming: Incoming) -> tuple[SpecModel, Incoming]:
        """The model and what leaves it.

        Raises:
            SpecError: a layer that cannot take what arrives; what follows it cannot be judged.
        """
        children, outgoing = self._stack(layers, ("model", "layers"), "", incoming, None)
        return SpecModel(children), outgoing

    def _stack(
        self, layers: Sequence[AnyLayer], key_path: KeyPath, path: str, incoming: Incoming, init: LayerInit | None
    ) -> tuple[list[tuple[str, nn.Module]], Incoming]:
        children: list[tuple[str, nn.Module]] = []
        for index, layer in enumerate(layers):
            key = (*key_path, index)
            name = getattr(layer, "name", None) or str(index)
            try:
                _require_free(name, layer.kind, dict(children))
                module, incoming = self._layer(layer, key, f"{path}{name}", incoming, init)
            except MisfitError as misfit:
                raise placed(self.loaded, key, misfit) from misfit
            children.append((name, module))
        return children, incoming

    def _layer(
        self, layer: AnyLayer, key: KeyPath, path: str, incoming: Incoming, init: LayerInit | None
    ) -> tuple[nn.Module, Incoming]:
        own = layer.init if isinstance(layer, Weighted) else None
        if isinstance(layer, Target):
            module = construct(layer, self.allowed)
            if not isinstance(module, nn.Module):
                raise MisfitError("a layer must be an nn.Module", value=type(module).__name__, below=("_target_",))
        elif isinstance(layer, ResidualSpec):
            place = len(self.layers)
            module = self._residual(layer, key, path, incoming, own or init)
            built = BuiltLayer(path=path, key_path=key, spec=layer, module=module, init=own, own_init=own is not None)
            self.layers.insert(place, built)
            return module, self._leaving(layer, module, incoming)
        else:
            self._refuse_padding(layer, incoming)
            module = _guarded(layer, incoming)
        outgoing = self._leaving(layer, module, incoming)
        self.layers.append(
            BuiltLayer(path=path, key_path=key, spec=layer, module=module, init=own or init, own_init=own is not None)
        )
        return module, outgoing

    def _residual(
        self, layer: ResidualSpec, key: KeyPath, path: str, incoming: Incoming, init: LayerInit | None
    ) -> Residual:
        branch_key = self._inner(key, "layers")
        children, outgoing = self._stack(layer.layers, branch_key, f"{path}.", incoming, init)
        if layer.shortcut:
            shortcut_key = (*key, "residual", "shortcut")
            inner, arriving = self._stack(layer.shortcut, shortcut_key, f"{path}.shortcut.", incoming, init)
            if arriving.shape != outgoing.shape:
                raise MisfitError(
                    "the shortcut and the layers give different shapes",
                    value=f"{shape_text(arriving.shape)} and {shape_text(outgoing.shape)}",
                    expected="the same shape",
                    below=("residual", "shortcut"),
                )
            return Residual(children, Stack(inner))
        if incoming.shape == outgoing.shape:
            return Residual(children)
        projection = _projection(incoming, outgoing)
        self.layers.append(
            BuiltLayer(path=f"{path}.shortcut.0", key_path=key, spec=layer, module=projection, init=init, own_init=False)
        )
        return Residual(children, Stack([("0", projection)]))

    def _inner(self, key: KeyPath, argument: str) -> KeyPath:
        """Where the layers of a block stand: right under its name, or under ``layers``."""
        form: object = self.loaded.resolved
        for part in (*key, "residual"):
            form = form[part]  # type: ignore[index]
        return (*key, "residual") if isinstance(form, list) else (*key, "residual", argument)

    def _refuse_padding(self, layer: Layer, incoming: Incoming) -> None:
        elementwise = layer.kind in ACTIVATIONS and layer.kind != "softmax2d"
        if incoming.padded and not elementwise and layer.kind not in KEEPS_SEQUENCE | MAKES_SEQUENCE | POOLS_TIME:
            raise MisfitError(
                f"{layer.kind} would mix the padding of sequences of unequal length into their data",
                expected="the last step of a recurrent layer, or global pooling, before it",
            )

    def _leaving(self, layer: AnyLayer, module: nn.Module, incoming: Incoming) -> Incoming:
        output = _run(layer, module, incoming)
        if not isinstance(output, Tensor):
            raise MisfitError(f"{layer.kind} returns no tensor", value=type(output).__name__)
        if output.dim() == 0 or output.shape[0] != PROBE_SAMPLES:
            raise MisfitError(
                f"{layer.kind} mixes the samples of a batch: {PROBE_SAMPLES} went in, the first dimension out is not theirs",
                value=shape_text(output.shape),
                expected="dimension 0 left alone",
            )
        if output.numel() == 0:
            raise MisfitError(_nothing_left(layer, incoming), value=shape_text(output.shape[1:]))
        ended = isinstance(module, LengthAware) and module.ends_sequence
        sequence = not ended and (
            layer.kind in MAKES_SEQUENCE or (incoming.sequence and layer.kind in KEEPS_SEQUENCE | ACTIVATIONS.keys())
        )
        return Incoming(tuple(output.shape[1:]), sequence, padded=incoming.padded and not ended)


def _require_free(name: str, kind: str, taken: Collection[str]) -> None:
    if name in taken or hasattr(Residual, name) or name in vars(nn.Module()) or name == "shortcut":
        raise MisfitError("this name is taken", value=name, expected="a name of its own", below=(kind, "name"))


def _guarded(layer: Layer, incoming: Incoming) -> nn.Module:
    try:
        return BUILDERS[layer.kind](layer, incoming)
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        raise MisfitError(f"torch cannot build this {layer.kind}: {first_line(error)}") from error


def _run(layer: AnyLayer, module: nn.Module, incoming: Incoming) -> object:
    dtype = torch.long if incoming.integers else torch.get_default_dtype()
    batch = torch.zeros(PROBE_SAMPLES, *incoming.shape, dtype=dtype)
    lengths = torch.full((PROBE_SAMPLES,), incoming.shape[0]) if incoming.padded else None
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            return module(batch, lengths) if isinstance(module, LengthAware) else module(batch)
    except Exception as error:
        if isinstance(error, SpecError | MisfitError):
            raise
        text = first_line(error)
        if any(part in text for part in TOO_SMALL):
            raise MisfitError(
                _nothing_left(layer, incoming),
                value=shape_text(incoming.shape),
                expected="fewer or smaller windows and strides before it, padding, or a larger input",
            ) from error
        raise MisfitError(f"{layer.kind} cannot take what arrives: {text}", value=shape_text(incoming.shape)) from error
    finally:
        module.train(was_training)


def _nothing_left(layer: AnyLayer, incoming: Incoming) -> str:
    return f"{layer.kind} leaves nothing of what arrives, {shape_text(incoming.shape)}: its window does not fit in"


def _projection(incoming: Incoming, outgoing: Incoming) -> nn.Module:
    """The shortcut of a block whose layers change the shape (He et al. 2016, option B)."""
    before, after = incoming.shape, outgoing.shape
    if len(before) == len(after) and before[:-1] == after[:-1] and len(before) <= 2:
        return nn.Linear(before[-1], after[-1], bias=False)
    if len(before) == len(after) and 2 <= len(before) <= 4:
        stride = tuple(-(-old // new) for old, new in zip(before[1:], after[1:], strict=True))
        if all((old - 1) // s + 1 == new for old, new, s in zip(before[1:], after[1:], stride, strict=True)):
            conv: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(before) - 2]
            return conv(before[0], after[0], 1, stride, bias=False)  # type: ignore[no-any-return]
    raise MisfitError(
        "no shortcut can be made from what enters the block to what leaves it",
        value=f"{shape_text(before)} to {shape_text(after)}",
        expected="the same shape, or `shortcut:` with layers of your own",
    )
