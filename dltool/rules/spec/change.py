"""The change to a spec that would cure a finding, in a form that can be written into its text.

Each is a mapping: ``key``, and ``value`` to set there, ``delete`` to take it out, or ``before`` to insert a layer in
front of it. An argument's key goes through the layer's name ("model.layers.3.dropout.p"), also where the spec wrote a bare
number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Change = Mapping[str, object]
Evidence = dict[str, Sequence[Change]]


def put(key: str | None, value: object) -> Evidence:
    """Set ``key`` to ``value``; nothing for a finding that no key of a spec stands for."""
    return {} if key is None else {"change": [{"key": key, "value": value}]}


def drop(key: str | None) -> Evidence:
    """Take ``key`` out."""
    return {} if key is None else {"change": [{"key": key, "delete": True}]}


def insert(keys: Sequence[str | None], layer: str) -> Evidence:
    """Put a layer in front of the one at each of ``keys``."""
    known = [key for key in keys if key is not None]
    return {"change": [{"key": key, "before": layer} for key in known]} if known else {}


def put_all(keys: Sequence[str | None], value: object) -> Evidence:
    """Set each of ``keys`` to ``value``."""
    known = [key for key in keys if key is not None]
    return {"change": [{"key": key, "value": value} for key in known]} if known else {}


def below(key: str | None, *parts: str) -> str | None:
    """The key further down."""
    return None if key is None else ".".join((key, *parts))
