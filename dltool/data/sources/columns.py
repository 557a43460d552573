"""Named columns of numbers or text, as csv and parquet files hold them, made into inputs and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltool.core.errors import DataError, Location, Problem, closest
from dltool.data.table import EXAMPLES, Array, Table, examples, to_float32


@dataclass(slots=True, kw_only=True)
class Column:
    """One column: ``numbers`` (N,), NaN where the cell holds text or nothing; ``texts`` maps those rows to their text.

    A column of lists has ``arrays`` instead, one for each row, and no numbers.
    """

    name: str
    numbers: NDArray[Any]
    texts: Mapping[int, str] = field(default_factory=dict)
    lines: Mapping[int, int] = field(default_factory=dict)
    """The line in the file of the first few rows with text, where the format has lines."""
    arrays: list[Array] | None = None

    @property
    def rows(self) -> int:
        """How many rows the column has."""
        return len(self.numbers) if self.arrays is None else len(self.arrays)

    @property
    def is_text(self) -> bool:
        """Every cell that holds something holds text."""
        return bool(self.texts) and bool(np.isnan(self.numbers).all())


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which columns to use, by name or position: one target or several, and the features (all others when None)."""

    target: tuple[str | int, ...]
    features: tuple[str | int, ...] | None = None


def to_table(path: str, columns: Sequence[Column], selection: Selection) -> Table:
    """The selected feature columns as inputs (N, features), the target column(s) as targets.

    A column of lists can be the only input, or the only target: arrays (N, ...), or N of them where the lengths differ.
    Inputs stay integers where every column holds integers.

    Raises:
        DataError: unknown columns, text among numbers, no features left, no rows. All problems at once.
    """
    names = [column.name for column in columns]
    by_name = dict(zip(names, columns, strict=True))
    problems = _duplicates(path, names)
    targets = _named(names, selection.target, path, "target", problems)
    features = _feature_names(names, targets, selection, path, problems)
    for name in features:
        problems += _feature_problems(path, by_name[name])
    for name in targets:
        problems += _target_problems(path, by_name[name], several=len(targets) > 1)
    for chosen in (features, targets):
        problems += _list_problems(path, [by_name[name] for name in chosen])
    if columns and not columns[0].rows:
        problems.append(_at(path, "the file has a header but no rows"))
    if problems:
        raise DataError(*problems)
    return Table(
        path=path,
        inputs=_inputs([by_name[name] for name in features]),
        targets=_targets([by_name[name] for name in targets]),
        rows=np.arange(columns[0].rows, dtype=np.int64),
        feature_names=tuple(features),
        target_name=", ".join(targets),
    )


def missing_column(path: str, name: str, names: Sequence[str], key: str) -> Problem:
    """A column that the file does not have, with those it has."""
    return Problem(
        message=f"{path} has no column {name!r}; it has {', '.join(names)}",
        key=key,
        suggestion=closest(name, names),
    )


def _at(path: str, message: str, line: int | None = None) -> Problem:
    return Problem(message=message, location=Location(file=path, line=line))


def _duplicates(path: str, names: Sequence[str]) -> list[Problem]:
    twice = sorted({name for name in names if names.count(name) > 1})
    return [_at(path, f"more than one column is called {', '.join(map(repr, twice))}", 1)] if twice else []


def _named(names: Sequence[str], wanted: Sequence[str | int], path: str, key: str, problems: list[Problem]) -> list[str]:
    found = []
    for column in wanted:
        if isinstance(column, str):
            if column in names:
                found.append(column)
            else:
                problems.append(missing_column(path, column, names, key))
        elif column < len(names):
            found.append(names[column])
        else:
            problems.append(Problem(message=f"{path} has {len(names)} columns, so there is no column {column}", key=key))
    return found


def _feature_names(
    names: Sequence[str], targets: Sequence[str], selection: Selection, path: str, problems: list[Problem]
) -> list[str]:
    if selection.features is None:
        features = [name for name in names if name not in targets]
        if not features:
            problems.append(_at(path, f"no column is left for the inputs; the columns are {', '.join(names)}"))
        return features
    chosen = _named(names, selection.features, path, "features", problems)
    problems += [
        Problem(message=f"{name!r} is the target, so it cannot be a feature too", key="features")
        for name in chosen
        if name in targets
    ]
    return [name for name in chosen if name not in targets]


def _feature_problems(path: str, column: Column) -> list[Problem]:
    if not column.texts:
        return []
    if column.is_text:
        shown = examples([repr(text) for text in dict.fromkeys(islice(column.texts.values(), 1000))])
        return [
            Problem(
                message=f"column {column.name!r} holds text ({shown}), and a network takes numbers",
                location=Location(file=path, line=column.lines.get(next(iter(column.texts)))),
                expected="numbers; name the other columns in `features`, or write a 0/1 column for each of its values",
            )
        ]
    return _cells(path, column, "text in a column of numbers")


def _target_problems(path: str, column: Column, *, several: bool) -> list[Problem]:
    if column.texts and several:
        return _cells(path, column, "text in one of several target columns, which must all be numbers")
    if column.texts and not column.is_text:
        return _cells(path, column, "text in a target column of numbers")
    return []


def _cells(path: str, column: Column, message: str) -> list[Problem]:
    """One problem for each of the first few cells; the last of them counts the rest."""
    problems = []
    for position, (row, text) in enumerate(islice(column.texts.items(), EXAMPLES)):
        line = column.lines.get(row)
        more = len(column.texts) - EXAMPLES if position == EXAMPLES - 1 else 0
        place = f"column {column.name!r}" if line is not None else f"column {column.name!r}, row {row}"
        count = f"; {more} more cells of this column hold text" if more > 0 else ""
        problems.append(
            Problem(
                message=f"{place}: {message}{count}",
                location=Location(file=path, line=line),
                value=repr(text),
                expected="a number, or an empty cell where there is none",
            )
        )
    return problems


def _list_problems(path: str, columns: Sequence[Column]) -> list[Problem]:
    lists = [column for column in columns if column.arrays is not None]
    if lists and len(columns) > 1:
        names = ", ".join(repr(column.name) for column in lists)
        others = ", ".join(repr(column.name) for column in columns if column.arrays is None) or "each other"
        return [_at(path, f"{names} holds lists, which cannot be joined with {others}; name one column of lists alone")]
    return [problem for column in lists for problem in _shape_problems(path, column)]


def _shape_problems(path: str, column: Column) -> list[Problem]:
    """Rows of a column of lists may differ in their first length and in nothing else, and none may be empty."""
    assert column.arrays is not None
    first = column.arrays[0].shape[1:] if column.arrays else ()
    odd = [row for row, array in enumerate(column.arrays) if array.shape[1:] != first or array.ndim == 0 or array.size == 0]
    if not odd:
        return []
    shapes = examples([f"row {row} {column.arrays[row].shape}" for row in odd[:EXAMPLES]], len(odd))
    shape = f"(length, {', '.join(map(str, first))})" if first else "(length,)"
    expected = f"{shape} in every row, with a length of 1 or more"
    message = f"column {column.name!r}: lists of different shape or empty: {shapes}"
    return [Problem(message=message, location=Location(file=path), expected=expected)]


def stack(arrays: list[Array]) -> Array | list[Array]:
    """One array (N, ...) where all have the same shape, else the list."""
    return np.stack(arrays) if len({array.shape for array in arrays}) == 1 else arrays


def _inputs(columns: Sequence[Column]) -> Array | list[Array]:
    if columns[0].arrays is not None:
        return stack(columns[0].arrays)
    numbers = np.stack([column.numbers for column in columns], axis=1)
    return numbers if numbers.dtype.kind in "iu" else to_float32(numbers)


def _targets(columns: Sequence[Column]) -> Array | list[Array]:
    if columns[0].arrays is not None:
        return stack(columns[0].arrays)
    if len(columns) > 1:
        return np.stack([column.numbers for column in columns], axis=1)
    column = columns[0]
    if not column.is_text:
        return column.numbers
    return np.array([column.texts.get(row, "") for row in range(len(column.numbers))])
