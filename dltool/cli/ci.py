"""What a continuous integration tells a command, and takes from it, besides stdout and the exit code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dltool.cli.console import say
from dltool.core.report import Report

if TYPE_CHECKING:
    from dltool.reporters.place import Ground

CHECKOUTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""Where GitHub and GitLab keep the repository: they show a file only by its name from there."""

SUMMARY_BYTES = 2**20
"""GitHub throws the summary of a step away when it is longer (docs.github.com, "Workflow commands")."""

SMALLEST_PAGE_BYTES = 16_000


def ground() -> Ground:
    """File names are told from the root of the CI's checkout if we are in one, else from the working directory."""
    from dltool.reporters.place import Ground

    here = Path.cwd()
    return Ground(here, root_of(here))


def root_of(here: Path) -> Path:
    """The root of the CI's checkout that ``here`` lies in, otherwise ``here``."""
    checkouts = (Path(os.environ[name]).resolve() for name in CHECKOUTS if os.environ.get(name))
    return next((root for root in checkouts if here.is_relative_to(root)), here)


def append_job_summary(report: Report) -> None:
    """A page on the report at the end of the step's summary, in the room that is left there; without GitHub, nothing.

    A summary that cannot be written is said on stderr: the result stands without it.
    """
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if not place:
        return
    from dltool.reporters.markdown import COMMENT_BYTES, MarkdownReporter

    try:
        with Path(place).open("ab") as file:
            room_bytes = SUMMARY_BYTES - file.tell() - 1
            if room_bytes < SMALLEST_PAGE_BYTES:
                say("note: the job summary is full, and goes without this report")
                return
            page = MarkdownReporter(ground(), limit_bytes=min(room_bytes, COMMENT_BYTES)).render(report)
            file.write(b"\n" + page.encode("utf-8", "backslashreplace"))
    except OSError as error:
        say(f"note: cannot write the job summary {place}: {error.strerror}")
