"""Which specs are meant: files as they are named, those in folders, and patterns that no shell has expanded."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from dltool.core.errors import Location, Problem, UserError

SUFFIXES = (".yaml", ".yml")
SPEC_KEYS = (rb"^data\s*:", rb"^model\s*:")
READ_BYTES = 2**20


def expanded(targets: Iterable[str]) -> list[str]:
    """Every target once, in order: files and factories as given, the specs within folders, sorted by name.

    Other YAML in a folder is passed over: a spec has ``data`` and ``model`` (or ``extends``) at its top level.

    Raises:
        UserError: folders and patterns in which there is no spec.
    """
    found: dict[str, None] = {}
    problems: list[Problem] = []
    for target in targets:
        if Path(target).is_dir():
            inside = list(_specs_in(target))
            if not inside:
                problems.append(Problem(message="no spec is in this folder", location=Location(file=target)))
            found |= dict.fromkeys(inside)
        elif glob.has_magic(target) and not Path(target).exists():
            named = sorted(glob.glob(target, recursive=True))  # noqa: PTH207 - Path.glob refuses absolute patterns
            if not named:
                problems.append(Problem(message="no file is called like this", value=target))
            found |= dict.fromkeys(named)
        else:
            found[target] = None
    if problems:
        raise UserError(*problems)
    return list(found)


def _specs_in(folder: str) -> Iterator[str]:
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                path = Path(where) / name
                if _is_spec(path):
                    yield str(path)


def _is_spec(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            text = stream.read(READ_BYTES)
    except OSError:
        return False
    if re.search(rb"^extends\s*:", text, re.MULTILINE):
        return re.search(b"|".join(SPEC_KEYS), text, re.MULTILINE) is not None
    return all(re.search(key, text, re.MULTILINE) for key in SPEC_KEYS)
