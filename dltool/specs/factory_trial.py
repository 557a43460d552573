"""A factory's model and loss, tried on one batch before the run, which finds them as they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from dltool.core.errors import Problem, TargetError, UserError
from dltool.probes.eager import eagerly
from dltool.probes.nested import batch_size, place, transform
from dltool.specs.build.criterion import SumCriterion
from dltool.specs.build.loss import build_criterion, checked, default_loss
from dltool.specs.factory_batches import FactoryBatches, can_be_cut, rows_of
from dltool.specs.factory_parts import factory_criterion
from dltool.training import rng
from dltool.training.experiment import Batch, Nested
from dltool.training.failure import explain
from dltool.training.modes import evaluating, modes_kept, set_training
from dltool.training.untouched import untouched


def tried_criterion(
    given: Mapping[str, Any],
    model: nn.Module,
    train: FactoryBatches,
    *,
    seed: int,
    device: torch.device,
    assumptions: list[str],
) -> tuple[SumCriterion, Nested, Nested]:
    """The loss that the factory gave, or the one that its targets ask for; with the output and target it was tried on.

    The batch is whole: a graph has no rows to cut off, and a model may hold a state of one batch size. It is passed as the
    first step will pass it, in training mode and with gradients, which a model or its loss may take themselves.

    Raises:
        TargetError: the model or its loss raised, or no loss suits the targets.
        MisfitError: output and target do not go together.
    """
    batch = _first(train)
    given_input, target = place(batch.input, device), transform(place(batch.target, device), torch.clone)
    _give_sizes(model, given_input, seed, device)
    criterion = factory_criterion(given["loss"]) if "loss" in given else None
    with _as_in_a_step(model, criterion, device):
        output = _output(model, given_input)
        if criterion is None:
            criterion = guessed_criterion(output, target, assumptions)
        else:
            _try(criterion, output, target)
    return criterion, transform(output, torch.detach), target


def takes_whole_batches(model: nn.Module, train: FactoryBatches, device: torch.device) -> bool:
    """Whether the model, which takes the first batch, refuses half of it: it holds a state of one size, say."""
    batch = _first(train)
    samples = batch_size(batch.input) or 1
    if samples < 2 or not can_be_cut(batch):
        return False
    half = place(rows_of(batch, torch.arange((samples + 1) // 2)).input, device)
    with untouched(model), evaluating(model), rng.randomness_kept(device), torch.enable_grad(), eagerly():
        try:
            model(transform(half, torch.clone))
        except UserError:
            raise
        except Exception:  # noqa: BLE001 - it is the user's code; that it raises is the answer
            return True
    return False


def _first(train: FactoryBatches) -> Batch:
    batch = next(train.fixed(), None)
    if batch is None:
        raise TargetError("`batches` gave batches at first and none when it was read again")
    return batch


@contextmanager
def _as_in_a_step(model: nn.Module, criterion: SumCriterion | None, device: torch.device) -> Iterator[None]:
    """Training mode and gradients; at the end all is as before."""
    with untouched(model, criterion), modes_kept(model), rng.randomness_kept(device), torch.enable_grad(), eagerly():
        set_training(model, ())
        yield


def _give_sizes(model: nn.Module, value: Nested, seed: int, device: torch.device) -> None:
    """Lazy layers get their sizes and weights from one call, in eval mode: no statistic is taken from the batch."""
    if any(is_lazy(held) for held in (*model.parameters(), *model.buffers())):
        with rng.seeded(seed, device), evaluating(model), torch.no_grad():
            _output(model, value)


def _output(model: nn.Module, value: Nested) -> Nested:
    """The model gets a copy: it may write into its input, and the batches are those of the run."""
    try:
        return model(transform(value, torch.clone))
    except UserError:
        raise
    except Exception as error:
        raise explain(error, "calling the model on a batch") from error


def _try(criterion: SumCriterion, output: Nested, target: Nested) -> None:
    try:
        criterion(output, target)
    except UserError:
        raise
    except Exception as error:
        raise explain(error, "computing the loss of a batch") from error


def guessed_criterion(output: Nested, target: Nested, assumptions: list[str]) -> SumCriterion:
    """The loss that suits output and target, noted among the assumptions.

    Raises:
        TargetError: the target is that of a single sample.
        MisfitError: output and target do not go together.
    """
    if isinstance(target, torch.Tensor) and target.dim() == 0:
        raise TargetError(
            Problem(message="`batches` gives single samples", expected="batches of them, as a DataLoader makes")
        )
    spec = default_loss(target, output)
    assumptions.append(f"No loss was given: {spec.kind} was taken, which suits the targets.")
    criterion = build_criterion(spec, ())
    checked(lambda: criterion(output, target))
    return criterion
