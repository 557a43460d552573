import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dltool.scanning.gather import hamming
from dltool.scanning.gather.hamming import BITS, nearest_outside, pairs_within, spread_sample
from dltool.scanning.gather.linkage import GAP_BITS, GAP_RATIO, standing_apart

WORDS = st.integers(0, 2**64 - 1)


def crowded(seed, centres, around, flips):
    """Hashes in clusters: ``around`` neighbours of each centre, each with up to ``flips`` bits changed."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, centres, dtype=np.uint64)
    near = [hashes]
    for _ in range(around):
        masks = np.zeros(centres, dtype=np.uint64)
        for _ in range(flips):
            masks |= np.uint64(1) << rng.integers(0, 64, centres, dtype=np.uint64)
        near.append(hashes ^ masks)
    return np.unique(np.concatenate(near))


def brute(hashes, radius):
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    first, second = np.nonzero(np.triu(bits <= radius, 1))
    return set(zip(first.tolist(), second.tolist(), bits[first, second].tolist(), strict=True))


@given(
    hashes=st.lists(WORDS, max_size=60, unique=True),
    masks=st.lists(st.integers(0, 2**64 - 1).map(lambda bits: bits & (bits >> 7) & (bits >> 20)), max_size=60),
    radius=st.integers(0, 8),
)
@settings(max_examples=60, deadline=None)
def test_every_pair_is_found_and_no_other(hashes, masks, radius):
    near = [a ^ b for a, b in zip(hashes, masks, strict=False)]
    values = np.unique(np.array(hashes + near, dtype=np.uint64))
    pairs = pairs_within(values, radius)
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.bits.tolist(), strict=True)) == brute(values, radius)


@pytest.mark.parametrize(("seed", "centres", "around", "flips"), [(0, 400, 2, 3), (1, 3, 300, 6), (2, 1, 700, 9)])
@pytest.mark.parametrize("radius", [0, 1, 3, 6])
def test_crowds_and_lone_pairs_against_all_with_all(seed, centres, around, flips, radius):
    values = crowded(seed, centres, around, flips)
    pairs = pairs_within(values, radius)
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.bits.tolist(), strict=True)) == brute(values, radius)
    assert list(zip(pairs.bits, pairs.first, pairs.second, strict=True)) == sorted(
        zip(pairs.bits, pairs.first, pairs.second, strict=True)
    )


@pytest.mark.parametrize("chosen", [1, 2, 3, 4])
def test_every_plan_gives_the_same_pairs(chosen, monkeypatch):
    values = crowded(3, 150, 3, 4)
    monkeypatch.setattr(hamming, "_plan", lambda _, radius: hamming._Plan(radius + chosen, chosen))
    pairs = pairs_within(values, 4)
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.bits.tolist(), strict=True)) == brute(values, 4)


def test_a_search_that_would_not_end_is_refused(monkeypatch):
    values = crowded(4, 1, 900, 8)
    monkeypatch.setattr(hamming, "MOST_COST", 100)
    assert pairs_within(values, 6) is None
    monkeypatch.undo()
    monkeypatch.setattr(hamming, "MOST_PAIRS", 100)
    assert pairs_within(values, 6) is None
    assert len(brute(values, 6)) > 100


def test_no_hashes_and_one():
    for values in (np.empty(0, dtype=np.uint64), np.array([7], dtype=np.uint64)):
        assert len(pairs_within(values, 6).bits) == 0


def test_the_sample_does_not_depend_on_order_and_is_spread():
    values = np.sort(np.random.default_rng(0).integers(0, 2**64, 5000, dtype=np.uint64))
    sample = spread_sample(values, 500)
    assert len(sample) == 500
    assert (sample == spread_sample(values[::-1].copy(), 500)).all()
    assert 0.3 < np.mean(sample > np.uint64(2**63)) < 0.7


def test_nearest_outside():
    values = np.array([0, 1, 7, 2**10 - 1], dtype=np.uint64)
    assert nearest_outside(values, 0, np.array([0, 1])) == 3
    assert nearest_outside(values, 0, np.array([0, 1, 2])) == 10
    assert nearest_outside(values, 0, np.arange(4)) > BITS
    assert nearest_outside(values, 0, np.array([0, 1]), step=3) == 10


@given(
    centres=st.lists(WORDS, min_size=1, max_size=6, unique=True),
    masks=st.lists(st.sets(st.integers(0, 63), max_size=9), min_size=1, max_size=40),
)
@settings(max_examples=80, deadline=None)
def test_groups_are_tight_and_far_from_all_others(centres, masks):
    moved = [centres[i % len(centres)] ^ sum(1 << bit for bit in mask) for i, mask in enumerate(masks)]
    values = np.unique(np.array([*centres, *moved], dtype=np.uint64))
    groups = standing_apart(values, pairs_within(values, 6), 6, np.zeros(len(values), dtype=bool))
    taken = [i for group, _ in groups for i in group.tolist()]
    assert len(taken) == len(set(taken))
    apart = np.bitwise_count(values[:, None] ^ values[None, :]).astype(int)
    for group, width in groups:
        assert len(group) > 1
        assert apart[np.ix_(group, group)].max() == width <= 6
        outside = np.setdiff1d(np.arange(len(values)), group)
        middle = group[apart[np.ix_(group, group)].sum(axis=1).argmin()]
        assert not len(outside) or apart[middle, outside].min() >= GAP_RATIO * width + GAP_BITS


@given(copies=st.integers(2, 5), width=st.integers(1, 2), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_copies_among_unlike_pictures_are_one_group(copies, width, seed):
    rng = np.random.default_rng(seed)
    others = rng.integers(0, 2**64, 100, dtype=np.uint64)
    one = others[0]
    values = np.unique(
        np.r_[others, [one ^ (np.uint64(width) << np.uint64(3 * i)) for i in range(1, copies)]].astype(np.uint64)
    )
    ((group, _),) = standing_apart(values, pairs_within(values, 6), 6, np.zeros(len(values), dtype=bool))
    assert len(group) == copies


def test_a_chain_joins_nobody():
    values = np.array([(1 << (2 * i)) - 1 for i in range(32)], dtype=np.uint64)
    assert standing_apart(values, pairs_within(values, 6), 6, np.zeros(32, dtype=bool)) == []


def test_groups_do_not_depend_on_how_far_the_search_went():
    values = crowded(5, 200, 1, 2)
    several = np.zeros(len(values), dtype=bool)
    narrow, wide = (standing_apart(values, pairs_within(values, r), r, several) for r in (2, 6))
    assert [(g.tolist(), w) for g, w in narrow] == [(g.tolist(), w) for g, w in wide if w <= 2]
    assert len(narrow) > 150
