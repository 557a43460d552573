"""DAT103 format-mismatch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan import FINDINGS_A_RULE, Sample
from dltool.core.measured.scan_flaws import ScanFlaws
from dltool.core.measured.scan_likeness import Stranger, Strangers
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule
from dltool.rules.data.flawed import members, of_files

RENAME = "look at the file: if it is the right one, give it the suffix of its content, or convert it"
LOOK = "look at the file: it may have been replaced by another one"

ADVICE = {
    **dict.fromkeys(
        ("preamble", "second-header"), "remove these lines if another reader stumbles over them, or if they are rows"
    ),
    "no-header": "write the names of the columns in the first line, so that readers need not guess",
    "mixed-types": "mend or leave out these rows (data.exclude): a reader makes text of the whole column for one word",
    **dict.fromkeys(("header-width", "duplicate-columns"), "mend the first line, so that each column has a name of its own"),
}


class FormatMismatch(Rule):
    """A file is in another format than its name says, or than all of its neighbours.

    What it measures: the first bytes of every file against its suffix (an error: some loaders choose the decoder by
    it); and, where all other pictures of a folder agree in format, encoder, mode or size, the few that do not: at least
    50 that agree, at most 3 that do not. A warning where encoder and size both differ, and the format as well or else
    the name belongs to the series of the others' names (a file that was replaced keeps its name). Anything less is worth
    knowing: a single JPEG among PNGs, by its own suffix, is most likely meant to be there.

    Why it is bad: a placeholder that a web server sent in place of a picture looks like this, and loads without
    complaint. TensorFlow and many input pipelines decode by suffix and stop.

    How to fix: look at the file. Replace it, or rename or convert it.

    When it is wrong: files renamed by hand, with the right content. A folder put together from several sources has no
    common format, and none of its files is accused.

    References: TensorFlow issues 38901 and 9786; turicreate issue 2526 (PetImages/Cat/10073.jpg is a BMP);
    jetson-inference issue 124 (108,034 placeholders).
    """

    id = "DAT103"
    name = "format-mismatch"
    severity = Severity.ERROR
    needs = (ScanFlaws,)
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        found = list(of_files(self, measured, ADVICE, RENAME))
        named = {flawed.path for flawed in measured[ScanFlaws].files if flawed.rule == self.name}
        if Strangers in measured:
            found.extend(self._strangers([s for s in measured[Strangers].files if s.path not in named]))
        return found

    def _strangers(self, strangers: list[Stranger]) -> Iterator[Finding]:
        for stranger in strangers[:FINDINGS_A_RULE]:
            told = ", ".join(f"{trait.name} {trait.own} where they have {trait.usual}" for trait in stranger.traits)
            folder = stranger.folder or "the set"
            yield self.finding(
                f"{stranger.path} is unlike the {stranger.neighbours:,} others of {folder}: {told}",
                severity=stranger.severity,
                where=Where(phase="input", file=stranger.file, key=stranger.path),
                evidence={
                    "kind": "unlike-its-neighbours",
                    "traits": stranger.traits,
                    "neighbours": stranger.neighbours,
                    "strangers": stranger.strangers,
                    "samples": members([Sample(path=stranger.path)]),
                },
                limit={"strangers": 0},
                advice=(LOOK,),
            )
        rest = strangers[FINDINGS_A_RULE:]
        if rest:
            yield self.finding(
                f"{len(rest):,} more files are unlike their neighbours",
                severity=max((stranger.severity for stranger in rest), key=lambda severity: severity.rank),
                where=Where(phase="input", key="more unlike their neighbours"),
                evidence={"kind": "more", "samples": members(Sample(path=stranger.path) for stranger in rest)},
                limit={"strangers": 0},
                advice=(LOOK,),
            )
