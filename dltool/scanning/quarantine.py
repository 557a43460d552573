"""Bad samples put aside, so that a person can look at them: copies, links, or, where that was asked for, the files.

Nothing is ever overwritten or deleted.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dltool.core.errors import DataError, OutputError, Problem
from dltool.scanning.record import Item
from dltool.scanning.source import source_of

Way = Literal["copy", "link", "move"]
MOST_NAMES = 1000
LIST_NAME = "bad.jsonl"


@dataclass(slots=True)
class Quarantine:
    """Puts samples into ``folder``, under the names that they have in the set.

    Attributes:
        folder: is made; must not lie within the set.
        way: "copy", "link" (a hard link; a copy where the file system has none) or "move". Members of archives are copied.
        failed: what could not be put there, a sentence each.
    """

    folder: Path
    way: Way = "copy"
    placed: int = 0
    failed: list[str] = field(default_factory=list)

    def check(self, root: Path | None) -> None:
        """Refuse a folder that would itself be scanned next time, or cannot be made.

        Raises:
            DataError: it lies within ``root``, the folder that is scanned.
            OutputError: it cannot be made.
        """
        inside, outside = self.folder.resolve(), None if root is None else root.resolve()
        if inside == outside or outside in inside.parents:
            raise DataError(
                Problem(
                    message=f"{self.folder} lies within what is scanned", key="--quarantine", expected="a folder elsewhere"
                )
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {self.folder}: {error.strerror}") from error

    def put_all(self, items: Iterable[Item]) -> None:
        """Put samples there; one that cannot be does not keep the others out."""
        for item in items:
            try:
                self._put(item)
            except (OSError, shutil.Error) as error:
                self.failed.append(f"{item.name}: {getattr(error, 'strerror', None) or error}")

    def _put(self, item: Item) -> None:
        place = self._free_place(item)
        if place is None:
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        if item.start_byte is not None:
            with place.open("xb") as file:
                file.write(source_of(item).read())
        elif self.way == "move":
            shutil.move(item.path, place)
        elif not (self.way == "link" and _linked(item.path, place)):
            with Path(item.path).open("rb") as source, place.open("xb") as file:
                shutil.copyfileobj(source, file)
        self.placed += 1

    def _free_place(self, item: Item) -> Path | None:
        """A path that nothing has yet, None where the same file is there already."""
        parts = [part for part in item.name.replace("\\", "/").split("/") if part not in {"", ".", ".."} and ":" not in part]
        wanted = self.folder.joinpath(*parts) if parts else self.folder / "sample"
        for number in range(MOST_NAMES):
            place = wanted.with_name(f"{wanted.stem}~{number}{wanted.suffix}") if number else wanted
            if not os.path.lexists(place):
                return place
            if (
                self.way != "move"
                and item.start_byte is None
                and place.is_file()
                and filecmp.cmp(place, item.path, shallow=False)
            ):
                return None
        raise OSError(f"{MOST_NAMES} files of this name are there already")


def _linked(path: str, place: Path) -> bool:
    try:
        os.link(os.path.realpath(path), place)
    except OSError:
        return False
    return True
