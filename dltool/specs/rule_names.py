"""Rules that a spec names have to exist: found out while it is loaded, not after an hour of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dltool.core.errors import Problem, UserError
from dltool.rules.select import choose
from dltool.specs.nodes import KeyPath, Node, dotted, follow
from dltool.specs.schema.train import Rules


def problems_with_names(rules: Rules, root: Node) -> list[Problem]:
    """One problem for each rule or threshold under ``rules`` that dltool does not have, at its place in ``root``."""
    ignored = _refused(((name, {name: reason}, {}) for name, reason in rules.ignore.items()), ("rules", "ignore"), root)
    limits = _refused(((name, {}, {name: limit}) for name, limit in rules.thresholds.items()), ("rules", "thresholds"), root)
    return [*ignored, *limits]


def _refused(
    named: Iterator[tuple[str, Mapping[str, str], Mapping[str, float]]], path: KeyPath, root: Node
) -> Iterator[Problem]:
    for name, ignore, thresholds in named:
        try:
            choose((), ignore, thresholds)
        except UserError as error:
            node = follow(root, (*path, name))[1]
            yield replace(error.problems[0], location=node.key_at or node.at, key=dotted((*path, name)), value=None)
