"""``${vars.width}`` and ``${env:NAME,default}``: a reference alone keeps the type of what it names; within text it is text.

``$${`` writes ``${`` itself. There is no arithmetic, on purpose.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from dltool.core.errors import Problem, closest
from dltool.specs.nodes import MAX_DEPTH, Budget, KeyPath, Node, Scalar, dotted
from dltool.specs.yaml_nodes import scalar

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")


def resolve(root: Node, environment: Mapping[str, str] | None = None) -> tuple[Node, list[Problem]]:
    """The document with every reference replaced, and those that name nothing or lead in a circle (left as they are).

    Raises:
        SpecError: when the document grows too large or too deep.
    """
    resolution = _Resolution(root, os.environ if environment is None else environment)
    return resolution.deep(root, (), (), depth=1), resolution.problems


class _BrokenError(Exception):
    """A reference that cannot be replaced; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class _Resolution:
    def __init__(self, root: Node, environment: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._environment = environment
        self._budget = Budget()

    def deep(self, node: Node, path: KeyPath, open_: tuple[str, ...], depth: int) -> Node:
        """``node`` and all below it; ``open_`` are the references being replaced on the way here."""
        self._budget.spend(node.at, depth)
        if isinstance(node.value, dict):
            return node.with_value({k: self.deep(c, (*path, k), open_, depth + 1) for k, c in node.value.items()})
        if isinstance(node.value, list):
            return node.with_value([self.deep(c, (*path, i), open_, depth + 1) for i, c in enumerate(node.value)])
        if not isinstance(node.value, str) or "${" not in node.value:
            return node
        try:
            return self._text(node, node.value, path, open_, depth)
        except _BrokenError as broken:
            if broken.problem not in self.problems:
                self.problems.append(broken.problem)
            return node

    def _text(self, node: Node, text: str, path: KeyPath, open_: tuple[str, ...], depth: int) -> Node:
        whole = _REFERENCE.fullmatch(text)
        if whole and whole[1] is not None:
            target = self._target(whole[1], node, path, open_, depth)
            return Node(target.value, target.at, node.key_at)
        parts, end = [], 0
        for match in _REFERENCE.finditer(text):
            parts += [text[end : match.start()], self._part(match, node, path, open_, depth)]
            end = match.end()
        return node.with_value("".join([*parts, text[end:]]))

    def _part(self, match: re.Match[str], node: Node, path: KeyPath, open_: tuple[str, ...], depth: int) -> str:
        if match[0] == "$${":
            return "${"
        if match[1] is None:
            raise self._broken("a reference is opened by ${ and not closed", node, path)
        value = self._target(match[1], node, path, open_, depth).value
        if isinstance(value, dict | list):
            raise self._broken(f"${{{match[1]}}} is no single value, so it cannot stand within text", node, path)
        return _written(value)

    def _target(self, name: str, node: Node, path: KeyPath, open_: tuple[str, ...], depth: int) -> Node:
        if name.startswith("env:"):
            return self._from_environment(name.removeprefix("env:"), node, path)
        if name in open_:
            circle = " -> ".join(f"${{{n}}}" for n in (*open_[open_.index(name) :], name))
            raise self._broken(f"references lead in a circle: {circle}", node, path)
        if len(open_) >= MAX_DEPTH:
            raise self._broken(f"references lead through more than {MAX_DEPTH} others", node, path)
        return self.deep(self._find(name, node, path, (*open_, name)), path, (*open_, name), depth)

    def _find(self, name: str, user: Node, path: KeyPath, open_: tuple[str, ...]) -> Node:
        node = self._root
        parts = name.split(".")
        for index, part in enumerate(parts):
            if isinstance(node.value, str) and "${" in node.value:
                node = self._text(node, node.value, path, open_, depth=1)
            child = node.child(int(part) if part.isdecimal() and isinstance(node.value, list) else part)
            if child is None:
                known = [".".join([*parts[:index], key]) for key in node.value] if isinstance(node.value, dict) else []
                raise self._broken(f"${{{name}}} names nothing in this spec", user, path, closest(name, known))
            node = child
        return node

    def _from_environment(self, text: str, node: Node, path: KeyPath) -> Node:
        name, comma, default = text.partition(",")
        value = self._environment.get(name.strip(), default.strip() if comma else None)
        if value is None:
            raise self._broken(f"the environment variable {name} is not set, and ${{env:{name}}} has no default", node, path)
        try:
            return node.with_value(scalar(value))
        except ValueError:
            return node.with_value(value)

    def _broken(self, message: str, node: Node, path: KeyPath, suggestion: str | None = None) -> _BrokenError:
        return _BrokenError(Problem(message=message, location=node.at, key=dotted(path), suggestion=suggestion))


def _written(value: Scalar) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
