"""The start as it is: signals, gradients, symmetric units, and the loss against what the task implies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from dltool.core.errors import UserError
from dltool.core.measured.init_stats import InitLayers, LossAtStart
from dltool.core.measured.task import Output
from dltool.core.measured.training import SymmetricUnits, Symmetry
from dltool.core.measurements import Section
from dltool.diagnostics.aftermath import SQUASHED
from dltool.probes.baseline import baseline, fit_constant
from dltool.probes.nested import batch_size
from dltool.probes.output import output_of
from dltool.probes.preserve import preserved
from dltool.probes.starting import Start, at_the_start, measure_start
from dltool.probes.symmetry import UnitLayer, distinct_rows, distinct_weights, unit_layers
from dltool.training.experiment import Batch, Experiment
from dltool.training.failure import explain
from dltool.training.modes import set_training


def measured(experiment: Experiment, batches: Sequence[Batch]) -> Start:
    """Forward and backward on all batches.

    Raises:
        TargetError: the user's model or loss raised.
    """
    samples = sum(batch_size(batch.input) or 0 for batch in batches)
    try:
        return measure_start(
            experiment.model,
            experiment.criterion,
            batches,
            kept_in_eval=experiment.kept_in_eval,
            all_samples=samples == experiment.train.samples,
        )
    except UserError:
        raise
    except Exception as error:
        raise explain(error, "looking at the model's start on a training batch") from error


def sections(experiment: Experiment, batches: Sequence[Batch], start: Start) -> list[Section]:
    """Everything that is known of the start."""
    output = output_of(experiment.model, experiment.criterion, batches, initial_loss=start.loss)
    # The same output for every sample may be meant: a head that starts at zero. Whether it is, growth tells.
    shown = [] if output is None else [replace(output, spread_ratio=None)]
    loss = _loss(experiment, batches, start, output)
    return [InitLayers(layers=start.layers), start.growth, symmetry(experiment, batches[0]), loss, *shown]


def _loss(experiment: Experiment, batches: Sequence[Batch], start: Start, output: Output | None) -> LossAtStart:
    squash = None if output is None or output.loss_expects == "logits" else SQUASHED.get(output.final_activation or "")
    with at_the_start(experiment.model, experiment.kept_in_eval):
        example = batches[0].input, experiment.model(batches[0].input)
    constant = fit_constant(experiment.criterion, batches, example=example, activation=squash)
    trivial = None
    if constant is not None:
        trivial = baseline(experiment.criterion, constant.to(experiment.device), batches, None)
    return LossAtStart(
        loss=start.loss,
        chance_loss=None if output is None else output.expected_initial_loss,
        trivial_loss=None if trivial is None else trivial.train_loss,
        trivial=None if trivial is None else trivial.description,
    )


def symmetry(experiment: Experiment, batch: Batch) -> Symmetry:
    """Layers whose units hold the same weights, with their gradients in training mode, where dropout may part them."""
    alike = [layer for layer in unit_layers(experiment.model) if distinct_weights(layer) < layer.units]
    alike = [layer for layer in alike if all(part.requires_grad for part, _ in layer.parts)]
    if not alike:
        return Symmetry(layers=())
    gradients = _gradients(experiment, batch)
    return Symmetry(layers=tuple(_record(layer, gradients) for layer in alike))


def _gradients(experiment: Experiment, batch: Batch) -> dict[int, Tensor]:
    parameters = [p for p in experiment.model.parameters() if p.requires_grad]
    with preserved(experiment.model), torch.enable_grad():
        set_training(experiment.model, experiment.kept_in_eval)
        loss = experiment.criterion(experiment.model(batch.input), batch.target)
        if not loss.requires_grad:
            return {}
        found: tuple[Tensor | None, ...] = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {id(p): g for p, g in zip(parameters, found, strict=True) if g is not None and not g.is_sparse}


def _record(layer: UnitLayer, gradients: dict[int, Tensor]) -> SymmetricUnits:
    seen = [(gradients[id(part)], dim) for part, dim in layer.parts if id(part) in gradients]
    slopes = replace(layer, parts=tuple(seen)).rows() if seen else None
    stepped = weights = layer.rows()
    if slopes is not None and weights is not None and bool(slopes.any()):
        scale = max(float(torch.linalg.vector_norm(weights)), 1.0) / torch.linalg.vector_norm(slopes)
        stepped = torch.cat([weights, slopes * scale], 1)
    return SymmetricUnits(
        module=layer.module,
        parameter=layer.parameter,
        units=layer.units,
        distinct_weights=distinct_weights(layer),
        distinct_gradients=distinct_rows(slopes),
        distinct_weights_last=distinct_rows(stepped),
    )


def has_twins(model: nn.Module, head: str | None) -> bool:
    """Whether half the units of a layer other than ``head`` are copies of others."""
    return any(2 * distinct_weights(layer) <= layer.units for layer in unit_layers(model) if layer.module != head)
