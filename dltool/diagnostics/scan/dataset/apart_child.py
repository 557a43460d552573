"""The process in which a dataset is read: forked from the scan, or a new one that calls the factory itself.

It sends frames: marshalled lists of pickled reads, and in the end an ``Ending``. At which sample it is stands in shared
memory, and where in the code, when it crashes or is asked (SIGUSR1), in a file.
"""

from __future__ import annotations

import faulthandler
import io
import marshal
import os
import pickle
import signal
import sys
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import torch
from torch import Tensor

from dltool.core.errors import Problem, UserError
from dltool.diagnostics.scan.dataset.leaves import leaves_of
from dltool.diagnostics.scan.dataset.parts import Part, open_code
from dltool.diagnostics.scan.dataset.reading import Read, Reader
from dltool.scanning.limits import die_with_parent, limit_memory, no_core_files
from dltool.scanning.process import Positions
from dltool.scanning.worker import OUT_OF_MEMORY, own_pipes, read_frame, write_frame
from dltool.training import rng

FRAME_BYTES = 1 << 18
FRAME_S = 0.05
ENDING = b"E"
READS = b"R"
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What to read: ``start`` and ``stop`` of an indexed part. ``stacks`` is the file for tracebacks of crashes."""

    parent: int
    start: int
    stop: int | None
    memory_bytes: int
    stacks: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProcess:
    """What a process that was not forked needs besides: which part of which factory, and its random state."""

    errand: Errand
    target: str
    seed: int
    part: str
    positions: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """Everything was read. ``problems`` say why nothing could be."""

    remarks: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...] = ()


def run_forked(errand: Errand, part: Part, positions: Positions, answers: BinaryIO) -> None:
    """Read, answer, and end the process, which was forked just now."""
    code = 1
    try:
        with _complaints() as stream, redirect_stdout(stream), redirect_stderr(stream):
            _settle_down(errand)
            code = _serve(errand, part, positions, answers)
    except MemoryError:
        code = OUT_OF_MEMORY
    except BrokenPipeError:
        code = 0
    finally:
        os._exit(code)


def main() -> None:
    """Read in a new process, which calls the factory once for itself."""
    requests, answers = own_pipes()
    first = read_frame(requests)
    if first is None:
        return
    given: NewProcess = pickle.loads(first)  # noqa: S301 - our own parent wrote it
    sys.path[:] = given.path
    try:
        opened = open_code(given.target, given.seed)
        part = next(part for part in opened.parts if part.name == given.part)
        _settle_down(given.errand)
        with rng.seeded(given.seed, CPU):
            code = _serve(given.errand, part, Positions(1, given.positions), answers)
    except UserError as error:
        write_frame(answers, ENDING + pickle.dumps(Ending((), error.problems)))
        code = 0
    os._exit(code)


def _settle_down(errand: Errand) -> None:
    """Ctrl-C is the parent's to handle, as are stdout and the terminal; and there is an end to what may be taken."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
    no_core_files()
    die_with_parent(errand.parent)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    stacks = Path(errand.stacks).open("a", encoding="utf-8")  # noqa: SIM115
    faulthandler.enable(file=stacks, all_threads=False)
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=False)
    torch.set_num_threads(1)  # pools of threads do not survive a fork
    limit_memory(_data_bytes() + errand.memory_bytes)


def _complaints() -> IO[str]:
    """A stream to stderr with a lock of its own: another thread of the parent may have held that of the old one."""
    return os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")


def _serve(errand: Errand, part: Part, positions: Positions, answers: BinaryIO) -> int:
    remarks: list[tuple[str, str]] = []
    reader = Reader(part, lambda: False, remarks, reach=lambda row: positions.__setitem__(0, row + 1))
    waiting: list[bytes] = []
    size_bytes, sent_s = 0, time.monotonic()
    try:
        for read in reader.items(errand.start, errand.stop):
            waiting.append(packed(read))
            size_bytes += len(waiting[-1])
            if part.form != "indexed" or size_bytes >= FRAME_BYTES or time.monotonic() - sent_s >= FRAME_S:
                positions[0] = 0
                write_frame(answers, READS + marshal.dumps(waiting))
                waiting.clear()
                size_bytes, sent_s = 0, time.monotonic()
        ending = Ending(tuple(remarks))
    except UserError as error:
        ending = Ending(tuple(remarks), error.problems)
    positions[0] = 0
    if waiting:
        write_frame(answers, READS + marshal.dumps(waiting))
    write_frame(answers, ENDING + pickle.dumps(ending))
    return 0


class _Pickler(pickle.Pickler):
    """Tensors as the arrays that they share memory with: a tenth of what torch's own way takes for small ones."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is Tensor and obj.layout is torch.strided and not obj.is_quantized:
            plain = obj.detach().cpu().resolve_conj().resolve_neg()
            if plain.dtype in UNKNOWN_TO_NUMPY:
                return _of_bits, (plain.view(torch.int16 if plain.dtype.itemsize > 1 else torch.uint8).numpy(), plain.dtype)
            return torch.as_tensor, (plain.numpy(),)
        return NotImplemented


UNKNOWN_TO_NUMPY = frozenset({torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2})


def _of_bits(bits: Any, dtype: torch.dtype) -> Tensor:
    return torch.as_tensor(bits).view(dtype)


def packed(read: Read) -> bytes:
    """A read as bytes; of what cannot be pickled, the parts that a scan looks at."""
    try:
        return _pickled(read)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - objects of the user's may raise anything here
        leaves = {leaf.name: leaf.word if leaf.array is None else leaf.array for leaf in leaves_of(read.value)}
        return _pickled(read._replace(value=leaves))


def _pickled(read: Read) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, protocol=5).dump(tuple(read))
    return stream.getvalue()


def unpacked(frame: bytes) -> list[Read]:
    """What is in a frame of reads."""
    return [Read(*pickle.loads(each)) for each in cast("list[bytes]", marshal.loads(frame[1:]))]  # noqa: S301, S302


def _data_bytes() -> int:
    """What the process holds already: a dataset in memory is forked with it."""
    with suppress(OSError, ValueError, IndexError), Path("/proc/self/status").open(encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmData:")) << 10
    return 0
