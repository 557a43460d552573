"""The report as a page for people: what was run, what happened, what is wrong, and the verdict last, near the prompt."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import RenderableType

from dltool.core.measurements import Measurements
from dltool.core.report import Report
from dltool.reporters.base import Detail, Look
from dltool.reporters.table.findings import findings
from dltool.reporters.table.header import header
from dltool.reporters.table.page import Page, render
from dltool.reporters.table.scan_findings import scan_findings
from dltool.reporters.table.set_aside import in_vain, set_aside
from dltool.reporters.table.style import signs
from dltool.reporters.table.verdict import checks, summary, verdict

NARROWEST = 32
"""Below this a line would hold hardly a word beside its label; such a terminal wraps the lines itself."""

Part = Callable[[Page], Iterator[RenderableType]]
"""A part of the page; one that has nothing to say yields nothing."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A part about sections, ``module.function`` beside this one; imported where one of ``keys`` was measured.

    Without all of them it would yield nothing.
    """

    place: str
    keys: tuple[str, ...]

    def __call__(self, page: Page) -> Iterator[RenderableType]:
        """What the part yields."""
        if not page.measured.keys.isdisjoint(self.keys):
            yield from self.load()(page)

    def load(self) -> Part:
        """The part itself."""
        module, _, name = self.place.partition(".")
        part: Part = getattr(importlib.import_module(f"dltool.reporters.table.{module}"), name)
        return part


MEASURED = (
    Shown("compare.compare_sides", ("sides",)),
    Shown("compare_changes.compare_curves", ("curves",)),
    Shown("compare.compare_findings", ("compared_findings",)),
    Shown("compare_changes.compare_changes", ("changes",)),
    Shown("compare.compare_doubts", ("not_compared",)),
    Shown("layers.layers", ("layers",)),
    Shown("curves.curves", ("history", "loss_trace")),
    Shown("losses.losses", ("history", "baseline")),
    Shown("training.training", ("optimisation",)),
    Shown("hunt.hunt", ("guarding", "lead_up")),
    Shown("hunt.bad_inputs", ("bad_inputs",)),
    Shown("gradients.gradients", ("parameters",)),
    Shown("rate.rate_curve", ("curve", "lr_answer")),
    Shown("rate.rate_decades", ("lr_decades",)),
    Shown("rate.rate_trials", ("lr_trials", "lr_answer")),
    Shown("start.start", ("layers",)),
    Shown("start.histograms", ("layers",)),
    Shown("candidates.candidates", ("candidates",)),
    Shown("coordinate.coordinate", ("coordinate_check",)),
    Shown("scan.scan_files", ("formats", "samples_scanned")),
    Shown("scan_left_out.scan_left_out", ("left_out", "manifest_check")),
    Shown("scan.scan_images", ("images",)),
    Shown("scan_values.scan_features", ("features",)),
    Shown("scan_values.scan_classes", ("classes",)),
    Shown("scan_values.scan_labels", ("suspected_labels",)),
    Shown("scan_likeness.scan_likeness", ("duplicates", "near_duplicates", "equal_rows", "strangers")),
    Shown("scan_probe.scan_probe", ("probe",)),
)
"""What was measured, before what is made of it."""

ANSWERS = (
    Shown("hunt.one_line", ("first_bad_step", "steps_run")),
    Shown("rate.rate_answer", ("lr_answer", "suggested_lr", "lr_range")),
    Shown("candidates.candidates_answer", ("candidates",)),
    Shown("coordinate.coordinate_answer", ("coordinate_check",)),
    Shown("compare.compare_answer", ("compared_findings", "changes")),
)
"""What commands were asked for, in a line or two."""

PARTS: dict[Detail, tuple[Part, ...]] = {
    Detail.QUIET: (findings, scan_findings, *ANSWERS, verdict, in_vain, summary),
    Detail.NORMAL: (header, *MEASURED, findings, scan_findings, *ANSWERS, verdict, set_aside, in_vain, summary),
    Detail.VERBOSE: (header, *MEASURED, checks, findings, scan_findings, *ANSWERS, verdict, set_aside, in_vain, summary),
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
