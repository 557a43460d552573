"""The first lines: which question was asked of what, and on what machine, seed and length of run."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from dltool.reporters.numbers import plural
from dltool.reporters.table.page import Page
from dltool.reporters.table.style import QUIET_STYLE, said


def header(page: Page) -> Iterator[RenderableType]:
    """``dltool train spec.yaml`` and one line of circumstances."""
    run = page.report.run
    yield Text.assemble((f"dltool {page.report.command}", "bold"), "  ", said(page.report.target, "bold cyan"))
    circumstances = [
        None if page.report.command in {"scan", "compare"} else f"seed {run.seed}",
        run.device,
        None if run.torch is None else f"torch {run.torch}",
        _length(page),
        f"{run.seconds:.1f} s",
        None if run.deterministic else "not deterministic",
    ]
    line = said(page.sign.dot.join(part for part in circumstances if part), QUIET_STYLE)
    if run.interrupted:
        line.append(page.sign.dot).append("interrupted: this is what is known so far", "bold yellow")
    yield line
    if "optimisation" not in page.measured.keys:  # else they stand beside what was trained
        yield from (said(sentence, QUIET_STYLE) for sentence in run.assumptions)
    yield ""


def _length(page: Page) -> str | None:
    if "optimisation" not in page.measured.keys:
        return _hunted(page)
    from dltool.core.measured.training import Optimisation

    done = page.measured[Optimisation]
    planned = "" if done.epochs_run == done.epochs_planned else f" of {done.epochs_planned}"
    noun = "epoch" if done.epochs_planned == 1 else "epochs"
    return f"{done.epochs_run:,}{planned} {noun}, {plural(done.steps, 'step')}"


def _hunted(page: Page) -> str | None:
    if "steps_run" not in page.measured.keys:
        return None
    from dltool.core.measured.hunt import BadInputs, StepsPlanned, StepsRun

    run, planned = page.measured.get(StepsRun), page.measured.get(StepsPlanned)
    if run is None:
        return None
    noun = "batch" if BadInputs in page.measured else "step"
    return (
        plural(run.steps, noun)
        if planned is None or planned.steps == run.steps
        else f"{run.steps:,} of {plural(planned.steps, noun)}"
    )
