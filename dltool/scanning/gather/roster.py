"""What comparisons need of each file, in columns: some 150 bytes a file, however many there are."""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING, Any

from dltool.core.file_names import printable
from dltool.core.measured.scan_likeness import LikeSample
from dltool.scanning.record import Entry, ImageFacts, Inspection, Item

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST_SIDE = 32
"""Pixels. A hash of 64 bits is taken of 8 x 8 cells or more: below four pixels a cell it is the picture (28 x 28 digits)."""

FLAT = 0.02
"""Standard deviation of a picture, of 0 to 1: five grey levels of 255. Below, a hash follows the noise of the encoder."""

BLANK = 2 / 255
"""Range of a picture that is one colour but for rounding: a blank page equals every other, and is constant-image's."""


FEWEST_VALUES = 16
"""A table or an array of fewer values equals another by chance."""

MOST_ENCODERS = 4096

NO_PICTURE = ImageFacts(width=0, height=0, mode="")


class Texts:
    """Many strings, told by number; each kept once."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._texts: list[str] = []

    def code(self, text: str) -> int:
        """The number of a string, the same for equal ones."""
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self._texts)
            self._texts.append(text)
        return code

    def __getitem__(self, code: int) -> str:
        return self._texts[code]


class Roster:
    """Files in the order of the scan, one number or code a column."""

    def __init__(self) -> None:
        self.labels, self.splits, self.folders, self.formats, self.modes = (Texts() for _ in range(5))
        self._encoder_codes: dict[str, int] = {}
        self.label, self.split, self.folder, self.format, self.mode = (array("i") for _ in range(5))
        self.digest, self.content, self.similarity, self.encoder, self.size = (array("Q") for _ in range(5))
        self.comparable, self.hashed, self.suspected = (array("b") for _ in range(3))
        self._names, self._ends = bytearray(), array("Q", [0])
        self._places, self._place = Texts(), array("i")

    def __len__(self) -> int:
        return len(self.label)

    def add(self, entry: Entry, *, suspected: bool) -> None:
        """Note a file; ``suspected`` says that another rule blames its format already."""
        item, found = entry.item, entry.found
        image = found.image
        self._names += item.name.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._names))
        self._place.append(self._places.code(_place(item)))
        self.label.append(-1 if item.label is None else self.labels.code(item.label))
        self.split.append(-1 if item.split is None else self.splits.code(item.split))
        self.format.append(self.formats.code(found.format or ""))
        self.digest.append(number(found.digest))
        self.content.append(number(found.content or found.digest))
        self.suspected.append(suspected)
        if image is None:
            self._add_picture(NO_PICTURE, folder=-1, mode=-1)
        else:
            folder = self.folders.code(item.name.rpartition("/")[0])
            self._add_picture(image, folder=folder, mode=self.modes.code(image.mode))
        self.comparable.append(_is_comparable(found))

    def _add_picture(self, image: ImageFacts, *, folder: int, mode: int) -> None:
        self.folder.append(folder)
        self.mode.append(mode)
        usable = image.similarity is not None and _is_telling(image)
        self.hashed.append(usable)
        self.similarity.append(image.similarity or 0)
        self.size.append(image.width << 32 | image.height)
        self.encoder.append(self._encoder(image.encoder))

    def _encoder(self, text: str) -> int:
        """64 bits of it; texts are kept only of the first few thousand, since each file may have its own."""
        code = self._encoder_codes.get(text)
        if code is None:
            code = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
            if len(self._encoder_codes) < MOST_ENCODERS:
                self._encoder_codes[text] = code
        return code

    def encoder_text(self, code: int) -> str:
        """What ``encoder`` stands for, where that was kept."""
        return next((text for text, known in self._encoder_codes.items() if known == code), "another")

    def column(self, name: str) -> NDArray[Any]:
        """A column as an array that shares its memory."""
        import numpy as np

        values = getattr(self, name)
        return np.frombuffer(values, dtype=values.typecode) if len(values) else np.empty(0, dtype=values.typecode)

    def name(self, position: int) -> str:
        """``Item.name`` of a file."""
        return bytes(self._names[self._ends[position] : self._ends[position + 1]]).decode("utf-8", "surrogateescape")

    def file(self, position: int) -> str:
        """``Item.path`` of a file, printable."""
        place = self._places[self._place[position]]
        return printable(place.removesuffix("\0") + self.name(position) if place.endswith("\0") else place)

    def sample(self, position: int) -> LikeSample:
        """A file as a member of a group."""
        label, split = self.label[position], self.split[position]
        return LikeSample(
            path=printable(self.name(position)),
            label=None if label < 0 else self.labels[label],
            split=None if split < 0 else self.splits[split],
        )


def number(text: str) -> int:
    """64 bits of a hash in hex (``xxh3:...``), or of any other text: a million of them collide with odds of 3e-8."""
    try:
        return int(text[-16:], 16)
    except ValueError:
        return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _place(item: Item) -> str:
    """What of a path is not in the name: the same for a whole folder, or an archive."""
    return item.path.removesuffix(item.name) + "\0" if item.path.endswith(item.name) else item.path


def _is_comparable(found: Inspection) -> bool:
    """Two labels in arrays of one number are equal as often as not; blank pages always are."""
    if not (found.digest or found.content):
        return False
    if found.table is not None:
        return found.table.rows * len(found.table.columns) >= FEWEST_VALUES
    return found.image is None or not _is_blank(found.image)


def _is_blank(image: ImageFacts) -> bool:
    return image.span is not None and image.span <= BLANK


def _is_telling(image: ImageFacts) -> bool:
    return min(image.width, image.height) >= SMALLEST_SIDE and image.std is not None and image.std >= FLAT
