"""The design that a spec's text tells is the one that its built model shows when it runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_build_layers import CASES, VECTOR

from dltool.core.measured.design import Architecture, DesignedLayer
from dltool.probes.design.describe import design_of_code
from dltool.specs.build.assemble import Assembly
from dltool.specs.design.architecture import architecture_of
from dltool.specs.load import load_text
from dltool.specs.schema.layers import LAYERS
from dltool.specs.schema.model import Layered
from dltool.specs.shapes.incoming import Incoming
from dltool.specs.shapes.row import Row

KINDS = [member.kind for member in LAYERS if member.kind != "residual"]
ONE_OF_SEVERAL = {"transformer_encoder_layer"}
"""Layers that the spec's own class makes of parts, which are what a trace sees."""
BETWEEN = {"reshape", "flatten", "select", "cat"}
"""What the spec's own modules do around torch's layers: sequences are folded, last steps are taken."""
NOT_TORCHS = {"output", "add_bias_kv", "add_zero_attn", "norm_type", "scale_grad_by_freq", "sparse", "init"}
"""Arguments of the spec that no module is asked about."""


def both(layers: str, shape: tuple[int, ...], *, integers: bool = False) -> tuple[Architecture, Architecture]:
    """As the spec tells it, and as the built model shows it."""
    lines = "".join(f"    - {line}\n" for line in layers.splitlines())
    loaded = load_text(f"version: 1\ndata: {{synthetic: xor}}\nmodel:\n  layers:\n{lines}", "spec.yaml")
    spec, incoming = loaded.spec.model, Incoming(shape, integers=integers)
    assert isinstance(spec, Layered)
    row, _ = Row(loaded, own_code=lambda *_: None).model(spec.layers, incoming)
    told = architecture_of(spec, row, incoming)
    model, _ = Assembly(loaded, ()).model(spec.layers, incoming)
    given = torch.zeros(2, *shape, dtype=torch.long) if integers else torch.randn(2, *shape)
    return told, design_of_code(model, None, (given, torch.zeros(2))).architecture


def same_sizes(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def agree(told: DesignedLayer, seen: DesignedLayer) -> None:
    assert seen.kind == told.kind
    assert (seen.arrives, seen.leaves) == (told.arrives, told.leaves)
    assert seen.parameters == told.parameters
    shared = {key: value for key, value in told.arguments.items() if key not in NOT_TORCHS}
    if told.kind == "reshape":  # -1 and what comes of it
        return
    assert {key: same_sizes(seen.arguments.get(key)) for key in shared} == {
        key: same_sizes(value) for key, value in shared.items()
    }


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ONE_OF_SEVERAL])
def test_every_layer_is_told_as_it_runs(kind: str) -> None:
    form, shape, _ = (kind, (2, 8, 10), None) if kind == "global_max_pool" else CASES.get(kind, (kind, VECTOR, VECTOR))
    integers = kind == "embedding"
    told, seen = both(form, shape, integers=integers)
    (expected,) = told.layers
    found = [layer for layer in seen.layers if layer.kind == kind or layer.kind not in BETWEEN]
    assert len(found) == 1
    if len(seen.layers) == 1:
        agree(expected, found[0])
    assert seen.layers[seen.outputs[0]].leaves == expected.leaves


STACKS = {
    "mlp": ("{linear: 8}\nrelu\n{dropout: 0.2}\n{linear: 3}\nsoftmax", (4,)),
    "cnn": (
        (
            "{conv2d: {out_channels: 4, kernel_size: 3, padding: same}}\nbatch_norm\nrelu\n"
            "{max_pool2d: 2}\nglobal_avg_pool\n{linear: 3}"
        ),
        (3, 8, 8),
    ),
    "residual": ("{residual: [{linear: 4}, relu, {linear: 4}]}\nrelu\n{linear: 2}", (4,)),
    "projected": ("{residual: [{linear: 8}, relu, {linear: 7}]}\n{linear: 2}", (4,)),
    "convolutional block": (
        "{residual: [{conv2d: {out_channels: 4, kernel_size: 3, padding: 1, stride: 2}}, batch_norm, relu]}",
        (2, 9, 8),
    ),
    "shortcut of its own": ("{residual: {layers: [{linear: 5}, tanh, {linear: 4}], shortcut: [{linear: 4}]}}", (3,)),
    "nested": ("{residual: [{residual: [{linear: 4}, relu, {linear: 4}]}, relu, {linear: 4}]}\nflatten", (4,)),
}


@pytest.mark.parametrize("name", STACKS)
def test_rows_of_layers_have_the_edges_that_run(name: str) -> None:
    told, seen = both(*STACKS[name])

    def edges(architecture: Architecture) -> set[tuple[str | None, str, frozenset[str | None]]]:
        layers = architecture.layers
        return {
            (layer.module, layer.kind, frozenset(None if n < 0 else layers[n].module for n in layer.follows))
            for layer in layers
        }

    assert edges(seen) == edges(told)
    by_path = {(layer.module, layer.kind): layer for layer in seen.layers}
    for layer in told.layers:
        other = by_path[layer.module, layer.kind]
        assert (other.leaves, other.parameters) == (layer.leaves, layer.parameters)
        agree(layer, other) if layer.kind != "residual-add" else None
    assert [seen.layers[n].module for n in seen.outputs] == [told.layers[n].module for n in told.outputs]
