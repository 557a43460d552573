"""The text below a field of a model in the schema's source, for documentation.

Pydantic can take it up itself (``use_attribute_docstrings``), but then parses the source at every start of every command.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from dltool.specs.schema.base import SpecModel


def field_doc(model: type[SpecModel], name: str) -> str:
    """What the source says of a field, of the model's own or inherited; "" where it says nothing."""
    return next(
        (docs[name] for cls in model.__mro__ if name in (docs := _docs_in(cls.__module__).get(cls.__name__, {}))), ""
    )


@cache
def _docs_in(module: str) -> dict[str, dict[str, str]]:
    """Texts by class and field."""
    if not module.startswith("dltool."):
        return {}
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: dict(_fields(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(node.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            text = below.value
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield field.target.id, inspect.cleandoc(text.value)
