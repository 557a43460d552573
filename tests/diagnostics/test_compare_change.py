"""A change and its noise: properties over all numbers, and the noise of a loss against the same written out slowly."""

import math
import random
import statistics

import pytest
from compared_reports import BASELINE, BLOCK_OFFSETS, FALLING, TASK, history, sections
from hypothesis import given
from hypothesis import strategies as st

from dltool.core.measurements import Measurements
from dltool.core.statistics import jitter_std
from dltool.diagnostics.compare.change import Quantity, change_of
from dltool.diagnostics.compare.data import chance_index, stability_index
from dltool.diagnostics.compare.losses import loss_changes, metric_changes

ANY = st.floats(allow_nan=True, allow_infinity=True)
SIZES = st.one_of(st.just(0.0), st.just(math.nan), st.floats(min_value=0, allow_infinity=True))
LOSS = Quantity(group="loss", name="loss", key="loss")
NORM = Quantity(group="flow", name="norm", key="norm", scale="ratio", better="neither")
OPPOSITE = {"worse": "better", "better": "worse", "equal": "equal", "within-noise": "within-noise", "changed": "changed"}


@given(ANY, st.floats(min_value=0, allow_infinity=False))
def test_nothing_differs_from_itself(value, noise):
    for what in (LOSS, NORM):
        change = change_of(what, abs(value), abs(value), noise=noise, basis="")
        assert change.verdict == "equal"
        assert change.noises == 0


@given(ANY, ANY, st.floats(min_value=0, max_value=1e9))
def test_exchanged_sides_have_the_opposite_verdict(before, after, noise):
    there, back = (change_of(LOSS, *pair, noise=noise, basis="") for pair in ((before, after), (after, before)))
    assert OPPOSITE[there.verdict] == back.verdict
    assert there.noises == back.noises or math.isclose(there.noises, back.noises)


@given(SIZES, SIZES, st.floats(min_value=1, max_value=1e9))
def test_sizes_of_any_kind_are_compared_without_an_error(before, after, factor):
    change = change_of(NORM, before, after, noise=factor, basis="")
    assert change.noises >= 0
    if math.isfinite(before) and not math.isfinite(after):
        assert change.verdict == "worse"


@given(st.floats(min_value=-1e6, max_value=1e6), st.floats(min_value=-1e6, max_value=1e6))
def test_lower_and_higher_are_opposites(before, after):
    lower, higher = (
        change_of(Quantity(group="metric", name="m", key="m", better=better), before, after, noise=0.5, basis="").verdict
        for better in ("lower", "higher")
    )
    assert OPPOSITE[lower] == higher


@pytest.mark.parametrize(
    ("before", "after", "factor", "verdict"),
    [
        (1.0, 2.0, 2.0, "within-noise"),
        (1.0, 2.0000001, 2.0, "changed"),
        (0.0, 0.0, 2.0, "equal"),
        (0.0, 1e-30, 2.0, "changed"),
        (1e-30, 0.0, 2.0, "changed"),
        (1e-300, 1e300, 1e9, "changed"),
    ],
)
def test_factors_at_their_boundary_and_at_zero(before, after, factor, verdict):
    assert change_of(NORM, before, after, noise=factor, basis="").verdict == verdict


def test_a_missing_side_is_no_change():
    assert change_of(LOSS, None, 1.0, noise=1.0, basis="") is None
    assert change_of(LOSS, 1.0, None, noise=1.0, basis="") is None


def measured(losses, accuracy=0.95):
    return Measurements(sections(history(losses, accuracy)))


def test_the_noise_of_a_loss_is_what_it_is_said_to_be():
    after = [loss + 0.4 for loss in FALLING]
    changes = {change.name: change for change in loss_changes(measured(FALLING), measured(after))}
    last = changes["val_loss, last"]
    assert (last.before, last.after) == (FALLING[-1], after[-1])
    error = statistics.pstdev(BLOCK_OFFSETS) / math.sqrt(len(BLOCK_OFFSETS) - 1)
    jitter = jitter_std(FALLING[-4:])
    assert last.noise == pytest.approx(3 * math.sqrt(2) * math.sqrt(2 * error**2 + 2 * jitter**2))
    assert last.noise > 0.02 * BASELINE.val_loss
    mean = changes["val_loss, mean over epochs"]
    assert mean.before == pytest.approx(sum(FALLING) / len(FALLING))
    assert mean.change == pytest.approx(0.4)


def test_a_floor_of_the_trivial_loss_stands_under_the_noise():
    sure = history(FALLING)
    epochs = tuple(
        type(e)(**{**vars(e), "train_blocks": (e.train_loss,) * 8, "val_blocks": (e.val_loss,) * 8, "val_loss": 0.4})
        for e in sure.epochs
    )
    still = Measurements(sections(type(sure)(**{**vars(sure), "epochs": epochs})))
    change = next(c for c in loss_changes(still, still) if c.name == "val_loss, best")
    assert change.noise >= 0.02 * BASELINE.val_loss


def test_accuracy_has_the_noise_of_a_binomial_share():
    change = next(c for c in metric_changes(measured(FALLING, 0.9), measured(FALLING, 0.8)) if c.name == "val accuracy")
    n = TASK.val_samples
    rate = (0.9 * n + 0.8 * n + 2) / (2 * n + 4)
    assert change.noise == pytest.approx(3 * math.sqrt(2) * math.sqrt(rate * (1 - rate) * 2 / n))
    assert change.better == "higher"


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=2, max_size=30))
def test_the_stability_index_is_symmetric_and_never_negative(pairs):
    index = stability_index(pairs)
    assert index >= 0
    assert index == pytest.approx(stability_index([(b, a) for a, b in pairs]))
    assert stability_index([(a, a) for a, _ in pairs]) == pytest.approx(0)


def test_chance_exceeds_its_bound_about_once_in_a_thousand():
    draw = random.Random(0)
    beyond = 0
    for _ in range(400):
        counts = [[0] * 5, [0] * 5]
        for side in counts:
            for label in draw.choices(range(5), k=200):
                side[label] += 1
        pairs = list(zip(*counts, strict=True))
        beyond += stability_index(pairs) > chance_index(pairs)
    assert beyond <= 3
