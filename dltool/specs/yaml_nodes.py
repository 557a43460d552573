"""YAML text to nodes: YAML 1.2's idea of numbers and booleans, no duplicate keys, no tags that make objects, bounded size.

The pure-Python scanner is used on purpose: libyaml's crashes the interpreter on deep nesting. Values follow the core schema
of YAML 1.2.2 (§10.3.2) without its 0o and 0x integers: ``1e-3`` is a number, ``no`` and ``12:30`` are text, ``010`` is 10.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

import yaml
from yaml.composer import Composer
from yaml.error import Mark

from dltool.core.errors import Location, Problem, SpecError
from dltool.specs.nodes import MAX_DEPTH, MAX_VALUES, Budget, Node, Scalar
from dltool.specs.yaml_scanner import FastScanner

MAX_BYTES = 2**20
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"

_PLAIN = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
)

_PLAINER = {
    "found character '\\t' that cannot start any token": "a tab stands where YAML wants spaces",
    "mapping values are not allowed here": "a colon is out of place: check the indentation, or put quotes around the text",
    "could not find expected ':'": "a key without a colon: check the line above for an open quote, bracket or missing colon",
    "found unexpected end of stream": "a quote is opened and not closed",
}


class _Loader(FastScanner):
    """SafeLoader up to its node graph, with plain scalars as in YAML 1.2 and a limit on depth and count."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        self._values += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"nested deeper than {MAX_DEPTH} levels")
        if self._values > MAX_VALUES:
            self._refuse(f"a spec has at most {MAX_VALUES} values")
        node: yaml.Node | None = Composer.compose_node(self, parent, index)
        self._depth -= 1
        return node

    def _refuse(self, why: str) -> None:
        mark = cast("Any", self).peek_event().start_mark
        raise yaml.MarkedYAMLError(problem=why, problem_mark=mark)


def add_plain_scalars(yaml_class: Any) -> None:
    """Teach a PyYAML loader or dumper which plain scalars are not text here."""
    for kind, pattern, first in _PLAIN:
        yaml_class.add_implicit_resolver(_TAG + kind, re.compile(f"(?:{pattern})$"), first)


_Loader.yaml_implicit_resolvers = {}
add_plain_scalars(_Loader)


def parse(text: str, file: str) -> Node | None:
    """The one document in ``text``, or None when there is nothing but comments.

    Raises:
        SpecError: when it is no YAML, or YAML that a spec has no use for; duplicate keys are reported all at once.
    """
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    try:
        document = compose(text)
    except yaml.reader.ReaderError as error:
        at = _place(text, error.position, file)
        problem = Problem(message="a character that YAML does not allow", location=at, value=f"{error.character:#04x}")
        raise SpecError(problem) from None
    except yaml.MarkedYAMLError as error:
        raise SpecError(_syntax_problem(error, text, file)) from None
    if document is None:
        return None
    conversion = _Conversion(file)
    node = conversion.node(document, depth=1)
    if conversion.problems:
        raise SpecError(*conversion.problems)
    return node


def scalar(text: str) -> Scalar:
    """What ``text`` means as a plain scalar: a number, true, false, null or itself.

    Raises:
        ValueError: for a whole number of more digits than Python reads.
    """
    for kind, pattern, _ in _PLAIN:
        if re.fullmatch(pattern, text):
            return _value_of(kind, text)
    return text


@lru_cache(maxsize=4)
def compose(text: str) -> yaml.Node | None:
    """PyYAML's own nodes, with the marks of where each begins and ends; None when there is nothing but comments.

    The last few are kept: who edits a text reads the old and the new one several times. Nobody may change them.
    """
    loader: Any = _Loader(text)
    try:
        loader.get_event()
        if loader.check_event(yaml.StreamEndEvent):
            return None
        document: yaml.Node = loader.compose_document()
        if not loader.check_event(yaml.StreamEndEvent):
            mark = loader.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="a second document begins; a spec is one document", problem_mark=mark)
        return document
    finally:
        loader.dispose()


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Problem(message=str(error.problem), location=Location(file=file))
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if line[: mark.column].endswith("$"):
        message = "put quotes around a reference within braces or brackets, as in '${vars.width}'"
        return Problem(message=message, location=_location(mark, file))
    message = "a tab stands where YAML wants spaces" if "\t" in indent else _plainer(str(error.problem))
    return Problem(message=message, location=_location(mark, file))


def _plainer(problem: str) -> str:
    if problem.startswith("expected <block end>"):
        return "the indentation does not fit the lines above"
    return _PLAINER.get(problem, problem)


def _location(mark: Mark, file: str) -> Location:
    return Location(file=file, line=mark.line + 1, column=mark.column + 1)


def _place(text: str, position: int, file: str) -> Location:
    before = text[:position]
    return Location(file=file, line=before.count("\n") + 1, column=position - before.rfind("\n"))


def _value_of(kind: str, text: str) -> Scalar:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text)
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


class _Conversion:
    """PyYAML's nodes to ours: aliases written out, merge keys merged, keys checked."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._budget = Budget()
        self._open: set[int] = set()

    def node(self, source: yaml.Node, depth: int, key_at: Location | None = None) -> Node:
        at = _location(source.start_mark, self._file)
        self._budget.spend(at, depth)
        if id(source) in self._open:
            raise SpecError(Problem(message="an alias contains itself", location=at))
        self._open.add(id(source))
        try:
            return Node(self._value(source, at, depth), at, key_at)
        finally:
            self._open.discard(id(source))

    def _value(self, source: yaml.Node, at: Location, depth: int) -> Scalar | dict[str, Node] | list[Node]:
        kind = source.tag.removeprefix(_TAG)
        if isinstance(source, yaml.MappingNode) and kind == "map":
            return self._mapping(source, depth)
        if isinstance(source, yaml.SequenceNode) and kind == "seq":
            return [self.node(item, depth + 1) for item in source.value]
        if isinstance(source, yaml.ScalarNode) and kind in ("null", "bool", "int", "float", "str", "merge"):
            return self._scalar(kind, source.value, at)
        tag = source.tag.replace(_TAG, "!!")
        self.problems.append(Problem(message="a spec holds plain values; this tag is not one", location=at, value=tag))
        return None

    def _scalar(self, kind: str, text: str, at: Location) -> Scalar:
        if any("\ud800" <= character <= "\udfff" for character in text):
            self.problems.append(Problem(message="half a surrogate pair is no character", location=at, value=ascii(text)))
            return None
        try:
            return _value_of(kind, text)
        except ValueError:
            self.problems.append(Problem(message=f"cannot be read as {kind}", location=at, value=_short(text)))
            return None

    def _mapping(self, source: yaml.MappingNode, depth: int) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in source.value:
            at = _location(key.start_mark, self._file)
            if key.tag == _MERGE:
                merged = self._merged(value, depth) | merged
            elif not isinstance(key, yaml.ScalarNode) or not key.value or not key.value.isprintable():
                self.problems.append(Problem(message="a key has to be a name", location=at))
            elif key.value in own:
                self.problems.append(self._duplicate(key.value, at, own[key.value].key_at))
            else:
                own[key.value] = self.node(value, depth + 1, at)
        return merged | own

    def _merged(self, source: yaml.Node, depth: int) -> dict[str, Node]:
        """``<<: *base`` or ``<<: [*first, *second]``: keys that are not there already; the first of a list wins."""
        node = self.node(source, depth + 1)
        parts = node.value if isinstance(node.value, list) else [node]
        result: dict[str, Node] = {}
        for part in reversed(parts):
            if not isinstance(part.value, dict):
                self.problems.append(Problem(message="<< takes a mapping or a list of mappings", location=part.at))
            else:
                result |= part.value
        return result

    @staticmethod
    def _duplicate(key: str, at: Location, first: Location | None) -> Problem:
        place = f"line {first.line}, column {first.column}" if first else "above"
        return Problem(message=f"the key stands twice; it is first at {place}", location=at, key=key)


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def read_text(path: Any, shown: str) -> str:
    """A spec file's text.

    Raises:
        SpecError: when it is missing, a folder, too large or not UTF-8.
    """
    at = Location(file=shown)
    try:
        with open(path, "rb") as stream:  # noqa: PTH123  (a descriptor such as /dev/stdin has no useful Path)
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError(Problem(message="there is no such file", location=at)) from None
    except IsADirectoryError:
        raise SpecError(Problem(message="is a folder, not a spec", location=at)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SpecError(Problem(message=f"cannot be read: {reason}", location=at)) from None
    if len(data) > MAX_BYTES:
        raise SpecError(Problem(message=f"is larger than {MAX_BYTES} bytes, too large for a spec", location=at))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SpecError(Problem(message="is UTF-16; save it as UTF-8", location=at))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        at = Location(file=shown, line=before.count(b"\n") + 1, column=error.start - before.rfind(b"\n"))
        raise SpecError(Problem(message="is not UTF-8 here", location=at, value=f"byte {data[error.start]:#04x}")) from None
