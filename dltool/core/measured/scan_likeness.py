"""What can only be seen by comparing samples: copies, copies in another split, samples unlike all others of their folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dltool.core.finding import Severity
from dltool.core.measurements import Section

CopyKind = Literal["same-bytes", "same-content", "similar"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LikeSample:
    """A member of a group. ``path`` is relative to what was scanned; ``row`` counts from 0, None for a whole file."""

    path: str
    row: int | None = None
    label: str | None = None
    split: str | None = None


@dataclass(frozen=True, kw_only=True)
class LikeGroup:
    """Samples that are copies of each other, in the order of the scan.

    ``kind`` is "same-bytes", "same-content" where the same picture lies in other wrapping, or "similar" where only
    perceptual hashes agree; ``bits`` is the largest distance between two of those, of 64. ``file`` is the first member as a
    user would open it.
    """

    kind: CopyKind
    samples: tuple[LikeSample, ...]
    file: str
    bits: int = 0

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of its members, in the order of the scan; those in none left out."""
        return tuple(dict.fromkeys(sample.split for sample in self.samples if sample.split is not None))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of its members likewise."""
        return tuple(dict.fromkeys(sample.label for sample in self.samples if sample.label is not None))


@dataclass(frozen=True, kw_only=True)
class Duplicates(Section):
    """Groups with the same content, out of ``samples`` files that could be compared."""

    key: ClassVar[str] = "duplicates"

    samples: int
    groups: tuple[LikeGroup, ...]


@dataclass(frozen=True, kw_only=True)
class NearDuplicates(Section):
    """Groups of pictures whose perceptual hashes stand apart from all others.

    Attributes:
        samples: pictures that were compared.
        left_out: pictures that no such hash can tell apart: nearly constant, or smaller than 32 pixels.
        radius_bits: the largest distance that was looked at, of 64; None where even equal hashes mean nothing here.
        groups: what stands apart.
        alike: pictures near others that are in no group, for those are near yet others: frames of a video, aligned faces,
            products on white.
        alike_across_splits: those of them that have such a neighbour in another split.
    """

    key: ClassVar[str] = "near_duplicates"

    samples: int
    left_out: int
    radius_bits: int | None
    groups: tuple[LikeGroup, ...]
    alike: int = 0
    alike_across_splits: int = 0


@dataclass(frozen=True, kw_only=True)
class EqualRowGroup:
    """Rows that are equal: ``rows`` the first few, ``count`` all; ``labels`` more than one where they disagree."""

    rows: tuple[int, ...]
    count: int
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RepeatingTable:
    """A table with equal rows.

    ``repeated`` rows of ``rows`` equal an earlier or later one. ``spread_bits`` sums log2 of the distinct values of its
    columns, None where they were not counted: what bounds how many rows could differ.
    """

    path: str
    file: str
    split: str | None
    rows: int
    repeated: int
    spread_bits: float | None
    groups: tuple[EqualRowGroup, ...]


@dataclass(frozen=True, kw_only=True)
class EqualRows(Section):
    """Tables with equal rows, out of ``tables``."""

    key: ClassVar[str] = "equal_rows"

    tables: int
    repeating: tuple[RepeatingTable, ...]


@dataclass(frozen=True, kw_only=True)
class SharedRowsPair:
    """Rows that two tables share.

    ``shared`` rows of ``path`` are also in ``other``; ``rows`` are the first of them, and ``rows_of_other`` where they are
    there, empty where only their number is known. ``expected`` is how many chance may put there: as many as rows repeat
    within ``other``, and three more (Good 1953, The population frequencies of species; Hanley & Lippman-Hand 1983, If
    nothing goes wrong, is everything all right?). ``spread_bits`` is that of ``RepeatingTable``.
    """

    path: str
    file: str
    split: str | None
    other: str
    other_split: str | None
    table_rows: int
    other_rows: int
    shared: int
    expected: float
    spread_bits: float | None = None
    rows: tuple[int, ...] = ()
    rows_of_other: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SharedRows(Section):
    """Pairs of tables with rows in common, out of ``tables``; one row in ``kept_ratio`` was compared."""

    key: ClassVar[str] = "shared_rows"

    tables: int
    kept_ratio: float
    pairs: tuple[SharedRowsPair, ...]


@dataclass(frozen=True, kw_only=True)
class Trait:
    """What a file has and its neighbours have instead: format, encoder, mode or size."""

    name: Literal["format", "encoder", "mode", "size"]
    own: str
    usual: str


@dataclass(frozen=True, kw_only=True)
class Stranger:
    """A picture unlike ``neighbours`` others, of which all but ``strangers`` agree. ``folder`` is "" for the whole set.

    ``in_series`` says that its name is one of a series that the others are of (``cat.17`` among ``cat.1`` to ``cat.90``).
    """

    path: str
    file: str
    folder: str
    neighbours: int
    strangers: int
    traits: tuple[Trait, ...]
    in_series: bool = False

    @property
    def severity(self) -> Severity:
        """A warning where encoder and size both differ, and the format too or the name belongs to a series.

        Any one of them is an edited or a rotated picture; a name of its own is that of a file that was added, not replaced.
        """
        names = {trait.name for trait in self.traits}
        likely = {"encoder", "size"} <= names and (self.in_series or "format" in names)
        return Severity.WARNING if likely else Severity.INFO


@dataclass(frozen=True, kw_only=True)
class Strangers(Section):
    """Pictures unlike all others of their folder, out of ``samples`` pictures."""

    key: ClassVar[str] = "strangers"

    samples: int
    files: tuple[Stranger, ...]
