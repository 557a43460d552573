"""One model in several widths: what of a spec is its width, and building it so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dltool.core.errors import Problem, SpecError
from dltool.specs.merge import Extender
from dltool.specs.target import SPEC_SUFFIXES, open_target
from dltool.training.experiment import Experiment

WIDTH_OF = {
    "linear": "out_features",
    "drop_connect": "out_features",
    "conv1d": "out_channels",
    "conv2d": "out_channels",
    "conv3d": "out_channels",
    "embedding": "embedding_dim",
    "rnn": "hidden_size",
    "lstm": "hidden_size",
    "gru": "hidden_size",
}
"""The argument that is a layer's width; for all but embeddings also its first."""

VARIABLE = "width"


@dataclass(frozen=True, slots=True)
class Hidden:
    """A hidden layer of a spec: the key of its width, and the width it has."""

    key: str
    width: int


@dataclass(frozen=True, slots=True)
class Varied:
    """How a target is made wider: ``build(width, seed)``; ``described`` says what is varied."""

    described: str
    build: Callable[[int, int], Experiment]


def vary(target: str, overrides: Sequence[str], spec: Mapping[str, Any] | None, **options: Any) -> Varied:
    """Find out what a target's width is: ``vars.width`` of a spec, else its hidden layers, or a factory's ``width``.

    Raises:
        SpecError: a spec without hidden layers that could be made wider.
    """
    if not target.endswith(SPEC_SUFFIXES):
        return Varied("the factory's width", lambda width, seed: open_target(target, seed=seed, width=width, **options))
    if _has_variable(target):
        chosen: Callable[[int], list[str]] = lambda width: [f"vars.{VARIABLE}={width}"]  # noqa: E731 - one of two
        described = f"vars.{VARIABLE}"
    else:
        hidden = hidden_layers(spec or {})
        if not hidden:
            raise SpecError(
                Problem(
                    message="no hidden layer's width can be varied",
                    key="model.layers",
                    expected="`width` in vars, used there",
                )
            )
        usual = Counter(layer.width for layer in hidden).most_common(1)[0][0]
        chosen = lambda width: [f"{x.key}={max(1, round(x.width * width / usual))}" for x in hidden]  # noqa: E731
        described = f"all {len(hidden)} hidden layers, {usual} units being the usual width"

    def build(width: int, seed: int) -> Experiment:
        return open_target(target, overrides=(*overrides, *chosen(width)), seed=seed, **options)

    return Varied(described, build)


def _has_variable(target: str) -> bool:
    document: Any = Extender().read(target).plain()
    variables = document.get("vars") if isinstance(document, Mapping) else None
    return isinstance(variables, Mapping) and VARIABLE in variables


def hidden_layers(spec: Mapping[str, Any]) -> list[Hidden]:
    """Layers with a width, in order, but for the last: that is the output, as wide as the task asks."""
    layers = (spec.get("model") or {}).get("layers") or []
    return list(_found(layers, "model.layers"))[:-1]


def _found(layers: Any, key: str) -> Iterator[Hidden]:
    for index, layer in enumerate(layers):
        if not isinstance(layer, Mapping) or len(layer) != 1:
            continue
        ((kind, form),) = layer.items()
        if kind == "residual":
            inner = form.get("layers", []) if isinstance(form, Mapping) else form
            below = f"{key}.{index}.residual" + (".layers" if isinstance(form, Mapping) else "")
            yield from _found(inner, below)
        elif kind in WIDTH_OF:
            width = form.get(WIDTH_OF[kind]) if isinstance(form, Mapping) else form if kind != "embedding" else None
            if isinstance(width, int):
                yield Hidden(f"{key}.{index}.{kind}.{WIDTH_OF[kind]}", width)
