"""The model of a spec as a graph of layers (``core.measured.design.Architecture``), from its row of fitted layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from dltool.core.measured.design import (
    UNKNOWN_LAYER,
    Architecture,
    Argument,
    DesignedInit,
    DesignedLayer,
)
from dltool.specs.misfit import KeyPath
from dltool.specs.nodes import dotted
from dltool.specs.schema.base import Target
from dltool.specs.schema.initialisers import LayerInit
from dltool.specs.schema.model import Layered
from dltool.specs.shapes.fit import arguments
from dltool.specs.shapes.incoming import Incoming
from dltool.specs.shapes.parameters import count_parameters, parameters_of
from dltool.specs.shapes.row import Block, Projection, RowLayer

INPUT = -1
NORMS = frozenset({"batch_norm", "layer_norm", "group_norm", "rms_norm"})
FREE_INITIALISERS = frozenset({"normal", "truncated_normal", "uniform", "zeros", "ones", "constant"})
"""Those that need no fan: ``model.init`` fills embeddings with these alone (specs.build.initialise)."""


def architecture_of(model: Layered, row: Sequence[RowLayer], incoming: Incoming | None) -> Architecture:
    """The graph of the layers in ``row``; a residual block is its branch, its shortcut and a ``residual-add``."""
    graph = _Graph(model)
    last = graph.add_row(row, INPUT)
    return Architecture(
        layers=tuple(graph.layers),
        outputs=(last,),
        input_shape=None if incoming is None else incoming.shape,
        complete=graph.complete,
    )


@dataclass(slots=True)
class _Graph:
    model: Layered
    layers: list[DesignedLayer] = field(default_factory=list)
    complete: bool = True

    def add_row(self, row: Sequence[RowLayer], last: int) -> int:
        for layer in row:
            last = self._add_layer(layer, last)
        return last

    def _add_layer(self, layer: RowLayer, last: int) -> int:
        if layer.block is not None:
            return self._add_block(layer, layer.block, last)
        if isinstance(layer.spec, Target):
            self.complete = False
            return self._append(layer, last, UNKNOWN_LAYER, {}, None)
        kind = layer.spec.kind
        given = arguments(layer.spec) if layer.fitted is None else layer.fitted.arguments
        count = None if layer.fitted is None else count_parameters(kind, given)
        return self._append(layer, last, kind, _plain(given, layer.leaves), count)

    def _append(self, layer: RowLayer, last: int, kind: str, given: Mapping[str, Argument], parameters: int | None) -> int:
        weighted = kind != UNKNOWN_LAYER and bool(parameters or parameters is None) and hasattr(layer.spec, "l2")
        self.layers.append(
            DesignedLayer(
                kind=kind,
                module=layer.path,
                key=dotted(layer.key_path),
                follows=(last,),
                arrives=_shape(layer.arrives),
                leaves=_shape(layer.leaves),
                arguments=given,
                parameters=parameters,
                init=self._init(layer, kind) if weighted else None,
                frozen=weighted and self._is_frozen(layer, kind, given),
            )
        )
        return len(self.layers) - 1

    def _add_block(self, layer: RowLayer, block: Block, last: int) -> int:
        branch = self.add_row(block.layers, last)
        shortcut = self.add_row(block.shortcut, last)
        if block.projection is not None:
            shortcut = self._add_projection(layer, block.projection, last)
        follows = (branch, shortcut) if branch != shortcut else (branch,)
        self.layers.append(
            DesignedLayer(
                kind="residual-add",
                module=layer.path,
                key=dotted(layer.key_path),
                follows=follows,
                arrives=_shape(layer.leaves),
                leaves=_shape(layer.leaves),
                parameters=0,
            )
        )
        return len(self.layers) - 1

    def _add_projection(self, layer: RowLayer, projection: Projection, last: int) -> int:
        given = projection_arguments(projection)
        self.layers.append(
            DesignedLayer(
                kind=projection.kind,
                module=f"{layer.path}.shortcut.0",
                key=dotted(layer.key_path),
                follows=(last,),
                arrives=projection.before,
                leaves=projection.after,
                arguments=given,
                parameters=count_parameters(projection.kind, given),
                init=self._designed(layer.init, layer.init_key, projection.kind, own=False),
                frozen=layer.frozen,
            )
        )
        return len(self.layers) - 1

    def _init(self, layer: RowLayer, kind: str) -> DesignedInit | None:
        if kind == "prelu":
            value = getattr(layer.spec, "init", None)
            return DesignedInit(name="constant", arguments={"val": value}, key=f"{dotted(layer.key_path)}.prelu")
        return self._designed(layer.init, layer.init_key, kind, own=layer.own_init)

    def _designed(self, init: LayerInit | None, key: KeyPath | None, kind: str, *, own: bool) -> DesignedInit:
        """As ``specs.build.initialise`` does it: the layer's own, else its block's, else the model's."""
        if init is None:
            init, key = self.model.init, ("model", "init")
        weight = None if init is None else init.weight
        if weight is None or not _takes(kind, weight.kind, own=own):
            return DesignedInit(name="default")
        given = {name: getattr(weight, name) for name in type(weight).model_fields}
        return DesignedInit(name=weight.kind, arguments=given, key=None if key is None else dotted(key))

    def _is_frozen(self, layer: RowLayer, kind: str, given: Mapping[str, Argument]) -> bool:
        pretrained = self.model.pretrained
        if layer.frozen or pretrained is None:
            return layer.frozen
        paths = [".".join(layer.path.split(".")[: end + 1]) for end in range(layer.path.count(".") + 1)]
        kinds = {layer.path: kind}
        kinds |= dict.fromkeys(paths[:-1], "residual")
        weights = [f"{layer.path}.{name}" for name in _known_parameters(kind, given) if "bias" not in name]
        return any(
            any(fnmatchcase(path, pattern) or fnmatchcase(kinds.get(path, ""), pattern) for path in paths)
            or (bool(weights) and all(fnmatchcase(name, pattern) for name in weights))
            for pattern in pretrained.freeze
        )


def projection_arguments(projection: Projection) -> dict[str, Argument]:
    """Torch's arguments for the module that a projection will be."""
    before, after = projection.before, projection.after
    if projection.kind == "linear":
        return {"in_features": before[-1], "out_features": after[-1], "bias": False}
    return {
        "in_channels": before[0],
        "out_channels": after[0],
        "kernel_size": 1,
        "stride": projection.stride,
        "padding": 0,
        "dilation": 1,
        "groups": 1,
        "bias": False,
        "padding_mode": "zeros",
    }


def _known_parameters(kind: str, given: Mapping[str, Any]) -> list[str]:
    try:
        return list(parameters_of(kind, given))
    except TypeError:  # sizes that are not known behind a layer of the user's own
        return []


def _takes(kind: str, initialiser: str, *, own: bool) -> bool:
    """Whether an initialiser fills this layer's weight, or passes it over."""
    if own:
        return True
    return kind not in NORMS and (kind != "embedding" or initialiser in FREE_INITIALISERS)


def _shape(incoming: Incoming | None) -> tuple[int, ...] | None:
    return None if incoming is None else incoming.shape


def _plain(given: Mapping[str, Any], leaves: Incoming | None) -> dict[str, Argument]:
    """Arguments as a report holds them: a pool's stride is its window where absent, sides that it keeps are numbers."""
    plain = dict(given)
    if "stride" in plain and plain["stride"] is None:
        plain["stride"] = plain["kernel_size"]
    size = plain.get("output_size")
    if isinstance(size, tuple) and None in size:
        plain["output_size"] = None if leaves is None else leaves.shape[1:]
    return plain
