"""Gradients that grew for steps before the bad one: what lies behind values that had become too large."""

from __future__ import annotations

import math
from dataclasses import replace

from dltool.core.measured.hunt import LEAP
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
    what = "the loss" if lead.growing == "loss" else "gradients"
    return f"{what} had grown {ratio}-fold a step {steps}{fastest}"


def with_growth(case: Case, found: Explanation) -> Explanation:
    """The explanation with the growth before it, where values had become too large."""
    grown = grew(case) if found.too_large else None
    if grown is None:
        return found
    behind = settings_behind(case)
    if behind is None:
        return replace(
            found, cause=f"{grown}, until {found.cause}", advice=tuple(dict.fromkeys((*calmer(case), *found.advice)))
        )
    return replace(behind, cause=f"{behind.cause}; {grown}, until {found.cause}")


def settings_behind(case: Case) -> Explanation | None:
    """What makes everything grow by itself, at any rate: a setting of the optimizer, or a loss without a lower bound."""
    amplified, decayed = amplifies(case), runaway(case)
    if amplified is not None:
        spec = in_spec(case, "momentum", "0.9")
        cure = f"set the momentum to 0.9, as no lower rate helps: `{spec}` in a spec, momentum= in code"
        return Explanation("momentum-runaway", amplified, (cure,))
    if decayed is not None:
        return Explanation("decay-runaway", decayed, (LESS_DECAY.format(in_spec(case, "weight_decay", "0.01")),))
    losses = () if case.lead_up is None else case.lead_up.losses
    if losses and -losses[-1] > LEAP * max(1.0, abs(losses[0])):
        fell = f"the loss has no lower bound: it fell from {number(losses[0])} to {number(losses[-1])}"
        bound = "look for a term with the wrong sign, or bound what is to be maximised: a clamp, a margin, a logarithm"
        return Explanation("unbounded-loss", fell, (bound,))
    return None


def amplifies(case: Case) -> str | None:
    """A momentum of 1 and more, in words: what was once added to the step never dies away."""
    momentum = case.setting("momentum")
    if momentum is None or not 1 <= momentum < math.inf:
        return None
    if momentum == 1:
        return "momentum is 1, so that no step dies away: they add up"
    return f"momentum runs away: every step repeats the one before it {number(momentum)}-fold"


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
