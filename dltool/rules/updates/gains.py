"""What the steps that were tried on their own batch say together."""

from __future__ import annotations

from dltool.core.measured.training import StepGain, StepGains

VISIBLE = 1e-6
"""Changes below this share of the loss drown in float32 rounding."""


def downhill(gains: StepGains) -> list[StepGain]:
    """Steps that follow the slope down; momentum may go uphill, and a step of no size goes nowhere."""
    return [g for g in gains.gains if not g.predicted_change >= 0.0]


def overshot(gain: StepGain) -> bool:
    """Whether a step that should have lowered its own batch's loss raised it (or made it NaN)."""
    return not gain.actual_change <= VISIBLE * abs(gain.loss_before)


def gentle(gain: StepGain, low: float, high: float) -> bool:
    """Whether a step did what its slope promised, or was too short to see."""
    if abs(gain.predicted_change) <= VISIBLE * abs(gain.loss_before):
        return True
    return low <= gain.actual_change / gain.predicted_change <= high
