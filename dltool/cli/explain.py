"""``dltool explain``: one rule's page."""

from __future__ import annotations

from typing import Annotated

import typer

from dltool.cli import options as opt
from dltool.cli.emit import CLEAN, Output, write


def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", show_default=False, help="A rule's id or name.")],
    *,
    form: opt.ReportFormat = opt.Format.TABLE,
    output: opt.OutputFile = None,
    debug: opt.Debug = False,  # noqa: ARG001 - main() reads it from the command line itself
) -> None:
    """Explain RULE: what it measures, why that is bad, how to fix it, and when it is wrong."""
    from dltool.rules.explain import find_rule

    found = find_rule(rule)
    result = Output(form=form, file=output)
    if form is opt.Format.JSON:
        from dltool.reporters.catalogue import rule_json

        text = rule_json(found)
    else:
        from dltool.reporters.table.rules import rule_page

        text = rule_page(found, result.look())
    write(text, result)
    raise typer.Exit(CLEAN)
