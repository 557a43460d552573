"""The lines of a spec that a finding is about, and those that belong in their place.

A rule names a change; it becomes a correction where it can be written into the text, and where the rule finds less in the
new text than in the old one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dltool.core.codec import encode
from dltool.core.errors import UserError
from dltool.core.finding import Finding
from dltool.rules.select import judge_all
from dltool.specs.design.of_spec import design_of
from dltool.specs.edit import Change, changes_of, corrected, hunks
from dltool.specs.load import load_text

if TYPE_CHECKING:
    from dltool.specs.design.samples import Glances


@dataclass(frozen=True, slots=True)
class SpecText:
    """A spec as it stands in its file, and how its data are looked at."""

    file: str
    text: str
    look_at_data: bool = True
    known: Glances | None = None

    def with_lines(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """Findings with ``written``, their line of the spec, and the ``correction`` that their ``change`` comes to.

        Both are evidence. What stands in another file is left as it is.
        """
        lines = self.text.splitlines()
        return tuple(self._with_lines(finding, lines, findings) for finding in findings)

    def _with_lines(self, finding: Finding, lines: Sequence[str], findings: Sequence[Finding]) -> Finding:
        line = finding.where.line
        if finding.where.file != self.file or line is None or line > len(lines):
            return finding
        evidence: dict[str, object] = {**finding.evidence, "written": lines[line - 1].strip()}
        suggested = finding.evidence.get("change")
        if isinstance(suggested, list | tuple) and all(isinstance(each, Mapping) for each in suggested):
            new = self._cured(changes_of(suggested), finding.rule, [each.rule for each in findings].count(finding.rule))
            if new is not None:
                evidence["correction"] = [encode(hunk) for hunk in hunks(self.text, new)]
        return replace(finding, evidence=evidence)

    def _cured(self, changes: Sequence[Change], rule: str, found: int) -> str | None:
        """The text with the changes; None where they cannot be written, or the rule finds as much as before."""
        new = corrected(self.file, self.text, changes)
        if new is None or new == self.text:
            return None
        try:
            loaded = load_text(new, self.file)
            measured = design_of(loaded, look_at_data=self.look_at_data, known=self.known)
        except UserError:
            return None
        left = judge_all(measured, select=(rule,), thresholds=loaded.spec.rules.thresholds).findings
        return new if len(left) < found else None
