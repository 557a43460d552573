"""Numbers followed over the looks of a run, and their summaries."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dltool.core.measured.training import Summary


def summarise(values: Iterable[float]) -> Summary | None:
    """First, median, last and extremes of a series; None for an empty one.

    A NaN makes both extremes NaN; in the median it counts as the largest value.
    """
    series = list(values)
    if not series:
        return None
    ordered = sorted(series, key=lambda value: (math.isnan(value), value))
    bad = math.isnan(ordered[-1])
    return Summary(
        first=series[0],
        median=statistics.median(ordered) if not bad else ordered[len(ordered) // 2],
        last=series[-1],
        minimum=math.nan if bad else ordered[0],
        maximum=math.nan if bad else ordered[-1],
        count=len(series),
    )


@dataclass(slots=True)
class ParameterSeries:
    """One row a look, one column a parameter; ``NO_GRADIENT`` where there was none."""

    steps: list[int] = field(default_factory=list)
    gradients: list[list[float]] = field(default_factory=list)
    weights: list[list[float]] = field(default_factory=list)
    updates: list[list[float]] = field(default_factory=list)

    def add(self, step: int, *, gradients: list[float], weights: list[float], updates: list[float]) -> None:
        """Norms at one look: of the gradients, of the weights before the step, and of what the step added to them."""
        self.steps.append(step)
        self.gradients.append(gradients)
        self.weights.append(weights)
        self.updates.append(updates)

    def state_dict(self) -> dict[str, Any]:
        """As tensors, which hold every bit."""
        rows = {"gradients": self.gradients, "weights": self.weights, "updates": self.updates}
        return {"steps": list(self.steps)} | {name: _pack(table) for name, table in rows.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self.steps = list(state["steps"])
        self.gradients, self.weights, self.updates = (state[name].tolist() for name in ("gradients", "weights", "updates"))


def columns(table: Sequence[Sequence[float]], indices: Sequence[int]) -> list[list[float]]:
    """Some columns of a table, row by row."""
    return [[row[index] for index in indices] for row in table]


def _pack(table: list[list[float]]) -> Tensor:
    return torch.tensor(table, dtype=torch.float64)
