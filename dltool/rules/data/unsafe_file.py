"""DAT116 unsafe-file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.scan_flaws import ScanFlaws
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule
from dltool.rules.data.flawed import of_files

ADVICE = {
    "pickle": "ask for the data as safetensors, npy without objects, or parquet; do not load it with pickle",
    "object-array": "save it again with a numeric dtype; loading it needs pickle, which runs what the file says",
}
OTHERWISE = "do not open it with a loader that trusts it; get it from a source that you know, in a plain format"


class UnsafeFile(Rule):
    """Opening a file as a loader would can run code, or exhaust the machine.

    What it measures: pickles and arrays of Python objects, checkpoints that `weights_only` refuses, pictures and
    compressed files that claim to unpack to more than a machine holds. None of them is opened.

    Why it is bad: unpickling runs any function that the file names; a bomb of a few kilobytes fills the memory of every
    worker.

    How to fix: keep tensors in safetensors, arrays in npy with numeric dtypes, tables in parquet.

    When it is wrong: a pickle that you wrote yourself is as safe as you are; a scan of satellite or microscope images may
    truly have more pixels than the limit (twice Pillow's, 179 million).

    References: Python documentation, "pickle" (warning); PyTorch documentation, "torch.load" (weights_only); Pillow
    documentation, "Image.MAX_IMAGE_PIXELS".
    """

    id = "DAT116"
    name = "unsafe-file"
    severity = Severity.ERROR
    needs = (ScanFlaws,)
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        return list(of_files(self, measured, ADVICE, OTHERWISE))
