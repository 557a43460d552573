"""The labels of scanned samples: how many of each class, and which a model disbelieves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from dltool.core.measured.scan import Sample
from dltool.core.measurements import Section

LabelKind = Literal["integers", "numbers", "names"]
LabelSource = Literal["folders", "manifest", "column"]


@dataclass(frozen=True, kw_only=True)
class ClassCount:
    """A class with its samples in all, and by split where there are splits."""

    label: str
    samples: int
    splits: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[Sample, ...] = ()
    """A few samples of a class that has not more than these."""


@dataclass(frozen=True, kw_only=True)
class ClassTable(Section):
    """Samples by class, in the order of the labels (numbers by value).

    ``splits`` counts labelled samples by split. ``nearly_all_differ``: so many labels that they are no classes but values or
    texts; ``classes`` is then empty and ``distinct`` how many there are. ``not_numbers`` are those of labels that are
    otherwise numbers. ``outputs`` and ``batch_size`` are what is known of the model and its training.
    """

    key: ClassVar[str] = "classes"

    source: LabelSource
    column: str | None
    kind: LabelKind
    samples: int
    distinct: int
    classes: tuple[ClassCount, ...]
    splits: Mapping[str, int] = field(default_factory=dict)
    nearly_all_differ: bool = False
    not_numbers: tuple[ClassCount, ...] = ()
    outputs: int | None = None
    batch_size: int | None = None
    head: str | None = None
    """The module of the model that makes the scores, where one was tried."""


@dataclass(frozen=True, kw_only=True)
class SuspectedLabel:
    """A sample whose label a cross-validated model disbelieves.

    ``probability`` is what the model gives its label, ``suggested_probability`` what it gives ``suggested``.
    """

    path: str
    file: str
    row: int | None
    label: str
    suggested: str
    probability: float
    suggested_probability: float


@dataclass(frozen=True, kw_only=True)
class SuspectedLabels(Section):
    """Labels against a light model that never saw the sample (confident learning, Northcutt et al. 2021).

    ``accuracy_ratio`` is the share of held-out labels that the model gets right, ``majority_ratio`` what the most frequent
    label would. ``reason_not_told`` says why no sample is named.
    """

    key: ClassVar[str] = "suspected_labels"

    samples: int
    classes: int
    folds: int
    model: str
    accuracy_ratio: float | None
    majority_ratio: float | None
    suspects: tuple[SuspectedLabel, ...] = ()
    reason_not_told: str | None = None
