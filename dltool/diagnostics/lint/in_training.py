"""Lint within ``dltool train``: the design of the spec among the measurements, corrected lines beside its findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dltool.core.errors import UserError
from dltool.core.measurements import Section
from dltool.core.report import Report
from dltool.diagnostics.lint.correction import SpecText
from dltool.diagnostics.lint.targets import SUFFIXES
from dltool.specs.design.of_spec import design_of
from dltool.specs.load import load
from dltool.specs.yaml_nodes import read_text


def designed(target: str, overrides: Sequence[str]) -> Sequence[Section]:
    """Architecture, Objective, Samples and Plan of the spec that is about to be trained; nothing for code.

    The plan is the spec's: ``--epochs`` and ``--steps`` are no fault of it.
    """
    if not target.endswith(SUFFIXES):
        return ()
    try:
        return tuple(design_of(load(target, overrides)))
    except UserError:  # data that a glance cannot judge; what it was built from was read as a whole
        return ()


def with_corrections(report: Report, overrides: Sequence[str]) -> Report:
    """The report with the lines of the spec that its findings name a change for; none where the command line changed it."""
    if overrides or not report.target.endswith(SUFFIXES):
        return report
    if not any("change" in finding.evidence for finding in report.findings):
        return report
    try:
        text = read_text(report.target, report.target)
    except UserError:  # gone or changed while it was trained
        return report
    linted = [finding for finding in report.findings if "change" in finding.evidence]
    mended = dict(zip((id(f) for f in linted), SpecText(report.target, text).with_lines(linted), strict=True))
    return replace(report, findings=tuple(mended.get(id(finding), finding) for finding in report.findings))
