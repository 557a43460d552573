"""Loss and metrics of a fixed set of samples, in eval mode, leaving the model as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from dltool.core.errors import UserError
from dltool.training.counting import adds_up, batch_weight
from dltool.training.experiment import Batch, BatchSource, Experiment, Nested
from dltool.training.failure import explain
from dltool.training.modes import evaluating
from dltool.training.placement import placer, samples_in
from dltool.training.rng import randomness_kept
from dltool.training.step import with_precision

MOST_BLOCKS = 32
LARGEST_BATCH = 1024
LARGEST_BATCH_RATIO = 8
"""Without gradients a forward keeps two layers' activations where training keeps them all: eight times the samples fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """``loss`` is per sample (per token, per pixel: whatever the loss averages over), also where the training loss is a sum.

    ``blocks`` are the mean losses of at most 32 groups of samples, the same groups at every call; ``block_weights`` say how
    much each counts, so that their weighted mean is ``loss``.
    """

    loss: float
    blocks: tuple[float, ...]
    block_weights: tuple[float, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0


class Evaluator:
    """Evaluates an experiment's model as it is at the moment of the call."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._place = placer(experiment.device, experiment.settings.precision)
        self._forward = with_precision(experiment, self._plain_forward)

    @torch.no_grad()
    def __call__(self, source: BatchSource, limit: int | None = None) -> Evaluation:
        """Evaluate ``source.fixed(limit)``.

        Raises:
            TargetError: when the model, its loss or a metric raises.
        """
        values: list[Tensor] = []
        weights: list[Tensor] = []
        sums: dict[str, float] = {}
        counts: dict[str, int] = {}
        samples = 0
        with evaluating(self._experiment.model), randomness_kept(self._experiment.device):
            for batch in source.fixed(limit, self.batch_size(source)):
                placed = batch if self._place is None else self._place(batch)
                output, losses, weight = self._forward(placed)
                values.append(losses.double().cpu())
                weights.append(weight.double())
                samples += samples_in(batch.input)
                for metric in self._experiment.metrics:
                    total, count = metric.update(output, placed.target)
                    sums[metric.name] = sums.get(metric.name, 0.0) + total
                    counts[metric.name] = counts.get(metric.name, 0) + count
        metrics = {name: sums[name] / counts[name] if counts[name] else float("nan") for name in sums}
        return _summarise(torch.cat(values), torch.cat(weights), metrics, samples) if values else _nothing(samples)

    def batch_size(self, source: BatchSource) -> int | None:
        """Samples in a batch: many at once, or as few as in training where the blocks have to be whole batches."""
        size = self._experiment.train.batch_size or source.batch_size
        if size is None or not self._splits_by_sample:
            return size
        return max(size, min(LARGEST_BATCH, LARGEST_BATCH_RATIO * size))

    @cached_property
    def adds_up(self) -> bool:
        """Whether the training loss is a sum over the batch."""
        return self._sample is not None and adds_up(self._experiment.criterion, self._sample)

    @cached_property
    def _splits_by_sample(self) -> bool:
        if self._sample is None:
            return False
        with evaluating(self._experiment.model), randomness_kept(self._experiment.device):
            output, *_ = self._forward(self._sample)
            return self._experiment.criterion.per_sample(output, self._sample.target) is not None

    @cached_property
    def _sample(self) -> Batch | None:
        """Two samples of the training split."""
        batch = next(iter(self._experiment.train.fixed(2, 2)), None)
        return batch if batch is None or self._place is None else self._place(batch)

    def _plain_forward(self, batch: Batch) -> tuple[Nested, Tensor, Tensor]:
        """The output, the loss of each sample (or of the batch as a whole) and how much each counts."""
        criterion = self._experiment.criterion
        try:
            output = self._experiment.model(batch.input)
            weight = batch_weight(criterion, batch)
            if weight == 0:  # all padding: a mean over nothing
                return output, torch.zeros(1), torch.zeros(1)
            losses = criterion.per_sample(output, batch.target)
            if losses is None:
                mean = criterion(output, batch.target)
                losses = (mean / samples_in(batch.target) if self.adds_up else mean).reshape(1)
        except UserError:
            raise
        except Exception as problem:
            raise explain(problem, "evaluating the model") from problem
        each = weight / max(losses.numel(), 1)
        return output, losses.detach(), torch.full((losses.numel(),), each, dtype=torch.float64)


def _summarise(values: Tensor, weights: Tensor, metrics: Mapping[str, float], samples: int) -> Evaluation:
    groups = min(MOST_BLOCKS, len(values))
    block = torch.arange(len(values)) * groups // len(values)
    weighted = values * weights
    block_weights = torch.bincount(block, weights=weights, minlength=groups)
    block_sums = torch.bincount(block, weights=weighted, minlength=groups)
    filled = block_weights > 0
    return Evaluation(
        loss=float(weighted.sum() / weights.sum()),
        blocks=tuple((block_sums[filled] / block_weights[filled]).tolist()),
        block_weights=tuple(block_weights[filled].tolist()),
        metrics=metrics,
        samples=samples,
    )


def _nothing(samples: int) -> Evaluation:
    return Evaluation(loss=float("nan"), blocks=(), block_weights=(), samples=samples)
