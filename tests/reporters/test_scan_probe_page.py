"""What ``--probe`` measured, as a part of the page."""

import pytest

from dltool.core.measured.scan_model import Probed, ProbedSample
from dltool.core.measurements import Measurements
from dltool.core.report import Report, RunInfo
from dltool.reporters.base import Look
from dltool.reporters.table.reporter import TableReporter

RUN = RunInfo(seed=0, torch="2.13.0", device="cpu", spec_sha256=None, seconds=1.0, deterministic=True)


def page(*sections, width=80):
    measured = Measurements(sections).to_dict()
    report = Report(command="scan", target="data", run=RUN, tool_version="0", measurements=measured)
    return " ".join(TableReporter(Look(width=width)).render(report).split())


def bad(*rows):
    return ProbedSample(path="net.py:make", file="net.py", rows=rows, phase="forward", value="nan", op="log", module="0")


def test_a_scan_without_a_probe_does_not_mention_it():
    assert "Probe" not in page()


def test_finite_values_are_said():
    text = page(Probed(model="the model", samples=1200))
    assert "1,200 samples" in text
    assert "model the model" in text
    assert "every value was finite" in text
    assert "not tried" not in text


@pytest.mark.parametrize("width", [60, 80, 140])
def test_bad_samples_are_counted_row_by_row(width):
    probed = Probed(model="a small net", samples=100, bad=(bad(1, 2, 3), bad()), told_already=1, not_probed=7)
    text = page(probed, width=width)
    assert "4 samples of 100 gave NaN or Inf" in text
    assert "1 sample more hold" not in text
    assert "known 1 sample" in text
    assert "not tried 7 samples: they cannot be put into a batch" in text


def test_why_nothing_was_tried():
    text = page(Probed(model="the model", samples=0, reason_not_probed="the samples hold no numbers"))
    assert "not tried the samples hold no numbers" in text
    assert "finite" not in text
