"""The catalogue of rules as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from dltool.core import codec
from dltool.rules.base import Rule
from dltool.rules.explain import page_of


def catalogue_json(rules: Iterable[type[Rule]]) -> str:
    """A list of pages, in the order of the catalogue."""
    return codec.dumps([page_of(rule) for rule in rules], indent=2) + "\n"


def rule_json(rule: type[Rule]) -> str:
    """One page."""
    return codec.dumps(page_of(rule), indent=2) + "\n"
