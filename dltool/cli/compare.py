"""``dltool compare``: what got worse between two saved results."""

from __future__ import annotations

from typing import Annotated

import typer

from dltool.cli import options as opt
from dltool.cli.emit import Output, detail_of, emit
from dltool.cli.gate import Gate

WHAT = "A JSON report, the folder of a run, or a baseline"
Before = Annotated[str, typer.Argument(metavar="BEFORE", show_default=False, help=f"{WHAT}: how it was.")]
After = Annotated[str, typer.Argument(metavar="AFTER", show_default=False, help=f"{WHAT}: how it is now.")]


def compare(
    before: Before,
    after: After,
    *,
    form: opt.ReportFormat = opt.Format.TABLE,
    output: opt.OutputFile = None,
    select: opt.Select = None,
    ignore: opt.Ignore = None,
    fail_on: opt.Fail = opt.FailOn.ERROR,
    baseline: opt.KnownFindings = None,
    write_baseline: opt.KeepFindings = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    debug: opt.Debug = False,  # noqa: ARG001 - main() reads it from the command line itself
) -> None:
    """Tell what got worse from BEFORE to AFTER: new findings, and measurements that moved by more than their noise."""
    for side in (before, after):
        opt.not_the_spec(output, side)
    result = Output(
        form=form,
        file=output,
        fail_on=fail_on,
        detail=detail_of(quiet=quiet, verbose=verbose),
        gate=Gate.open(baseline, write_baseline),
    )
    from dltool.diagnostics.compare.run import CompareOptions
    from dltool.diagnostics.compare.run import run as run_compare

    asked = CompareOptions(select=tuple(opt.split_names(select or [])), ignore=tuple(opt.split_names(ignore or [])))
    raise typer.Exit(emit(run_compare(before, after, asked), result))
