"""A spec from file to validated model: read, merge what it extends, override, resolve references, validate."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dltool.core.errors import Location, SpecError
from dltool.core.suppression import Order, Suppression
from dltool.specs import overrides as command_line
from dltool.specs.comments.in_yaml import orders_of
from dltool.specs.merge import Extender
from dltool.specs.nodes import KeyPath, Node, dotted, follow, walk
from dltool.specs.places import is_path, place_at
from dltool.specs.problems import problems_of
from dltool.specs.references import resolve
from dltool.specs.rule_names import problems_with_names
from dltool.specs.schema.spec import Spec


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A validated spec. ``resolved`` is what was validated: plain values after extends, overrides and references.

    ``sha256`` is the hash of ``resolved``, so it does not change with comments or the order of keys.
    """

    path: str
    spec: Spec
    resolved: dict[str, Any]
    sha256: str
    tree: Node
    orders: tuple[Order, ...] = ()
    """The comments ``# dltool: ignore[...]`` in the spec and in what it extends."""

    def key_lines(self) -> dict[str, Location]:
        """Where each key was written, by its dotted path."""
        return {dotted(path): node.key_at or node.at for path, node in walk(self.tree)}

    def ignored_rules(self) -> dict[str, Suppression]:
        """What ``rules.ignore`` names, each with its reason and its place."""
        found = {}
        for name, reason in self.spec.rules.ignore.items():
            at = self.locate(("rules", "ignore", name))
            found[name] = Suppression(by="spec", reason=reason, file=at.file, line=at.line)
        return found

    def locate(self, key_path: KeyPath) -> Location:
        """Where a key (or an entry of a list) was written; the nearest thing around it when it was not written itself."""
        node = follow(self.tree, key_path)[1]
        return node.key_at or node.at

    @property
    def directory(self) -> Path:
        """The spec's own folder, which the paths in ``spec`` are relative to."""
        return Path(self.path).parent


def load(path: str, overrides: Sequence[str] = (), *, environment: Mapping[str, str] | None = None) -> LoadedSpec:
    """Load the spec in file ``path``.

    Raises:
        SpecError: with all that is wrong with it, as far as one mistake does not hide another.
    """
    extender = Extender()
    return _finish(extender.read(path), extender, path, overrides, environment)


def load_text(text: str, path: str, overrides: Sequence[str] = ()) -> LoadedSpec:
    """Load a spec from its text, as if it stood in file ``path``."""
    extender = Extender()
    return _finish(extender.read_as(path, text), extender, path, overrides, None)


def _finish(
    root: Node, read: Extender, path: str, overrides: Sequence[str], environment: Mapping[str, str] | None
) -> LoadedSpec:
    root, problems = command_line.apply(root, overrides)
    problems += read.problems
    tree, broken = resolve(root, environment)
    problems += broken
    assert isinstance(tree.value, dict)
    tree = tree.with_value({key: child for key, child in tree.value.items() if key != "vars"})
    tree = _rebased(tree, Path(path).parent, ())
    resolved = tree.plain()
    try:
        spec = Spec.model_validate(resolved)
        problems += problems_with_names(spec.rules, tree)
    except ValidationError as error:
        already = {problem.key for problem in problems}
        problems += [p for p in problems_of(error.errors(include_url=False), tree) if p.key not in already]
    if problems:
        raise SpecError(*problems)
    return LoadedSpec(path, spec, resolved, _sha256(resolved), tree, orders_of(read.comments, tree))


def _sha256(resolved: dict[str, Any]) -> str:
    text = json.dumps(resolved, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _rebased(node: Node, directory: Path, path: KeyPath) -> Node:
    """Paths that another folder's file (or the command line) names, made relative to the spec's own folder."""
    if isinstance(node.value, dict):
        return node.with_value({key: _rebased(child, directory, (*path, key)) for key, child in node.value.items()})
    if isinstance(node.value, list):
        return node.with_value([_rebased(child, directory, (*path, index)) for index, child in enumerate(node.value)])
    if not isinstance(node.value, str) or _folder_of(node.at.file) == directory:
        return node
    field = place_at(path).field
    if field is None or not is_path(field) or Path(node.value).is_absolute():
        return node
    written_in = _folder_of(node.at.file)
    return node.with_value(Path(os.path.relpath(written_in / node.value, directory)).as_posix())


@lru_cache(maxsize=64)
def _folder_of(file: str) -> Path:
    return Path() if file == command_line.COMMAND_LINE else Path(file).parent
