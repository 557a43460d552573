"""A spec's design: what is known of the training before anything runs. Torch-free, and no code of the user's is run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dltool.core.errors import DataError, Problem, SpecError
from dltool.core.measured.design import UNKNOWN_LAYER, Architecture, DesignedLayer, Samples
from dltool.core.measurements import Measurements
from dltool.specs.design.architecture import architecture_of
from dltool.specs.design.objective import objective_of
from dltool.specs.design.plan import plan_of
from dltool.specs.load import LoadedSpec
from dltool.specs.misfit import MisfitError, placed
from dltool.specs.schema.base import Target
from dltool.specs.schema.layer_linear import Embedding
from dltool.specs.schema.model import Layered
from dltool.specs.shapes.incoming import Incoming, incoming_of
from dltool.specs.shapes.row import Row
from dltool.specs.shapes.sizes import NothingLeftError

if TYPE_CHECKING:
    from dltool.specs.design.samples import Glances


def design_of(loaded: LoadedSpec, *, look_at_data: bool = True, known: Glances | None = None) -> Measurements:
    """Architecture, Objective, Samples and Plan of a spec.

    Without ``look_at_data`` shapes follow from ``model.input`` alone. ``known`` keeps what was seen for the next.

    Raises:
        SpecError: layers that do not take what arrives (windows too large aside), and data that cannot be read: all at once.
    """
    problems: list[Problem] = []
    samples, incoming = Samples(), _from_model(loaded.spec.model)
    if look_at_data:
        from dltool.specs.design.samples import Glances, looked_at  # numpy

        try:
            seen = looked_at(loaded, known or Glances())
        except DataError as error:
            problems += error.problems
        else:
            samples, incoming = seen.samples, _checked(loaded, seen.incoming, problems)
    architecture = _architecture(loaded, incoming, problems)
    if problems:
        raise SpecError(*problems)
    objective = objective_of(loaded, samples, architecture)
    return Measurements([architecture, objective, samples, plan_of(loaded, samples.train_samples)])


def _from_model(model: Layered | Target) -> Incoming | None:
    if isinstance(model, Target) or model.input is None:
        return None
    return Incoming(model.input, integers=isinstance(model.layers[0], Embedding))


def _checked(loaded: LoadedSpec, seen: Incoming, problems: list[Problem]) -> Incoming:
    try:
        return incoming_of(loaded.spec.model, seen)
    except MisfitError as misfit:
        problems += placed(loaded, ("model", "input"), misfit).problems
        return seen


def _architecture(loaded: LoadedSpec, incoming: Incoming | None, problems: list[Problem]) -> Architecture:
    model = loaded.spec.model
    if isinstance(model, Target):
        own = DesignedLayer(kind=UNKNOWN_LAYER, module="", follows=(-1,), key="model")
        shape = None if incoming is None else incoming.shape
        return Architecture(layers=(own,), outputs=(0,), input_shape=shape, complete=False)
    row = Row(loaded, own_code=lambda *_: None, told_elsewhere=(NothingLeftError,))  # SPC118 tells it
    layers, _ = row.model(model.layers, incoming)
    problems += row.problems
    return architecture_of(model, layers, incoming)
