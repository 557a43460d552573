"""Parameters that share a fault, gathered by the module they belong to."""

from __future__ import annotations

from collections.abc import Iterable

from dltool.core.finding import Where
from dltool.core.measured.training import ParameterRecord

MOST_NAMED = 5


def by_module(records: Iterable[ParameterRecord]) -> list[list[ParameterRecord]]:
    """Groups of records, in the order in which their modules first appear."""
    groups: dict[str, list[ParameterRecord]] = {}
    for record in records:
        groups.setdefault(record.module, []).append(record)
    return list(groups.values())


def where_of(group: list[ParameterRecord]) -> Where:
    """The module of a group and its first parameter."""
    return Where(module=group[0].module, parameter=group[0].name)


def names_of(group: list[ParameterRecord]) -> str:
    """The parameters of a group, for a sentence."""
    names = ", ".join(record.name for record in group[:MOST_NAMED])
    rest = len(group) - MOST_NAMED
    return names if rest <= 0 else f"{names} and {rest} more"
