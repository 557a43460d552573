"""The verdict on curves whose making is known, and on curves that nobody made with sense."""

import importlib.util
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rule_sections import FACTS, OPTIMISATION, OUTPUT, REGRESSION, TASK, parameter

from dltool.core.measured.non_finite import NonFinite, NonFiniteEvent
from dltool.core.measured.training import (
    Baseline,
    EpochRecord,
    History,
    InputUse,
    LabelSignal,
    LossTrace,
    Parameters,
    StepGain,
    StepGains,
)
from dltool.core.measurements import Measurements
from dltool.rules.fit_status.case import FitStatus
from dltool.rules.fit_verdict import verdict

PATH = Path(__file__).parents[2] / "benchmarks" / "fit_verdict.py"
spec = importlib.util.spec_from_file_location("fit_verdict_benchmark", PATH)
made = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = made
spec.loader.exec_module(made)

UNSEEN = range(5000, 5012)
"""Seeds that neither the limits nor the published table have seen."""


@pytest.mark.parametrize("name", made.MAKERS)
def test_confusion(name):
    maker, expected = made.MAKERS[name]
    said = [verdict(made.measure(maker, seed)).status for seed in UNSEEN]
    assert sum(status in expected for status in said) >= 0.9 * len(said), said


def test_false_alarms_on_healthy_curves_are_rare():
    said = [verdict(made.measure(made.MAKERS[name][0], seed)).status for name in made.HEALTHY for seed in UNSEEN]
    assert sum(status not in ("good-fit", "not-converged", "inconclusive") for status in said) <= 0.02 * len(said)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(made.MAKERS)), st.integers(0, 100_000), st.floats(1e-6, 1e6))
def test_the_unit_of_the_loss_does_not_matter(name, seed, unit):
    measured = made.measure(made.MAKERS[name][0], seed)
    assert verdict(rescaled(measured, unit)).status == verdict(measured).status


loss = st.one_of(
    st.floats(-1e6, 1e6),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0]),
    st.floats(allow_nan=True, allow_infinity=True),
)
maybe = st.one_of(st.none(), loss)


@st.composite
def any_history(draw):
    blocks = draw(st.integers(0, 3))
    some = st.lists(loss, min_size=blocks, max_size=blocks).map(tuple)
    epochs = draw(
        st.lists(
            st.builds(
                EpochRecord,
                epoch=st.integers(0, 50),
                step=st.integers(0, 500),
                lr=st.floats(0.0, 10.0),
                running_loss=loss,
                train_loss=maybe,
                val_loss=maybe,
                train_blocks=some,
                val_blocks=some,
            ),
            max_size=12,
        )
    )
    weights = (1.0,) * blocks
    return History(epochs=tuple(epochs), best_epoch=None, train_block_weights=weights, val_block_weights=weights)


@settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(any_history(), loss, maybe, st.lists(loss, max_size=40), st.booleans())
def test_any_history_gets_one_verdict_and_never_an_error(history, base, val_base, trace, known):
    sections = [history, TASK, FACTS, OUTPUT, LossTrace(stride=1, losses=tuple(trace), smoothed=tuple(trace), spikes=())]
    if known:
        sections.append(Baseline(description="constant", train_loss=base, val_loss=val_base))
    measured = Measurements(sections)
    found = verdict(measured)
    assert found.status in get_args(FitStatus)
    assert found.reason
    assert found.status == "good-fit" or found.advice
    assert verdict(measured) == found


def run(train, val=None, *, base=1.0, blocks=10, extra=(), lr=0.1):
    """A smooth run of given losses by epoch; a block more or less hard."""
    hard = [0.9 + 0.2 * i / (blocks - 1) for i in range(blocks)]
    epochs = tuple(
        EpochRecord(
            epoch=t,
            step=10 * (t + 1),
            lr=lr,
            running_loss=a,
            train_loss=a,
            val_loss=None if val is None else val[t],
            train_blocks=tuple(a * h for h in hard),
            val_blocks=() if val is None else tuple(val[t] * h for h in hard),
        )
        for t, a in enumerate(train)
    )
    sections = [History(epochs=epochs, best_epoch=0, train_block_weights=(1.0,) * blocks, val_block_weights=(1.0,) * blocks)]
    if base is not None:
        sections.append(Baseline(description="mean", train_loss=base, val_loss=base))
    return Measurements([*sections, *extra])


def decay(n, tau, floor=0.0):
    return [floor + (1.0 - floor) * math.exp(-t / tau) for t in range(n)]


def test_a_run_that_came_to_rest_low():
    found = verdict(run(decay(30, 3.0, 0.05), decay(30, 3.0, 0.1)))
    assert found.status == "good-fit"
    assert found.explained_ratio == pytest.approx(0.95, abs=0.01)


def test_without_validation():
    assert verdict(run(decay(30, 3.0, 0.05))).status == "good-fit"
    assert verdict(run(decay(20, 30.0))).status == "not-converged"


def test_without_a_baseline_a_low_loss_proves_nothing_but_a_rise_does():
    assert verdict(run(decay(30, 3.0, 0.05), base=None)).status == "inconclusive"
    rising = [0.4 + 0.03 * t for t in range(30)]
    assert verdict(run(decay(30, 3.0), rising, base=None)).status == "overfitting"


def test_overfitting_names_the_best_epoch():
    val = [max(0.3, 1.0 - 0.1 * t) + 0.03 * max(0, t - 10) for t in range(30)]
    found = verdict(run(decay(30, 4.0), val))
    assert found.status == "overfitting"
    assert abs(found.evidence["best_epoch"] - 8) <= 3
    assert str(found.evidence["best_epoch"]) in found.advice[0]


def test_a_climb_that_training_shares_is_no_overfitting():
    train, val = decay(20, 3.0, 0.02), decay(20, 3.0, 0.1)
    climb = [0.0] * 16 + [0.03, 0.06, 0.1, 0.12]
    risen = [v + c for v, c in zip(val, climb, strict=True)]
    assert verdict(run(train, risen)).status == "overfitting"
    shared = [t + c for t, c in zip(train, climb, strict=True)]
    assert verdict(run(shared, risen)).status != "overfitting"


def test_the_climb_that_early_stopping_waits_for_is_not_overfitting():
    val = [max(0.3, 1.0 - 0.1 * t) + 0.03 * max(0, t - 10) for t in range(15)]
    stopped = replace(OPTIMISATION, stopped="early-stopping")
    assert verdict(run(decay(15, 8.0), val)).status == "overfitting"
    assert verdict(run(decay(15, 8.0), val, extra=(stopped,))).status != "overfitting"


def test_the_luck_of_the_split_is_no_gap():
    measured = run(decay(30, 3.0, 0.3), decay(30, 3.0, 0.6))
    assert verdict(measured).status == "overfitting"
    harder = [s for s in measured if not isinstance(s, Baseline)]
    assert verdict(Measurements([*harder, Baseline(description="mean", train_loss=1.0, val_loss=1.3)])).status == "good-fit"


def test_more_epochs_follow_from_the_decay():
    found = verdict(run(decay(20, 20.0)))
    assert found.status == "not-converged"
    # exp(-t / 20) is within 1 % of its limit at t = 92, which is 73 epochs away
    assert found.evidence["more_epochs"] == pytest.approx(73, rel=0.2)


def test_a_hopeless_pace_asks_for_a_higher_rate_instead():
    found = verdict(run([1.0 - 0.002 * t for t in range(20)]))
    assert found.status in ("not-converged", "no-better-than-trivial")
    crawling = verdict(run([1.05 - 1e-5 * t for t in range(20)]))
    assert crawling.status == "no-better-than-trivial"


@pytest.mark.parametrize(
    ("train", "status"),
    [
        ([1.0] * 20, "no-better-than-trivial"),
        ([0.995] * 20, "no-better-than-trivial"),
        ([0.9] * 20, "underfitting"),
        ([1.0] * 3, "inconclusive"),
        ([0.2] * 3, "inconclusive"),
        ([50.0], "diverged"),
        ([1.0, 0.5, 0.3, *[0.9] * 6], "diverged"),
        ([], "inconclusive"),
        ([math.nan], "diverged"),
        ([1.0, 0.5, math.inf], "diverged"),
    ],
)
def test_plain_cases(train, status):
    start = replace(OUTPUT, initial_loss=1.0)
    assert verdict(run(train, extra=(start,))).status == status


def spread_validation(level, noise):
    """A run that learns in training, and whose validation blocks scatter by ``noise`` about ``level``."""
    measured = run([1.0, 0.9, *[0.8] * 18], [level] * 20)
    history, trivial = measured[History], measured[Baseline]
    blocks = tuple(level + noise * (-1) ** i for i in range(10))
    epochs = tuple(replace(e, val_blocks=blocks) for e in history.epochs)
    ends = replace(trivial, train_blocks=(1.0,) * 10, val_blocks=(1.0,) * 10)
    share = LabelSignal(samples=500, neighbours=5, agreement_ratio=0.2, chance_ratio=0.0, z=9.0)
    return Measurements([replace(history, epochs=epochs), ends, REGRESSION, share])


@pytest.mark.parametrize(
    ("level", "noise", "status"),
    [
        (0.9, 0.01, "good-fit"),
        (0.9, 0.3, "inconclusive"),  # better, and the split is too small to prove it
        (0.995, 0.01, "no-better-than-trivial"),
        (1.0, 0.1, "no-better-than-trivial"),
        (1.0, 0.6, "inconclusive"),
    ],
)
def test_validation_that_passes_the_baseline_or_not(level, noise, status):
    assert verdict(spread_validation(level, noise)).status == status


def test_all_frozen_is_no_better_than_trivial_after_one_epoch():
    frozen = Parameters(parameters=(parameter("a.weight", requires_grad=False),), steps=0)
    assert verdict(run([1.0], extra=(frozen,))).status == "no-better-than-trivial"


def test_non_finite_end_is_divergence_a_skipped_step_in_between_is_not():
    event = NonFinite(events=(NonFiniteEvent(phase="backward", step=7, value="inf", count=1),))
    healthy = run(decay(30, 3.0, 0.05), extra=(event, OPTIMISATION))
    assert verdict(healthy).status == "good-fit"
    stopped = verdict(run(decay(30, 3.0), extra=(event, replace(OPTIMISATION, stopped="non-finite"))))
    assert stopped.status == "diverged"
    assert stopped.evidence["first_bad_step"] == 7


@pytest.mark.parametrize(("spread", "diverged"), [(0.05, True), (0.5, False), (math.nan, True)])
def test_a_first_batch_that_was_easy_is_no_proof_of_divergence(spread, diverged):
    """A loss that stands at 1.4 all along, of which the first batch saw 1.0; blocks of the split differ by ``spread``."""
    rest = replace(OUTPUT, initial_loss=1.0)
    task = replace(REGRESSION, train_samples=320, batch_size=32)
    blocks = tuple(1.0 + spread * (-1) ** i for i in range(10))
    baseline = Baseline(description="mean", train_loss=1.0, val_loss=1.0, train_blocks=blocks)
    found = verdict(run([1.4 - 1e-6 * t for t in range(30)], base=None, extra=(baseline, rest, task)))
    assert (found.status == "diverged") == diverged


def use(loss, shuffled, zeroed, low, high):
    return InputUse(
        split="val",
        samples=200,
        loss=loss,
        shuffled_loss=shuffled,
        zeroed_loss=zeroed,
        difference=shuffled - loss,
        difference_lower=low,
        difference_upper=high,
    )


@pytest.mark.parametrize(
    ("input_use", "spread", "ignores"),
    [
        (use(1.0, 1.0, 1.0, 0.0, 0.0), 0.0, True),
        (use(1.0, 1.0, 1.0, 0.0, 0.0), None, True),
        (use(1.0, 1.001, 1.0, -0.001, 0.001), 0.01, True),  # the boundary
        (use(1.0, 1.002, 1.0, 0.001, 0.002), 0.01, False),
        (use(1.0, 1.0, 1.0, 0.0, 0.0), 0.05, False),  # a fresh net: small outputs, but they differ
        (use(1.0, 1.0, 1.3, 0.0, 0.0), 0.0, False),
        (use(1.0, math.nan, 1.0, math.nan, math.nan), 0.0, False),
    ],
)
def test_ignoring_the_input(input_use, spread, ignores):
    measured = run([1.0] * 20, extra=(input_use, replace(OUTPUT, spread_ratio=spread, initial_loss=None)))
    assert verdict(measured).status == ("ignores-input" if ignores else "no-better-than-trivial")


def test_neighbours_show_that_a_classifier_could_do_better():
    high = [1.0, *[0.5] * 20]
    near = LabelSignal(samples=500, neighbours=5, agreement_ratio=0.97, chance_ratio=0.33, z=40.0)
    far = replace(near, agreement_ratio=0.6)
    assert verdict(run(high, extra=(TASK, near))).status == "underfitting"
    assert verdict(run(high, extra=(TASK, far))).status == "good-fit"
    assert verdict(run(high, extra=(replace(TASK, loss="hinge"), near))).status == "good-fit"
    assert verdict(run(high, extra=(replace(TASK, per_element=True), near))).status == "good-fit"


def test_neighbours_show_that_the_rest_is_noise():
    low = [1.0, *[0.8] * 20]
    noisy = LabelSignal(samples=500, neighbours=5, agreement_ratio=0.25, chance_ratio=0.0, z=10.0)
    assert verdict(run(low, extra=(REGRESSION, noisy))).status == "good-fit"
    boundary = replace(noisy, agreement_ratio=0.299)  # two thirds of it are 0.1993, and 0.2 are explained
    assert verdict(run(low, extra=(REGRESSION, boundary))).status == "good-fit"
    for other in (
        replace(noisy, agreement_ratio=0.4),
        replace(noisy, z=2.0),
        replace(noisy, z=math.nan),
        replace(noisy, agreement_ratio=math.nan),
        replace(noisy, chance_ratio=1.0),
    ):
        assert verdict(run(low, extra=(REGRESSION, other))).status == "underfitting"
    votes = replace(noisy, agreement_ratio=0.49, chance_ratio=1 / 3)
    assert verdict(run(low, extra=(TASK, votes))).status == "good-fit"
    assert verdict(run(low, extra=(TASK, replace(votes, agreement_ratio=0.65)))).status == "underfitting"


def test_what_neighbours_at_a_distance_share_is_made_up_for():
    low = [1.0, *[0.8] * 20]
    noisy = LabelSignal(samples=500, neighbours=5, agreement_ratio=0.25, chance_ratio=0.0, z=10.0, distance_ratio=0.1)
    assert verdict(run(low, extra=(REGRESSION, noisy))).status == "good-fit"
    halfway = replace(noisy, distance_ratio=0.55)  # 0.25 is then 0.36 of what there is
    assert verdict(run(low, extra=(REGRESSION, halfway))).status == "underfitting"
    for ratio in (0.6, 1.0, math.nan, math.inf):  # too far to say
        unproven = replace(noisy, agreement_ratio=0.1, distance_ratio=ratio)
        assert verdict(run(low, extra=(REGRESSION, unproven))).status == "underfitting"


def test_without_neighbours_a_high_loss_may_be_all_there_is():
    low = [1.0, *[0.8] * 20]
    tokens = replace(TASK, per_element=True)
    found = verdict(run(low, extra=(tokens,)))
    assert found.status == "inconclusive"
    assert "within reach" in found.reason
    assert verdict(run([1.0, *[0.3] * 20], extra=(tokens,))).status == "good-fit"


def test_an_absolute_loss_falls_by_less_than_the_variance_it_explains():
    high = [1.0, *[0.71] * 20]  # half of the variance
    assert verdict(run(high, extra=(replace(REGRESSION, loss="l1"),))).status == "good-fit"
    assert verdict(run(high, extra=(replace(REGRESSION, loss="mse"),))).status == "underfitting"
    assert verdict(run([1.0, *[0.85] * 20], extra=(replace(REGRESSION, loss="l1"),))).status == "underfitting"


def flat_with(overshoot):
    gains = StepGains(
        gains=tuple(
            StepGain(step=s, loss_before=1.0, predicted_change=-0.1, actual_change=0.1 if s % 20 < overshoot else -0.1)
            for s in range(0, 200, 10)
        )
    )
    return run([1.0, 0.95, 0.9, *[0.85] * 17], extra=(gains, replace(TASK, steps_per_epoch=10)))


def test_a_plateau_is_where_steps_overshoot():
    found = verdict(flat_with(overshoot=10))
    assert found.status == "plateau"
    assert found.evidence["since_epoch"] in (2, 3, 4)
    assert "tenfold" in found.advice[0]
    assert verdict(flat_with(overshoot=0)).status == "underfitting"


def test_a_rate_that_was_lowered_already_is_not_in_the_way():
    measured = flat_with(overshoot=10)
    history = measured[History]
    lowered = tuple(replace(e, lr=0.1 if e.epoch < 10 else 0.01) for e in history.epochs)
    rest = [s for s in measured if not isinstance(s, History)]
    assert verdict(Measurements([*rest, replace(history, epochs=lowered)])).status == "underfitting"


def test_advice_follows_what_the_run_already_does():
    plain = verdict(run([0.9] * 20, extra=(TASK, OPTIMISATION)))
    assert not any("dropout" in a for a in plain.advice)
    heavy = verdict(run([0.9] * 20, extra=(replace(TASK, dropout=True), replace(OPTIMISATION, l2=0.1, max_norm=1.0))))
    assert any("dropout" in a for a in heavy.advice)
    assert any("L2" in a or "max-norm" in a for a in heavy.advice)


def test_a_short_run_is_followed_by_its_steps():
    falling = tuple(math.exp(-i / 60) for i in range(64))
    trace = LossTrace(stride=1, losses=falling, smoothed=falling, spikes=())
    found = verdict(run([0.6, 0.5], extra=(trace,)))
    assert found.status == "not-converged"
    assert "more_steps" in found.evidence


def rescaled(measured, unit):
    history, base = measured[History], measured[Baseline]
    epochs = tuple(
        replace(
            e,
            running_loss=e.running_loss * unit,
            train_loss=e.train_loss * unit,
            val_loss=e.val_loss * unit,
            train_blocks=tuple(b * unit for b in e.train_blocks),
            val_blocks=tuple(b * unit for b in e.val_blocks),
        )
        for e in history.epochs
    )
    rest = [s for s in measured if not isinstance(s, History | Baseline)]
    scaled = replace(base, train_loss=base.train_loss * unit, val_loss=base.val_loss * unit)
    return Measurements([*rest, replace(history, epochs=epochs), scaled])


def test_a_high_loss_that_still_falls_is_not_blamed_on_the_net():
    """Eight epochs that fall too unevenly to be extrapolated."""
    train = [1.139, 1.014, 0.961, 0.916, 0.896, 0.860, 0.851, 0.834]
    val = [1.180, 1.109, 1.028, 0.976, 0.942, 0.903, 0.873, 0.855]
    found = verdict(run(train, val, base=1.0986))
    assert found.status == "not-converged"
    assert "still falling" in found.reason


def test_two_epochs_are_never_underfitting_while_they_fall():
    measured = run([0.41, 0.36], [0.38, 0.30], base=0.69)
    trace = tuple(0.9 * math.exp(-i / 20) + 0.35 for i in range(64))
    steps = LossTrace(stride=1, losses=trace, smoothed=trace, spikes=())
    assert verdict(Measurements([*measured, steps])).status in ("not-converged", "inconclusive")


def test_training_that_leaves_validation_behind_asks_for_regularisation_and_not_for_capacity():
    """Labels that are noise, learnt by heart slowly."""
    train = [1.10 - 0.012 * t for t in range(20)]
    val = [1.08 + 0.001 * (t % 3) for t in range(20)]
    found = verdict(run(train, val, base=1.0986))
    assert found.status == "overfitting"
    assert not any("capacity" in advice for advice in found.advice)


def test_validated_epochs_are_enough_where_training_was_measured_again_but_twice():
    measured = run(decay(10, 1.5, 0.1), decay(10, 1.5, 0.1))
    epochs = tuple(
        e if e.epoch in (4, 9) else replace(e, train_loss=None, train_blocks=()) for e in measured[History].epochs
    )
    sections = [replace(s, epochs=epochs) if isinstance(s, History) else s for s in measured]
    assert "too few" not in verdict(Measurements(sections)).reason


def test_the_best_epoch_is_the_lowest_of_its_stretch():
    train = decay(20, 4.0)
    val = [0.80, 0.60, 0.50, 0.45, 0.44, 0.46, *(0.47 + 0.05 * t for t in range(14))]
    assert verdict(run(train, val)).evidence["best_epoch"] == 4


def test_a_short_run_that_falls_steadily_did_not_come_to_rest():
    assert verdict(run([0.68, 0.66, 0.64, 0.61, 0.59], [0.68, 0.66, 0.65, 0.62, 0.60], base=0.69)).status == "not-converged"
