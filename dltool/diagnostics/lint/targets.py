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
INNER_KEY = rb"^[^#\n]*[\s{,](layers|csv|npz|npy|parquet|jsonl|images|synthetic)\s*:"
"""What a spec has in its model or its data, and the ``model`` and ``data`` of other tools have not."""
READ_BYTES = 2**20


def expanded(targets: Iterable[str], *, specs_only: bool = False) -> list[str]:
    """Every target once, in order: files and factories as given, the specs within folders and patterns, sorted by name.

    Other YAML there is passed over, and with ``specs_only`` also among files that were named: a spec has ``data`` and
    ``model`` (or ``extends``) at its top level, and layers or a source of data below.

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
            specs = [name for name in named if not name.endswith(SUFFIXES) or _is_spec(Path(name))]
            if named and not specs:
                problems.append(Problem(message="no spec is among these files", value=target))
            found |= dict.fromkeys(specs)
        elif not (specs_only and target.endswith(SUFFIXES) and Path(target).is_file() and not _is_spec(Path(target))):
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
    return all(re.search(key, text, re.MULTILINE) for key in (*SPEC_KEYS, INNER_KEY))
