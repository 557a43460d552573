"""``dltool gradcheck``: find out whether the analytic gradients are right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dltool.cli import options as opt
from dltool.cli.emit import Output, detail_of, emit
from dltool.cli.gate import Gate
from dltool.cli.progress import progress_on_stderr
from dltool.cli.project import allowed_imports
from dltool.cli.running import running
from dltool.cli.signals import signals_wait

Full = Annotated[bool, typer.Option("--full", help="Compare every element of every parameter.")]
Inputs = Annotated[bool, typer.Option("--inputs", help="Check the gradient with respect to the input too.")]
AfterSteps = Annotated[
    int, typer.Option("--after-steps", metavar="N", min=0, help="Check again after this many steps of training.")
]
Detached = Annotated[
    list[str] | None,
    typer.Option(
        "--detached",
        metavar="NAMES",
        show_default=False,
        help="Parameters or modules whose gradient is cut on purpose: names or patterns with *, with commas.",
    ),
]


def gradcheck(
    target: opt.Target,
    overrides: opt.Overrides = None,
    *,
    full: Full = False,
    inputs: Inputs = False,
    after_steps: AfterSteps = 0,
    detached: Detached = None,
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
    """Compare autograd's gradients of TARGET with differences of its loss, parameter by parameter."""
    detail = detail_of(quiet=quiet, verbose=verbose)
    result = Output(
        form=form,
        file=opt.not_the_spec(output, target),
        fail_on=fail_on,
        detail=detail,
        gate=Gate.open(baseline, write_baseline),
    )

    with signals_wait():
        from dltool.diagnostics.gradcheck import GradcheckOptions
        from dltool.diagnostics.gradcheck import run as run_gradcheck
        from dltool.training.stop import StopFlag

    stop = StopFlag(timeout)
    asked = GradcheckOptions(
        overrides=tuple(overrides or ()),
        seed=seed,
        device=device,
        full=full,
        inputs=inputs,
        after_steps=after_steps,
        detached=tuple(opt.split_names(detached or [])),
        timeout_s=timeout,
        select=tuple(opt.split_names(select or [])),
        ignore=tuple(opt.split_names(ignore or [])),
        allow_import=(*(allow_import or ()), *allowed_imports(Path.cwd())),
        progress=progress_on_stderr(detail, doing="checking gradients", unit="element" if full else "parameter"),
        stop=stop,
    )
    with running(target, stop):
        report = run_gradcheck(target, asked)
    raise typer.Exit(emit(report, result))
