"""A change to a spec written into its text, and not a byte besides: a value set, an entry deleted or inserted.

The new text has to mean what the old one means with the change, or there is none.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from dltool.core.errors import SpecError
from dltool.specs.load import load_text
from dltool.specs.nodes import KeyPath
from dltool.specs.yaml_nodes import add_plain_scalars, compose

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
MOST_COLUMNS = 120
"""Of a value that is written on one line; a longer one has no place in a correction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """Lines of a file, from ``line`` (counted from 1) on, and those that belong in their place."""

    line: int
    found: tuple[str, ...]
    corrected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """``value`` set at ``key``; with ``action`` delete the entry taken out, with before a new one put in front of it."""

    key: str
    value: object = None
    action: Literal["set", "delete", "before"] = "set"

    @property
    def path(self) -> KeyPath:
        """The parts of the key, places in lists as numbers."""
        return tuple(int(part) if part.isdecimal() else part for part in self.key.split("."))


def changes_of(suggested: Iterable[Mapping[str, Any]]) -> list[Change]:
    """Changes as rules suggest them: a key, with its ``value``, ``delete``, or a layer to insert ``before`` it."""
    return [
        Change(each["key"], action="delete")
        if "delete" in each
        else Change(each["key"], each["before"], "before")
        if "before" in each
        else Change(each["key"], each["value"])
        for each in suggested
    ]


def corrected(shown: str, text: str, changes: Iterable[Change]) -> str | None:
    """``text`` of the spec ``shown`` with all changes; None where one cannot be written as told above."""
    listed = list(changes)
    moving = [change for change in reversed(listed) if change.action != "set"]
    for change in (*(each for each in listed if each.action == "set"), *moving):  # places hold until one is moved
        try:
            new = _changed(shown, text, change)
        except SpecError:
            return None
        if new is None:
            return None
        text = new
    return text


def hunks(old: str, new: str) -> tuple[Hunk, ...]:
    """What differs between two texts, line by line."""
    before, after = old.splitlines(), new.splitlines()
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return tuple(
        Hunk(line=start + 1, found=tuple(before[start:end]), corrected=tuple(after[new_start:new_end]))
        for tag, start, end, new_start, new_end in matcher.get_opcodes()
        if tag != "equal"
    )


def _changed(shown: str, text: str, change: Change) -> str | None:
    body = text.removeprefix(BOM)
    head = text[: len(text) - len(body)]
    root = compose(body)
    wanted = _meaning(shown, text, change)
    if root is None or wanted is None:
        return None
    for new in _attempts(_Text(body, root), change, wanted):
        if new is not None and _resolved(shown, head + new) == wanted:
            return head + new
    return None


def _attempts(text: _Text, change: Change, wanted: Any) -> Iterator[str | None]:
    """The smallest edit first; then what is around it, written anew on one line."""
    path, value = change.path, _flow(change.value)
    match change.action:
        case "delete":
            yield text.deleted(path)
        case "before":
            yield text.inserted(path, value)
        case _:
            yield text.put(path, value)
    for end in range(len(path) - 1, 1, -1):
        around = _at(wanted, path[:end])
        yield None if around is None else text.rewritten(path[:end], _flow(around))


def _meaning(shown: str, text: str, change: Change) -> Any:
    """The resolved spec with the change."""
    if change.action == "set":
        return load_text(text, shown, [f"{change.key}={_flow(change.value)}"]).resolved
    if change.action == "delete":
        return load_text(text, shown, [f"~{change.key}"]).resolved
    resolved = copy.deepcopy(load_text(text, shown).resolved)
    row, at = _at(resolved, change.path[:-1]), change.path[-1]
    if not isinstance(row, list) or not isinstance(at, int) or at > len(row):
        return None
    row.insert(at, change.value)
    return resolved


def _resolved(shown: str, text: str) -> Any:
    try:
        return load_text(text, shown).resolved
    except SpecError:
        return None


def _at(value: Any, path: KeyPath) -> Any:
    for part in path:
        is_place = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if not is_place and not (isinstance(value, dict) and part in value):
            return None
        value = value[part]
    return value


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012


add_plain_scalars(_Dumper)


def _flow(value: Any) -> str:
    """A value on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.dump(plain, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


@dataclass(frozen=True, slots=True)
class _Text:
    """A document's text beside PyYAML's nodes, whose marks say where each stands."""

    text: str
    root: yaml.Node

    def put(self, path: KeyPath, value: str) -> str | None:
        """With ``value`` at ``path``: in place of what is there, or as a new entry of the mapping around it."""
        node, rest = self._deepest(path)
        if not rest:
            return self._replaced(node, value)
        if isinstance(node, yaml.ScalarNode) and node.value == rest[0]:  # ``loss: cross_entropy``
            entry = _inline(rest, value)
            return self._replaced(node, entry if self._is_listed(node) else f"{{{entry}}}")
        if isinstance(node, yaml.MappingNode) and node.value:
            return self._entry(node, _inline(rest, value))
        return None

    def rewritten(self, path: KeyPath, value: str) -> str | None:
        """With ``value`` in place of what is there already."""
        node, rest = self._deepest(path)
        return None if rest else self._replaced(node, value)

    def deleted(self, path: KeyPath) -> str | None:
        """Without the entry at ``path``."""
        node, rest = self._deepest(path[:-1])
        if rest or not isinstance(node, yaml.CollectionNode):
            return None
        span = _span_of(node, path[-1])
        if span is None:
            return None
        return self._without_flow(*span) if node.flow_style else self._without_lines(*span)

    def inserted(self, path: KeyPath, value: str) -> str | None:
        """With ``value`` before the entry at ``path``, or behind the last."""
        node, rest = self._deepest(path[:-1])
        at = path[-1]
        if rest or not isinstance(node, yaml.SequenceNode) or not isinstance(at, int) or not node.value:
            return None
        if at > len(node.value):
            return None
        last = at == len(node.value)
        neighbour = node.value[at - 1 if last else at]
        if node.flow_style:
            index = _end(neighbour) if last else neighbour.start_mark.index
            entry = f", {value}" if last else f"{value}, "
            return f"{self.text[:index]}{entry}{self.text[index:]}"
        begins = self._line_start(neighbour.start_mark.index)
        lead = self.text[begins : neighbour.start_mark.index]
        if not re.fullmatch(r"\s*- *", lead):
            return None
        index = self._line_end(_end(neighbour)) if last else begins
        newline = "\r\n" if "\r\n" in self.text else "\n"
        return f"{self.text[:index]}{lead}{value}{newline}{self.text[index:]}"

    def _deepest(self, path: KeyPath) -> tuple[yaml.Node, KeyPath]:
        """The node at as much of the path as is written, and the rest of the path."""
        node = self.root
        for done, part in enumerate(path):
            child = _child(node, part)
            if child is None:
                return node, path[done:]
            node = child
        return node, ()

    def _replaced(self, node: yaml.Node, value: str) -> str | None:
        if len(value) > MOST_COLUMNS:
            return None
        start: int = node.start_mark.index
        end = _end(node)
        space = " " if start == end and not self.text[start - 1].isspace() else ""
        return f"{self.text[:start]}{space}{value}{self.text[end:]}"

    def _is_listed(self, node: yaml.Node) -> bool:
        """Whether it stands alone behind a dash, where a mapping needs no braces."""
        start: int = node.start_mark.index
        return re.fullmatch(r"\s*- +", self.text[self._line_start(start) : start]) is not None

    def _entry(self, node: yaml.MappingNode, entry: str) -> str:
        """As the last entry of its mapping."""
        end = _end(node.value[-1][1])
        if node.flow_style:
            return f"{self.text[:end]}, {entry}{self.text[end:]}"
        newline = "\r\n" if "\r\n" in self.text else "\n"
        at = self._line_end(end)
        lead = "" if self.text[:at].endswith("\n") else newline
        return f"{self.text[:at]}{lead}{' ' * node.value[0][0].start_mark.column}{entry}{newline}{self.text[at:]}"

    def _without_lines(self, start: int, end: int) -> str | None:
        begins = self._line_start(start)
        if not re.fullmatch(r"\s*(- *)?", self.text[begins:start]):
            return None
        return self.text[:begins] + self.text[self._line_end(end) :]

    def _without_flow(self, start: int, end: int) -> str:
        behind = re.compile(r"\s*,\s*").match(self.text, end)
        if behind is not None:
            return self.text[:start] + self.text[behind.end() :]
        before = re.search(r"\s*,\s*$", self.text[:start])
        return self.text[: start if before is None else before.start()] + self.text[end:]

    def _line_start(self, index: int) -> int:
        return self.text.rfind("\n", 0, index) + 1

    def _line_end(self, index: int) -> int:
        """Behind the line break."""
        at = self.text.find("\n", index)
        return len(self.text) if at < 0 else at + 1


def _child(node: yaml.Node, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        found: yaml.Node = node.value[part]
        return found
    return None


def _span_of(node: yaml.CollectionNode, part: str | int) -> tuple[int, int] | None:
    """From where an entry begins to where it ends."""
    if isinstance(node, yaml.SequenceNode):
        child = _child(node, part)
        return None if child is None else (child.start_mark.index, _end(child))
    for key, value in node.value:
        if key.value == str(part):
            return key.start_mark.index, max(_end(value), key.end_mark.index)
    return None


def _end(node: yaml.Node) -> int:
    """Where what is written ends: PyYAML ends a block where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return max(_end(part) for part in last) if isinstance(last, tuple) else _end(last)
    end: int = node.end_mark.index
    return end


def _inline(path: KeyPath, value: str) -> str:
    """``adam: {lr: 0.01}``."""
    return f"{path[0]}: {value}" if len(path) == 1 else f"{path[0]}: {{{_inline(path[1:], value)}}}"
