from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dltool.training.forward_work import ForwardWork
from dltool.training.recorder_plan import (
    AUDIT_SHARE,
    FEWEST_AUDIT_SAMPLES,
    FEWEST_LOOKS,
    LOOK_SHARE,
    MOST_AUDIT_SAMPLES,
    MOST_LOOKS,
    SHORT_RUN_FLOPS,
    SHORT_RUN_LOOKS,
    LookPlan,
    Sizes,
    audit_flops,
    audit_samples,
    look_flops,
    plan_looks,
    step_flops,
)
from dltool.training.remeasuring import SHARE

STEPS = st.integers(1, 3_000_000)
OVERHEAD = st.floats(0.001, 1.0)
WORK = st.builds(ForwardWork, operators=st.integers(1, 5000), flops_per_sample=st.floats(0, 1e12))
SIZES = st.builds(Sizes, places=st.integers(1, 2000), parameters=st.integers(0, 4000), elements=st.integers(0, 10**10))


def looks_of(plan, steps):
    found, step = [], 0
    while step < steps:
        found.append(step)
        step = plan.next_after(step)
    return found


@given(steps=STEPS, work=WORK, sizes=SIZES, batch=st.integers(1, 4096), overhead=OVERHEAD)
def test_looks_stay_within_their_part_of_the_budget(steps, work, sizes, batch, overhead):
    look, step = look_flops(work, sizes, batch), step_flops(work, batch)
    plan = plan_looks(steps=steps, look=look, step=step, overhead=overhead)
    looks = plan.looks(steps)
    assert looks == looks_of(plan, steps)
    assert len(looks) <= MOST_LOOKS
    within = len(looks) * look <= LOOK_SHARE * overhead * steps * step
    short = len(looks) <= SHORT_RUN_LOOKS and len(looks) * look <= SHORT_RUN_FLOPS
    assert within or short or len(looks) <= FEWEST_LOOKS


@given(steps=STEPS, work=WORK, sizes=SIZES, batch=st.integers(1, 4096), overhead=OVERHEAD)
def test_the_budget_is_used_and_the_start_is_looked_at_most(steps, work, sizes, batch, overhead):
    look, step = look_flops(work, sizes, batch), step_flops(work, batch)
    plan = plan_looks(steps=steps, look=look, step=step, overhead=overhead)
    looks = plan.looks(steps)
    affordable = int(LOOK_SHARE * overhead * steps * step / look)
    assert len(looks) >= min(steps, MOST_LOOKS, max(FEWEST_LOOKS, affordable)) // 3
    assert looks[0] == 0
    assert looks == sorted(set(looks))
    gaps = [b - a for a, b in pairwise(looks)]
    assert all(gap <= plan.every for gap in gaps)
    assert plan == plan_looks(steps=steps, look=look, step=step, overhead=overhead)


@given(steps=STEPS, every=st.integers(1, 10_000))
def test_every_overrides(steps, every):
    plan = plan_looks(steps=steps, look=1e30, step=1.0, overhead=0.05, every=every)
    assert plan.looks(min(steps, 5000)) == list(range(0, min(steps, 5000), every))


@given(step=st.integers(0, 10_000), every=st.integers(1, 500), doublings=st.integers(0, 12))
def test_next_after_is_the_next_of_the_list(step, every, doublings):
    plan = LookPlan(every=every, doublings=doublings)
    later = [s for s in {1 << i for i in range(doublings)} | set(range(0, 12_000, every)) if s > step]
    assert plan.next_after(step) == min(later)


def test_a_short_tiny_run_is_seen_and_a_long_one_gets_more():
    work = ForwardWork(operators=20, flops_per_sample=20_000)
    sizes = Sizes(places=5, parameters=6, elements=10_000)
    look, step = look_flops(work, sizes, 32), step_flops(work, 32)

    def count(steps):
        return len(plan_looks(steps=steps, look=look, step=step, overhead=0.05).looks(steps))

    assert count(10) == 10
    assert 8 <= count(200) <= SHORT_RUN_LOOKS
    assert 20 < count(10_000) < 200
    assert count(10**6) > 250


def test_no_overhead_is_one_look():
    assert len(plan_looks(steps=1000, look=1.0, step=1.0, overhead=0.0).looks(1000)) == 1


@given(steps=STEPS, work=WORK, places=st.integers(1, 2000), batch=st.integers(1, 4096), overhead=OVERHEAD)
def test_the_pass_at_the_end_stays_within_its_part(steps, work, places, batch, overhead):
    audit, step = audit_flops(work, places, batch), step_flops(work, batch)
    samples = audit_samples(steps=steps, audit=audit, step=step, overhead=overhead, batch_size=batch)
    within = samples / batch * audit <= AUDIT_SHARE * overhead * steps * step * (1 + 1e-9)
    assert FEWEST_AUDIT_SAMPLES <= samples <= MOST_AUDIT_SAMPLES
    assert within or samples == FEWEST_AUDIT_SAMPLES


def test_the_parts_leave_a_margin():
    assert AUDIT_SHARE + LOOK_SHARE + SHARE < 0.9
