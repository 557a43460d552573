"""Gradients that grew for steps before the bad one: what lies behind values that had become too large."""

from __future__ import annotations

from dataclasses import replace

from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.cures import calmer
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.words import listed, number


def grew(case: Case) -> str | None:
    """The growth in words; None where there was none to speak of."""
    lead = case.lead_up
    if lead is None or not lead.diverging:
        return None
    layers = [layer.parameter for layer in lead.layers[:3]]
    fastest = f" (fastest {listed(layers)})" if layers else ""
    steps = f"for {lead.growing_steps} steps" if lead.growing_steps > 1 else "in the step before"
    return f"gradients had grown {number(lead.growth_ratio)}-fold a step {steps}{fastest}"


def with_growth(case: Case, found: Explanation) -> Explanation:
    """The explanation with the growth before it, where values had become too large."""
    grown = grew(case) if found.too_large else None
    if grown is None:
        return found
    advice = dict.fromkeys((*calmer(case), *found.advice))
    return replace(found, cause=f"{grown}, until {found.cause}", advice=tuple(advice))


def divergence(case: Case) -> Explanation | None:
    """Growth alone, where no operator tells more."""
    grown = grew(case)
    if grown is None or case.event.phase in {"input", "parameter"}:
        return None
    return Explanation("growth", f"{grown}, until they left the range of numbers", calmer(case))
