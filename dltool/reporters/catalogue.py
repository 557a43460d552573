"""The catalogue of rules as JSON, and the pieces of a rule's page."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from dltool.core import codec
from dltool.rules.base import Rule


def summary_of(rule: type[Rule]) -> str:
    """The first paragraph of the rule's page, on one line."""
    return " ".join(page_of(rule).split("\n\n")[0].split())


def page_of(rule: type[Rule]) -> str:
    """The rule's page: its docstring, outdented."""
    return inspect.getdoc(rule) or ""


def catalogue_json(rules: Iterable[type[Rule]]) -> str:
    """A list of rules in the order of the catalogue."""
    return codec.dumps([_facts(rule) for rule in rules], indent=2) + "\n"


def rule_json(rule: type[Rule]) -> str:
    """One rule, with its page."""
    return codec.dumps(_facts(rule) | {"page": page_of(rule)}, indent=2) + "\n"


def _facts(rule: type[Rule]) -> dict[str, Any]:
    return {
        "rule": rule.id,
        "name": rule.name,
        "severity": rule.severity,
        "summary": summary_of(rule),
        "needs": [section.key for section in rule.needs],
        "thresholds": list(rule.thresholds),
        "explains": list(rule.explains),
    }
