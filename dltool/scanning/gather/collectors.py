"""Everything that is gathered over the files of a scan, in the order of its sections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dltool.core.measured.scan_classes import LabelSource
from dltool.core.measurements import Section
from dltool.scanning.gather.doubts import LabelDoubts
from dltool.scanning.gather.extremes import ExtremeColumns
from dltool.scanning.gather.features import Features
from dltool.scanning.gather.flaws import Flaws
from dltool.scanning.gather.formats import Formats
from dltool.scanning.gather.images import Images
from dltool.scanning.gather.labels import Labels
from dltool.scanning.gather.likeness import Likeness
from dltool.scanning.pool import PoolSettings
from dltool.scanning.record import Entry


class Collector(Protocol):
    """Sees every file once, in the order of the scan, and sums up."""

    def add(self, entry: Entry) -> None:
        """Take note of one file; nothing that grows with its size is kept."""
        ...

    def sections(self) -> Iterator[Section]:
        """What was gathered; a section that would say nothing is left out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherSettings:
    """What is known beforehand: where labels of files come from, and of the model and its training.

    ``doubt_labels`` has a light model look for wrong labels in the end, which reads up to 10,000 samples once more, as
    ``pool`` says, unless ``stopped``.
    """

    label_source: LabelSource = "folders"
    outputs: int | None = None
    batch_size: int | None = None
    doubt_labels: bool = False
    pool: PoolSettings = field(default_factory=PoolSettings)
    stopped: Callable[[], bool] = lambda: False


def collectors(settings: GatherSettings) -> Sequence[Collector]:
    """Fresh collectors."""
    labels = Labels(settings.label_source, outputs=settings.outputs, batch_size=settings.batch_size)
    always = (Formats(), Flaws(), Images(), Features(), ExtremeColumns(), labels, Likeness())
    return (*always, LabelDoubts(settings.pool, settings.stopped)) if settings.doubt_labels else always
