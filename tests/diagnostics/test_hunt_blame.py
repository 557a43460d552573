"""The searches by leaving out, against steps that are known functions of what is in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltool.diagnostics.hunt.blame import MOST_SINGLES, OutOfTriesError, to_blame
from dltool.diagnostics.hunt.minimal import earliest_needed


class Step:
    """Bad as ``fault`` says of the rows in place; counts what it is asked, and answers ``most`` questions."""

    def __init__(self, fault: Callable[[frozenset[int]], bool], most: int = 10_000) -> None:
        self.fault, self.most = fault, most
        self.asked: dict[tuple[frozenset[int], int], bool] = {}

    def __call__(self, kept: Sequence[int], shift: int = 0) -> bool:
        key = frozenset(kept), shift
        if key not in self.asked:
            if len(self.asked) == self.most:
                raise OutOfTriesError
            self.asked[key] = self.answer(*key)
        return self.asked[key]

    def answer(self, kept: frozenset[int], shift: int) -> bool:
        del shift
        return self.fault(kept)


class Absence(Step):
    """Bad when nobody in the batch has what the rows named in ``having``, among the good ones, have."""

    def __init__(self, count: int, having: set[int]) -> None:
        super().__init__(bool)
        self.count, self.having = count, having

    def answer(self, kept: frozenset[int], shift: int) -> bool:
        return not any((row + shift) % self.count in self.having for row in set(range(self.count)) - kept)


def rows(count: int) -> tuple[int, ...]:
    return tuple(range(count))


@given(st.integers(1, 64), st.data())
def test_few_rows_that_spoil_the_step_each_are_found_without_a_hint(count: int, data: st.DataObject) -> None:
    guilty = data.draw(st.frozensets(st.integers(0, count - 1), min_size=1, max_size=3))
    assert to_blame(rows(count), (), Step(lambda kept: bool(kept & guilty))) == tuple(sorted(guilty))


@given(st.integers(1, 64), st.data())
def test_of_few_suspected_rows_the_innocent_are_acquitted(count: int, data: st.DataObject) -> None:
    guilty = data.draw(st.frozensets(st.integers(0, count - 1), min_size=1, max_size=3))
    others = data.draw(st.frozensets(st.integers(0, count - 1), max_size=MOST_SINGLES - 3))
    suspected = tuple(sorted(guilty | others))
    step = Step(lambda kept: bool(kept & guilty))
    assert to_blame(rows(count), suspected, step) == tuple(sorted(guilty))
    assert len(step.asked) <= 2 + len(suspected)


def test_one_row_of_many_costs_two_tries_a_halving_at_most() -> None:
    step = Step(lambda kept: 201 in kept)
    assert to_blame(rows(256), (), step) == (201,)
    assert len(step.asked) <= 2 * 8 + 6


def test_where_any_row_heals_it_is_all_of_them() -> None:
    assert to_blame(rows(32), (), Step(lambda kept: len(kept) == 32)) == rows(32)
    assert to_blame(rows(2), (), Step(lambda kept: len(kept) == 2)) == rows(2)


def test_where_every_row_is_bad_it_is_all_of_them() -> None:
    for suspected in ((), rows(64)):
        step = Step(bool)
        assert to_blame(rows(64), suspected, step) == rows(64)
        assert len(step.asked) <= 10


@pytest.mark.parametrize("having", [{0}, {0, 4}, {0, 2, 3, 5}, {1, 4, 6}])
def test_a_batch_that_lacks_something_is_the_fault_of_all(having: set[int]) -> None:
    """No positive label in it: who seems guilty hangs on which good rows have one, and where they are put."""
    found = to_blame(rows(8), (), Absence(8, having))
    assert found == (rows(8) if len(having) > 1 else ())


@pytest.mark.parametrize("pair", [{3, 4}, {0, 31}, {15, 16}, {7, 8, 30}])
def test_rows_that_are_bad_together_only_are_named_together(pair: set[int]) -> None:
    assert to_blame(rows(32), (), Step(lambda kept: pair <= kept)) == tuple(sorted(pair))


def test_a_pair_and_a_single_are_both_found() -> None:
    assert to_blame(rows(32), (), Step(lambda kept: {3, 20} <= kept or 9 in kept)) == (3, 9, 20)


def test_a_fault_of_amount_blames_nobody() -> None:
    """A sum that overflows from twenty samples on is the fault of none."""
    assert to_blame(rows(32), (), Step(lambda kept: len(kept) >= 20)) == ()


def test_out_of_tries_it_is_what_healed_or_nobody() -> None:
    assert to_blame(rows(64), (3, 9), Step(lambda kept: bool(kept & {3, 9}), most=1)) == (3, 9)
    assert to_blame(rows(64), (), Step(lambda kept: bool(kept & {3, 9}), most=3)) == ()


class Repairs:
    def __init__(self, heals: Callable[[frozenset[int]], bool]) -> None:
        self.heals, self.asked = heals, set[frozenset[int]]()

    def __call__(self, chosen: frozenset[int]) -> bool:
        self.asked.add(chosen)
        return self.heals(chosen)


@given(st.integers(1, 40), st.data())
def test_the_earliest_that_heals_alone_is_needed(count: int, data: st.DataObject) -> None:
    healing = data.draw(st.frozensets(st.integers(0, count - 1), min_size=1))
    repairs = Repairs(lambda chosen: bool(chosen & healing))
    assert earliest_needed(count, repairs) == (min(healing),)
    assert len(repairs.asked) <= 2 * count.bit_length() + 2


@given(st.integers(2, 40), st.data())
def test_repairs_that_are_needed_together_are_all_found(count: int, data: st.DataObject) -> None:
    needed = data.draw(st.frozensets(st.integers(0, count - 1), min_size=1, max_size=4))
    assert earliest_needed(count, lambda chosen: needed <= chosen) == tuple(sorted(needed))


def test_of_a_chain_and_another_birth_the_root_is_preferred() -> None:
    """0 feeds 1; 2 is independent: {0, 2} and {1, 2} both heal."""
    assert earliest_needed(3, lambda chosen: 2 in chosen and bool(chosen & {0, 1})) == (0, 2)


def test_nothing_is_needed_where_nothing_heals() -> None:
    assert earliest_needed(5, lambda chosen: False) == ()
