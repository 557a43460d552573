"""Does the model look at its input? The loss with every sample's input, with another sample's, and with none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from dltool.core.measured.training import InputUse
from dltool.probes.gather import gather
from dltool.probes.nested import Loss, Nested, Pair, batch_size, place, take, transform
from dltool.probes.preserve import device_of, evaluating

MOST_SAMPLES = 2048
BLOCKS = 64
RESAMPLES = 2000


def input_use(
    model: nn.Module,
    criterion: Loss,
    batches: Iterable[Pair],
    *,
    split: Literal["train", "val"],
    seed: int = 0,
    limit: int = MOST_SAMPLES,
    chunk: int = 128,
    dtype: torch.dtype | None = None,
) -> InputUse | None:
    """Compare the loss on true inputs with that on exchanged and on blank ones, in eval mode.

    Every sample gets the input of another one, the whole of it (all tensors of a nested input move together), by a random
    cycle through all samples, so that the order of the data does not matter. Blank inputs are the mean over samples for
    floats and index 0 (padding, by torch's convention) for integers. The interval of the difference is a percentile
    bootstrap over blocks of samples, paired (Efron & Tibshirani 1993, chapter 13).

    Args:
        model: the model; left as it was.
        criterion: the loss.
        batches: (input, target) pairs of the split, never augmented.
        split: which split they are from.
        seed: of the exchange and the bootstrap.
        limit: samples used at the most.
        chunk: samples per forward pass.
        dtype: floats are brought to it (the model's float64).

    Returns:
        None where there are fewer than two samples or batches cannot be laid together.
    """
    table = gather(batches, limit)
    if table is None:
        return None
    inputs, targets = place(table, device_of(model), dtype)
    samples = batch_size(inputs) or 0
    generator = torch.Generator().manual_seed(seed)
    # An epoch in source order may be sorted by class: blocks and the exchange run over a random order.
    order = torch.randperm(samples, generator=generator)
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    size = max(1, min(chunk, -(-samples // min(BLOCKS, samples // 2 or 1))))
    blocks = torch.split(order, size)
    blank = _blank(inputs, samples)
    with evaluating(model):
        plain = [float(criterion(model(take(inputs, rows)), take(targets, rows))) for rows in blocks]
        shuffled = [float(criterion(model(take(inputs, partner[rows])), take(targets, rows))) for rows in blocks]
        zeroed = [float(criterion(model(take(blank, rows)), take(targets, rows))) for rows in blocks]
    weights = torch.tensor([len(rows) for rows in blocks], dtype=torch.float64)
    losses = torch.tensor([plain, shuffled, zeroed], dtype=torch.float64)
    means = (losses @ weights / weights.sum()).tolist()
    lower, upper = _interval(losses[1] - losses[0], weights, generator)
    return InputUse(
        split=split,
        samples=samples,
        loss=means[0],
        shuffled_loss=means[1],
        zeroed_loss=means[2],
        difference=means[1] - means[0],
        difference_lower=lower,
        difference_upper=upper,
    )


def _blank(inputs: Nested, samples: int) -> Nested:
    """Every sample the mean of all (floats) or zeros (integers); a per-sample scalar, such as a length, stays."""

    def blank(values: Tensor) -> Tensor:
        if values.ndim == 0 or len(values) != samples:
            return values
        if values.is_floating_point():
            return values.mean(0, keepdim=True).expand_as(values)
        return values if values.ndim == 1 and not isinstance(inputs, Tensor) else torch.zeros_like(values)

    return transform(inputs, blank)


def _interval(differences: Tensor, weights: Tensor, generator: torch.Generator) -> tuple[float, float]:
    """The 2.5 % and 97.5 % points of the weighted mean difference over resampled blocks; the mean itself for one block."""
    drawn = torch.randint(len(weights), (RESAMPLES, len(weights)), generator=generator)
    means = (differences[drawn] * weights[drawn]).sum(1) / weights[drawn].sum(1)
    if not means.isfinite().all():
        return torch.nan, torch.nan
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=means.dtype)).tolist()
    return low, high
