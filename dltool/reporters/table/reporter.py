"""The report as a page for people: what was run, what happened, what is wrong, and the verdict last, near the prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import RenderableType

from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.reporters.base import Detail, Look
from dltool.reporters.table.candidates import candidates, candidates_answer
from dltool.reporters.table.compare import compare_answer, compare_doubts, compare_findings, compare_sides
from dltool.reporters.table.compare_changes import compare_changes, compare_curves
from dltool.reporters.table.coordinate import coordinate, coordinate_answer
from dltool.reporters.table.curves import curves
from dltool.reporters.table.findings import findings
from dltool.reporters.table.gradients import gradients
from dltool.reporters.table.header import header
from dltool.reporters.table.hunt import bad_inputs, hunt, one_line
from dltool.reporters.table.layers import layers
from dltool.reporters.table.losses import losses
from dltool.reporters.table.page import Page, render
from dltool.reporters.table.rate import rate_answer, rate_curve, rate_decades, rate_trials
from dltool.reporters.table.scan import scan_files, scan_findings, scan_images
from dltool.reporters.table.scan_left_out import scan_left_out
from dltool.reporters.table.scan_likeness import scan_likeness
from dltool.reporters.table.scan_probe import scan_probe
from dltool.reporters.table.scan_values import scan_classes, scan_features, scan_labels
from dltool.reporters.table.set_aside import in_vain, set_aside
from dltool.reporters.table.start import histograms, start
from dltool.reporters.table.style import signs
from dltool.reporters.table.training import training
from dltool.reporters.table.verdict import checks, summary, verdict

NARROWEST = 32
"""Below this a line would hold hardly a word beside its label; such a terminal wraps the lines itself."""

Part = Callable[[Page], Iterator[RenderableType]]
"""A part of the page; one that has nothing to say yields nothing."""

MEASURED: tuple[Part, ...] = (
    compare_sides,
    compare_curves,
    compare_findings,
    compare_changes,
    compare_doubts,
    layers,
    curves,
    losses,
    training,
    hunt,
    bad_inputs,
    gradients,
    rate_curve,
    rate_decades,
    rate_trials,
    start,
    histograms,
    candidates,
    coordinate,
    scan_files,
    scan_left_out,
    scan_images,
    scan_features,
    scan_classes,
    scan_labels,
    scan_likeness,
    scan_probe,
)
"""What was measured, before what is made of it."""

PARTS: dict[Detail, tuple[Part, ...]] = {
    Detail.QUIET: (
        findings,
        scan_findings,
        one_line,
        rate_answer,
        candidates_answer,
        coordinate_answer,
        compare_answer,
        verdict,
        in_vain,
        summary,
    ),
    Detail.NORMAL: (
        header,
        *MEASURED,
        findings,
        scan_findings,
        one_line,
        rate_answer,
        candidates_answer,
        coordinate_answer,
        compare_answer,
        verdict,
        set_aside,
        in_vain,
        summary,
    ),
    Detail.VERBOSE: (
        header,
        *MEASURED,
        checks,
        findings,
        scan_findings,
        one_line,
        rate_answer,
        candidates_answer,
        coordinate_answer,
        compare_answer,
        verdict,
        set_aside,
        in_vain,
        summary,
    ),
}


class TableReporter:
    """Renders through Rich into a string; where it goes decides colours and characters (``Look``)."""

    def __init__(self, look: Look) -> None:
        self.look = look

    def render(self, report: Report) -> str:
        """The page, with lines no wider than the look's width (32 at least, and 60 in tables)."""
        page = Page(
            report=report,
            measured=Measurements.from_dict(report.measurements, report.command),
            look=self.look,
            sign=signs(unicode=self.look.unicode),
            width=max(NARROWEST, self.look.width),
        )
        parts = (piece for part in PARTS[self.look.detail] for piece in part(page))
        return render(parts, self.look, page.width)
