"""``dltool new``: a spec to start from."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from dltool.cli import options as opt
from dltool.cli.complete import tasks
from dltool.cli.console import say
from dltool.cli.emit import CLEAN, Output, write
from dltool.core.errors import OutputError


def new(
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", show_default="stdout", help="The file to make; it must not exist yet.")
    ] = None,
    *,
    task: Annotated[
        str, typer.Option("--task", autocompletion=tasks, help="What to learn: classification, regression or images.")
    ] = "classification",
    debug: opt.Debug = False,  # noqa: ARG001 - main() reads it from the command line itself
) -> None:
    """Write a commented starter spec that trains as it is."""
    from dltool.specs.starter import starter

    text = starter(task)
    if path is None:
        write(text, Output())
    else:
        _make(path, text)
        say(f"wrote {path}; train it with: dltool train {path}")
    raise typer.Exit(CLEAN)


def _make(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise OutputError(f"{path} exists already, and is left as it is; give another name") from None
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
