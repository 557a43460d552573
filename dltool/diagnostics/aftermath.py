"""What a finished run is asked beyond its curves.

Does the model use its input, do the labels have to do with it, and what would a constant have scored?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from dltool.core.measured.task import Output
from dltool.core.measured.training import Baseline
from dltool.core.measurements import Section
from dltool.diagnostics.example import example, placed
from dltool.probes.baseline import MOST_TARGETS, fit_constant
from dltool.probes.input_use import MOST_SAMPLES, input_use
from dltool.probes.label_signal import label_signal
from dltool.probes.mixing import mixing
from dltool.probes.output import output_of
from dltool.training.evaluate import Evaluator
from dltool.training.experiment import Experiment
from dltool.training.outcome import FitOutcome

SQUASHED: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax": partial(torch.softmax, dim=1),
    "log_softmax": partial(torch.log_softmax, dim=1),
}
"""Final activations that bind a constant output too, where the loss takes what they return."""


def examine(experiment: Experiment, outcome: FitOutcome, initial_loss: float | None) -> list[Section]:
    """Every section that can be measured; an interrupted run gets only what its verdict needs, since somebody is waiting.

    ``initial_loss`` is that of the first step. The model is left as it was.
    """
    dtype = torch.float64 if experiment.settings.precision == "fp64" else None
    model, criterion = experiment.model, experiment.criterion
    split: Literal["train", "val"] = "train" if experiment.val is None else "val"
    source = experiment.train if experiment.val is None else experiment.val
    output = output_of(model, criterion, source.fixed(MOST_SAMPLES), initial_loss=initial_loss, dtype=dtype)
    sections: list[Section | None] = [output, _baseline(experiment, outcome, output)]
    if outcome.stopped != "interrupted":
        sections.append(label_signal(experiment.train.fixed(MOST_SAMPLES), task=experiment.task, seed=experiment.seed))
        if not experiment.whole_batches:  # both put samples together anew
            sections += [
                input_use(model, criterion, source.fixed(MOST_SAMPLES), split=split, seed=experiment.seed, dtype=dtype),
                mixing(model, source.fixed(MOST_SAMPLES), dtype=dtype),
            ]
    return [section for section in sections if section is not None]


def _baseline(experiment: Experiment, outcome: FitOutcome, output: Output | None) -> Baseline | None:
    """The best constant, evaluated as the model is: on the same samples, in the same blocks."""
    shown = example(experiment)
    if output is None or shown is None:
        return None
    squash = None if output.loss_expects == "logits" else SQUASHED.get(output.final_activation or "")
    targets = (placed(experiment, batch) for batch in experiment.train.fixed(MOST_TARGETS))
    constant = fit_constant(experiment.criterion, targets, example=shown, activation=squash)
    if constant is None:
        return None
    evaluate = Evaluator(replace(experiment, model=constant.to(experiment.device), metrics=()))
    train = evaluate(experiment.train, outcome.remeasured_samples)
    val = None if experiment.val is None else evaluate(experiment.val)
    return Baseline(
        description=constant.description,
        train_loss=train.loss,
        val_loss=None if val is None else val.loss,
        train_blocks=train.blocks,
        val_blocks=() if val is None else val.blocks,
    )
