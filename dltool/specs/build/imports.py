"""``_target_: package.module.name``: the user's own code, imported only from packages that the command line allows."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from types import ModuleType
from typing import Any

from dltool.specs.misfit import MisfitError, first_line
from dltool.specs.schema.base import Target


def construct(target: Target, allowed: Collection[str], *positional: Any) -> Any:
    """Call the named class or function with the target's arguments.

    Raises:
        MisfitError: the package is not allowed, there is no such name, or the call fails.
    """
    function = resolve(target.target, allowed)
    try:
        return function(*positional, **target.arguments)
    except Exception as error:
        raise MisfitError(
            f"{target.target} raised {type(error).__name__}: {first_line(error)}", below=("_target_",)
        ) from error


def resolve(name: str, allowed: Collection[str]) -> Any:
    """The class or function of that name, found without walking from one module into another.

    The path goes through packages to a module and from there into classes, never through a module's own imports, and what
    is found must itself have been defined in an allowed package: ``pkg.os.system`` is neither.
    """
    package = name.split(".", maxsplit=1)[0]
    if not _is_allowed(name, allowed):
        raise MisfitError(
            f"{name} is code of its own, which a spec alone may not run",
            expected=f"`--allow-import {package}` on the command line",
            below=("_target_",),
        )
    module, rest = _module(name)
    found: Any = module
    for attribute in rest:
        if not hasattr(found, attribute):
            raise MisfitError(f"{module.__name__} has no {'.'.join(rest)}", value=name, below=("_target_",))
        found = getattr(found, attribute)
        if isinstance(found, ModuleType):
            raise MisfitError(f"{name} leads through the import of another module", below=("_target_",))
    home = getattr(found, "__module__", None)
    if not callable(found) or not isinstance(home, str) or not _is_allowed(home, allowed):
        raise MisfitError(f"{name} is no class or function defined in an allowed package", value=home, below=("_target_",))
    return found


def _is_allowed(name: str, allowed: Collection[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in allowed)


def _module(name: str) -> tuple[ModuleType, list[str]]:
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        path = ".".join(parts[:end])
        try:
            return importlib.import_module(path), parts[end:]
        except ModuleNotFoundError as error:
            if error.name is None or not f"{path}.".startswith(f"{error.name}."):
                raise MisfitError(f"importing {path} failed: {first_line(error)}", below=("_target_",)) from error
        except Exception as error:
            raise MisfitError(
                f"importing {path} raised {type(error).__name__}: {first_line(error)}", below=("_target_",)
            ) from error
    raise MisfitError(f"there is no module {parts[0]}", value=name, below=("_target_",))
