"""Short forms of a design for tests to compare."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import nn

from dltool.core.measured.design import Architecture, DesignedLayer
from dltool.probes.design.describe import Design, design_of_code
from dltool.specs.factory_parts import factory_criterion


def traced(model: nn.Module, given: Any, target: Any, loss: Any = F.cross_entropy) -> Design:
    """The design of a model with the loss that a factory would have returned beside it."""
    return design_of_code(model, factory_criterion(loss), (given, target))


def kinds(design: Design) -> str:
    """The kinds of the layers in the order in which they run."""
    return " ".join(layer.kind for layer in design.architecture.layers)


def edges(design: Design) -> list[tuple[int, ...]]:
    """What each layer follows."""
    return [layer.follows for layer in design.architecture.layers]


def layer(design: Design | Architecture, kind: str, nth: int = 0) -> DesignedLayer:
    """The ``nth`` layer of a kind."""
    architecture = design.architecture if isinstance(design, Design) else design
    return [each for each in architecture.layers if each.kind == kind][nth]


def end(design: Design) -> str:
    """The kind of the one layer whose result the loss is given."""
    (output,) = design.architecture.outputs
    return design.architecture.layers[output].kind


def sketch(design: Design) -> str:
    """The layers in order; one that does not follow the layer before it says what it follows ("x" is the input)."""
    words = []
    for index, each in enumerate(design.architecture.layers):
        follows = ",".join("x" if number < 0 else str(number) for number in each.follows)
        words.append(each.kind if each.follows == (index - 1,) else f"{each.kind}:{follows}")
    return " ".join(words)
