"""A part that cannot be built, told without knowing where it was written, and how it gets its place in the spec."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from dltool.core.errors import Problem, SpecError, UserError
from dltool.specs.load import LoadedSpec

KeyPath = tuple[str | int, ...]
T = TypeVar("T")


class MisfitError(UserError):
    """What is wrong with a part; whoever knows its key adds the place. ``below`` leads on from that key."""

    def __init__(self, message: str, *, value: object = None, expected: str | None = None, below: KeyPath = ()) -> None:
        self.problem = Problem(message=message, value=None if value is None else str(value), expected=expected)
        self.below = below
        super().__init__(self.problem)


def placed(loaded: LoadedSpec, key_path: KeyPath, misfit: MisfitError) -> SpecError:
    """The misfit at its key and its place in the user's file."""
    full = (*key_path, *misfit.below)
    return SpecError(
        Problem(
            message=misfit.problem.message,
            location=loaded.locate(full),
            key=".".join(str(part) for part in full),
            value=misfit.problem.value,
            expected=misfit.problem.expected,
        )
    )


class Collector:
    """Gathers the problems of parts that do not depend on one another, so that all are told at once."""

    def __init__(self, loaded: LoadedSpec) -> None:
        self._loaded = loaded
        self.problems: list[Problem] = []

    def build(self, key_path: KeyPath, make: Callable[[], T]) -> T | None:
        """What ``make`` returns, or None after noting why it could not."""
        try:
            return make()
        except MisfitError as misfit:
            self.problems.extend(placed(self._loaded, key_path, misfit).problems)
        except SpecError as error:
            self.problems.extend(error.problems)
        return None

    def raise_if_any(self) -> None:
        """Raise one SpecError that carries everything gathered."""
        if self.problems:
            raise SpecError(*self.problems)


def shape_text(shape: Iterable[int]) -> str:
    """A shape as people write it: (3, 8, 8)."""
    return str(tuple(shape))


def first_line(error: BaseException) -> str:
    """The first line of a library's message: the rest is for its own developers."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
