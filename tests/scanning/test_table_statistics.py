import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dltool.scanning.tables.block import Block, Cells
from dltool.scanning.tables.extremes import is_marker, names_things
from dltool.scanning.tables.rows import EqualRows
from dltool.scanning.tables.sample import Sample
from dltool.scanning.tables.table import Table


def summed_up(*columns, names=None, sizes=None, **options):
    table = Table(names or [f"c{at}" for at in range(len(columns))], **options)
    count, at = len(columns[0]), 0
    for size in sizes or [count]:
        part = [Cells(numbers=np.asarray(column[at : at + size])) for column in columns]
        table.add(Block(first_row=at, count=len(part[0].numbers), columns=part))
        at += size
    return table.finish()


def extremes(column, name="c0"):
    facts, _, _ = summed_up(np.asarray(column), names=[name])
    return [extreme.row for extreme in facts.columns[0].extremes]


@settings(deadline=None, max_examples=50)
@given(arrays.arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e6, 1e6)), st.integers(1, 100))
def test_blocks_give_what_numpy_gives_for_the_whole(values, size):
    sizes = [size] * (len(values) // size + 1)
    facts, flaws, _ = summed_up(values, sizes=sizes)
    column = facts.columns[0]
    assert flaws == []
    assert (column.minimum, column.maximum) == (values.min(), values.max())
    assert column.mean == pytest.approx(values.mean(), rel=1e-9, abs=1e-9)
    assert column.std == pytest.approx(values.std(), rel=1e-6, abs=1e-6)
    assert column.median == np.median(values)
    assert column.distinct == len(np.unique(values))


def test_the_spread_beside_a_huge_mean_survives():
    values = np.random.default_rng(0).normal(size=200_000) + 1e9
    column = summed_up(values, sizes=[70_000] * 3)[0].columns[0]
    assert column.std == pytest.approx(values.std(), rel=1e-9)


def test_estimates_for_long_columns_are_near():
    random = np.random.default_rng(1)
    values = random.normal(size=400_000)
    few = random.integers(0, 5000, 400_000)
    facts, _, _ = summed_up(values, few, np.arange(400_000), sizes=[50_000] * 8)
    assert facts.columns[0].median == pytest.approx(0.0, abs=0.03)
    assert facts.columns[1].distinct == pytest.approx(5000, rel=0.05)
    assert facts.columns[2].distinct == 400_000


def test_blocks_and_threads_do_not_change_what_is_found():
    random = np.random.default_rng(2)
    columns = [random.normal(size=150_000) for _ in range(4)]
    columns[1][77] = np.nan
    columns[2][99] = 1e9
    one, two = (summed_up(*columns, sizes=sizes) for sizes in ([150_000], [10_000] * 15))
    assert one[1] == two[1]
    assert one[2] == two[2]
    assert [column.extremes for column in one[0].columns] == [column.extremes for column in two[0].columns]


RANDOM = np.random.default_rng(11)
NORMAL = RANDOM.normal(50.0, 5.0, 5000)
INNOCENT = {
    "normal": NORMAL,
    "uniform": RANDOM.uniform(size=5000),
    "lognormal": RANDOM.lognormal(10.0, 1.5, 20_000),
    "money": RANDOM.pareto(1.2, 50_000) * 1000,
    "heavier": RANDOM.pareto(0.8, 20_000),
    "cauchy": RANDOM.standard_cauchy(20_000),
    "sparse": np.where(RANDOM.uniform(size=20_000) < 0.9, 0.0, RANDOM.lognormal(3.0, 1.0, 20_000)),
    "sparser": np.where(RANDOM.uniform(size=20_000) < 0.995, 0.0, RANDOM.exponential(3.0, 20_000)),
    "counts": RANDOM.poisson(3.0, 20_000),
    "one-hot": (RANDOM.uniform(size=5000) < 0.002).astype(int),
    "boolean": RANDOM.uniform(size=5000) < 0.5,
    "category": np.r_[RANDOM.integers(0, 12, 5000), 999, 500],
    "timestamps": 1.7e9 + np.sort(RANDOM.uniform(0, 3e7, 5000)),
    "ids": RANDOM.integers(0, 2**62, 5000),
    "constant": np.full(500, 3.0),
    "marker": np.r_[NORMAL, [-999.0] * 30],
    "one marker": np.r_[NORMAL, -9999.0],
    "converged": np.r_[0.0, 1.0 - 0.5 ** np.arange(1, 60.0)],
    "exponents": 10.0 ** RANDOM.uniform(-12, 12, 5000),
    "two clusters": np.r_[NORMAL, NORMAL[:500] + 5000],
    "short": np.array([1.0, 2.0, 3.0, 2.5, 9.0]),
}


@pytest.mark.parametrize("values", INNOCENT.values(), ids=INNOCENT)
def test_innocent_columns_have_no_extremes(values):
    assert extremes(values) == []


@pytest.mark.parametrize("factor", [1e3, -1e4, 1e12, 1e300])
@pytest.mark.parametrize("kind", ["normal", "uniform", "counts"])
def test_values_that_jump_by_orders_of_magnitude_are_found(kind, factor):
    values = INNOCENT[kind].astype(np.float64)
    values[[123, 4000]] = values.max() * factor
    assert extremes(values) == [123, 4000]


def test_values_many_deviations_away_are_found():
    values = NORMAL.copy()
    values[10], values[20] = 200.0, -150.0
    assert extremes(values) == [20, 10]


def test_a_lost_decimal_point_in_a_lognormal_column_is_found():
    values = RANDOM.lognormal(0.0, 0.5, 5000)
    values[77] = 1000.0
    assert extremes(values) == [77]


def test_a_jump_in_a_short_column_is_found():
    assert extremes([1.0, 2.0, 3.0, 2.5, 1.5, 2.2, 1e9, 2.7, 1.1, 0.5, 3.3, 2.1]) == [6]


def test_columns_that_name_things_have_no_extremes():
    values = np.r_[RANDOM.permutation(5000), 10**12]
    assert extremes(values, "user_id") == []
    assert extremes(values, "price") == [5000]
    assert [name for name in ("id", "userId", "Zip Code", "paid", "idea", "valid", "") if names_things(name)] == [
        "id", "userId", "Zip Code", "",
    ]  # fmt: skip


def test_markers():
    assert [value for value in (-9, -99.0, 999, 9999999.0, 99.9, 989, 0, float("inf")) if is_marker(value)] == [
        -9, -99.0, 999, 9999999.0,
    ]  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(arrays.arrays(np.int64, st.tuples(st.integers(2, 120), st.integers(1, 3)), elements=st.integers(0, 6)))
def test_equal_rows_are_those_of_a_dictionary(rows):
    facts, _, _ = summed_up(*rows.T, sizes=[50, 50, 50])
    seen: dict[tuple[int, ...], list[int]] = {}
    for at, row in enumerate(map(tuple, rows.tolist())):
        seen.setdefault(row, []).append(at)
    groups = [members for members in seen.values() if len(members) > 1]
    assert [list(group.rows) for group in facts.equal_rows] == [members[:20] for members in groups]
    assert facts.equal_row_count == sum(map(len, groups))


def test_small_whole_numbers_do_not_collide():
    """Round floats differ in a few high bits alone: the hash must spread these."""
    grid = np.stack(np.meshgrid(*[np.arange(8.0)] * 6), axis=-1).reshape(-1, 6)
    facts, _, _ = summed_up(*grid.T)
    assert facts.equal_row_count == 0


def test_memory_stays_flat_when_there_are_too_many_rows(monkeypatch):
    monkeypatch.setattr("dltool.scanning.tables.rows.MOST_ROWS", 1000)
    rows = EqualRows()
    random = np.random.default_rng(0)
    for block in range(20):
        sums = random.integers(0, 2**63, 500).astype(np.uint64)
        sums[0] = 42
        rows.add(sums, None, np.arange(500) + 500 * block)
    assert 1 / 64 <= rows.share <= 1 / 8
    groups, _ = rows.groups(None)
    assert len(groups) <= 1


def test_the_sample_is_the_same_however_the_rows_come():
    drawn = []
    for size in (100_000, 999):
        sample, column = Sample(1), [[]]
        for start in range(0, 100_000, size):
            rows = np.arange(start, min(start + size, 100_000))
            column[0].append(rows[sample.draw(start, len(rows))].astype(np.float64))
            sample.thin_out(column)
        drawn.append(np.concatenate(column[0]).tolist())
    assert drawn[0] == drawn[1]
    assert 8192 <= len(drawn[0]) <= 16_384
