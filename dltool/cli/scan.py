"""``dltool scan``: which samples of a data set are corrupt or suspicious."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dltool.cli import options as opt
from dltool.cli.emit import Output, detail_of, emit
from dltool.cli.gate import Gate
from dltool.cli.project import allowed_imports
from dltool.cli.running import running
from dltool.cli.scan_progress import scan_progress_on_stderr
from dltool.cli.signals import signals_wait
from dltool.diagnostics.scan.kind import kind_of

PathOrTarget = Annotated[
    str,
    typer.Argument(
        metavar="PATH-OR-TARGET",
        show_default=False,
        help="A folder, a file, a glob in quotes, a manifest (csv or jsonl of path and label), SPEC.yaml or "
        "file.py:factory; with --merge, a report.",
    ),
]
More = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE|REPORT", show_default=False, help="Of a spec: set a value; with --merge: more reports."
    ),
]
Probe = Annotated[
    bool, typer.Option("--probe", help="Pass every sample through the model (or a small net): which give NaN or Inf?")
]
Quick = Annotated[bool, typer.Option("--quick", help="Signatures, sizes, end marks, checksums and equal files only.")]
Deep = Annotated[bool, typer.Option("--deep", help="Decode every frame in full, and ask a second decoder.")]
TargetColumn = Annotated[
    str | None, typer.Option("--target", metavar="COLUMN", show_default=False, help="The column of labels in tables.")
]
Labels = Annotated[
    bool,
    typer.Option("--labels", help="Look for wrong labels: which does a light model disbelieve that never saw the sample?"),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        metavar="N",
        min=1,
        show_default="the spec's or the loader's",
        help="Samples in a batch: how often does one lack a class?",
    ),
]
Hidden = Annotated[bool, typer.Option("--hidden", help="Look into hidden files too.")]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=1, max=1024, show_default="processors", help="Worker processes.")
]
SampleTimeout = Annotated[
    float,
    typer.Option(
        "--sample-timeout", metavar="SECONDS", callback=opt.above_zero, help="Stop a decoder that hangs for so long."
    ),
]
Memory = Annotated[
    float | None,
    typer.Option(
        "--memory",
        metavar="GIB",
        min=0.125,
        max=65536,
        show_default="4, or less on a small machine",
        help="Memory that a worker may use.",
    ),
]
Shard = Annotated[
    str | None, typer.Option("--shard", metavar="I/N", show_default=False, help="Scan the I-th of N parts, chosen by name.")
]
Merge = Annotated[bool, typer.Option("--merge", help="Put the JSON reports of all shards together.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Look into every file again, and keep nothing for the next scan.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted scan, and say so.")]
Manifest = Annotated[
    str | None, typer.Option("--manifest", metavar="FILE", show_default=False, help="Write the clean samples there (jsonl).")
]
VerifyManifest = Annotated[
    str | None,
    typer.Option("--verify-manifest", metavar="FILE", show_default=False, help="Compare every file with this manifest."),
]
BadList = Annotated[
    str | None,
    typer.Option(
        "--bad-samples", metavar="FILE", show_default=False, help="Write the bad samples there, for data.exclude of a spec."
    ),
]
QuarantineDir = Annotated[
    str | None, typer.Option("--quarantine", metavar="DIR", show_default=False, help="Copy the bad files there.")
]
Link = Annotated[bool, typer.Option("--link", help="Hard links in the quarantine, not copies.")]
Move = Annotated[bool, typer.Option("--move", help="Move the bad files into the quarantine.")]


def scan(
    target: PathOrTarget,
    more: More = None,
    *,
    quick: Quick = False,
    deep: Deep = False,
    probe: Probe = False,
    target_column: TargetColumn = None,
    labels: Labels = False,
    batch_size: BatchSize = None,
    hidden: Hidden = False,
    workers: Workers = None,
    sample_timeout: SampleTimeout = 8.0,
    memory: Memory = None,
    shard: Shard = None,
    merge: Merge = False,
    no_cache: NoCache = False,
    resume: Resume = False,
    manifest: Manifest = None,
    verify_manifest: VerifyManifest = None,
    bad_samples: BadList = None,
    quarantine: QuarantineDir = None,
    link: Link = False,
    move: Move = False,
    seed: opt.Seed = None,
    allow_import: opt.AllowImport = None,
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
) -> None:
    """Look into every sample of a data set, and name those that are corrupt or suspicious."""
    result = Output(
        form=form,
        file=opt.not_the_spec(output, target),
        fail_on=fail_on,
        detail=detail_of(quiet=quiet, verbose=verbose),
        gate=Gate.open(baseline, write_baseline),
    )
    _check(target, more=more, merge=merge, quick=quick, deep=deep, link=link, move=move)
    with signals_wait():
        from dltool.diagnostics.scan.options import ScanOptions
        from dltool.diagnostics.scan.run import run as run_scan
        from dltool.training.stop import StopFlag

    stop = StopFlag(timeout)
    tier: Literal["quick", "normal", "deep"] = "quick" if quick else "deep" if deep else "normal"
    way: Literal["copy", "link", "move"] = "link" if link else "move" if move else "copy"
    asked = ScanOptions(
        tier=tier,
        target_column=target_column,
        labels=labels,
        batch_size=batch_size,
        hidden=hidden,
        workers=workers,
        sample_timeout_s=sample_timeout,
        memory_bytes=None if memory is None else int(memory * 2**30),
        shard=shard,
        merge=(target, *(more or ())) if merge else (),
        cache=not no_cache,
        resume=resume,
        manifest=manifest,
        verify_manifest=verify_manifest,
        bad_samples=bad_samples,
        quarantine=quarantine,
        quarantine_way=way,
        overrides=() if merge else tuple(more or ()),
        allow_import=(*(allow_import or ()), *allowed_imports(Path.cwd())),
        seed=seed,
        probe=probe,
        timeout_s=timeout,
        select=tuple(opt.split_names(select or [])),
        ignore=tuple(opt.split_names(ignore or [])),
        progress=scan_progress_on_stderr(result.detail),
        stop=stop,
    )
    with running(target, stop):
        report = run_scan(target, asked)
    raise typer.Exit(emit(report, result))


def _check(target: str, *, more: list[str] | None, merge: bool, quick: bool, deep: bool, link: bool, move: bool) -> None:
    if quick and deep:
        raise typer.BadParameter("--quick and --deep contradict each other")
    if link and move:
        raise typer.BadParameter("--link and --move contradict each other")
    if more and not merge and kind_of(target) == "path":
        raise typer.BadParameter(f"{more[0]}: a scan takes one path; quote a glob, so that the shell does not expand it")
