"""``a.b=v`` sets a value of the spec from the command line, ``a.0.b=v`` one in a list, ``~a`` removes one."""

from __future__ import annotations

from collections.abc import Sequence

from dltool.core.errors import Location, Problem, SpecError, closest
from dltool.specs.merge import drop_rivals
from dltool.specs.nodes import KeyPath, Node, dotted
from dltool.specs.places import place_at
from dltool.specs.schema.base import Family, Named
from dltool.specs.yaml_nodes import parse

COMMAND_LINE = "command line"
_AT = Location(file=COMMAND_LINE)


def apply(root: Node, overrides: Sequence[str]) -> tuple[Node, list[Problem]]:
    """The document with the overrides made, in order, and what is wrong with those that could not be."""
    problems: list[Problem] = []
    for override in overrides:
        try:
            root = _apply_one(root, override)
        except SpecError as error:
            problems += error.problems
    return root, problems


def _apply_one(root: Node, override: str) -> Node:
    if override.startswith("~"):
        return _edit(root, _parts(override[1:], override), None, ())
    key, equals, text = override.partition("=")
    if not equals:
        raise _error("neither key=value nor ~key", override)
    return _edit(root, _parts(key, override), _value(text, override), ())


def _parts(key: str, override: str) -> list[str]:
    parts = key.strip().split(".")
    if not all(parts):
        raise _error("the key has an empty part", override)
    return parts


def _value(text: str, override: str) -> Node:
    try:
        node = parse(text, COMMAND_LINE)
    except SpecError as error:
        raise _error(f"the value cannot be read: {error.problems[0].message}", override) from None
    return _from_command_line(node or Node(None, _AT))


def _from_command_line(node: Node) -> Node:
    if isinstance(node.value, dict):
        return Node({key: _from_command_line(child) for key, child in node.value.items()}, _AT, _AT)
    if isinstance(node.value, list):
        return Node([_from_command_line(child) for child in node.value], _AT, _AT)
    return Node(node.value, _AT, _AT)


def _edit(node: Node, parts: list[str], value: Node | None, path: KeyPath) -> Node:
    """``node`` with ``value`` at ``parts`` below it; None removes what is there."""
    node = _opened(node, parts[0], path)
    whole_key = dotted((*path, *parts))
    if isinstance(node.value, list):
        return node.with_value(_edit_list(node.value, parts, value, path))
    meant = _behind_its_name(node, parts, path)
    if not isinstance(node.value, dict):
        raise _error(f"{dotted(path)} is a single value, without keys", whole_key, meant)
    key, rest = _longest_key(node.value, parts)
    if key not in node.value and (value is None or meant):
        raise _error("there is no such key", whole_key, meant or closest(key, node.value))
    children = drop_rivals(node.value, {key: node}, path)
    if rest:
        children[key] = _edit(children.get(key, Node(None, _AT, _AT)), rest, value, (*path, key))
    elif value is None:
        del children[key]
    else:
        children[key] = value
    return node.with_value(children)


def _behind_its_name(node: Node, parts: list[str], path: KeyPath) -> str | None:
    """``optimizer.adam.lr`` where ``optimizer.lr`` was written."""
    name = next(iter(node.value), None) if isinstance(node.value, dict) else node.value
    members = {name: member for family in place_at(path).families() for name, member in family.members.items()}
    if not isinstance(name, str) or name not in members or parts[0] in members or parts[0] not in members[name].model_fields:
        return None
    return dotted((*path, name, *parts))


def _edit_list(items: list[Node], parts: list[str], value: Node | None, path: KeyPath) -> list[Node]:
    try:
        index = range(len(items))[int(parts[0])]
    except (ValueError, IndexError):
        message = f"{dotted(path)} is a list of {len(items)}; its entries are numbered from 0"
        raise _error(message, dotted((*path, *parts))) from None
    rest = parts[1:]
    changed = _edit(items[index], rest, value, (*path, index)) if rest else value
    return [*items[:index], *([] if changed is None else [changed]), *items[index + 1 :]]


def _opened(node: Node, part: str, path: KeyPath) -> Node:
    """A bare name or a short form made a mapping, so that there is something to set a key in."""
    if node.value is None:
        return node.with_value({})
    place = place_at(path)
    names = {name for family in place.families() for name in family.members}
    if isinstance(node.value, str) and node.value in names and part in names:
        return node.with_value({node.value: Node(None, node.at, node.at)})
    for member in place.containers:
        if isinstance(node.value, dict | list) or isinstance(member, Family) or not issubclass(member, Named):
            continue
        if member.first and part in member.model_fields:
            return node.with_value({member.first: Node(node.value, node.at)})
    return node


def _longest_key(mapping: dict[str, Node], parts: list[str]) -> tuple[str, list[str]]:
    """Keys may hold dots themselves (``dead-relu.fraction``): the longest one that is there is meant."""
    for length in range(len(parts), 0, -1):
        key = ".".join(parts[:length])
        if key in mapping:
            return key, parts[length:]
    return parts[0], parts[1:]


def _error(message: str, override: str, suggestion: str | None = None) -> SpecError:
    return SpecError(Problem(message=message, location=_AT, key=override, suggestion=suggestion))
