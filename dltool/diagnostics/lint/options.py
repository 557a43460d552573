"""What the command line adds to the targets of ``dltool lint``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LintOptions:
    """``look_at_data`` is for specs: code brings its data along. ``seed``, ``device`` and ``allow_import`` are for code."""

    overrides: tuple[str, ...] = ()
    look_at_data: bool = True
    seed: int | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
