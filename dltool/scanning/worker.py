"""A worker process: takes batches of samples from a pipe, looks into each, and answers with a line for each.

    python -c "from dltool.scanning.worker import main; main(...)"

Frames in both directions are a length (4 bytes) and that many bytes. The first to the worker is a pickled ``Orders``, the
others are marshalled lists of tasks. Which sample it is at stands in shared memory, so that the parent can tell at whose
decoder it died.
"""

from __future__ import annotations

import importlib
import marshal
import mmap
import os
import pickle
import signal
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from dltool.core.finding import Severity
from dltool.scanning.limits import die_with_parent, held_bytes, limit_memory, no_core_files
from dltool.scanning.record import Flaw, Inspection
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import FileSource, MemberSource, Source
from dltool.scanning.wire import write_inspection

Task = tuple[str, str, int, int]
"""Path, name, first byte in an archive (-1 for a whole file), size in bytes when it was listed."""

Inspector = Callable[[Source, InspectSettings], Inspection]

HEADER = struct.Struct("<I")
READY = b"ready"
STEADY, PASSING = "=", "~"
"""First character of an answer: may be kept for the next scan, or not, for the file was changing or could not be read."""
OUT_OF_MEMORY = 77
"""The exit code after a MemoryError: a process that met one is in no state to judge the next sample."""
BATCH_STRIDE = 1 << 20
RETIRE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What holds for all batches. ``inspector`` is ``module:function``; ``slot`` the worker's place in ``position_file``."""

    inspector: str
    settings: InspectSettings
    memory_bytes: int
    position_file: str
    slot: int
    parent: int


def write_frame(stream: BinaryIO, data: bytes) -> None:
    """Send ``data``, whole."""
    stream.write(HEADER.pack(len(data)) + data)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame, None where the other side has ended."""
    head = stream.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    size = HEADER.unpack(head)[0]
    data = stream.read(size)
    return data if len(data) == size else None


def main() -> None:
    """Work until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    no_core_files()
    requests, answers = own_pipes()
    first = read_frame(requests)
    if first is None:
        return
    orders: Orders = pickle.loads(first)  # noqa: S301 - our own parent wrote it
    die_with_parent(orders.parent)
    module, _, function = orders.inspector.partition(":")
    inspector: Inspector = getattr(importlib.import_module(module), function)
    limit_memory(orders.memory_bytes)
    write_frame(answers, READY)
    with Path(orders.position_file).open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        positions = memoryview(memory).cast("Q")
        try:
            _serve(requests, answers, positions, orders, inspector)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except BrokenPipeError:
            os._exit(0)


def _serve(requests: BinaryIO, answers: BinaryIO, positions: memoryview, orders: Orders, inspector: Inspector) -> None:
    slot, settings = orders.slot, orders.settings
    number = 0
    while (frame := read_frame(requests)) is not None:
        number += 1
        lines = []
        for at, task in enumerate(marshal.loads(frame)):  # noqa: S302 - our own parent wrote it
            positions[slot] = number * BATCH_STRIDE + at + 1
            lines.append(look(task, inspector, settings))
        positions[slot] = 0
        _forget_complaints()
        write_frame(answers, "\n".join(lines).encode("ascii"))
        if held_bytes() > RETIRE_BYTES:
            return


def look(task: Task, inspector: Inspector, settings: InspectSettings) -> str:
    """One sample's line.

    Raises:
        MemoryError: there was not enough.
    """
    path, name, start_byte, size_bytes = task
    try:
        if start_byte >= 0:
            return STEADY + write_inspection(inspector(MemberSource(path, name, start_byte, size_bytes), settings))
        found = inspector(FileSource(path, name), settings)
        if found.size_bytes == size_bytes:
            return STEADY + write_inspection(found)
        return PASSING + write_inspection(_look_again(path, name, inspector, settings))
    except MemoryError:
        raise
    except OSError as error:
        return PASSING + write_inspection(unreadable(error))
    except ImportError as error:
        detail = f"cannot be looked into here: {error}"
        flaw = Flaw(rule="corrupt-file", kind="not-looked-into", severity=Severity.INFO, detail=detail)
        return PASSING + write_inspection(Inspection(format=None, size_bytes=max(0, size_bytes), flaws=(flaw,)))
    except Exception as error:  # noqa: BLE001 - on corrupt bytes decoders raise whatever their parsers do
        what = f"the decoder failed with {type(error).__name__}: {error}"[:300]
        flaw = Flaw(rule="corrupt-file", kind="decoder-error", severity=Severity.ERROR, detail=what)
        return PASSING + write_inspection(Inspection(format=None, size_bytes=max(0, size_bytes), flaws=(flaw,)))


def unreadable(error: OSError) -> Inspection:
    """A file that the system would not let us read."""
    if isinstance(error, FileNotFoundError):
        kind, detail = "vanished", "was there when the folder was listed, and gone when it was to be read"
    else:
        kind, detail = "unreadable", f"cannot be read: {error.strerror or error}"
    flaw = Flaw(rule="corrupt-file", kind=kind, severity=Severity.ERROR, detail=detail)
    return Inspection(format=None, size_bytes=0, flaws=(flaw,))


def _look_again(path: str, name: str, inspector: Inspector, settings: InspectSettings) -> Inspection:
    """The file is no longer as long as when it was listed: what it is now, and whether somebody still writes to it."""
    before = os.stat(path)  # noqa: PTH116 - the path is a plain string here
    found = inspector(FileSource(path, name), settings)
    after = os.stat(path)  # noqa: PTH116
    if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
        return found
    detail = f"was being written while it was read: {before.st_size:,} bytes, then {after.st_size:,}"
    flaw = Flaw(rule="corrupt-file", kind="changing", severity=Severity.WARNING, detail=detail)
    return replace(found, flaws=(*found.flaws, flaw))


def own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Stdin and stdout, out of reach of libraries that read or print: for those they are empty, or lead to stderr."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _forget_complaints() -> None:
    """Stderr is a file that the parent reads after a crash: what decoders said of samples before is of no use."""
    with suppress(OSError):
        if os.lseek(2, 0, os.SEEK_END) > 0:
            os.ftruncate(2, 0)
            os.lseek(2, 0, os.SEEK_SET)
