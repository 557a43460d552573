import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.core.errors import DataError
from dltool.data.split import allot, split_samples


@given(st.integers(2, 200), st.floats(0.01, 0.99), st.integers(0, 2**62), st.integers(0, 6))
def test_disjoint_complete_sorted_and_seeded(n, val, seed, classes):
    labels = np.random.default_rng(seed % 1000).integers(0, classes, n) if classes else None
    wanted = max(1, int(np.floor(n * val + 0.5)))
    if wanted >= n:
        with pytest.raises(DataError):
            split_samples(n, val, seed, labels)
        return
    train, held_out = split_samples(n, val, seed, labels)
    assert sorted([*train, *held_out]) == list(range(n))
    assert (np.diff(train) > 0).all()
    assert len(held_out) == wanted
    again = split_samples(n, val, seed, labels)
    assert (again[1] == held_out).all()


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.data())
def test_shares_are_proportional_and_on_both_sides(sizes, data):
    total = sum(sizes)
    if total < 2:
        return
    wanted = data.draw(st.integers(1, total - 1))
    shares = allot(sizes, wanted)
    assert sum(shares) == wanted
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    splittable = [size for size in sizes if size > 1]
    if len(splittable) <= wanted <= sum(size - 1 for size in splittable):
        for share, size in zip(shares, sizes, strict=True):
            assert size == 1 or 1 <= share <= size - 1
            assert size > 1 or share == 0


def test_large_groups_get_their_share_within_one():
    assert allot([50, 50, 50], 30) == [10, 10, 10]
    assert allot([900, 90, 10], 100) == [90, 9, 1]
    assert allot([997, 2, 1], 100) == [99, 1, 0]


def test_another_seed_gives_another_split():
    first, second = (split_samples(100, 0.2, seed)[1] for seed in (0, 1))
    assert (first != second).any()


def test_a_count_is_taken_as_a_count():
    assert len(split_samples(100, 1, 0)[1]) == 1
    assert len(split_samples(100, 99, 0)[1]) == 99


@pytest.mark.parametrize(("n", "val"), [(1, 0.5), (1, 1), (10, 10), (10, 11), (3, 0.99)])
def test_a_side_without_samples_is_an_error_with_both_numbers(n, val):
    with pytest.raises(DataError, match=rf"of {n} samples to train on"):
        split_samples(n, val, 0)


def test_missing_labels_are_a_group_of_their_own():
    labels = np.array([0] * 10 + [1] * 10 + [-100] * 2)
    train, held_out = split_samples(22, 0.5, 0, labels)
    assert sorted(labels[held_out].tolist()) == [-100] + [0] * 5 + [1] * 5
    assert len(train) == 11
