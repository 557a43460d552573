"""All pairs of 64-bit hashes within a few bits of each other, exactly, without comparing all with all.

Cut into ``radius + k`` blocks, two hashes within ``radius`` bits agree on at least ``k`` of them (pigeonhole). For each
choice of k blocks the hashes are sorted by these, and only those that agree there are compared (Manku, Jain & Das Sarma
2007, Detecting near-duplicates for web crawling, section 3). Which k is cheapest depends on how the hashes are spread: one
block where all differ, several where many are alike. It is estimated on a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]

BITS = 64
SAMPLE = 1024
"""Hashes that stand for all when costs are estimated: half a million pairs."""

SORT_COST = 25.0
"""What a table costs per hash, in comparisons: moving bits and sorting, measured."""

MOST_COST = 1e9
MOST_PAIRS = 1_000_000
"""What a search may cost, in comparisons (some five seconds), and find (memory): beyond, the hashes are too much alike."""

Moves = list[tuple[int, int, int]]
"""Bits from, to, and how many of them."""

SHUFFLE: Moves = [(bit, bit * 27 % BITS, 1) for bit in range(BITS)]
"""An order of the bits in which cells that are neighbours in the picture, and tell of each other, share no block."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """``first[i] < second[i]``, both indices of hashes ``bits[i]`` apart; ordered by (bits, first, second)."""

    first: Indices
    second: Indices
    bits: NDArray[np.uint8]


def pairs_within(hashes: Hashes, radius: int) -> Pairs | None:
    """Every pair at most ``radius`` bits apart.

    Args:
        hashes: [n], ascending and without repeats.
        radius: 0 to 16, in bits.

    Returns:
        None where that would cost more than ``MOST_COST`` or give more than ``MOST_PAIRS`` pairs.
    """
    n = len(hashes)
    plan = _plan(hashes, radius)
    if plan is None:
        return None
    shuffled = _move(hashes, SHUFFLE)
    places = np.argsort(shuffled)
    in_order = shuffled[places]
    codes = np.empty(0, dtype=np.uint64)
    for keys in combinations(range(plan.blocks), plan.chosen):
        moves, key_bits = _to_the_top(keys, plan.blocks)
        sides = (_move(side, _back(moves)) for side in _close(np.sort(_move(shuffled, moves)), key_bits, radius))
        one, other = (places[np.searchsorted(in_order, side)].astype(np.uint64) for side in sides)
        codes = _united(codes, np.minimum(one, other) * np.uint64(n) + np.maximum(one, other))
        if len(codes) > MOST_PAIRS:
            return None
    first, second = ((codes // np.uint64(max(n, 1))).astype(np.int64), (codes % np.uint64(max(n, 1))).astype(np.int64))
    bits = np.bitwise_count(hashes[first] ^ hashes[second])
    order = np.argsort(bits, kind="stable")
    return Pairs(first[order], second[order], bits[order])


def _united(one: Hashes, other: Hashes) -> Hashes:
    """What is in either, ascending; ``one`` is so already. ``np.union1d`` hashes: a hundred times slower on such numbers."""
    both = np.concatenate([one, np.sort(other)])
    both.sort(kind="stable")  # merges two runs
    return both[np.r_[True, both[1:] != both[:-1]]] if len(both) else both


def nearest_outside(hashes: Hashes, centre: int, inside: Indices, step: int = 1) -> int:
    """Bits from ``hashes[centre]`` to the nearest of every ``step``-th whose index is not ``inside``; 65 without any."""
    bits = np.bitwise_count(hashes[::step] ^ hashes[centre])
    bits[inside[inside % step == 0] // step] = BITS + 1
    return int(bits.min())


def spread_sample(hashes: Hashes, size: int = SAMPLE) -> Hashes:
    """``size`` of them, chosen by their own bits (mixed by Fibonacci hashing): the same however they are ordered."""
    if len(hashes) <= size:
        return hashes
    mixed = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(32)
    return np.sort(hashes[np.argpartition(mixed, size)[:size]])


@dataclass(frozen=True, slots=True)
class _Plan:
    """Blocks to cut the bits into, and how many of them make a key."""

    blocks: int
    chosen: int


def _plan(hashes: Hashes, radius: int) -> _Plan | None:
    """The cheapest; None where even that compares too much."""
    n, sample = len(hashes), _move(spread_sample(hashes), SHUFFLE)
    apart = (sample[:, None] ^ sample[None, :])[np.triu_indices(len(sample), 1)]
    scale = n * (n - 1) / max(len(sample) * (len(sample) - 1), 1)
    if scale * np.count_nonzero(np.bitwise_count(apart) <= radius) > MOST_PAIRS:
        return None
    plans = [_Plan(radius + chosen, chosen) for chosen in range(1, 5)]
    costs = {plan: comb(plan.blocks, plan.chosen) * n * SORT_COST + scale * _agreements(apart, plan) for plan in plans}
    plan = min(plans, key=lambda plan: costs[plan])
    return None if costs[plan] > MOST_COST else plan


def _agreements(apart: Hashes, plan: _Plan) -> float:
    """How often pairs with these differences meet, over all tables."""
    agree = np.zeros(len(apart), dtype=np.int64)
    for start, end in (_block(block, plan.blocks) for block in range(plan.blocks)):
        agree += (apart & np.uint64(((1 << (end - start)) - 1) << start)) == 0
    counts = np.bincount(agree, minlength=plan.chosen + 1).tolist()
    return float(sum(comb(same, plan.chosen) * count for same, count in enumerate(counts)))


def _close(ordered: Hashes, key_bits: int, radius: int) -> tuple[Hashes, Hashes]:
    """Values of ``ordered`` that agree in their highest ``key_bits`` bits and are near each other."""
    limit = np.uint64((1 << (BITS - key_bits)) - 1)
    low, high = [], []
    active, offset = np.arange(len(ordered)), 1
    while len(active := active[: np.searchsorted(active, len(ordered) - offset)]):
        apart = ordered[active] ^ ordered[active + offset]
        same = apart <= limit
        active, apart = active[same], apart[same]
        near = active[np.bitwise_count(apart) <= radius]
        low.append(ordered[near])
        high.append(ordered[near + offset])
        offset += 1
    return np.concatenate(low or [ordered[:0]]), np.concatenate(high or [ordered[:0]])


def _block(block: int, blocks: int) -> tuple[int, int]:
    return BITS * block // blocks, BITS * (block + 1) // blocks


def _to_the_top(keys: tuple[int, ...], blocks: int) -> tuple[Moves, int]:
    """Moves that put the blocks ``keys`` above all others, and how many bits they have."""
    rest = [block for block in range(blocks) if block not in keys]
    moves: Moves = []
    to = 0
    for block in (*rest, *keys):
        start, end = _block(block, blocks)
        if moves and moves[-1][0] + moves[-1][2] == start:
            moves[-1] = (moves[-1][0], moves[-1][1], moves[-1][2] + end - start)
        else:
            moves.append((start, to, end - start))
        to += end - start
    return moves, sum(end - start for start, end in (_block(block, blocks) for block in keys))


def _back(moves: Moves) -> Moves:
    return [(to, start, count) for start, to, count in moves]


def _move(hashes: Hashes, moves: Moves) -> Hashes:
    moved = np.zeros_like(hashes)
    for start, to, count in moves:
        part = (hashes >> np.uint64(start)) & np.uint64((1 << count) - 1)
        moved |= part << np.uint64(to)
    return moved
