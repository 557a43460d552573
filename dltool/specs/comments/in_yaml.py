"""Comments to dltool in a spec: beside a key, or on a line of their own above one."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from dltool.core.errors import Location, Problem
from dltool.core.suppression import Order, Suppression
from dltool.specs.comments.order import MARK, read_order
from dltool.specs.nodes import Node, dotted, walk

_COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SpecComment:
    """An order in a spec, and the line whose keys it is about."""

    rules: tuple[str, ...]
    reason: str | None
    file: str
    line: int
    about_line: int


def comments_in(text: str, file: str, problems: list[Problem]) -> list[SpecComment]:
    """Every order in a document that is known to be YAML; what is wrong with one is added to ``problems``."""
    if MARK not in text:
        return []
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    found = []
    spans = list(_spans(text))
    ends = [end for _, end in spans]
    for match in _COMMENT.finditer(text):
        at = bisect.bisect_right(ends, match.start())
        within = at < len(spans) and spans[at][0] <= match.start()
        said = None if within else read_order(match[0])
        if said is None:
            continue
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - (text.rfind("\n", 0, match.start()) + 1) + 1
        place = Location(file=file, line=line, column=column)
        problems += [replace(problem, location=place, key=None) for problem in said.problems]
        if said.rules:
            found.append(SpecComment(said.rules, said.reason, file, line, _line_meant(text, line)))
    return found


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where scalars stand: a ``#`` in one is no comment."""
    loader: Any = yaml.SafeLoader(text)
    while loader.check_token():
        token = loader.get_token()
        if isinstance(token, yaml.ScalarToken):
            yield token.start_mark.index, token.end_mark.index


def _line_meant(text: str, line: int) -> int:
    """The comment's own, or if there is nothing else on it the next one with something on it."""
    lines = text.split("\n")
    for number in range(line, len(lines) + 1):
        bare = lines[number - 1].strip()
        if bare and not bare.startswith("#"):
            return number
    return line


def orders_of(comments: list[SpecComment], tree: Node) -> tuple[Order, ...]:
    """Comments with the keys of the finished spec that begin on their lines; a base's hold for what is left of the base."""
    if not comments:
        return ()
    begun: dict[tuple[str, int | None], set[str]] = {}
    for path, node in walk(tree):
        for at in (node.key_at, node.at):
            if at is not None:
                begun.setdefault((at.file, at.line), set()).add(dotted(path))
    return tuple(
        Order(
            rules=comment.rules,
            suppression=Suppression(by="comment", reason=comment.reason, file=comment.file, line=comment.line),
            first_line=comment.about_line,
            last_line=comment.about_line,
            keys=frozenset(begun.get((comment.file, comment.about_line), ())),
        )
        for comment in comments
    )
