"""A spec's design: what is known of the training before anything runs. Torch-free, and no code of the user's is run."""

from __future__ import annotations

from dltool.core.measured.design import UNKNOWN_LAYER, Architecture, DesignedLayer, Samples
from dltool.core.measurements import Measurements
from dltool.specs.design.architecture import architecture_of
from dltool.specs.design.objective import objective_of
from dltool.specs.design.plan import plan_of
from dltool.specs.load import LoadedSpec
from dltool.specs.schema.base import Target
from dltool.specs.shapes.incoming import Incoming
from dltool.specs.shapes.row import Row


def design_of(loaded: LoadedSpec, *, look_at_data: bool = True) -> Measurements:
    """Architecture, Objective, Samples and Plan of a spec."""
    samples = Samples()
    return Measurements(
        [_architecture(loaded, samples), objective_of(loaded), samples, plan_of(loaded, samples.train_samples)]
    )


def _architecture(loaded: LoadedSpec, samples: Samples) -> Architecture:
    model = loaded.spec.model
    if isinstance(model, Target):
        own = DesignedLayer(kind=UNKNOWN_LAYER, module="", follows=(-1,), key="model")
        return Architecture(layers=(own,), outputs=(0,), input_shape=samples.input_shape, complete=False)
    shape = samples.input_shape or model.input
    incoming = None if shape is None else Incoming(shape, integers=bool(samples.integer_inputs))
    row = Row(loaded, own_code=lambda *_: None)
    layers, _ = row.model(model.layers, incoming)
    return architecture_of(model, layers, incoming)
