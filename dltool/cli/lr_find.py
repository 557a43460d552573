"""``dltool lr-find``: which learning rate, and how sure one can be of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dltool.cli import options as opt
from dltool.cli.console import say
from dltool.cli.emit import Output, detail_of, emit
from dltool.cli.gate import Gate
from dltool.cli.progress import progress_on_stderr
from dltool.cli.project import allowed_imports
from dltool.cli.running import running
from dltool.cli.signals import signals_wait

Steps = Annotated[
    int | None,
    typer.Option("--steps", metavar="N", min=1, show_default="an epoch, at least 100", help="Try a rate for N steps."),
]
Write = Annotated[bool, typer.Option("--write", help="Put the rate that was found into the spec, and change nothing else.")]


def lr_find(
    target: opt.Target,
    overrides: opt.Overrides = None,
    *,
    steps: Steps = None,
    write: Write = False,
    seed: opt.Seed = None,
    device: opt.Device = "cpu",
    timeout: opt.Timeout = None,
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
    allow_import: opt.AllowImport = None,
) -> None:
    """Find the learning rate of TARGET: a range test on several ladders, whose suggestions are tried before one is given."""
    result = Output(
        form=form,
        file=opt.not_the_spec(output, target),
        fail_on=fail_on,
        detail=detail_of(quiet=quiet, verbose=verbose),
        gate=Gate.open(baseline, write_baseline),
    )

    with signals_wait():
        from dltool.diagnostics.lr_find import LrFindOptions
        from dltool.diagnostics.lr_find import run as run_search
        from dltool.specs.write_rate import open_for_rate
        from dltool.training.stop import StopFlag

    changes = tuple(overrides or ())
    rate_file = open_for_rate(target, changes) if write else None
    stop = StopFlag(timeout)
    asked = LrFindOptions(
        overrides=changes,
        seed=seed,
        device=device,
        steps=steps,
        timeout_s=timeout,
        select=tuple(opt.split_names(select or [])),
        ignore=tuple(opt.split_names(ignore or [])),
        allow_import=(*(allow_import or ()), *allowed_imports(Path.cwd())),
        progress=progress_on_stderr(result.detail, "looking for the rate"),
        stop=stop,
    )
    with running(target, stop):
        report = run_search(target, asked)
    if rate_file is not None:
        found = report.measurements["suggested_lr"]
        finished = found is not None and stop.reason is None
        say(rate_file.write(float(found)) if finished else f"{target} was left as it is: no rate was settled on")
    raise typer.Exit(emit(report, result))
