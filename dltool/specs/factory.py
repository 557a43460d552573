"""``file.py:factory`` and ``package.module:factory``: the user's own code, imported, called once and checked."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NotRequired, TypedDict

import torch
from torch import Tensor, nn

from dltool.core.errors import Location, Problem, TargetError, UserError, closest
from dltool.training import rng
from dltool.training.failure import explain


class FactoryScheduler(TypedDict):
    """A scheduler, and when it is stepped."""

    scheduler: Any
    """A learning-rate scheduler of torch's, or a callable that makes one from the optimizer."""
    interval: NotRequired[Literal["step", "epoch"]]
    """After every step of the optimizer, as most warmups are meant to be, or after every epoch."""


class FactoryResult(TypedDict):
    """What a factory may return, beside a bare ``nn.Module``."""

    model: nn.Module
    """Called as ``model(input)``."""
    batches: NotRequired[Iterable[tuple[Any, Any]] | Callable[[int], Iterable[tuple[Any, Any]]]]
    """Pairs (input, target) of tensors or nested tuples and dicts of them; or a callable that takes a number of batches."""
    val_batches: NotRequired[Iterable[tuple[Any, Any]] | Callable[[int], Iterable[tuple[Any, Any]]]]
    """The same, for validation."""
    epoch_steps: NotRequired[int]
    """Batches in an epoch."""
    loss: NotRequired[Callable[[Any, Any], Tensor] | Mapping[str, Callable[[Any, Any], Tensor]]]
    """``(output, target) -> scalar``, or several by name, which are added up."""
    optimizer: NotRequired[torch.optim.Optimizer | Callable[[list[nn.Parameter]], torch.optim.Optimizer]]
    """An optimizer over the model's parameters, or a callable that makes one from them."""
    scheduler: NotRequired[Any | FactoryScheduler]
    """A learning-rate scheduler of torch's, a callable that makes one from the optimizer, or a ``FactoryScheduler``.

    Without an interval OneCycleLR and CyclicLR are stepped after every step, all others after every epoch.
    """
    scaler: NotRequired[Any]
    """A ``torch.amp.GradScaler``."""


KEYS = tuple(FactoryResult.__annotations__)


def call_factory(target: str, seed: int, width: int | None = None) -> FactoryResult:
    """Import ``target``, seed every generator, call the factory, and check what it returns; the caller's random state stays.

    ``width`` is handed to it by that name, where one is asked for.

    Raises:
        TargetError: a file, module or function that is not there, code that raises, or a result of the wrong form.
    """
    return _checked(call_code(target, seed, width), target)


def call_code(target: str, seed: int, width: int | None = None) -> Any:
    """As ``call_factory``, with whatever the factory returns.

    Raises:
        TargetError: a file, module or function that is not there, or code that raises.
    """
    place, _, name = target.rpartition(":")
    with rng.seeded(seed, torch.device("cpu")):
        factory = _factory(place, name, target)
        arguments = {} if width is None else _width(factory, target, width)
        try:
            return factory(**arguments)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise explain(plain_error(error), f"calling {target}") from error


def _width(factory: Callable[..., Any], target: str, width: int) -> dict[str, int]:
    try:
        takes = "width" in inspect.signature(factory).parameters
    except (TypeError, ValueError):
        takes = False
    if not takes:
        raise TargetError(
            Problem(
                message=f"{target} cannot be made in several widths",
                expected="a factory with an argument `width` that has a default: def make(width=128)",
            )
        )
    return {"width": width}


def _factory(place: str, name: str, target: str) -> Callable[..., Any]:
    module = _import(place, target)
    found = getattr(module, name, None)
    if found is None:
        own = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise TargetError(Problem(message=f"{place} has no {name!r}", value=target, suggestion=closest(name, own)))
    if not callable(found):
        raise TargetError(Problem(message=f"{name} is no function", value=type(found).__name__, expected="a factory"))
    try:
        needed = [p.name for p in inspect.signature(found).parameters.values() if _is_needed(p)]
    except (TypeError, ValueError):  # a builtin that hides its signature
        needed = []
    if needed:
        raise TargetError(
            Problem(
                message=f"{target} is called without arguments, but needs {', '.join(needed)}",
                expected="a function of no arguments (give them defaults, or wrap it in one)",
            )
        )
    factory: Callable[..., Any] = found
    return factory


def _is_needed(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return parameter.default is inspect.Parameter.empty and not variadic


def _import(place: str, target: str) -> ModuleType:
    if place.endswith(".py"):
        return _import_file(Path(place), target)
    if not all(part.isidentifier() for part in place.split(".")):
        raise not_a_target(target)
    _let_import_from(Path.cwd())
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{place}.".startswith(f"{error.name}."):
            raise TargetError(
                Problem(message=f"there is no module {error.name!r}", value=target, expected="package.module:factory")
            ) from error
        raise explain(error, f"importing {place}") from error
    except (Exception, SystemExit) as error:
        raise _import_failure(error, place) from error


def _import_file(path: Path, target: str) -> ModuleType:
    if not path.is_file():
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise TargetError(Problem(message=f"no such file: {path}", value=target, suggestion=closest(path.name, near)))
    _let_import_from(path.resolve().parent)
    spec = importlib.util.spec_from_file_location(f"_dltool_target_{path.stem}", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look the module up by its name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise _import_failure(error, str(path)) from error
    return module


def _let_import_from(folder: Path) -> None:
    """As for a script: what lies beside it can be imported, by functions that are called later too."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _import_failure(error: BaseException, place: str) -> UserError:
    if isinstance(error, SyntaxError):
        where = Location(file=error.filename or place, line=error.lineno, column=error.offset)
        return TargetError(Problem(message=f"{type(error).__name__}: {error.msg}", location=where))
    return explain(plain_error(error), f"importing {place}")


def plain_error(error: BaseException) -> Exception:
    """``sys.exit`` in the user's code, as an error that can be told."""
    if isinstance(error, Exception):
        return error
    return RuntimeError(f"it left with {type(error).__name__}({error})").with_traceback(error.__traceback__)


def not_a_target(target: str) -> TargetError:
    """A TARGET of none of the three forms."""
    return TargetError(
        Problem(
            message="this is no target",
            value=repr(target),
            expected="SPEC.yaml, path/file.py:factory or package.module:factory",
        )
    )


def _checked(result: Any, target: str) -> FactoryResult:
    if isinstance(result, nn.Module):
        return {"model": result}
    if inspect.iscoroutine(result):
        result.close()  # or Python complains on stderr that nobody awaited it
    if not isinstance(result, Mapping):
        raise TargetError(
            Problem(
                message=f"{target} returned something else than a model",
                value=type(result).__name__,
                expected=f"an nn.Module, or a mapping with `model` and any of {', '.join(KEYS[1:])}",
            )
        )
    problems = [
        Problem(message=f"{target} returned an unknown key", value=repr(key), suggestion=closest(str(key), KEYS))
        for key in result
        if key not in KEYS
    ]
    if not isinstance(result.get("model"), nn.Module):
        found = type(result["model"]).__name__ if "model" in result else "no `model`"
        problems.append(Problem(message=f"{target} returned no model", value=found, expected="an nn.Module"))
    steps = result.get("epoch_steps")
    if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool) or steps < 1):
        problems.append(Problem(message="`epoch_steps` is no number of batches", value=repr(steps), expected="at least 1"))
    if problems:
        raise TargetError(*problems)
    given: Any = {key: value for key, value in result.items() if value is not None}
    return given  # type: ignore[no-any-return]
