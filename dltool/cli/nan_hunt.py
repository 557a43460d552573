"""``dltool nan-hunt``: where the first NaN or Inf comes from, why, and which sample brought it."""

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

Steps = Annotated[
    int | None,
    typer.Option("--steps", metavar="N", min=1, show_default="the spec's epochs, else 100", help="Take at most N steps."),
]
InputsOnly = Annotated[
    bool, typer.Option("--inputs-only", help="Pass every sample through the model once, without training.")
]
SnapshotEvery = Annotated[
    int | None,
    typer.Option(
        "--snapshot-every", metavar="N", min=1, show_default="by size, at most 16", help="Copy the state every N steps."
    ),
]
FixCheck = Annotated[bool, typer.Option("--fix-check", help="Try cures, and tell which of them heal.")]


def nan_hunt(
    target: opt.Target,
    overrides: opt.Overrides = None,
    *,
    steps: Steps = None,
    inputs_only: InputsOnly = False,
    fix_check: FixCheck = False,
    snapshot_every: SnapshotEvery = None,
    seed: opt.Seed = None,
    device: opt.Device = "cpu",
    timeout: opt.Timeout = None,
    run: opt.RunDir = None,
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
    """Train TARGET until a NaN or Inf matters, and say where it was born, why, from which sample, and what to do."""
    result = Output(
        form=form,
        file=opt.not_the_spec(output, target),
        fail_on=fail_on,
        detail=detail_of(quiet=quiet, verbose=verbose),
        gate=Gate.open(baseline, write_baseline),
    )
    if inputs_only and (steps or fix_check or snapshot_every):
        raise typer.BadParameter("--inputs-only takes no steps: leave out --steps, --fix-check and --snapshot-every")

    with signals_wait():
        from dltool.diagnostics.nan_hunt import NanHuntOptions
        from dltool.diagnostics.nan_hunt import run as run_hunt
        from dltool.training.stop import StopFlag

    stop = StopFlag(timeout)
    doing, unit = ("passing the data", "batch") if inputs_only else ("hunting", "step")
    asked = NanHuntOptions(
        overrides=tuple(overrides or ()),
        seed=seed,
        device=device,
        steps=steps,
        inputs_only=inputs_only,
        snapshot_every=snapshot_every,
        fix_check=fix_check,
        timeout_s=timeout,
        run_dir=None if run is None else str(run),
        select=tuple(opt.split_names(select or [])),
        ignore=tuple(opt.split_names(ignore or [])),
        allow_import=(*(allow_import or ()), *allowed_imports(Path.cwd())),
        progress=progress_on_stderr(result.detail, doing, unit),
        stop=stop,
    )
    with running(target, stop):
        report = run_hunt(target, asked)
    raise typer.Exit(emit(report, result))
