"""The SPC rules on code: each fault of a factory is found in it, and healthy look-alikes are left in peace."""

from __future__ import annotations

from pathlib import Path

import code_to_lint
import pytest
import torch
from code_to_lint import FAULTY, HEALTHY

from dltool.core.finding import Severity
from dltool.core.report import Report
from dltool.diagnostics.lint.code import lint_code
from dltool.diagnostics.lint.options import LintOptions


def linted(name: str) -> Report:
    torch.manual_seed(0)
    return lint_code(f"code_to_lint:{name}", LintOptions())


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_in_code_is_found(name: str) -> None:
    assert {finding.name for finding in linted(name).findings} == FAULTY[name]


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_code_is_left_in_peace(name: str) -> None:
    found = [(finding.name, finding.message) for finding in linted(name).findings if finding.severity is not Severity.INFO]
    assert found == []


def test_a_finding_points_at_the_line_that_called_the_softmax() -> None:
    (finding,) = linted("softmax_in_the_loss").findings
    lines = Path(code_to_lint.__file__).read_text().splitlines()
    assert finding.where.file is not None
    assert finding.where.file.endswith("code_to_lint.py")
    assert finding.where.line is not None
    assert "torch.softmax(o, 1)" in lines[finding.where.line - 1]
