"""Nested dicts, lists, tuples, numbers and tensors in one safetensors file: no pickle, so that reading one runs no code.

The tensors are stored as they are; the structure around them is JSON in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dltool.core.errors import OutputError

VERSION = "1"


class CannotBeSavedError(TypeError):
    """A value that is neither a tensor nor plain data: a user's scheduler may hold anything."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file that ``safetensors.torch.load_file`` reads.

    The format knows no shared memory: tied tensors are written once for each name. Sparse ones are written dense.

    Raises:
        OSError: the file cannot be written.
    """
    stored: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = (tensor.detach() if tensor.layout is torch.strided else tensor.detach().to_dense()).cpu().contiguous()
        address = plain.untyped_storage().data_ptr()
        stored[name] = plain.clone() if address in seen else plain
        seen.add(address)
    try:
        save_file(stored, path, metadata=dict(metadata))
    except SafetensorError as problem:  # how the library words "no space left on device"
        raise OSError(str(problem)) from problem


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` to ``path``.

    Raises:
        CannotBeSavedError: a value in it is neither a tensor nor plain data.
        OSError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    tree = _split(state, "state", tensors)
    save_tensors(path, tensors, {"dltool_state": VERSION, "tree": json.dumps(tree)})


def read(path: Path) -> dict[str, Any]:
    """Read back what ``write`` wrote; the tensors are on the CPU.

    Raises:
        OutputError: the file is damaged or of another version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("dltool_state") != VERSION:
                raise OutputError(f"{path} is not a state that this version of dltool can resume from; start a new run")
            # cloned: the library may map the file, and a tensor must outlive its replacement
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
        state = _join(json.loads(metadata["tree"]), tensors)
    except (SafetensorError, OSError, KeyError, ValueError) as problem:
        raise OutputError(f"{path} is damaged ({problem}); the run cannot be resumed, start a new one") from problem
    assert isinstance(state, dict)
    return state


def _split(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The JSON form of ``value``; what JSON lacks is an object with one key that says what it is."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor) and value.layout is not torch.strided:
        raise CannotBeSavedError(f"{name} is a sparse tensor")
    if isinstance(value, Tensor):
        key = name if name not in tensors else f"{name}#{len(tensors)}"
        tensors[key] = value
        return {"tensor": key}
    if isinstance(value, Mapping):
        pairs = [[_split(key, name, tensors), _split(item, f"{name}/{key}", tensors)] for key, item in value.items()]
        return {"dict": pairs}
    if isinstance(value, tuple):
        return {"tuple": [_split(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]}
    if isinstance(value, list):
        return [_split(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]
    raise CannotBeSavedError(f"{name} is a {type(value).__name__}")


def _join(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return [_join(item, tensors) for item in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_join(item, tensors) for item in content)
    return {_join(key, tensors): _join(item, tensors) for key, item in content}


def savable(value: Any) -> bool:
    """Whether ``write`` could store ``value``."""
    try:
        _split(value, "value", {})
    except CannotBeSavedError:
        return False
    return True


def holds_parameter(value: Any) -> bool:
    """Whether a trainable parameter itself, not a copy, is somewhere in ``value``."""
    if isinstance(value, Mapping):
        return any(holds_parameter(item) for item in value.values())
    if isinstance(value, tuple | list):
        return any(holds_parameter(item) for item in value)
    return isinstance(value, torch.nn.Parameter)
