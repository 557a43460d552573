"""Comments to dltool in Python source: they hold for the whole statement that they stand beside, or above."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

from dltool.core.errors import Problem
from dltool.core.suppression import Order, Stale, Suppression
from dltool.specs.comments.order import MARK, read_order

MAX_BYTES = 2**22
"""Of one source file; the largest in torch has under 1 MiB."""


def orders_in(file: str) -> tuple[list[Order], list[Stale]]:
    """The orders in a file, and those that mean nothing; none in a file that cannot be read or is no Python."""
    text = _text(file)
    if text is None or MARK not in text:
        return [], []
    orders: list[Order] = []
    wrong: list[Stale] = []
    for comment, line, first, last in _comments(text):
        said = read_order(comment)
        if said is None:
            continue
        why = Suppression(by="comment", reason=said.reason, file=file, line=line)
        wrong += [Stale(rule=_named(problem), suppression=why, message=_told(problem)) for problem in said.problems]
        if said.rules:
            orders.append(Order(rules=said.rules, suppression=why, first_line=first, last_line=last))
    return orders, wrong


def _text(file: str) -> str | None:
    path = Path(file)
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        with tokenize.open(file) as stream:
            return stream.read()
    except (OSError, SyntaxError, ValueError):
        return None


def _comments(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Comments with their line, and the first and last line of their statement; the next one's if they stand alone."""
    waiting: list[tuple[str, int]] = []
    first: int | None = None
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                waiting.append((token.string, token.start[0]))
            elif token.type == tokenize.NEWLINE:
                yield from ((comment, line, first or line, token.start[0]) for comment, line in waiting)
                waiting, first = [], None
            elif token.type not in {tokenize.NL, tokenize.INDENT, tokenize.DEDENT} and first is None:
                first = token.start[0]
    except (tokenize.TokenError, SyntaxError):
        return


def _named(problem: Problem) -> str:
    return (problem.value or "").strip("'\"")


def _told(problem: Problem) -> str:
    meant = f"; did you mean {problem.suggestion!r}?" if problem.suggestion else ""
    expected = f"; expected {problem.expected}" if problem.expected and not meant else ""
    return f"in a comment: {problem.message}{expected}{meant}"
