"""The collector of everything that only shows when samples are compared."""

from __future__ import annotations

from collections.abc import Iterator

from dltool.core.finding import Severity
from dltool.core.measurements import Section
from dltool.scanning.gather.duplicates import duplicates
from dltool.scanning.gather.names import holds_masks
from dltool.scanning.gather.near import near_duplicates
from dltool.scanning.gather.replaced import strangers
from dltool.scanning.gather.roster import Roster
from dltool.scanning.gather.tables import Tables
from dltool.scanning.record import Entry

SPOILT = ("corrupt-file", "unsafe-file")


class Likeness:
    """Collects ``Duplicates``, ``NearDuplicates``, ``Strangers``, ``EqualRows`` and ``SharedRows``.

    Left out are files of unknown format (notes, licences), damaged ones (an HTML page under a hundred names is told a
    hundred times already), and masks and label maps, in which equal pictures mean nothing.
    """

    def __init__(self) -> None:
        self._files = Roster()
        self._tables = Tables()
        self._mask_folders: dict[str, bool] = {}

    def add(self, entry: Entry) -> None:
        """Note one file."""
        found = entry.found
        errors = {flaw.rule for flaw in found.flaws if flaw.severity is Severity.ERROR} if found.flaws else ()
        if found.format is None or (found.format != "dataset" and any(rule in errors for rule in SPOILT)):
            return
        if found.image is None or not self._is_mask(entry.item.name):
            self._files.add(entry, suspected="format-mismatch" in errors)
        if found.table is not None:
            self._tables.add(entry)

    def sections(self) -> Iterator[Section]:
        """Those that this scan has something to say about."""
        yield duplicates(self._files)
        near = near_duplicates(self._files)
        if near.samples:
            yield near
        strange = strangers(self._files)
        if strange.samples:
            yield strange
        equal, shared = self._tables.sections()
        if equal.tables:
            yield equal
            yield shared

    def _is_mask(self, name: str) -> bool:
        """``holds_masks``, asked once for a folder, and for files whose names end in more than a number."""
        folder, _, file = name.rpartition("/")
        masks = self._mask_folders.get(folder)
        if masks is None:
            masks = self._mask_folders[folder] = holds_masks(f"{folder}/0.png")
        return masks or (not file.rpartition(".")[0][-1:].isdigit() and holds_masks(file))
