"""``dltool lint``: what is wrong with a spec, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dltool.cli import options as opt
from dltool.cli.emit import Output, detail_of, emit
from dltool.cli.gate import Gate
from dltool.cli.running import calling
from dltool.core.errors import UserError

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="SPEC... [KEY=VALUE|~KEY]",
        show_default=False,
        help="YAML specs, folders of them, path/file.py:factory or package.module:factory (naming code here is consent "
        "to run it); for one spec also values to set (optimizer.adam.lr=1e-2) or delete ('~schedule').",
    ),
]
NoData = Annotated[bool, typer.Option("--no-data", help="Do not look at the data: shapes follow from model.input.")]

SpecsOnly = Annotated[bool, typer.Option("--specs-only", help="Pass over named YAML that is no spec, as in folders.")]


def lint(
    targets: Targets,
    *,
    no_data: NoData = False,
    specs_only: SpecsOnly = False,
    seed: opt.Seed = None,
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
    """Say what is wrong with specs before anything runs, each mistake at its line."""
    specs = [word for word in targets if not _is_override(word)]
    if not specs:
        raise typer.BadParameter("no SPEC is named")
    for spec in specs:
        opt.not_the_spec(output, spec)
    result = Output(
        form=form,
        file=output,
        fail_on=fail_on,
        detail=detail_of(quiet=quiet, verbose=verbose),
        gate=Gate.open(baseline, write_baseline),
    )
    from dltool.diagnostics.lint.options import LintOptions
    from dltool.diagnostics.lint.run import lint as run_lint

    asked = LintOptions(
        overrides=tuple(word for word in targets if _is_override(word)),
        look_at_data=not no_data,
        specs_only=specs_only,
        seed=seed,
        select=tuple(opt.split_names(select or [])),
        ignore=tuple(opt.split_names(ignore or [])),
    )
    with calling(specs[0]):
        linted = run_lint(specs, asked)
    code = 0 if linted.report is None else emit(linted.report, result)
    if linted.problems:
        raise UserError(*linted.problems)
    raise typer.Exit(code)


def _is_override(word: str) -> bool:
    return (word.startswith("~") or "=" in word) and not Path(word).exists()
