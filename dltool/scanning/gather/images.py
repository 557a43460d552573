"""Pictures together: modes, sizes, rotation, brightness, and those that differ from most."""

from __future__ import annotations

import heapq
import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dltool.core.file_names import printable
from dltool.core.measured.scan import FINDINGS_A_RULE, Sample
from dltool.core.measured.scan_pictures import ConstantImage, ImageOddity, ImageSet, OddImages, Spread
from dltool.core.measurements import Section
from dltool.core.statistics import MAD_TO_STD
from dltool.scanning.gather.names import holds_masks
from dltool.scanning.record import Entry, ImageFacts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEARLY_CONSTANT = 0.02
"""Range, of 0 to 1, up to which pictures are noted for ``constant-image`` to judge: five levels of 8 bits."""

USUAL = 0.9
"""Share of the pictures that must have a mode or a size in common for the others to be odd."""

FARTHEST = 16
"""Pictures at each end of brightness and of contrast that are noted."""

SIZES_TOLD = 20
PLACES_KEPT = 50_000
"""Paths that are remembered for all modes and sizes together; pictures without a usual size have none to be named."""


@dataclass(slots=True)
class _Group:
    """Pictures that share something: all counted, the first named."""

    count: int = 0
    places: list[tuple[str, str]] = field(default_factory=list)

    def add(self, place: tuple[str, str]) -> bool:
        """Count one; True where its place was kept."""
        self.count += 1
        if len(self.places) < FINDINGS_A_RULE:
            self.places.append(place)
            return True
        return False


class Images:
    """Collects ``ImageSet``."""

    def __init__(self) -> None:
        self._count = 0
        self._modes: dict[str, _Group] = {}
        self._sizes: dict[str, _Group] = {}
        self._places_left = PLACES_KEPT
        self._orientations: Counter[str] = Counter()
        self._plain: dict[tuple[ImageOddity, str], _Group] = {}
        self._constant: list[ConstantImage] = []
        self._more_constant: list[Sample] = []
        self._brightness, self._contrast = _Ends(), _Ends()

    def add(self, entry: Entry) -> None:
        """Note one picture; other files pass by."""
        image = entry.found.image
        if image is None:
            return
        place = (printable(entry.item.name), printable(entry.item.path))
        self._count += 1
        self._orientations[str(image.orientation)] += 1
        self._group(self._modes, image.mode, place)
        self._group(self._sizes, f"{image.width}x{image.height}", place)
        for oddity, value in _oddities(image):
            self._plain.setdefault((oddity, value), _Group()).add(place)
        if image.mean is not None and image.std is not None:
            self._brightness.add(image.mean, place)
            self._contrast.add(image.std, place)
            self._note_if_constant(image, image.mean, place)

    def sections(self) -> Iterator[Section]:
        """One ``ImageSet``; nothing where there were no pictures."""
        if not self._count:
            return
        sizes = sorted(self._sizes, key=lambda size: (-self._sizes[size].count, size))
        modes = sorted(self._modes, key=lambda mode: (-self._modes[mode].count, mode))
        yield ImageSet(
            images=self._count,
            modes={mode: self._modes[mode].count for mode in modes},
            sizes={size: self._sizes[size].count for size in sizes[:SIZES_TOLD]},
            size_count=len(sizes),
            orientations={each: self._orientations[each] for each in sorted(self._orientations)},
            animated=sum(group.count for (oddity, _), group in self._plain.items() if oddity == "animated"),
            brightness=self._brightness.spread(),
            contrast=self._contrast.spread(),
            constant=tuple(self._constant),
            more_constant=tuple(self._more_constant),
            odd=(
                *(_odd(oddity, value, None, group) for (oddity, value), group in self._plain.items()),
                *self._minority("mode", self._modes, modes),
                *self._minority("size", self._sizes, sizes),
                *self._brightness.odd("dark-or-light"),
                *self._contrast.odd("contrast"),
            ),
        )

    def _group(self, groups: dict[str, _Group], value: str, place: tuple[str, str]) -> None:
        group = groups.setdefault(value, _Group())
        if self._places_left > 0:
            self._places_left -= group.add(place)
        else:
            group.count += 1

    def _note_if_constant(self, image: ImageFacts, mean: float, place: tuple[str, str]) -> None:
        span = image.span
        if span is None and image.minimum is not None and image.maximum is not None:
            span = image.maximum - image.minimum
        if span is None or not span <= NEARLY_CONSTANT:
            return
        path, file = place
        if image.width == image.height == 1:  # told as one pixel
            return
        if len(self._constant) == FINDINGS_A_RULE:
            self._more_constant.append(Sample(path=path))
            return
        constant = ConstantImage(
            path=path,
            file=file,
            width=image.width,
            height=image.height,
            brightness=mean,
            span=span,
            mask=holds_masks(path),
        )
        self._constant.append(constant)

    def _minority(self, oddity: ImageOddity, groups: dict[str, _Group], ordered: Sequence[str]) -> Iterator[OddImages]:
        usual, *others = ordered
        if groups[usual].count >= USUAL * self._count:
            yield from (_odd(oddity, value, usual, groups[value]) for value in others[:FINDINGS_A_RULE])


class _Ends:
    """A number of every picture, and where the smallest and largest of them are."""

    def __init__(self) -> None:
        self._values = array("f")
        self._low: list[tuple[float, int, tuple[str, str]]] = []
        self._high: list[tuple[float, int, tuple[str, str]]] = []
        self._between = math.inf, -math.inf
        """Values that are in neither heap, once those are full: nearly all."""

    def add(self, value: float, place: tuple[str, str]) -> None:
        self._values.append(value)
        lowest, highest = self._between
        if lowest <= value <= highest:  # of equal ones the first are kept
            return
        for heap, sign in ((self._low, -1.0), (self._high, 1.0)):
            kept = (sign * value, -len(self._values), place)
            if len(heap) < FARTHEST:
                heapq.heappush(heap, kept)
            elif kept > heap[0]:
                heapq.heapreplace(heap, kept)
        if len(self._low) == FARTHEST:
            self._between = -self._low[0][0], self._high[0][0]

    def spread(self) -> Spread | None:
        if not self._values:
            return None
        import numpy as np

        values = np.frombuffer(self._values, dtype=np.float32)
        median, robust_std = _middle(values)
        return Spread(minimum=float(values.min()), median=median, maximum=float(values.max()), robust_std=robust_std)

    def odd(self, oddity: ImageOddity) -> Iterator[OddImages]:
        """The pictures farthest from the median either way, farthest first; whether that is far is for a rule to say."""
        spread = self.spread()
        if spread is None or not spread.robust_std > 0.0:
            return
        either = {place: sign * value for heap, sign in ((self._low, -1.0), (self._high, 1.0)) for value, _, place in heap}
        scored = [((value - spread.median) / spread.robust_std, place) for place, value in either.items()]
        scored.sort(key=lambda each: (-abs(each[0]), each[1]))
        group = _Group(len(scored[:FARTHEST]), [place for _, place in scored[:FARTHEST]])
        yield _odd(oddity, "", f"{spread.median:.3g}", group, tuple(score for score, _ in scored[:FARTHEST]))


def _middle(values: NDArray[np.float32]) -> tuple[float, float]:
    import numpy as np

    median = float(np.median(values))
    return median, MAD_TO_STD * float(np.median(np.abs(values - np.float32(median))))


def _oddities(image: ImageFacts) -> Iterator[tuple[ImageOddity, str]]:
    """What is odd about a picture by itself."""
    if image.width == image.height == 1:
        yield "one-pixel", "1x1"
    elif min(image.width, image.height) == 1:
        yield "one-pixel-side", "1 pixel"
    if image.orientation != 1:
        yield "rotated", f"orientation {image.orientation}"
    if image.frames > 1:
        yield "animated", "several frames"


def _odd(oddity: ImageOddity, value: str, usual: str | None, group: _Group, scores: tuple[float, ...] = ()) -> OddImages:
    return OddImages(
        oddity=oddity,
        value=value,
        usual=usual,
        count=group.count,
        paths=tuple(path for path, _ in group.places),
        files=tuple(file for _, file in group.places),
        scores=scores,
    )
