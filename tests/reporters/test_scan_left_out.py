import pytest

from dltool.core.measured.scan_run import LeftOut, LeftOutFiles, ManifestCheck
from dltool.core.measurements import Measurements
from dltool.core.report import Report, RunInfo
from dltool.reporters.base import Look
from dltool.reporters.table.reporter import TableReporter

RUN = RunInfo(seed=0, torch=None, device=None, spec_sha256=None, seconds=1.0, deterministic=True)


def page(*sections, width=80):
    measured = Measurements(sections).to_dict()
    report = Report(command="scan", target="data", run=RUN, tool_version="0", measurements=measured)
    return TableReporter(Look(width=width)).render(report)


def test_nothing_left_out_is_not_mentioned():
    assert "Beside" not in page(LeftOut(kinds=()))


@pytest.mark.parametrize("width", [60, 80, 140])
def test_what_was_left_out_is_counted_and_named(width):
    hidden = LeftOutFiles(kind="hidden", files=1200, paths=(".a", ".b", "c/.d", "c/.e", "c/[f]"))
    special = LeftOutFiles(kind="special", files=1, paths=("pipe",))
    text = page(LeftOut(kinds=(hidden, special)), width=width)
    assert "1,200 files and folders" in text
    assert ".a, .b, c/.d ..." in " ".join(text.split())
    assert "1 pipe, socket or device" in text
    assert max(map(len, text.splitlines())) <= width


def test_a_manifest_is_compared_in_one_line():
    check = ManifestCheck(manifest="m.jsonl", unchanged=118, changed=1, missing=2, new=0, unverifiable=3)
    text = page(check)
    assert "118 samples as m.jsonl has them, 1 changed, 2 missing" in text
    assert "new" not in text
    assert "3 samples without a digest" in text
