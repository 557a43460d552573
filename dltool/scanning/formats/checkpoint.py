"""torch checkpoints: the archive and its checksums, then the tensors; never anything but weights."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from dltool.core.finding import Severity
from dltool.scanning.archives.zips import checksum_flaw, opened, promises
from dltool.scanning.flaws import corrupt, unsafe
from dltool.scanning.record import ColumnFacts, Flaw, Inspection, TableFacts, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source

ZIP_MARK = b"PK\x03\x04"
MOST_COLUMNS = 4096
MOST_DEPTH = 20


def inspect_checkpoint(source: Source, settings: InspectSettings) -> Inspection:
    """Open a checkpoint with ``weights_only``, which runs no code of the file's; what that refuses is refused here.

    Raises OSError.
    """
    is_zip = source.head(4) == ZIP_MARK
    flaws = _archive_flaws(source, settings) if is_zip else []
    if flaws or settings.tier is Tier.QUICK:
        return Inspection(format="checkpoint", size_bytes=source.size_bytes, flaws=tuple(flaws))
    try:
        loaded = _load(source, is_zip=is_zip)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - a hostile pickle makes torch raise anything
        return Inspection(format="checkpoint", size_bytes=source.size_bytes, flaws=(_refusal(error),))
    columns = []
    for name, tensor in _tensors(loaded, "", 0):
        facts, flaw = _facts(name, tensor)
        columns.append(facts)
        flaws += [flaw] if flaw else []
    table = TableFacts(rows=len(columns), columns=tuple(columns[:MOST_COLUMNS]))
    return Inspection(format="checkpoint", size_bytes=source.size_bytes, flaws=tuple(flaws), table=table)


def _archive_flaws(source: Source, settings: InspectSettings) -> list[Flaw]:
    with source.open() as stream, opened(stream) as archive:
        if isinstance(archive, Flaw):
            return [archive]
        found = promises(archive, source.size_bytes, settings)
        names = {member.filename.rpartition("/")[2] for member in archive.infolist()}
        if "constants.pkl" in names:
            detail = "a TorchScript archive, which holds code, so it is not opened"
            return [*found, Flaw(rule="unsafe-file", kind="torchscript", severity=Severity.WARNING, detail=detail)]
        if "data.pkl" not in names:
            return [*found, corrupt("not-a-checkpoint", "a zip archive without data.pkl: torch.load cannot read it")]
        if settings.tier is not Tier.QUICK and _has_checksums(archive):
            found += [flaw for member in archive.infolist() if (flaw := checksum_flaw(archive, member))]
    return found


def _has_checksums(archive: zipfile.ZipFile) -> bool:
    """torch.serialization.set_crc32_options(False) leaves them out, and torch.load does not mind."""
    return any(member.CRC for member in archive.infolist() if member.file_size)


def _load(source: Source, *, is_zip: bool) -> Any:
    import torch

    if is_zip and source.path is not None:
        return torch.load(source.path, map_location="cpu", weights_only=True, mmap=True)
    with source.open() as stream:
        return torch.load(stream, map_location="cpu", weights_only=True)


def _refusal(error: Exception) -> Flaw:
    import pickle

    text = " ".join(str(error).split())
    if isinstance(error, pickle.UnpicklingError) and "weights" in text.lower():
        name = text.partition("GLOBAL ")[2].split(" ")[0].rstrip(".,")
        what = f" ({name})" if name else ""
        return unsafe("pickle", f"holds more than weights{what}: loading it as a whole can run code, so it was not opened")
    return corrupt("unreadable", f"torch cannot read it: {(text or type(error).__name__)[:200]}")


def _tensors(value: Any, name: str, depth: int) -> Iterator[tuple[str, Any]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield name or "tensor", value
    elif depth < MOST_DEPTH and isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}.{key}" if name else str(key), depth + 1)
    elif depth < MOST_DEPTH and isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from _tensors(inner, f"{name}.{at}" if name else str(at), depth + 1)


def _facts(name: str, tensor: Any) -> tuple[ColumnFacts, Flaw | None]:
    import torch

    kind, count = str(tensor.dtype).removeprefix("torch."), tensor.numel()
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta or not count:
        return ColumnFacts(name=name, dtype=kind, rows=count), None
    flat = tensor.detach()
    flat = flat.real if flat.is_complex() else flat
    nan = positive = negative = 0
    if flat.is_floating_point():
        flat = flat.float() if flat.element_size() == 1 else flat
        nan, positive, negative = int(flat.isnan().sum()), int(flat.isposinf().sum()), int(flat.isneginf().sum())
        if nan + positive + negative:
            flat = flat[flat.isfinite()]
    low, high = (float(flat.min()), float(flat.max())) if flat.numel() else (None, None)
    facts = ColumnFacts(
        name=name, dtype=kind, rows=count, nan=nan, positive_inf=positive, negative_inf=negative, minimum=low, maximum=high
    )
    if not nan + positive + negative:
        return facts, None
    told = ", ".join(f"{n} {word}" for n, word in ((nan, "NaN"), (positive, "Inf"), (negative, "-Inf")) if n)
    return facts, Flaw(
        rule="non-finite-value",
        kind="nan" if nan else "inf",
        severity=Severity.ERROR,
        detail=f"the tensor {name!r} holds {told} among {count} values",
        column=name,
        count=nan + positive + negative,
    )
