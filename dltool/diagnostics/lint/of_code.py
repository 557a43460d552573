"""The design of the user's own code: the sections that lint's rules judge, from one forward pass and the first batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from dltool.core.errors import UserError
from dltool.core.measured.design import Objective, Samples
from dltool.core.measurements import Section
from dltool.diagnostics.example import SAMPLES, placed
from dltool.diagnostics.lint.code_plan import plan_of_code
from dltool.diagnostics.lint.code_samples import Seen, samples_of_code
from dltool.probes.design.describe import Design, design_of_code
from dltool.probes.nested import batch_size
from dltool.specs.factory_batches import rows_of
from dltool.training.experiment import Batch, Experiment

FEWEST = 2
"""Samples that are sent through the model: enough for batch norm."""
MOST_ROWS = 512
"""Samples whose inputs and targets are looked at, where the caller names no other number."""
LABELS = frozenset({"class-index", "one-hot", "multi-hot", "probabilities", "signs"})


def design_of_experiment(experiment: Experiment, *, rows: int = MOST_ROWS) -> tuple[Section, ...]:
    """Architecture, Objective, Samples and Plan of what a factory returned.

    Architecture and Objective are left out where the model raises on the samples it is tried on (the training, which gives
    it whole batches, will tell whether it does there). Model, loss and random state are left as they were.

    Args:
        experiment: the factory's model, loss, data and optimizer, ready to train.
        rows: samples whose targets are read at the most.
    """
    with _order_kept(experiment):
        design = _traced(experiment)
        samples = samples_of_code(experiment, rows, None if design is None else _as_the_loss_sees(design))
    plan = plan_of_code(experiment, samples)
    if design is None:
        return samples, plan
    objective = Objective(terms=design.terms, task=_task(samples, _as_the_loss_sees(design)))
    return design.architecture, objective, samples, plan


@contextmanager
def _order_kept(experiment: Experiment) -> Iterator[None]:
    """Loaders that draw their order from generators of their own go on as if nobody had read them."""
    generators = getattr(experiment.train, "generators", ())
    states = [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def _traced(experiment: Experiment) -> Design | None:
    """None where the model takes neither a few samples nor all of a batch."""
    designs = (_try(experiment, batch) for batch in _batches(experiment))
    return next((design for design in designs if design is not None), None)


def _try(experiment: Experiment, batch: Batch) -> Design | None:
    try:
        return design_of_code(experiment.model, experiment.criterion, batch, kept_in_eval=experiment.kept_in_eval)
    except UserError:
        raise
    except Exception:  # noqa: BLE001 - the user's code, on fewer samples than it may want
        return None


def _batches(experiment: Experiment) -> Iterator[Batch]:
    """A few samples of what the model is tried on anyway, then all of that."""
    batch = next(iter(experiment.train.fixed(SAMPLES, SAMPLES)), None)
    if batch is None:
        return
    batch = placed(experiment, batch)
    if not experiment.whole_batches and (batch_size(batch.input) or 0) > FEWEST:
        yield rows_of(batch, torch.arange(FEWEST))
    yield batch


def _as_the_loss_sees(design: Design) -> Seen:
    """A single output's shape, where the loss is given no other; and what it makes of the targets."""
    taken = design.terms[0].takes if len(design.terms) == 1 else None
    taken = design.architecture.outputs if taken is None else taken
    single = len(taken) == 1 and taken[0] >= 0
    return Seen(
        output_shape=design.architecture.layers[taken[0]].leaves if single else None,
        integer_targets=design.integer_targets,
        same_targets=design.same_targets,
        of_numbers=any(term.expects == "values" for term in design.terms),
    )


def _task(samples: Samples, seen: Seen) -> Literal["classification", "regression"] | None:
    """What the targets say; whole numbers against a distance may be classes or ratings."""
    if samples.target_kind in LABELS:
        return None if seen.of_numbers else "classification"
    return "regression" if samples.target_kind == "numbers" and not seen.integer_targets else None
