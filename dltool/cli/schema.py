"""``dltool schema``: what a spec, or a report, must look like."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dltool.cli import options as opt
from dltool.cli.emit import CLEAN, Output, write


def schema(
    *,
    report: Annotated[bool, typer.Option("--report", help="The schema of the JSON report, not of the spec.")] = False,
    output: opt.OutputFile = None,
    debug: opt.Debug = False,  # noqa: ARG001 - main() reads it from the command line itself
) -> None:
    """Print the JSON Schema (draft-07) of the spec, for editors and checks."""
    if report:
        from dltool.reporters.report_schema import report_schema

        wanted = report_schema()
    else:
        from dltool.specs.json_schema import spec_schema

        wanted = spec_schema()
    write(json.dumps(wanted, indent=2) + "\n", Output(form=opt.Format.JSON, file=output))
    raise typer.Exit(CLEAN)
