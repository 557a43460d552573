"""The first place where a value stopped being finite, found by running the bad step again.

Presence is not guilt: an attention mask is full of -inf and harms nobody. So suspects are tried by counterfactual: mend the
input, then the parameters, then the buffers, each time run the same step (same batch, same random state) and see whether the
loss comes out finite. Only if none of them is to blame was the value born in the forward pass or in the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.probes.finite import bad_rows, count_bad, has_nan, is_allowed, is_finite, kind_of_bad, mended
from dltool.probes.nested import Loss, Nested, Pair, batch_size, take, transform
from dltool.probes.preserve import TorchRandom, preserved
from dltool.probes.trace.record import Suspect
from dltool.probes.trace.suspects import suspects
from dltool.probes.trace.told import event_of_birth, event_of_leaf
from dltool.probes.trace.tracer import Tracer


def locate_bad_loss(
    model: nn.Module,
    criterion: Loss,
    batch: Pair,
    *,
    step: int,
    replay: TorchRandom | None = None,
    allow: Sequence[str] = (),
    context: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> NonFiniteEvent:
    """Where the non-finite loss of this step comes from.

    Args:
        model: as the step found it; ``.grad`` still holds the gradients of the step before, if there was one.
        criterion: the loss.
        batch: what the step was given.
        step: its number.
        replay: the random state that its forward pass began with.
        allow: patterns of parameters, buffers and modules that may hold NaN or Inf.
        context: what the forward pass runs under (autocast).
    """
    case = _Case(model, criterion, batch[0], batch[1], replay, tuple(allow), context)
    found = case.suspects()
    return (
        _from_data(case, step) or _from_parameters(case, step) or _from_buffers(case, step) or _from_birth(case, found, step)
    )


def bad_gradients(model: nn.Module, allow: Sequence[str] = ()) -> list[str]:
    """Trainable parameters whose gradient is not finite, in the order of ``named_parameters()``."""
    found = [name for name, p in model.named_parameters() if p.grad is not None and not is_finite(p.grad)]
    return [name for name in found if not is_allowed(name, allow)]


def bad_parameters(model: nn.Module, allow: Sequence[str] = ()) -> list[str]:
    """Parameters that hold NaN or Inf, in the order of ``named_parameters()``."""
    return [name for name, p in model.named_parameters() if not is_finite(p.detach()) and not is_allowed(name, allow)]


def bad_buffers(model: nn.Module, allow: Sequence[str] = ()) -> list[str]:
    """Buffers that hold NaN or +Inf; one that holds no worse than -Inf is a mask."""
    return [name for name, b in model.named_buffers() if _bad_buffer(b) and not is_allowed(name, allow)]


def _bad_buffer(buffer: Tensor) -> bool:
    return not is_finite(buffer) and (buffer.is_complex() or has_nan(buffer) or bool((buffer == torch.inf).any()))


def event_at(phase: str, step: int, values: Nested, **place: object) -> NonFiniteEvent:
    """An event that counts the bad ones among ``values``."""
    return NonFiniteEvent(phase=phase, step=step, value=kind_of_bad(values), count=count_bad(values), **place)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Case:
    """The bad step, with what was mended so far: a suspect that is not to blame alone stays mended for the next."""

    model: nn.Module
    criterion: Loss
    input: Nested
    target: Nested
    replay: TorchRandom | None
    allow: tuple[str, ...]
    context: Callable[[], AbstractContextManager[object]]
    overrides: dict[str, Tensor] = field(default_factory=dict)

    def loss(self) -> tuple[Nested, Tensor]:
        """Output and loss of the step, run again."""
        with preserved(self.model, replay=self.replay), self.context():
            output = functional_call(self.model, self.overrides, (self.input,))
            return output, self.criterion(output, self.target)

    def suspects(self) -> list[Suspect]:
        """What could have begun it, by a traced run of the step; what is meant to be bad, or allowed to, comes last."""
        tracer = Tracer(self.model, samples=batch_size(self.input))
        with preserved(self.model, replay=self.replay), self.context(), tracer.tracing(self.input, self.target):
            self.criterion(self.model(self.input), self.target).item()
        return suspects(tracer.operations, tracer.last_item, loss_is_finite=False, allow=self.allow)

    def acquitted(self) -> bool:
        """Whether the loss is still bad after mending."""
        return not is_finite(self.loss()[1])


def _from_data(case: _Case, step: int) -> NonFiniteEvent | None:
    samples = batch_size(case.input)
    if batch_size(case.target) not in {None, samples}:  # rows of the input are no samples: a sequence comes first
        samples = None
    given = case.input, case.target
    for culprits in (given[:1], given):
        if is_finite(culprits):
            continue
        rows = bad_rows(culprits, samples)
        case.input, case.target = _without(given, rows, samples, len(culprits))
        if not case.acquitted():
            return event_at("input", step, culprits, samples=rows or None)
    return None


def _without(given: tuple[Nested, Nested], rows: Sequence[int], samples: int | None, parts: int) -> tuple[Nested, Nested]:
    """Input and target with every bad sample replaced by the first good one; values are filled in if no sample is good."""
    good = sorted(set(range(samples or 0)) - set(rows))
    if rows and good:
        index = torch.arange(samples or 0)
        index[list(rows)] = good[0]
        return take(given[0], index), take(given[1], index)
    fill = [transform(part, _fill) for part in given[:parts]]
    return fill[0], fill[1] if parts > 1 else given[1]


def _fill(values: Tensor) -> Tensor:
    return mended(values, 0.0) if values.is_floating_point() else values


def _from_parameters(case: _Case, step: int) -> NonFiniteEvent | None:
    suspects = dict(case.model.named_parameters())
    names = bad_parameters(case.model, case.allow)
    if not names:
        return None
    case.overrides |= {name: mended(suspects[name].detach(), 0.0) for name in names}
    if case.acquitted():
        return None
    if all(suspects[name].grad is None for name in suspects):
        return event_at("parameter", step, suspects[names[0]].detach(), **holder(names[0]))
    gradients = bad_gradients(case.model, case.allow)
    if gradients:
        # Backward runs from the loss to the input, so the last of them got its bad value first.
        return event_at("backward", step - 1, suspects[gradients[-1]].grad, **holder(gradients[-1]))
    return event_at("optimizer", step - 1, suspects[names[0]].detach(), **holder(names[0]))


def _from_buffers(case: _Case, step: int) -> NonFiniteEvent | None:
    names = bad_buffers(case.model, case.allow)
    if not names:
        return None
    buffers = dict(case.model.named_buffers())
    case.overrides |= {name: mended(buffers[name], 1.0) for name in names}
    if case.acquitted():
        return None
    return event_at("buffer", step, buffers[names[0]], **holder(names[0]))


def _from_birth(case: _Case, found: Sequence[Suspect], step: int) -> NonFiniteEvent:
    output, loss = case.loss()
    if is_finite(loss) and not found:  # the step cannot be repeated: something draws on a state that is not kept
        return NonFiniteEvent(phase="loss", step=step, value="nan", count=1)
    samples = batch_size(case.input)
    birth = next((suspect.operations[0] for suspect in found if suspect.operations), None)
    if birth is not None and birth.phase == "forward":
        rows = birth.rows
        responsible = rows if rows and (len(rows) < (samples or 0) or samples == 1) else None
        return replace(event_of_birth(birth, step, "forward"), samples=responsible)
    rows = bad_rows(case.criterion.per_sample(output, case.target), samples)
    term = _bad_term(case.criterion.term_values(output, case.target))
    leaf = next((suspect.leaf for suspect in found if suspect.leaf is not None), None)
    if birth is None and leaf is not None:  # it may hold bad values by the user's word, but nothing else explains these
        return event_of_leaf(leaf, step)
    event = event_at("loss", step, loss) if birth is None else event_of_birth(birth, step, "loss")
    return replace(event, samples=rows or None, term=term)


def _bad_term(terms: Mapping[str, Tensor]) -> str | None:
    return next((name for name, value in terms.items() if not is_finite(value)), None)


def holder(name: str) -> dict[str, object]:
    """The place of a parameter or buffer, by its name."""
    return {"parameter": name, "module": name.rpartition(".")[0]}
