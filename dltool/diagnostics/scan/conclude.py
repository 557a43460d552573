"""From what was gathered to the report: rules judge, bad samples are derived, and what was asked for is written."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dltool.core.measured.scan import BadSamples, ScanFacts
from dltool.core.measurements import Measurements, Section
from dltool.core.report import Report, RunInfo
from dltool.core.suppression import Order, Suppression
from dltool.core.version import VERSION
from dltool.diagnostics.ignored_lines import orders_to_ignore, without_ignored_lines
from dltool.diagnostics.scan.left_out import bad_samples, in_order
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.outlets import Outlets
from dltool.rules.select import choose, judge_all

COMMAND = "scan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What the report says besides its sections.

    ``lines``: in which order a manifest named the samples. ``ignored`` rules, ``orders`` in comments and ``thresholds``
    are a spec's own, ``files`` the user's code, which may hold such comments; ``torch`` is its version where it was used.
    """

    target: str
    started_s: float
    assumptions: tuple[str, ...] = ()
    lines: Mapping[str, int] | None = None
    ignored: Mapping[str, Suppression] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()
    files: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    torch: str | None = None
    spec_sha256: str | None = None


def check_selection(options: ScanOptions) -> None:
    """Tell of rules that do not exist before the work, not after it.

    Raises:
        UserError: a selector that means nothing.
    """
    choose(options.select, options.ignore, {})


def conclude(sections: Iterable[Section], options: ScanOptions, outlets: Outlets, about: Conclusion) -> Report:
    """Judge, write what was asked for, and report.

    Raises:
        OutputError: a manifest or list that cannot be written.
    """
    gathered = list(sections)
    measured = Measurements(gathered)
    ignored = orders_to_ignore(about.ignored, options.ignore)
    asked = judge_all(measured, select=options.select, ignore=ignored, thresholds=about.thresholds)
    judged = without_ignored_lines(asked, about.orders, about.files)
    bad = in_order(bad_samples(judged.findings), about.lines)
    outlets.write(judged.findings, bad)
    stopped = measured[ScanFacts].stopped
    return Report(
        command=COMMAND,
        target=about.target,
        run=RunInfo(
            seed=about.seed,
            torch=about.torch,
            device=None if about.torch is None else "cpu",
            spec_sha256=about.spec_sha256,
            seconds=round(time.perf_counter() - about.started_s, 3),
            deterministic=True,
            interrupted=stopped == "interrupted",
            assumptions=about.assumptions,
        ),
        tool_version=VERSION,
        findings=judged.findings,
        checks=judged.checks,
        measurements=Measurements([*gathered, BadSamples(samples=tuple(bad))]).to_dict(),
        suppressed=judged.suppressed,
        stale=judged.stale,
    )
