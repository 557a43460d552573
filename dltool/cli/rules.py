"""``dltool rules``: the catalogue."""

from __future__ import annotations

import typer

from dltool.cli import options as opt
from dltool.cli.emit import CLEAN, Output, write


def rules(
    *,
    form: opt.CatalogueFormat = opt.PageFormat.TABLE,
    output: opt.OutputFile = None,
    debug: opt.Debug = False,  # noqa: ARG001 - main() reads it from the command line itself
) -> None:
    """List every rule: id, name, severity and what it finds."""
    from dltool.rules.catalogue import every_rule

    result = Output(form=opt.Format(form.value), file=output)
    if form is opt.PageFormat.JSON:
        from dltool.reporters.catalogue import catalogue_json

        text = catalogue_json(every_rule())
    else:
        from dltool.reporters.table.rules import rules_table

        text = rules_table(every_rule(), result.look())
    write(text, result)
    raise typer.Exit(CLEAN)
