"""The options that commands share: each is written once, and means the same everywhere."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dltool.cli.complete import devices, rule_names
from dltool.core.finding import Severity


class Format(StrEnum):
    """How a report is written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    JUNIT = "junit"
    SARIF = "sarif"
    GITHUB = "github"
    GITLAB = "gitlab"
    MARKDOWN = "markdown"


class PageFormat(StrEnum):
    """How a page of the catalogue is written: it holds no findings, so most formats of a report have no use for it."""

    TABLE = "table"
    JSON = "json"


class FailOn(StrEnum):
    """From which severity on findings make the exit code 1."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"

    @property
    def severity(self) -> Severity | None:
        """The mildest severity that fails, or None where none does."""
        return None if self is FailOn.NEVER else Severity(self.value)

    def reached_by(self, worst: Severity | None) -> bool:
        """Whether a report whose gravest finding is ``worst`` fails."""
        return self.severity is not None and worst is not None and worst.rank >= self.severity.rank


def split_names(values: list[str]) -> list[str]:
    """``--select GRD,NAN106 --select dead-relu`` is three names."""
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def not_the_spec(output: Path | None, spec: str) -> Path | None:
    """``--output``, unless a slip of the keyboard named the spec itself."""
    if output is not None and output.resolve() in {Path(spec).resolve(), Path(spec.rpartition(":")[0]).resolve()}:
        raise typer.BadParameter(f"--output {output} would overwrite the target")
    return output


def above_zero(seconds: float | None) -> float | None:
    """Told before the run: a time that is none."""
    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise typer.BadParameter(f"{seconds:g} is not a time; give seconds above 0")
    return seconds


def _writable(path: Path | None) -> Path | None:
    """Told before the run, not after it."""
    if path is not None and path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; give the name of a file")
    if path is not None and not path.parent.is_dir():
        raise typer.BadParameter(f"the folder {path.parent} does not exist")
    return path


Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        show_default=False,
        help="SPEC.yaml, path/file.py:factory or package.module:factory. Naming code here is consent to run it.",
    ),
]
Spec = Annotated[str, typer.Argument(metavar="SPEC", show_default=False, help="A YAML spec.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE|~KEY",
        show_default=False,
        help="Set a value of the spec (optimizer.adam.lr=1e-2), or delete one ('~schedule').",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", min=0, max=2**32 - 1, show_default="the spec's", help="Seed of everything random."),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="DEVICE", autocompletion=devices, help="Where to compute: cpu, cuda, cuda:1, mps."),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", metavar="N", min=1, show_default="the spec's", help="Train this many epochs.")
]
Steps = Annotated[
    int | None, typer.Option("--steps", metavar="N", min=1, show_default=False, help="Stop after this many steps.")
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        callback=above_zero,
        show_default=False,
        help="End the run after this time and report what is known by then.",
    ),
]
RunDir = Annotated[
    Path | None,
    typer.Option(
        "--run", metavar="DIR", show_default="runs/<name>-<n>", help="Folder of the run; must be new, or use --resume."
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue the run in --run DIR, or the newest of this name, where it stopped.")
]
ReportFormat = Annotated[Format, typer.Option("--format", help="How the result is written.")]
CatalogueFormat = Annotated[PageFormat, typer.Option("--format", help="How the result is written.")]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "--output", metavar="FILE", callback=_writable, show_default=False, help="Write the result there, not to stdout."
    ),
]
Select = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="RULES",
        show_default="all",
        autocompletion=rule_names,
        help="Ask only these: names, ids or families (GRD), with commas.",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="RULES",
        show_default=False,
        autocompletion=rule_names,
        help="Leave these out: names, ids or families, with commas.",
    ),
]
Fail = Annotated[FailOn, typer.Option("--fail-on", help="Exit with 1 for findings of this severity or above.")]
KnownFindings = Annotated[
    Path | None,
    typer.Option(
        "--baseline", metavar="FILE", show_default=False, help="Findings that this file knows do not fail: only new ones do."
    ),
]
KeepFindings = Annotated[
    Path | None,
    typer.Option(
        "--write-baseline",
        metavar="FILE",
        callback=_writable,
        show_default=False,
        help="Keep what is found as known; without --baseline nothing of it fails.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; of the table, findings and verdict only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Every layer, the evidence, and why rules were skipped.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback should dltool itself fail.")]
AllowImport = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-import",
        metavar="PACKAGE",
        show_default=False,
        help="Let the spec's _target_ run code of this package. May be given more than once.",
    ),
]
