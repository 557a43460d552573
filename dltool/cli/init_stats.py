"""``dltool init-stats``: do signals and gradients survive the depth, before any training."""

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

Compare = Annotated[
    list[str] | None,
    typer.Option(
        "--compare",
        metavar="INITS",
        show_default=False,
        help="Try these initialisers on the same batches and rank them: kaiming_normal,orthogonal,lsuv,normal:0.01. "
        "The number is the standard deviation for normal and truncated_normal, half the width for uniform, else the "
        "initialiser's first argument (gain, slope, value). Ranked by the powers of ten by which signals, gradients and the "
        "first loss are off, and by dead or saturated units beyond half a layer.",
    ),
]
Widths = Annotated[
    list[str] | None,
    typer.Option(
        "--widths",
        metavar="N,N,...",
        show_default=False,
        help="Coordinate check: how activations and updates change with the width. Varies vars.width of a spec, else "
        "all its hidden layers; of a factory its argument `width`.",
    ),
]
Seeds = Annotated[
    int, typer.Option("--seeds", metavar="N", min=1, help="Further seeds on which --compare measures its best candidates.")
]


def init_stats(
    target: opt.Target,
    overrides: opt.Overrides = None,
    *,
    compare: Compare = None,
    widths: Widths = None,
    seeds: Seeds = 5,
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
    """Look at TARGET's model before any training: what happens to signals and gradients through the depth."""
    result = Output(
        form=form,
        file=opt.not_the_spec(output, target),
        fail_on=fail_on,
        detail=detail_of(quiet=quiet, verbose=verbose),
        gate=Gate.open(baseline, write_baseline),
    )
    asked_widths = _whole(widths)
    with signals_wait():
        from dltool.diagnostics.init_stats import InitStatsOptions
        from dltool.diagnostics.init_stats import run as run_init_stats
        from dltool.training.stop import StopFlag

    stop = StopFlag(timeout)
    asked = InitStatsOptions(
        overrides=tuple(overrides or ()),
        seed=seed,
        device=device,
        compare=tuple(opt.split_names(compare or [])),
        widths=asked_widths,
        seeds=seeds,
        timeout_s=timeout,
        select=tuple(opt.split_names(select or [])),
        ignore=tuple(opt.split_names(ignore or [])),
        allow_import=(*(allow_import or ()), *allowed_imports(Path.cwd())),
        progress=progress_on_stderr(result.detail, doing="looking at starts", unit="start"),
        stop=stop,
    )
    with running(target, stop):
        report = run_init_stats(target, asked)
    raise typer.Exit(emit(report, result))


def _whole(words: list[str] | None) -> tuple[int, ...]:
    names = opt.split_names(words or [])
    try:
        return tuple(int(name) for name in names)
    except ValueError:
        raise typer.BadParameter(f"--widths takes whole numbers with commas, not {','.join(names)}") from None
