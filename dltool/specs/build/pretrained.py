"""Transfer learning: weights taken over by name, and what is kept as it is.

A pattern is shell-style and matches a module's path, a parameter's name or, of a layer of the spec, its kind: ``residual*``
freezes every residual block, named or not. A module that matches is meant with all that is in it.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dltool.core.errors import closest
from dltool.specs.misfit import MisfitError, first_line, shape_text

TORCH_SUFFIXES = frozenset({".pt", ".pth", ".bin"})


def matching(model: nn.Module, pattern: str, kinds: Mapping[str, str]) -> set[str]:
    """Names of the parameters and buffers that ``pattern`` means; ``kinds`` has the kind of each layer by module path.

    Raises:
        MisfitError: it means none.
    """
    paths = [path for path, _ in model.named_modules() if path]
    meant = {path for path in paths if fnmatchcase(path, pattern) or fnmatchcase(kinds.get(path, ""), pattern)}
    names = [name for name, _ in (*model.named_parameters(), *model.named_buffers())]
    found = {name for name in names if fnmatchcase(name, pattern) or any(name.startswith(f"{path}.") for path in meant)}
    if not found and not meant:
        near = closest(pattern, [*paths, *names, *kinds.values()])
        meant_text = f"a layer's name, number or kind{f'; did you mean {near!r}?' if near else ''}"
        raise MisfitError("no module or parameter matches", value=pattern, expected=meant_text)
    return found


def freeze(model: nn.Module, names: Collection[str]) -> frozenset[str]:
    """Freeze the parameters in ``names``; returns the batch norms to be kept in eval: those that have nothing left to learn.

    A batch norm without parameters is kept in eval when one of its buffers is in ``names``.
    """
    for name, parameter in model.named_parameters():
        if name in names:
            parameter.requires_grad_(False)  # noqa: FBT003 - torch takes it by position alone
    kept = set()
    for path, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            own = [
                f"{path}.{name}".lstrip(".") for name in (*dict(module.named_parameters()), *dict(module.named_buffers()))
            ]
            if own and all(name in names for name in own):
                kept.add(path)
    return frozenset(kept)


def load_weights(model: nn.Module, path: Path, skipped: Collection[str]) -> None:
    """Copy the weights of a file into the parameters and buffers of the same name, but for those in ``skipped``.

    Raises:
        MisfitError: with everything that does not go together.
    """
    state = read_weights(path)
    own = {name: tensor for name, tensor in model.state_dict().items() if name not in skipped}
    given = {name: tensor for name, tensor in state.items() if name not in skipped}
    faults = [*_missing(own, given), *_unknown(own, given), *_misshapen(own, given)]
    if faults:
        raise MisfitError(
            f"the weights do not fit this model: {'; '.join(faults)}",
            value=str(path),
            expected="the model that they were saved from; name what differs under `skip`",
            below=("weights",),
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given[name])


def _missing(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Iterable[str]:
    for name in sorted(own.keys() - given.keys()):
        yield f"{name} {shape_text(own[name].shape)} is not in the file"


def _unknown(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Iterable[str]:
    for name in sorted(given.keys() - own.keys()):
        hint = f" (did you mean {near}?)" if (near := closest(name, own)) else ""
        yield f"the file's {name} {shape_text(given[name].shape)} is not in the model{hint}"


def _misshapen(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Iterable[str]:
    for name, tensor in own.items():
        if name in given and given[name].shape != tensor.shape:
            yield f"{name} is {shape_text(given[name].shape)} in the file, {shape_text(tensor.shape)} in the model"


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a safetensors file, or of a torch file that holds nothing else (``weights_only``).

    Raises:
        MisfitError: it cannot be read, or holds more than tensors.
    """
    if not path.is_file():
        files = [entry.name for entry in path.parent.iterdir() if entry.is_file()] if path.parent.is_dir() else []
        near = closest(path.name, files)
        hint = f"a safetensors file{f', such as {near} beside it' if near else ''}"
        what = "a folder, not a file" if path.is_dir() else "no such file"
        raise MisfitError(what, value=str(path), expected=hint, below=("weights",))
    try:
        state: Any = _torch_file(path) if path.suffix in TORCH_SUFFIXES else load_file(path)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError) as error:
        raise MisfitError(
            f"the weights cannot be read: {first_line(error)}",
            value=str(path),
            expected="a safetensors file",
            below=("weights",),
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise MisfitError(
            "the file holds more than named tensors", value=str(path), expected="a state_dict", below=("weights",)
        )
    return state


def _torch_file(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("its members are compressed, as torch's never are: it may unpack to any size")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a foreign pickle protocol; what it holds is refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            "it is a pickle that would run code; save its state_dict as safetensors where you trust it"
        ) from error
