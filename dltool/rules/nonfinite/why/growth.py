"""Gradients that grew for steps before the bad one: what lies behind values that had become too large."""

from __future__ import annotations

from dataclasses import replace

from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.cures import LESS_DECAY, calmer, in_spec
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.words import listed, number

MOST_TOLD = 1e6
"""Beyond it a ratio says no more than that it is large."""

ADAPTIVE = frozenset({"Adam", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Rprop"})


def grew(case: Case) -> str | None:
    """The growth in words; None where there was none to speak of."""
    lead = case.lead_up
    if lead is None or not lead.diverging:
        return None
    layers = [layer.parameter for layer in lead.layers[:3]]
    fastest = f" (fastest {listed(layers)})" if layers else ""
    steps = f"for {lead.growing_steps} steps" if lead.growing_steps > 1 else "in the step before"
    ratio = number(lead.growth_ratio) if lead.growth_ratio <= MOST_TOLD else f"more than {number(MOST_TOLD)}"
    return f"gradients had grown {ratio}-fold a step {steps}{fastest}"


def with_growth(case: Case, found: Explanation) -> Explanation:
    """The explanation with the growth before it, where values had become too large."""
    grown = grew(case) if found.too_large else None
    if grown is None:
        return found
    decayed = runaway(case)
    tamed = calmer(case) if decayed is None else (LESS_DECAY.format(in_spec(case, "weight_decay", "0.01")),)
    why = "" if decayed is None else f"{decayed}; "
    mechanism = found.mechanism if decayed is None else "decay-runaway"
    advice = dict.fromkeys((*tamed, *(found.advice if decayed is None else ())))
    return replace(found, mechanism=mechanism, cause=f"{why}{grown}, until {found.cause}", advice=tuple(advice))


def runaway(case: Case) -> str | None:
    """Weight decay so strong that each step turns a weight around and makes it larger, in words.

    The weight is multiplied by 1 - lr × weight_decay, with heavy-ball momentum stable up to 2 (1 + momentum). Optimizers
    that divide the decay by the gradient's own size do not run away.
    """
    lr, decay, momentum = case.setting("lr"), case.setting("weight_decay"), case.setting("momentum") or 0.0
    adaptive = str(case.event.settings.get("optimizer")) in ADAPTIVE and not case.event.settings.get(
        "decoupled_weight_decay"
    )
    if lr is None or decay is None or adaptive or not lr * decay > 2 * (1 + momentum):
        return None
    return (
        f"weight decay runs away: lr × weight_decay is {number(lr * decay)}, so that every step multiplies a weight by "
        f"{number(1 - lr * decay)}"
    )


def divergence(case: Case) -> Explanation | None:
    """Growth alone, where no operator tells more."""
    grown = grew(case)
    if grown is None or case.event.phase in {"input", "parameter"}:
        return None
    return with_growth(case, Explanation("growth", "they left the range of numbers", (), too_large=True))
