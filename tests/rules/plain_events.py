"""Events in plain numbers, and what the registry makes of them."""

from __future__ import annotations

from dltool.core.measured.hunt import LayerGrowth, LeadUp
from dltool.core.measured.non_finite import NonFiniteEvent, TensorFacts
from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.registry import explain


def facts(shape=(4,), dtype="float32", low=0.0, high=1.0, **more):
    return TensorFacts(shape=shape, dtype=dtype, minimum=low, maximum=high, **more)


def bad(dtype="float32", shape=(4,), **kinds):
    return TensorFacts(shape=shape, dtype=dtype, **(kinds or {"nan": 1}))


def event(aten, *operands, inputs=(), output=None, phase="forward", op=None, **more):
    name = aten.split(".")[1].strip("_")
    return NonFiniteEvent(
        phase=phase,
        step=more.pop("step", 3),
        value=more.pop("value", "nan"),
        count=1,
        op=op or name,
        aten=aten,
        operands=operands,
        inputs=inputs or tuple(facts() for _ in operands),
        output=output or bad(),
        **more,
    )


def mechanism(given, lead_up=None):
    found = explain(Case(given, lead_up))
    return None if found is None else found.mechanism


def cause(given, lead_up=None):
    return explain(Case(given, lead_up)).cause


def grown(steps, ratio):
    layers = (LayerGrowth(parameter="head.weight", norms=(1.0, 10.0)),)
    norms = tuple(1.0 for _ in range(steps))
    return LeadUp(first_step=0, losses=norms, gradient_norms=norms, growing_steps=steps, growth_ratio=ratio, layers=layers)


INFINITE = bad(positive_inf=1)
