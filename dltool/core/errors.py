"""What can go wrong on the user's side, said so that it can be mended.

    DltoolError
    └── UserError            exit code 2: one message per problem, never a traceback
        ├── SpecError        the YAML spec, its overrides or its files
        ├── DataError        data that cannot be read, or does not fit the spec
        ├── TargetError      a factory that cannot be imported, raises, or returns the wrong thing
        └── OutputError      a run folder or report that cannot be written

Anything else that escapes is a bug in dltool: exit code 3.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place in a user's file; ``line`` and ``column`` count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake: what is wrong, where, the value found, and what would be right."""

    message: str
    location: Location | None = None
    key: str | None = None
    value: str | None = None
    expected: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        head = ": ".join(str(part) for part in (self.location, self.key) if part is not None)
        text = f"{head}: {self.message}" if head else self.message
        if self.value is not None:
            text += f" (found {self.value})"
        if self.expected is not None:
            text += f"; expected {self.expected}"
        if self.suggestion is not None:
            text += f"; did you mean {self.suggestion!r}?"
        return text


class DltoolError(Exception):
    """Base of every error that dltool raises on purpose."""


class UserError(DltoolError):
    """Mistakes in what the user gave; carries all of them at once."""

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(Problem(message=p) if isinstance(p, str) else p for p in problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class SpecError(UserError):
    """The spec, an override or a file named by the spec is wrong."""


class DataError(UserError):
    """The data cannot be read, or does not fit what the spec says of it."""


class TargetError(UserError):
    """A ``file.py:factory`` target cannot be used."""


class OutputError(UserError):
    """A file that dltool has to write cannot be written (disk full, no permission)."""


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that a misspelt word most likely meant, or None."""
    matches = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return matches[0] if matches else None
