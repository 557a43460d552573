"""``dltool show``: the spec as it will be run."""

from __future__ import annotations

import sys

import typer

from dltool.cli import options as opt
from dltool.cli.console import takes_unicode
from dltool.cli.emit import CLEAN, Output, write


def show(
    spec: opt.Spec,
    overrides: opt.Overrides = None,
    *,
    output: opt.OutputFile = None,
    debug: opt.Debug = False,  # noqa: ARG001 - main() reads it from the command line itself
) -> None:
    """Show SPEC resolved: what it extends, variables, overrides and defaults written out, as YAML."""
    from dltool.specs.load import load
    from dltool.specs.show import render

    result = Output(file=opt.not_the_spec(output, spec))
    folder = None if output is None else output.parent
    write(render(load(spec, overrides or []), folder, unicode=output is not None or takes_unicode(sys.stdout)), result)
    raise typer.Exit(CLEAN)
