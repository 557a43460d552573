"""Samples of another shape or type than the others, and whether they can be put into one batch with them."""

from __future__ import annotations

from typing import Any

from torch.utils.data import default_collate

from dltool.core.measured.scan_model import OddSamples
from dltool.diagnostics.scan.dataset.leaf_column import LeafColumn
from dltool.diagnostics.scan.dataset.leaves import leaves_of
from dltool.diagnostics.scan.dataset.parts import Part
from dltool.diagnostics.scan.dataset.survey import Survey

USUAL = 0.9
"""Share of samples with one shape, from which on the others are odd: below, sizes vary on purpose."""
MOST_ROWS = 1000


def odd_samples(survey: Survey, part: Part) -> list[OddSamples]:
    """One entry for each part of a sample, and each form that differs from that of nine in ten."""
    found: list[OddSamples] = []
    for column in (survey.structure, *survey.columns.values()):
        usual = usual_form(column)
        if usual is None or column.seen < USUAL * survey.structure.seen:
            continue
        found += [_odd(survey, part, column, (form, usual)) for form in column.rows_of if form != usual]
    return found


def usual_form(column: LeafColumn) -> str | None:
    """The type and shape that nine in ten samples have; None where there is none, or no other."""
    if not column.rows_of:
        return None
    form, rows = max(column.rows_of.items(), key=lambda pair: len(pair[1]))
    return form if len(column.rows_of) > 1 and len(rows) >= USUAL * column.seen else None


def most_common_example(survey: Survey) -> Any:
    """A sample whose parts all have their usual form; None where none was kept."""
    usual = {name: max(c.rows_of, key=lambda form, c=c: len(c.rows_of[form])) for name, c in survey.columns.items()}  # type: ignore[misc]
    for value in survey.examples.values():
        if all(usual.get(leaf.name) == leaf.signature for leaf in leaves_of(value)):
            return value
    return None


def _odd(survey: Survey, part: Part, column: LeafColumn, forms: tuple[str, str]) -> OddSamples:
    (form, usual), refusal = forms, None
    rows = column.rows_of[form]
    if part.collate is not None:
        refusal = _refusal(part.collate, _example(survey, column.name, usual), _example(survey, column.name, form))
    return OddSamples(
        path=survey.path,
        file=survey.file,
        part=column.name,
        value=form.strip("<>"),
        usual=usual.strip("<>"),
        rows=tuple(rows[:MOST_ROWS]),
        count=len(rows),
        refusal=refusal,
        tried=part.collate is not None,
    )


def _example(survey: Survey, part: str, form: str) -> Any:
    for value in survey.examples.values():
        leaves = leaves_of(value)
        named = {leaf.name: leaf.signature for leaf in leaves} | {"(parts)": f"<{', '.join(leaf.name for leaf in leaves)}>"}
        if named.get(part) == form:
            return value
    return None


def _refusal(collate: Any, usual: Any, odd: Any) -> str | None:
    """What making a batch of both raised."""
    if usual is None or odd is None:
        return None
    try:
        collate([usual, odd])
    except Exception as error:  # noqa: BLE001 - it is the user's code
        return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"
    return None


def batch_of(part: Part, samples: list[Any]) -> Any:
    """Samples as their loader puts them together, or as torch's default does.

    Raises whatever the user's own function raises.
    """
    return (part.collate or default_collate)(samples)
