"""What a scan of data measured: what was read, what is wrong with single files, and what they look like together.

A *sample* is a file, or a row of a table or array file. ``path`` is everywhere relative to what was scanned, with forward
slashes; ``file`` is the same file as the user would open it. Lists of members are cut at a stated length where a count
stands beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from dltool.core.finding import Severity
from dltool.core.measurements import Section

FINDINGS_A_RULE = 1000
"""A rule tells of so many files or groups one by one, and of the rest in one finding for each severity."""

LabelKind = Literal["integers", "numbers", "names"]
LabelSource = Literal["folders", "manifest", "column"]
ImageOddity = Literal["one-pixel", "one-pixel-side", "rotated", "animated", "mode", "size", "dark-or-light", "contrast"]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A file, or one of its rows (counted from 0)."""

    path: str
    row: int | None = None


@dataclass(frozen=True, kw_only=True)
class SamplesScanned(Section):
    """How many samples were looked into; files of unknown format are no samples."""

    key: ClassVar[str] = "samples_scanned"

    samples: int


@dataclass(frozen=True, kw_only=True)
class BadSample:
    """A sample that a finding is about: ``name`` is the rule's."""

    path: str
    row: int | None
    name: str
    severity: Severity


@dataclass(frozen=True, kw_only=True)
class BadSamples(Section):
    """Every sample that some finding is about, in the order of the scan."""

    key: ClassVar[str] = "bad_samples"

    samples: tuple[BadSample, ...]


@dataclass(frozen=True, kw_only=True)
class ScanFacts(Section):
    """What was scanned and how.

    ``shard`` is i/n where only a part was, ``stopped`` says why there are no more. ``splits`` counts files by split, in the
    order in which they were met; empty without splits.
    """

    key: ClassVar[str] = "scan"

    tier: str
    files: int
    size_bytes: int
    shard: str | None = None
    splits: Mapping[str, int] = field(default_factory=dict)
    stopped: Literal["finished", "interrupted", "timeout"] = "finished"


@dataclass(frozen=True, kw_only=True)
class FormatCount:
    """Files of one format by content. ``flawed_files`` have at least one flaw of their own."""

    format: str
    files: int
    samples: int
    size_bytes: int
    flawed_files: int


@dataclass(frozen=True, kw_only=True)
class UnknownFiles:
    """Files of one suffix ("" for none) that no inspector knows; ``paths`` are the first few."""

    suffix: str
    files: int
    size_bytes: int
    paths: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ScannedFormats(Section):
    """All files by format, most first; those whose format is unknown by suffix."""

    key: ClassVar[str] = "formats"

    formats: tuple[FormatCount, ...]
    unknown: tuple[UnknownFiles, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FlawRecord:
    """One thing wrong with a file; the fields are those of ``scan.record.Flaw``."""

    kind: str
    severity: Severity
    detail: str
    row: int | None = None
    rows: tuple[int, ...] = ()
    line: int | None = None
    frame: int | None = None
    offset_bytes: int | None = None
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class FlawedFile:
    """What one rule (by name) has to say of one file, or of one column of it."""

    rule: str
    path: str
    file: str
    format: str | None
    column: str | None
    flaws: tuple[FlawRecord, ...]

    @property
    def severity(self) -> Severity:
        """The gravest of its flaws."""
        return max((flaw.severity for flaw in self.flaws), key=lambda severity: severity.rank)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The rows that are named, or the file as a whole where a flaw names none."""
        rows = [flaw.rows or (() if flaw.row is None else (flaw.row,)) for flaw in self.flaws]
        if not all(rows):
            return (Sample(path=self.path),)
        return tuple(Sample(path=self.path, row=row) for row in sorted({row for few in rows for row in few}))


@dataclass(frozen=True, kw_only=True)
class MoreFlaws:
    """What lies beyond the first ``FINDINGS_A_RULE`` files of a rule, of one severity: all members, no details."""

    rule: str
    severity: Severity
    files: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, kw_only=True)
class ScanFlaws(Section):
    """What is wrong with single files, in the order of the scan."""

    key: ClassVar[str] = "flaws"

    files: tuple[FlawedFile, ...]
    more: tuple[MoreFlaws, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A statistic over all images: ``robust_std`` is 1.4826 · the median absolute deviation."""

    minimum: float
    median: float
    maximum: float
    robust_std: float


@dataclass(frozen=True, kw_only=True)
class ConstantImage:
    """A picture of one colour; ``brightness`` is its mean over all channels but alpha, 0 black to 1 white.

    ``span`` is the largest minus the smallest value, 0-1. ``mask`` says that its folder is named as those of masks and
    label maps are, in which an empty picture means something.
    """

    path: str
    file: str
    width: int
    height: int
    brightness: float
    span: float
    mask: bool = False
    row: int | None = None
    """Its place in a dataset that ``path`` names."""


@dataclass(frozen=True, kw_only=True)
class OddImages:
    """Images that differ from most in one respect; ``value`` is what they have, ``usual`` what most have.

    ``paths`` are the first 1,000 of ``count``, ``files`` the same as the user would open them. ``scores`` stand beside them
    where a distance was measured: in robust standard deviations from the median.
    """

    oddity: ImageOddity
    value: str
    usual: str | None
    count: int
    paths: tuple[str, ...]
    files: tuple[str, ...]
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageSet(Section):
    """All pictures together. ``modes``, ``sizes`` ("224x224") and ``orientations`` count them, most first.

    ``sizes`` holds the first 20 of ``size_count``. ``brightness`` and ``contrast`` are of the mean and the standard
    deviation of single pictures, None where there are none. ``more_constant`` are those beyond the first 1,000.
    """

    key: ClassVar[str] = "images"

    images: int
    modes: Mapping[str, int]
    sizes: Mapping[str, int]
    size_count: int
    orientations: Mapping[str, int]
    animated: int
    brightness: Spread | None
    contrast: Spread | None
    constant: tuple[ConstantImage, ...] = ()
    more_constant: tuple[Sample, ...] = ()
    odd: tuple[OddImages, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column over all files that have it. ``dtypes`` are those met, most rows first; numbers are over finite values.

    ``constant`` is None where that cannot be told (text in several files). ``array`` says that it is one of the numbers of
    an array and not a column that someone named.
    """

    name: str
    dtypes: tuple[str, ...]
    files: int
    rows: int
    missing: int = 0
    nan: int = 0
    positive_inf: int = 0
    negative_inf: int = 0
    distinct: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None
    median: float | None = None
    constant: bool | None = None
    target: bool = False
    array: bool = False
    example: str = ""
    """The first file that has it, as the user would open it."""


@dataclass(frozen=True, kw_only=True)
class FeatureTable(Section):
    """The columns of all tables, by name, in the order in which they were met; ``left_out`` names did not fit in."""

    key: ClassVar[str] = "features"

    features: tuple[Feature, ...]
    tables: int
    rows: int
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class ExtremeValue:
    """A value far from the others of its column; the score is in robust standard deviations from the median."""

    row: int
    value: float
    score: float


@dataclass(frozen=True, kw_only=True)
class ExtremeColumn:
    """The values of one column of one file that stand apart from all others, farthest first."""

    path: str
    file: str
    column: str
    rows: int
    median: float | None
    extremes: tuple[ExtremeValue, ...]


@dataclass(frozen=True, kw_only=True)
class Extremes(Section):
    """Columns with such values, in the order of the scan (at most the 1,000 farthest); ``columns_seen`` were looked at."""

    key: ClassVar[str] = "extremes"

    columns: tuple[ExtremeColumn, ...]
    columns_seen: int


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
