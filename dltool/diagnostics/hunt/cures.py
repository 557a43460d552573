"""Which cures apply to a step that went bad, likeliest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.diagnostics.hunt.fixes import HALVES, clipped, in_float32, slowed, with_eps
from dltool.diagnostics.hunt.rows import Layout, alike, exchanged, layout, same_rows
from dltool.training.experiment import Batch, Experiment
from dltool.training.patrol import Caught

OPTIMIZER_EPS = 1e-4
MODULE_EPS = 1e-3
MOST_NAMED = 3
RATES = {"a tenth of the rate": 0.1, "a hundredth of the rate": 0.01, "a thousandth of the rate": 0.001}
"""Highest first; only one is tried where nothing had grown."""
HALF_NAMES = frozenset(str(dtype).removeprefix("torch.") for dtype in HALVES)


@dataclass(frozen=True, slots=True)
class Culprits:
    """Samples to be left out wherever they come again."""

    batch: Batch
    layout: Layout
    rows: tuple[int, ...]

    def without(self, batches: Sequence[Batch]) -> Sequence[Batch] | None:
        """The batches without them; None where none of them is in there, or nothing would be left of a batch."""
        changed = []
        for batch in batches:
            found = alike(self.batch, self.layout, batch)
            same = () if found is None else same_rows(batch, found, self.batch, self.layout, self.rows)
            if found is None or len(same) == found.samples:
                return None
            left = [row for row in range(found.samples) if row not in same]
            changed.append(exchanged(batch, found, left) if same else batch)
        return changed if any(new is not old for new, old in zip(changed, batches, strict=True)) else None


@dataclass(frozen=True, slots=True)
class Cure:
    """A context to take the steps in, or samples to leave out. ``late``: it may act in the bad step, and not only before.

    ``rate_ratio`` is that of a lower rate, which is not tried once a higher one has healed.
    """

    fix: str
    context: Callable[[], AbstractContextManager[None]] = field(default=nullcontext)
    culprits: Culprits | None = None
    late: bool = False
    rate_ratio: float | None = None


def cures(caught: Caught, event: NonFiniteEvent) -> list[Cure]:
    """All that can be applied from outside; where gradients had grown, what tames them comes first."""
    experiment = caught.walk.experiment
    groups = [] if experiment.optimizer is None else experiment.optimizer.param_groups
    tamed = [Cure("the gradient norm clipped at 1", lambda: clipped(experiment))]
    if all("lr" in group for group in groups):
        rates = list(RATES.items())[: None if caught.lead_up.diverging else 1]
        tamed += [Cure(name, partial(slowed, experiment, ratio), rate_ratio=ratio) for name, ratio in rates]
    others = [*_without_samples(caught, event), *_larger_eps(experiment, event, groups)]
    if _is_half(experiment, event):
        others.append(Cure("float32 instead of half precision", lambda: in_float32(experiment), late=True))
    return [*tamed, *others] if caught.lead_up.diverging else [*others, *tamed]


def _without_samples(caught: Caught, event: NonFiniteEvent) -> Iterator[Cure]:
    which = event.settings.get("accumulated_batch", 0)
    batch = caught.batches[which]
    found = layout(batch)
    if not event.samples or found is None or len(event.samples) >= found.samples or max(event.samples) >= found.samples:
        return
    named = ", ".join(map(str, event.samples[:MOST_NAMED])) + (", ..." if len(event.samples) > MOST_NAMED else "")
    one = len(event.samples) == 1
    yield Cure(f"without sample{'' if one else 's'} {named}", culprits=Culprits(batch, found, event.samples), late=True)


def _larger_eps(experiment: Experiment, event: NonFiniteEvent, groups: Sequence[dict[str, Any]]) -> Iterator[Cure]:
    """Of the optimizer where its update went bad, of the module where the value was born."""
    if event.phase == "optimizer" and groups and all(group.get("eps", 1.0) < OPTIMIZER_EPS for group in groups):
        yield Cure(f"an eps of {OPTIMIZER_EPS:g} in the optimizer", lambda: with_eps(groups, OPTIMIZER_EPS))
    module = dict(experiment.model.named_modules()).get(event.module) if event.module else None
    eps = getattr(module, "eps", None)
    if module is not None and event.phase in {"forward", "backward"} and isinstance(eps, float) and eps < MODULE_EPS:
        yield Cure(f"an eps of {MODULE_EPS:g} in {event.module}", lambda: with_eps([module], MODULE_EPS), late=True)


def _is_half(experiment: Experiment, event: NonFiniteEvent) -> bool:
    """Weights of half precision, autocast that was asked for, or a birth in half precision under a user's own autocast."""
    seen = {facts.dtype for facts in (*event.inputs, event.output) if facts is not None}
    parameters = {parameter.dtype for parameter in experiment.model.parameters()}
    return experiment.settings.precision == "bf16" or bool(parameters & HALVES) or bool(seen & HALF_NAMES)
