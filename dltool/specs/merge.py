"""``extends``: mappings are merged key by key, everything else is replaced by the later file's."""

from __future__ import annotations

from pathlib import Path

from dltool.core.errors import Location, Problem, SpecError
from dltool.specs.comments.in_yaml import SpecComment, comments_in
from dltool.specs.nodes import KeyPath, Node
from dltool.specs.places import place_at
from dltool.specs.yaml_nodes import parse, read_text


def merge(base: Node, over: Node, path: KeyPath = ()) -> Node:
    """``over`` on top of ``base``; another optimizer, loss or source takes the place of the one that was there."""
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    merged = drop_rivals(base.value, over.value, path)
    for key, child in over.value.items():
        merged[key] = merge(merged[key], child, (*path, key)) if key in merged else child
    return Node(merged, over.at, over.key_at)


def drop_rivals(base: dict[str, Node], over: dict[str, Node], path: KeyPath) -> dict[str, Node]:
    """``base`` without the names that a name in ``over`` excludes: only one of a family can stand in a place."""
    names = {name for family in place_at(path).families() for name in family.members}
    if not names & over.keys():
        return dict(base)
    return {key: child for key, child in base.items() if key not in names or key in over}


class Extender:
    """Reads a spec and those that it extends; each file is read once.

    ``comments`` are the orders to dltool in all of these files, and ``problems`` what is wrong with such comments.
    """

    def __init__(self) -> None:
        self.comments: list[SpecComment] = []
        self.problems: list[Problem] = []
        self._done: dict[Path, Node] = {}
        self._open: list[Path] = []

    def read(self, shown: str) -> Node:
        """The document in file ``shown`` on top of its bases.

        Raises:
            SpecError: for a file that cannot be used, or that extends itself by way of others.
        """
        return self._read(shown, Location(file=shown))

    def read_as(self, shown: str, text: str) -> Node:
        """``text`` as if it stood in file ``shown``, on top of its bases."""
        document = read_document(shown, text)
        self.comments += comments_in(text, shown, self.problems)
        return self.on_bases(document)

    def on_bases(self, root: Node) -> Node:
        """``root`` on top of the files that its ``extends`` names."""
        if not isinstance(root.value, dict) or "extends" not in root.value:
            return root
        named = root.value["extends"]
        bases = named.value if isinstance(named.value, list) else [] if named.value is None else [named]
        own = root.with_value({key: child for key, child in root.value.items() if key != "extends"})
        result: Node | None = None
        for base in bases:
            if not isinstance(base.value, str) or not base.value:
                raise SpecError(
                    Problem(message="extends names a spec file, or a list of them", location=base.at, key="extends")
                )
            file = Path(base.at.file).parent / base.value
            if not file.exists():
                raise SpecError(Problem(message="there is no such file", location=base.at, key="extends", value=str(file)))
            document = self._read(str(file), base.at)
            result = document if result is None else merge(result, document)
        return own if result is None else merge(result, own)

    def _read(self, shown: str, named_at: Location) -> Node:
        path = Path(shown).resolve()
        if path in self._done:
            return self._done[path]
        if path in self._open:
            chain = " -> ".join([*(p.name for p in self._open[self._open.index(path) :]), path.name])
            raise SpecError(
                Problem(message=f"specs extend each other in a circle: {chain}", location=named_at, key="extends")
            )
        self._open.append(path)
        try:
            self._done[path] = self.read_as(shown, read_text(shown, shown))
        finally:
            self._open.pop()
        return self._done[path]


def read_document(shown: str, text: str | None = None) -> Node:
    """One file's own mapping, without its bases.

    Raises:
        SpecError: when it cannot be read, is no YAML, is empty, or is no mapping.
    """
    root = parse(read_text(shown, shown) if text is None else text, shown)
    if root is None or root.value is None:
        raise SpecError(
            Problem(message="the spec is empty", location=Location(file=shown), expected="data: and model:, at least")
        )
    if not isinstance(root.value, dict):
        raise SpecError(Problem(message="a spec is a mapping of keys to values", location=root.at))
    return root
