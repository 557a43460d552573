"""What the user's own project allows: ``[tool.dltool]`` in the pyproject.toml of the working folder or one above it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from dltool.core.errors import Location, Problem, UserError, closest

KEYS = ("allow-import",)


def allowed_imports(folder: Path) -> tuple[str, ...]:
    """The packages of ``allow-import``, from the nearest pyproject.toml at ``folder`` or above; () where it says nothing.

    A pyproject.toml beside a spec elsewhere is not asked: whoever sent the spec may have sent that too.

    Raises:
        UserError: the file is no TOML, or its ``[tool.dltool]`` holds something else.
    """
    found = (parent / "pyproject.toml" for parent in (folder, *folder.parents))
    path = next((candidate for candidate in found if candidate.is_file()), None)
    return () if path is None else _read(path)


def _read(path: Path) -> tuple[str, ...]:
    place = Location(file=str(path))
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("dltool", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(Problem(message=f"cannot be read: {error}", location=place)) from error
    unknown = [key for key in table if key not in KEYS]
    if unknown:
        raise UserError(
            *(
                Problem(message="unknown key", location=place, key=f"tool.dltool.{key}", suggestion=closest(key, KEYS))
                for key in unknown
            )
        )
    packages = table.get("allow-import", [])
    if not isinstance(packages, list) or not all(isinstance(package, str) for package in packages):
        raise UserError(
            Problem(
                message="not a list of packages",
                location=place,
                key="tool.dltool.allow-import",
                value=repr(packages),
                expected='a list of names, such as ["mypackage"]',
            )
        )
    return tuple(packages)
