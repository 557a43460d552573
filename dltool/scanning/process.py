"""One worker process as its parent sees it: started, given batches, watched, and ended."""

from __future__ import annotations

import marshal
import mmap
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import BinaryIO, cast

from dltool.scanning.limits import cpu_seconds
from dltool.scanning.shared_file import SharedFile
from dltool.scanning.worker import BATCH_STRIDE, READY, Orders, Task, read_frame, write_frame

TAIL_BYTES = 4096
WALL_FACTOR = 4.0
"""A sample that uses little of the processor (a slow disk, a busy machine) gets so many times the limit."""
CPU_SHARE = 0.9
"""A decoder that hangs uses all of a processor that it gets; a good picture of 170 megapixels takes 5 s of one."""

ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    "OPENBLAS_NUM_THREADS": "1",
}
"""For workers. glibc keeps memory of the size of a picture, rather than asking the system for cleared pages each time."""

Event = tuple["Worker", bytes | None]


class Positions:
    """Shared memory with one number for each worker: which sample of which batch it is at, 0 between batches.

    ``path`` is of those that another process made. ``inherited`` is to be passed to new processes (``SharedFile``).
    """

    def __init__(self, slots: int, path: str | None = None) -> None:
        self._file = SharedFile() if path is None else None
        self.inherited: tuple[int, ...] = ()
        if self._file is None:
            self.path = str(path)
            descriptor = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        else:
            self.path, self.inherited, descriptor = self._file.path, self._file.inherited, self._file.descriptor
            os.ftruncate(descriptor, 8 * slots)
        self._memory = mmap.mmap(descriptor, 8 * slots)
        if self._file is None:
            os.close(descriptor)
        self._numbers = memoryview(self._memory).cast("Q")

    def __getitem__(self, slot: int) -> int:
        number: int = self._numbers[slot]
        return number

    def __setitem__(self, slot: int, position: int) -> None:
        self._numbers[slot] = position

    def reset(self, slot: int) -> None:
        """A new worker takes the slot."""
        self._numbers[slot] = 0

    def close(self) -> None:
        """The file goes; workers that still map it keep their memory."""
        self._numbers.release()
        self._memory.close()
        self.inherited = ()
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(slots=True, eq=False)
class Assignment:
    """Tasks for one worker, and the places in their parcel that the answers go to. ``alone``: a suspect is tried again."""

    parcel: object
    places: list[int]
    tasks: list[Task]
    alone: bool = False
    number: int = 0


@dataclass(slots=True)
class Watch:
    """Where a process was when it was last looked at, and since when."""

    position: int = 0
    since_s: float = 0.0
    cpu_s: float | None = None

    def overdue(self, position: int, pid: int, limit_s: float) -> bool:
        """Whether the process has been at one position, other than 0, for longer than ``limit_s``.

        To be asked now and then. Time counts where the processor was used, so that a busy machine makes nobody guilty.
        """
        now_s = time.monotonic()
        if position != self.position or position == 0:
            self.position, self.since_s, self.cpu_s = position, now_s, cpu_seconds(pid)
            return False
        elapsed_s = now_s - self.since_s
        if elapsed_s < limit_s:
            return False
        cpu_s = cpu_seconds(pid)
        if cpu_s is None or self.cpu_s is None or elapsed_s >= WALL_FACTOR * limit_s:
            return True
        return cpu_s - self.cpu_s >= CPU_SHARE * limit_s


@dataclass(slots=True, eq=False)
class Worker:
    """A running process. ``given`` are the assignments that it has not answered, oldest first."""

    slot: int
    positions: Positions
    process: subprocess.Popen[bytes]
    complaints: BinaryIO
    given: deque[Assignment] = field(default_factory=deque)
    served: int = 0
    ready: bool = False
    _watch: Watch = field(default_factory=Watch)

    @classmethod
    def start(cls, slot: int, positions: Positions, orders: Orders, events: queue.SimpleQueue[Event]) -> Worker:
        """A new process, whose answers come as events, and None as the last one."""
        positions.reset(slot)
        complaints = cast("BinaryIO", tempfile.TemporaryFile(prefix="dltool-scan-"))  # noqa: SIM115 - it lives with the worker
        boot = f"import sys; sys.path[:] = {sys.path!r}; from dltool.scanning.worker import main; main()"
        apart = {"process_group": 0} if os.name == "posix" else {}  # Ctrl-C is the parent's to handle
        try:
            process = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603 - our own interpreter and module
                [sys.executable, "-W", "ignore", "-c", boot],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env={**ENVIRONMENT, **os.environ},
                pass_fds=positions.inherited,
                **apart,
            )
        except BaseException:
            complaints.close()
            raise
        worker = cls(slot, positions, process, complaints)
        hello = pickle.dumps(replace(orders, slot=slot, position_file=positions.path, parent=os.getpid()))
        worker._send(hello)
        threading.Thread(target=worker._listen, args=(events,), daemon=True).start()
        return worker

    def give(self, assignment: Assignment) -> None:
        """Send a batch; it waits in the pipe while the worker is busy."""
        self.served += 1
        assignment.number = self.served
        self.given.append(assignment)
        self._send(marshal.dumps(assignment.tasks))

    def heard(self, data: bytes) -> list[str] | None:
        """The answers to the oldest assignment, None for the greeting."""
        if data == READY and not self.ready:
            self.ready = True
            return None
        return data.decode("ascii").split("\n")

    def suspect(self) -> int | None:
        """Which task of the oldest assignment it died at; None where it was at none."""
        position = self.positions[self.slot]
        if not self.given or position // BATCH_STRIDE != self.given[0].number:
            return None
        return position % BATCH_STRIDE - 1

    def hangs(self, timeout_s: float, bytes_per_s: float) -> bool:
        """Whether its sample takes longer than ``timeout_s`` and the time that reading it at ``bytes_per_s`` takes."""
        at = self.suspect()
        size_bytes = 0 if at is None else max(0, self.given[0].tasks[at][3])
        limit_s = timeout_s + size_bytes / bytes_per_s
        return self._watch.overdue(self.positions[self.slot], self.process.pid, limit_s) and at is not None

    def last_words(self) -> str:
        """The end of what it wrote to stderr."""
        self.complaints.seek(0, os.SEEK_END)
        self.complaints.seek(max(0, self.complaints.tell() - TAIL_BYTES))
        return self.complaints.read().decode("utf-8", errors="replace").strip("\0\n ")

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        with suppress(OSError):
            self.process.kill()

    def bury(self) -> int:
        """Wait for its end, and give back the exit code (negative: the signal)."""
        code = self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.complaints):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        return code

    def _send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):  # it died: the reader tells
            write_frame(self.process.stdin, data)  # type: ignore[arg-type]  # Popen types its pipes as IO

    def _listen(self, events: queue.SimpleQueue[Event]) -> None:
        assert self.process.stdout is not None
        data: bytes | None = b""
        while data is not None:
            try:
                data = read_frame(self.process.stdout)  # type: ignore[arg-type]
            except (OSError, ValueError):
                data = None
            events.put((self, data))


def signal_name(code: int) -> str:
    """``SIGSEGV`` for -11.

    >>> signal_name(-11)
    'SIGSEGV'
    """
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
