"""What probes measure, as plain numbers and names: the only thing that rules get to see.

A run's measurements are a set of sections, one frozen dataclass each. A rule names the sections that it needs; a run that
did not measure one of them makes the rule "skipped", with that reason. Sections survive JSON (``core.codec``), so a saved
report can be judged again. Losses are in the units of the loss, norms are L2, shares and ratios are between 0 and 1.

No slots here: a slotted dataclass is a second class, and the first would stay among ``Section.__subclasses__()``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from dltool.core.codec import decode, encode

PLACES: Mapping[str, tuple[str, ...]] = {
    "compare": (
        "sides",
        "not_compared",
        "compared_findings",
        "rules_lost",
        "changes",
        "words",
        "curves",
        "compared_samples",
    ),
    "design": ("architecture", "objective", "samples", "plan"),
    "gradcheck": ("parameters", "inputs", "culprits", "points"),
    "hunt": ("steps_run", "steps_planned", "first_bad_step", "guarding", "lead_up", "fix_trials", "evidence", "bad_inputs"),
    "init_stats": ("layers", "growth", "loss_at_start", "candidates", "coordinate_check"),
    "lint": ("specs",),
    "lr_find": ("suggested_lr", "lr_range", "curve", "lr_answer", "lr_trials", "lr_decades", "own_lr"),
    "non_finite": ("non_finite",),
    "scan": ("samples_scanned", "bad_samples", "scan", "formats"),
    "scan_classes": ("classes", "suspected_labels"),
    "scan_flaws": ("flaws",),
    "scan_likeness": ("duplicates", "near_duplicates", "equal_rows", "shared_rows", "strangers"),
    "scan_model": ("sample_shapes", "model_fit", "probe"),
    "scan_pictures": ("images",),
    "scan_run": ("left_out", "manifest_check", "shard_records"),
    "scan_tables": ("features", "extremes"),
    "speed": ("speed",),
    "task": ("task", "output", "data"),
    "training": (
        "optimisation",
        "baseline",
        "history",
        "loss_trace",
        "layers",
        "parameters",
        "step_gains",
        "gradient_trace",
        "watch",
        "input_use",
        "label_signal",
        "symmetry",
        "mixing",
    ),
}
"""The keys of the sections in each module of ``core.measured``, which is imported when one of them is to be read."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """Base of every section; ``key`` is its name in the report's ``measurements``.

    Where two commands measure different things under one name, ``only_in`` says whose this section is.
    """

    key: ClassVar[str]
    only_in: ClassVar[str | None] = None


SectionT = TypeVar("SectionT", bound=Section)


class Measurements:
    """The sections of one run, by type: ``measured[History]`` is the history."""

    def __init__(self, sections: Iterable[Section] = ()) -> None:
        self._sections: dict[type[Section], Section] = {type(section): section for section in sections}

    def __getitem__(self, kind: type[SectionT]) -> SectionT:
        section = self._sections[kind]
        assert isinstance(section, kind)
        return section

    def __contains__(self, kind: type[Section]) -> bool:
        return kind in self._sections

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the sections."""
        return frozenset(kind.key for kind in self._sections)

    def __iter__(self) -> Iterator[Section]:
        return iter(self._sections.values())

    def get(self, kind: type[SectionT]) -> SectionT | None:
        """The section, or None when this run did not measure it."""
        section = self._sections.get(kind)
        assert section is None or isinstance(section, kind)
        return section

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, by section key; a section of one field is that field (``layers`` is a list)."""
        return {section.key: _flatten(section) for section in self}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], command: str = "train") -> Measurements:
        """Rebuild the sections of a saved report of ``command``; keys that are no section are passed over."""
        modules = (module for module, keys in PLACES.items() if not data.keys().isdisjoint(keys))
        known = [kind for kind in _sections_in(modules) if kind.only_in in {None, command}]
        kinds = {kind.key: kind for kind in sorted(known, key=lambda kind: kind.only_in is not None)}
        return cls(decode(kinds[key], _unflatten(kinds[key], item)) for key, item in data.items() if key in kinds)


def every_section() -> tuple[type[Section], ...]:
    """Every kind of section, those of single commands included."""
    return _sections_in(PLACES)


def _sections_in(modules: Iterable[str]) -> tuple[type[Section], ...]:
    """The sections of these modules of ``core.measured``."""
    names = [importlib.import_module(f"dltool.core.measured.{module}").__name__ for module in modules]
    return tuple(kind for name in names for kind in Section.__subclasses__() if kind.__module__ == name)


def _flatten(section: Section) -> Any:
    names = [f.name for f in fields(section)]
    return encode(getattr(section, names[0]) if len(names) == 1 else section)


def _unflatten(kind: type[Section], data: Any) -> Any:
    names = [f.name for f in fields(kind)]
    return {names[0]: data} if len(names) == 1 else data
