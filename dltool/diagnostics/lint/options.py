"""What the command line adds to the targets of ``dltool lint``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LintOptions:
    """``look_at_data`` is for specs: code brings its data along. ``specs_only`` passes over named YAML that is no spec."""

    overrides: tuple[str, ...] = ()
    look_at_data: bool = True
    specs_only: bool = False
    seed: int | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
