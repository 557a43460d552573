"""Which kind of target a scan was given: data on disk, a spec, or code. Without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from dltool.core.errors import Problem, UserError

SPEC_SUFFIXES = (".yaml", ".yml")

Kind = Literal["path", "spec", "code"]


def kind_of(target: str) -> Kind:
    """A name ending in .yaml is a spec, ``net.py:make`` and ``package.module:make`` are code; what exists is a path."""
    if target.endswith(SPEC_SUFFIXES) and not Path(target).is_dir():
        return "spec"
    place, colon, name = target.rpartition(":")
    is_code = place.endswith(".py") or all(part.isidentifier() for part in place.split("."))
    if colon and name.isidentifier() and is_code and not _exists(target):
        return "code"
    return "path"


def refuse_options(kind: Kind, given: dict[str, bool]) -> None:
    """Options that mean nothing for this kind of target.

    Raises:
        UserError: all of them that were given.
    """
    what = {"path": "data on disk", "spec": "a spec", "code": "code"}[kind]
    problems = [
        Problem(message=f"means nothing for a scan of {what}", key=option) for option, asked in given.items() if asked
    ]
    if problems:
        raise UserError(*problems)


def _exists(target: str) -> bool:
    try:
        return Path(target).exists()
    except (OSError, ValueError):
        return False
