"""``dltool train``: find out whether it learns, and if not, what stops it."""

from __future__ import annotations

from pathlib import Path

import typer

from dltool.cli import options as opt
from dltool.cli.emit import Output, detail_of, emit
from dltool.cli.gate import Gate
from dltool.cli.progress import progress_on_stderr
from dltool.cli.project import allowed_imports
from dltool.cli.running import running
from dltool.cli.signals import signals_wait


def train(
    target: opt.Target,
    overrides: opt.Overrides = None,
    *,
    seed: opt.Seed = None,
    device: opt.Device = "cpu",
    epochs: opt.Epochs = None,
    steps: opt.Steps = None,
    timeout: opt.Timeout = None,
    run: opt.RunDir = None,
    resume: opt.Resume = False,
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
    """Train TARGET under observation, and say whether it learns and, if not, what stops it."""
    result = Output(
        form=form,
        file=opt.not_the_spec(output, target),
        fail_on=fail_on,
        detail=detail_of(quiet=quiet, verbose=verbose),
        gate=Gate.open(baseline, write_baseline),
    )

    with signals_wait():
        from dltool.diagnostics.train import TrainOptions
        from dltool.diagnostics.train import run as run_train
        from dltool.training.stop import StopFlag

    stop = StopFlag(timeout)
    asked = TrainOptions(
        overrides=tuple(overrides or ()),
        seed=seed,
        device=device,
        epochs=epochs,
        steps=steps,
        timeout_s=timeout,
        run_dir=None if run is None else str(run),
        resume=resume,
        select=tuple(opt.split_names(select or [])),
        ignore=tuple(opt.split_names(ignore or [])),
        allow_import=(*(allow_import or ()), *allowed_imports(Path.cwd())),
        progress=progress_on_stderr(result.detail),
        stop=stop,
    )
    with running(target, stop):
        report = run_train(target, asked)
    raise typer.Exit(emit(report, result))
