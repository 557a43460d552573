"""How a case of the zoo says what nan-hunt must find in it.

A case is a factory as a user would write it, in one of the modules beside this one. ``faulty`` and ``healthy`` attach what
must be found. A comment ``# born`` marks the line of the user's code that the finding has to name, where it is the user's.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

Factory = Callable[[], Any]
FactoryT = TypeVar("FactoryT", bound=Factory)

OPEN: Final = object()
"""The contract leaves this field open."""


@dataclass(frozen=True)
class Either:
    """Any of these: the contract can be read in more than one way."""

    values: tuple[Any, ...]


def either(*values: Any) -> Either:
    """Any of ``values`` is right."""
    return Either(values)


Allowed = frozenset[Any] | None
"""The values a field may take (a null is None among them); None where it is open."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What must be found within ``steps`` steps: nothing in a healthy case, otherwise a finding with these fields."""

    healthy: bool
    steps: int
    phase: Allowed = None
    op: Allowed = None
    module: Allowed = None
    parameter: Allowed = None
    step: Allowed = None
    samples: Allowed = None
    term: Allowed = None
    line: int | None = None
    innocent: str | None = None

    @property
    def in_order(self) -> bool:
        """The plain loop gets the same batches in the same order: no loader shuffles them."""
        return self.healthy or self.step is not None


def faulty(
    *,
    phase: Any,
    op: Any = OPEN,
    module: Any = OPEN,
    parameter: Any = OPEN,
    step: Any = OPEN,
    samples: Any = OPEN,
    term: Any = OPEN,
    steps: int = 12,
) -> Callable[[FactoryT], FactoryT]:
    """A case that goes bad. None stands for a null in the report, ``OPEN`` for anything, ``either`` for alternatives."""

    def attach(factory: FactoryT) -> FactoryT:
        factory.expected = Expected(  # type: ignore[attr-defined]
            healthy=False,
            steps=steps,
            phase=_allowed(phase),
            op=_allowed(op),
            module=_allowed(module),
            parameter=_allowed(parameter),
            step=_allowed(step),
            samples=_allowed(samples),
            term=_allowed(term),
            line=_marked_line(factory),
        )
        return factory

    return attach


def healthy(*, steps: int = 12, innocent: str | None = None) -> Callable[[FactoryT], FactoryT]:
    """A case that looks bad and is not; ``innocent`` is the kind of value that goes bad on purpose: buffer or state."""

    def attach(factory: FactoryT) -> FactoryT:
        factory.expected = Expected(healthy=True, steps=steps, innocent=innocent)  # type: ignore[attr-defined]
        return factory

    return attach


@dataclass(frozen=True)
class Case:
    """A factory of the zoo, and where it lives."""

    path: Path
    name: str
    factory: Factory
    expected: Expected

    @property
    def target(self) -> str:
        """TARGET as on the command line."""
        return f"{self.path}:{self.name}"

    def __str__(self) -> str:
        return f"{self.path.stem}-{self.name}"


def every_case() -> Iterator[Case]:
    """All of the zoo, module by module, in the order they are written in."""
    folder = Path(__file__).parent
    for path in sorted(folder.glob("cases_*.py")):
        for name, factory in list(vars(importlib.import_module(path.stem)).items()):
            if hasattr(factory, "expected"):
                yield Case(path, name, factory, factory.expected)


def _allowed(value: Any) -> Allowed:
    if value is OPEN:
        return None
    return frozenset(value.values if isinstance(value, Either) else (value,))


def _marked_line(factory: Factory) -> int | None:
    lines, first = inspect.getsourcelines(factory)
    marked = [first + offset for offset, line in enumerate(lines) if line.rstrip().endswith("# born")]
    assert len(marked) <= 1
    return marked[0] if marked else None
