"""A dataset read in a process apart: code that crashes, hangs or takes all memory costs one sample, and its line is told.

Where forking is safe, the process is a copy of this one, so that datasets need not pickle and the factory is called once.
Elsewhere (Windows, macOS, CUDA in use) a new process calls the factory for itself.
"""

from __future__ import annotations

import os
import pickle
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

from dltool.core.errors import Problem, TargetError
from dltool.diagnostics.scan.dataset.apart_child import ENDING, Ending, Errand, NewProcess, run_forked, unpacked
from dltool.diagnostics.scan.dataset.parts import Part
from dltool.diagnostics.scan.dataset.reading import Raised, Read, split
from dltool.scanning.limits import default_memory_bytes
from dltool.scanning.process import Positions, Watch, signal_name
from dltool.scanning.shared_file import SharedFile
from dltool.scanning.worker import OUT_OF_MEMORY, read_frame, write_frame
from dltool.training.failure import NOT_THE_USERS

TICK_S = 0.1
FRAMES_AHEAD = 4
FIRST_FACTOR = 3.0
"""The very first sample opens files and fills caches, and may take so many times the limit."""
MOST_DEATHS = 20
"""After so many samples at which the process died, the others are not tried."""
STACK_S = 0.5
FRAME = re.compile(r'File "(.+)", line (\d+)')
HERE = str(Path(__file__).parents[3])
BOOT = "import sys; sys.path[:] = {path!r}; from dltool.diagnostics.scan.dataset.apart_child import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the target's code is read: what to call for a new process, and what a sample may take."""

    target: str
    seed: int
    sample_timeout_s: float
    memory_bytes: int | None
    stopped: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class _Death:
    """The process ended before its work did; ``row`` is the sample that it was at, None for none."""

    row: int | None
    raised: Raised


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Samples from ``start`` to before ``stop``, or what is known of the one at ``start`` already."""

    start: int
    stop: int | None
    verdict: Raised | None = None

    @property
    def is_single(self) -> bool:
        """Whether a fresh process reads nothing but this."""
        return self.stop == self.start + 1


class Apart:
    """A part as it is read from outside; ``remarks`` are complete once it was read.

    What a one-shot iterator gives is kept where ``keeps`` says that it will be asked for again.
    """

    def __init__(self, part: Part, terms: Terms, *, keeps: bool) -> None:
        self.part = part
        self._keeps = keeps and isinstance(part.source, Iterator)
        self.remarks: list[tuple[str, str]] = []
        self._terms = terms
        self._kept: list[Read] | None = None

    def samples(self) -> Iterator[Read]:
        """Every sample, those of batches one by one.

        Raises:
            TargetError: a source that cannot even begin, or a batch that is no pair of tensors.
        """
        return split(self.part, self.items())

    def items(self) -> Iterator[Read]:
        """Every sample, or batch where the part gives those.

        Raises:
            TargetError: a source that cannot even begin.
        """
        if not self._keeps:
            yield from self._indexed() if self.part.form == "indexed" else self._streamed()
            return
        if self._kept is None:
            self._kept = []
            for read in self._streamed():
                self._kept.append(read)
                yield read
        else:
            yield from self._kept

    def _indexed(self) -> Iterator[Read]:
        """Stretches of samples; where the process dies, what came before, the sample alone, and the rest."""
        ahead: list[_Stretch] = [_Stretch(0, None)]
        deaths = 0
        while ahead:
            stretch = ahead.pop()
            if stretch.verdict is not None:
                deaths += 1
                yield Read(stretch.start, None, stretch.verdict)
                if deaths < MOST_DEATHS:
                    continue
                told = f"ended or hung its process at {deaths} samples; what comes after sample {stretch.start} was not read"
                self.remarks.append(("gave-up", told))
                return
            done, death = stretch.start, None
            for got in self._read(stretch.start, stretch.stop):
                if isinstance(got, _Death):
                    death = got
                else:
                    done = got.row + 1
                    yield got
            if death is None:
                continue
            row = death.row
            if row is None:
                raise self._ended(death)
            proven = death.raised.how == "hang" or stretch.is_single
            ahead += [
                *([] if stretch.stop == row + 1 else [_Stretch(row + 1, stretch.stop)]),
                _Stretch(row, row + 1, death.raised if proven else None),
                *([_Stretch(done, row)] if done < row else []),  # read, and lost with the process
            ]

    def _streamed(self) -> Iterator[Read]:
        for got in self._read(0, None):
            if not isinstance(got, _Death):
                yield got
                continue
            if got.row is None:
                raise self._ended(got)
            yield Read(got.row, None, got.raised)
            what = "batch" if self.part.form == "batches" else "sample"
            self.remarks.append(("ends-early", f"ended its process at {what} {got.row}: what came after it was not read"))

    def _read(self, start: int, stop: int | None) -> Iterator[Read | _Death]:
        child = _Child(self.part, self._terms, start, stop)
        try:
            yield from child.reads(self.remarks)
        finally:
            child.close()

    def _ended(self, death: _Death) -> TargetError:
        where = "" if death.raised.place is None else f" ({death.raised.place})"
        return TargetError(Problem(message=f"reading `{self.part.name}` came to no good end: {death.raised.said}{where}"))


class _Child:
    """A running process that reads."""

    def __init__(self, part: Part, terms: Terms, start: int, stop: int | None) -> None:
        self._terms, self._part, self._is_first = terms, part, start == 0
        self._positions = Positions(1)
        self._stacks = SharedFile()
        self._watch = Watch()
        self._frames: queue.Queue[bytes | None] = queue.Queue(FRAMES_AHEAD)
        self._code: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._given_up = threading.Event()
        errand = Errand(
            parent=os.getpid(),
            start=start,
            stop=stop,
            memory_bytes=terms.memory_bytes or default_memory_bytes(1),
            stacks=self._stacks.path,
        )
        self._answers = self._fork(errand) if _may_fork() else self._spawn(errand)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def reads(self, remarks: list[tuple[str, str]]) -> Iterator[Read | _Death]:
        """What it reads; a death comes last.

        Raises:
            TargetError: a source that cannot even begin.
        """
        first = self._is_first
        while not self._terms.stopped():
            try:
                frame = self._frames.get(timeout=TICK_S)
            except queue.Empty:
                limit_s = self._terms.sample_timeout_s * (FIRST_FACTOR if first else 1.0)
                if self._watch.overdue(self._positions[0], self._pid, limit_s):
                    yield self._hung(limit_s)
                    return
                continue
            if frame is None:
                yield self._died()
                return
            if frame[:1] == ENDING:
                ending: Ending = pickle.loads(frame[1:])  # noqa: S301 - the user's own code runs there
                if ending.problems:
                    raise TargetError(*ending.problems)
                remarks += ending.remarks
                return
            first = False
            yield from unpacked(frame)

    def close(self) -> None:
        """Nothing of it is left."""
        self._given_up.set()
        with suppress(OSError):
            os.kill(self._pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        with suppress(queue.Empty):
            while True:
                self._frames.get_nowait()
        self._listener.join()
        self._bury()
        self._answers.close()
        self._positions.close()
        self._stacks.close()

    def _fork(self, errand: Errand) -> BinaryIO:
        out, into = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that threads are running: they hold no lock of the child's
            self._pid = os.fork()
        if self._pid == 0:
            os.close(out)
            run_forked(errand, self._part, self._positions, os.fdopen(into, "wb"))
        os.close(into)
        return os.fdopen(out, "rb")

    def _spawn(self, errand: Errand) -> BinaryIO:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-c", BOOT.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=self._positions.inherited + self._stacks.inherited,
        )
        self._pid = self._process.pid
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        given = NewProcess(
            errand=errand,
            target=self._terms.target,
            seed=self._terms.seed,
            part=self._part.name,
            positions=self._positions.path,
            path=tuple(sys.path),
        )
        with suppress(OSError):
            write_frame(self._process.stdin, pickle.dumps(given))  # type: ignore[arg-type]  # Popen types its pipes as IO
            self._process.stdin.close()
        return self._process.stdout  # type: ignore[return-value]

    def _listen(self) -> None:
        frame: bytes | None = b""
        while frame is not None:
            try:
                frame = read_frame(self._answers)
            except (OSError, ValueError):
                frame = None
            while not self._given_up.is_set():
                try:
                    self._frames.put(frame, timeout=TICK_S)
                    break
                except queue.Full:
                    continue

    def _bury(self) -> int:
        """Its exit code, negative for a signal."""
        if self._code is None:
            if self._process is not None:
                self._code = self._process.wait()
            else:
                with suppress(ChildProcessError):
                    self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code or 0

    def _hung(self, limit_s: float) -> _Death:
        row = self._positions[0] - 1
        with suppress(OSError, AttributeError):
            os.kill(self._pid, signal.SIGUSR1)
        until_s = time.monotonic() + STACK_S
        while time.monotonic() < until_s and not self._stacks.size_bytes:
            time.sleep(TICK_S / 10)
        said = f"had not come to an end after {limit_s:g} s, and was stopped"
        return _Death(row, Raised("hang", said, self._place(), "hang"))

    def _died(self) -> _Death:
        code, row = self._bury(), self._positions[0] - 1
        if code == OUT_OF_MEMORY or code == -getattr(signal, "SIGKILL", 9):
            said = "takes more memory than there is for it" if code > 0 else "was killed, most likely for the memory it took"
            raised = Raised("memory", said, self._place(), "memory")
        elif code < 0:
            raised = Raised("crash", f"crashes the process ({signal_name(code)})", self._place(), "crash")
        else:
            raised = Raised("crash", f"ends the process (exit code {code})", self._place(), "crash")
        return _Death(row if row >= 0 else None, raised)

    def _place(self) -> str | None:
        """The innermost line of the user's code, of the traceback that the process left."""
        lines = ((match[1], match[2]) for match in FRAME.finditer(self._stacks.text()))
        own = (
            f"{Path(file).name}:{line}"
            for file, line in lines
            if not file.startswith((*NOT_THE_USERS, "<", sys.prefix, HERE))
        )
        return next(own, None)


def _may_fork() -> bool:
    """Not where threads of the system's own libraries, or CUDA, are in use: they do not survive it."""
    in_use: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return sys.platform not in {"win32", "darwin"} and not in_use
