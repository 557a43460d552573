"""``dltool explain``: one rule's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dltool.cli import options as opt
from dltool.cli.complete import one_rule
from dltool.cli.emit import CLEAN, Output, write
from dltool.core.errors import Problem, UserError, closest
from dltool.rules.catalogue import RULES

if TYPE_CHECKING:
    from dltool.rules.base import Rule


def explain(
    rule: Annotated[
        str, typer.Argument(metavar="RULE", show_default=False, autocompletion=one_rule, help="A rule's id or name.")
    ],
    *,
    form: opt.CatalogueFormat = opt.PageFormat.TABLE,
    output: opt.OutputFile = None,
    debug: opt.Debug = False,  # noqa: ARG001 - main() reads it from the command line itself
) -> None:
    """Explain RULE: what it measures, why that is bad, how to fix it, and when it is wrong."""
    found = _find(rule)
    result = Output(form=opt.Format(form.value), file=output)
    if form is opt.PageFormat.JSON:
        from dltool.reporters.catalogue import rule_json

        text = rule_json(found)
    else:
        from dltool.reporters.table.rules import rule_page

        text = rule_page(found, result.look())
    write(text, result)
    raise typer.Exit(CLEAN)


def _find(asked: str) -> type[Rule]:
    for rule in RULES:
        if asked.lower() == rule.name or asked.upper() == rule.id:
            return rule.load()
    meant = closest(asked.lower(), [rule.name for rule in RULES]) or closest(asked.upper(), [rule.id for rule in RULES])
    raise UserError(Problem(message=f"there is no rule {asked!r}; `dltool rules` lists them", suggestion=meant))
