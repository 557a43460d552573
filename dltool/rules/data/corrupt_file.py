"""DAT102 corrupt-file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.scan_flaws import ScanFlaws
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule
from dltool.rules.data.flawed import of_files

GET_AGAIN = "get the file again from where it came from, or leave it out (dltool scan --manifest, --quarantine)"
MEND = "mend what the dataset reads there, or leave these samples out (torch.utils.data.Subset)"
ADVICE = {
    "html": "download it again: what was saved is a web page, not the data",
    "json": "download it again: what was saved is a server's answer, not the data",
    "xml": "download it again: what was saved is a server's answer, not the data",
    "lfs-pointer": "run `git lfs pull`: the file holds a pointer to the data, not the data",
    "unreadable": "look at the file's permissions and at the disk",
    **dict.fromkeys(("raises", "crash", "hang"), MEND),
    "ends-early": "mend the source, or the length that it tells",
    "gave-up": "mend what the dataset reads there, and scan it again",
    "endless": "give the dataset a length, or scan it with --timeout",
    "link-loop": "remove the link, or scan the folder that it leads to by itself",
    "missing": "get the file again, or remove the line that names it",
    "changed": "find out who changed the file since the manifest was written; get it again or write the manifest anew",
}


class CorruptFile(Rule):
    """A file is damaged, or is not what its place says.

    What it measures: every file of a scan is decoded, in a process of its own; what the decoder refuses or complains
    about, checksums that do not fit, ends that are missing, stretches of zeros, web pages and pointers in place of
    data, and hashes other than the manifest's. Lost data is an error; bytes too many, and what only the strictest
    readers mind, a warning or worth knowing.

    Why it is bad: a loader stops in the middle of an epoch without naming the file, or fills the rest of the picture
    with grey and trains on it.

    How to fix: get the file again, or leave it out: `dltool scan --manifest clean.jsonl` writes the list without it.

    When it is wrong: a format so new or rare that this decoder knows it less well than yours. Damage that the format
    cannot reveal (a flipped bit in a raw bitmap) is not found.

    References: Pillow issues 3831 and 6342 (verify passes damaged files); PyTorch issue 1137; img2dataset issue 224
    (450,000 corrupt images in one download).
    """

    id = "DAT102"
    name = "corrupt-file"
    severity = Severity.ERROR
    needs = (ScanFlaws,)
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        return list(of_files(self, measured, ADVICE, GET_AGAIN))
