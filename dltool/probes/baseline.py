"""The best that a model can do that ignores its input: the loss of the best constant output."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from dltool.core.measured.training import Baseline
from dltool.probes.nested import Nested, Pair, batch_size, first_tensor, transform

MOST_TARGETS = 4096
MOST_OUTPUT_VALUES = 1 << 21
STEPS = 100
LEAST_LOG_SHARE = -30.0
"""Log frequency given to a class that does not occur; its probability then is nothing beside any loss."""

Score = Callable[[Nested, Nested], Tensor]
Weigh = Callable[[Pair], float]
Group = tuple[Nested, Nested, float]


class ConstantOutput(nn.Module):
    """A model that returns the same number per unit for every sample, pixel and time step, whatever its input.

    Shaped after one batch of a real model's input and output; a dimension that the two have in common (time) follows the
    input. ``description`` says in words what the constant is.
    """

    def __init__(self, values: Tensor, example: tuple[Nested, Tensor], unit_dim: int | None, description: str) -> None:
        super().__init__()
        self.values = nn.Parameter(values)
        self.activation: Callable[[Tensor], Tensor] | None = None
        self.description = description
        self._unit_dim = unit_dim
        self._input_shape = _shape(example[0])
        self._output_shape = tuple(example[1].shape)

    def forward(self, batch: Nested) -> Tensor:
        """The constant in the shape of the example's output, for the samples of ``batch``."""
        given = _shape(batch)
        shape = [given[0], *self._output_shape[1:]]
        for dim in range(1, min(len(shape), len(given))):
            if dim != self._unit_dim and self._output_shape[dim] == self._input_shape[dim]:
                shape[dim] = given[dim]
        layout = [1] * len(shape)
        if self._unit_dim is not None:
            layout[self._unit_dim] = len(self.values)
        spread = self.values.view(layout).expand(shape)
        return spread if self.activation is None else self.activation(spread)


def fit_constant(
    criterion: Score,
    batches: Iterable[Pair],
    *,
    example: tuple[Nested, Nested],
    activation: Callable[[Tensor], Tensor] | None = None,
    weigh: Weigh | None = None,
) -> ConstantOutput | None:
    """The constant that the criterion likes best on at most ``MOST_TARGETS`` samples.

    It is found by minimising the criterion itself (LBFGS) in float64, or in the output's own precision where the criterion
    takes no other (class weights of its own), with zeros and the mean, the median and the class
    frequencies of the targets as first guesses: for cross-entropy that ends at the entropy of the class frequencies, for MSE
    at the target's variance, for L1 at its mean deviation from the median.

    Args:
        criterion: the loss, called as ``criterion(output, target)``.
        batches: training pairs.
        example: one batch's input and what the model returned for it.
        activation: the model's final activation where the loss takes what it returns (probabilities): the constant is then
            put through it and stays within its range.
        weigh: how much a batch counts in the mean over batches; its samples by default.

    Returns:
        None where the output is nested, or where the loss does not accept a constant.
    """
    output = example[1]
    if not isinstance(output, Tensor) or not output.ndim or not output.is_floating_point() or not output.numel():
        return None
    groups = _groups(batches, max(64, min(MOST_TARGETS, MOST_OUTPUT_VALUES // output[0].numel())), weigh or _samples)
    if not groups:
        return None
    for dtype in (torch.float64, output.dtype):
        typed = [(x, _as(y, dtype), weight) for x, y, weight in groups]
        try:
            best = _best_constant(criterion, typed, (example[0], output), activation, dtype)
        except (RuntimeError, ValueError, TypeError, IndexError):
            continue
        return best[1].to(output.dtype) if best is not None and math.isfinite(best[0]) else None
    return None


def _best_constant(
    criterion: Score,
    groups: Sequence[Group],
    example: tuple[Nested, Tensor],
    activation: Callable[[Tensor], Tensor] | None,
    dtype: torch.dtype,
) -> tuple[float, ConstantOutput] | None:
    output = example[1]
    unit_dim = _unit_dim(output, groups[0][1])
    units = 1 if unit_dim is None else output.shape[unit_dim]
    best: tuple[float, ConstantOutput] | None = None
    for description, guess in [*_guesses([y for _, y, _ in groups], units, unit_dim, output.ndim)]:
        constant = ConstantOutput(guess.to(dtype), example, unit_dim, description)
        constant.activation = activation
        best = _better(best, constant, _loss(criterion, constant, groups))
    return None if best is None else _better(best, *_polished(criterion, best[1], groups))


def _as(target: Nested, dtype: torch.dtype) -> Nested:
    return transform(target, lambda t: t.to(dtype) if t.is_floating_point() else t)


def baseline(
    criterion: Score,
    constant: ConstantOutput,
    train: Iterable[Pair],
    val: Iterable[Pair] | None,
    *,
    weigh: Weigh | None = None,
) -> Baseline:
    """Measure a fitted constant on both splits (all that the iterables give)."""
    return Baseline(
        description=constant.description,
        train_loss=_measured(criterion, constant, train, weigh or _samples),
        val_loss=None if val is None else _measured(criterion, constant, val, weigh or _samples),
    )


@torch.no_grad()
def _measured(criterion: Score, constant: ConstantOutput, batches: Iterable[Pair], weigh: Weigh) -> float:
    groups = [(x, y, weigh((x, y))) for x, y in batches]
    return float(_loss(criterion, constant, [group for group in groups if group[2] > 0]))


def _loss(criterion: Score, constant: ConstantOutput, groups: Sequence[Group]) -> Tensor:
    total = sum((criterion(constant(x), y) * weight for x, y, weight in groups), torch.zeros(()))
    return total / sum(weight for _, _, weight in groups)


def _better(
    best: tuple[float, ConstantOutput] | None, constant: ConstantOutput, loss: Tensor
) -> tuple[float, ConstantOutput] | None:
    """The lower loss; a gain in the last digits alone does not change the description."""
    value = loss.item()
    if math.isnan(value) or (best is not None and not value < best[0] - 1e-6 * abs(best[0])):
        return best
    return value, constant


def _polished(criterion: Score, start: ConstantOutput, groups: Sequence[Group]) -> tuple[ConstantOutput, Tensor]:
    """LBFGS with line search from ``start``; where the loss has kinks the result need not be better."""
    constant = copy.deepcopy(start)
    constant.description = "the best constant output"
    optimizer = torch.optim.LBFGS([constant.values], max_iter=STEPS, line_search_fn="strong_wolfe", tolerance_change=1e-12)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = _loss(criterion, constant, groups)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return constant, _loss(criterion, constant, groups)


def _groups(batches: Iterable[Pair], limit: int, weigh: Weigh) -> list[Group]:
    """Batches of the same shape laid together; of the inputs only the shapes are kept."""
    found: dict[object, list[Group]] = {}
    samples = 0
    for x, y in batches:
        shapes = transform(x, lambda t: t.new_empty(()).expand(t.shape))
        target = transform(y, lambda t: t.double() if t.is_floating_point() else t)
        weight = weigh((x, y))
        if weight > 0:
            key = (_shape(x)[1:], target.shape[1:]) if isinstance(target, Tensor) and target.ndim else len(found)
            found.setdefault(key, []).append((shapes, target, weight))
        samples += batch_size(x) or 1
        if samples >= limit:
            break
    return [group for same in found.values() for group in _merged(same)]


def _merged(groups: list[Group]) -> list[Group]:
    if len(groups) == 1:
        return groups
    per_sample = {weight / len(target) for _, target, weight in groups}
    if (
        len(per_sample) > 1
    ):  # padding: within one big batch every batch would count by its own tokens, which the loss sees to
        return groups
    samples = sum(len(target) for _, target, _ in groups)
    input_shape = (samples, *_shape(groups[0][0])[1:])
    return [(torch.empty(()).expand(input_shape), torch.cat([y for _, y, _ in groups]), sum(w for *_, w in groups))]


def _unit_dim(output: Tensor, targets: Nested) -> int | None:
    """The dimension of classes or features: 1 as torch's losses have it, last for sequences of features."""
    dims = output.ndim
    if dims == 1:
        return None
    if dims == 3 and isinstance(targets, Tensor):
        classes_first = targets.ndim == 2 and output.shape[2] == targets.shape[1] != output.shape[1]
        return 1 if classes_first else 2
    return 1


def _guesses(targets: list[Nested], units: int, unit_dim: int | None, dims: int) -> Iterator[tuple[str, Tensor]]:
    yield "zeros", torch.zeros(units, dtype=torch.float64)
    if not all(isinstance(target, Tensor) for target in targets):
        return
    if not targets[0].is_floating_point():
        labels = torch.cat([target[target >= 0].reshape(-1) for target in targets])
        if labels.numel() and units > 1 and int(labels.max()) < units:
            shares = torch.bincount(labels, minlength=units).double() / labels.numel()
            yield "the class frequencies", shares.log().clamp_min(LEAST_LOG_SHARE)
            yield "the class frequencies", shares
            yield "always the most frequent class", (torch.arange(units) == shares.argmax()).double()
    elif targets[0].numel() == len(targets[0]) * units or targets[0].ndim == dims:
        values = torch.cat([_by_unit(target, units, unit_dim) for target in targets])
        mean = values.mean(0)
        yield "the mean of the targets", mean
        yield "the median of the targets", values.median(0).values
        share = mean.clamp(1e-12, 1 - 1e-12)
        yield "the class frequencies", share.logit()
        yield "the class frequencies", share.log()


def _by_unit(target: Tensor, units: int, unit_dim: int | None) -> Tensor:
    if unit_dim is None or target.ndim <= unit_dim:
        return target.reshape(-1, units)
    return target.movedim(unit_dim, -1).reshape(-1, units)


def _samples(pair: Pair) -> float:
    return float(batch_size(pair[0]) or 1)


def _shape(value: Nested) -> tuple[int, ...]:
    tensor = first_tensor(value)
    return (1,) if tensor is None or not tensor.ndim else tuple(tensor.shape)
