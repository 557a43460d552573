"""Looking into many samples at once, in processes of our own that may crash, hang or run out of memory.

No ``multiprocessing.Pool`` and no executor: those wait for ever, or give up as a whole, when a worker dies. Here a worker's
death costs the sample that killed it, which is proven by another try alone in a new process; everybody else's work is done
again elsewhere. Results come in the order of the samples, whatever the number of workers.
"""

from __future__ import annotations

import os
import queue
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from dltool.core.errors import DltoolError
from dltool.core.finding import Severity
from dltool.scanning.limits import default_memory_bytes
from dltool.scanning.process import Assignment, Event, Positions, Worker, signal_name
from dltool.scanning.record import Flaw, Inspection, Item
from dltool.scanning.settings import InspectSettings
from dltool.scanning.wire import read_inspection
from dltool.scanning.worker import OUT_OF_MEMORY, STEADY, Orders

BATCH_SAMPLES = 64
BATCH_BYTES = 4 << 20
PARCELS_A_WORKER = 32
"""How far ahead of the slowest sample the others may run, in batches."""
TICK_S = 0.1
SAMPLE_TIMEOUT_S = 8.0
SLOWEST_BYTES_PER_S = 10e6
"""A large file gets a second more for every 10 MB: the slowest reader of tables that is in use does four times as much."""
FAILED_STARTS = 3
MEMORY_WORDS = ("bad_alloc", "memory allocation of", "out of memory", "cannot allocate memory", "memoryerror")


class Job(NamedTuple):
    """A sample to look into; or, where ``known`` is there, one that only keeps its place in the order."""

    item: Item
    size_bytes: int
    known: Inspection | None = None


class Done(NamedTuple):
    """A job with its result. ``line`` is that as text, where it was looked into now and may be kept for the next scan."""

    job: Job
    found: Inspection
    line: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """How to look. ``workers`` None: as many as the process may use processors."""

    inspect: InspectSettings = field(default_factory=InspectSettings)
    workers: int | None = None
    sample_timeout_s: float = SAMPLE_TIMEOUT_S
    memory_bytes: int | None = None
    inspector: str = "dltool.scanning.inspect:inspect"


class WorkersFailedError(DltoolError):
    """Workers end before they have begun: nothing that a sample could have to do with."""


def inspect_all(
    jobs: Iterable[Job], settings: PoolSettings, stopped: Callable[[], bool] = lambda: False
) -> Iterator[list[Done]]:
    """Look into all ``jobs``; lists of results, in order.

    Ends early once ``stopped`` says so. No process is left behind, however the iteration ends.

    Raises:
        WorkersFailedError: worker processes cannot be started.
    """
    pool = _Pool(settings)
    try:
        yield from pool.run(iter(jobs), stopped)
    finally:
        pool.close()


def processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(slots=True, eq=False)
class _Parcel:
    """Jobs that stand next to each other; ``missing`` of them have no result yet."""

    jobs: list[Job]
    results: list[Done | None]
    missing: int


class _Pool:
    def __init__(self, settings: PoolSettings) -> None:
        self._most = max(1, settings.workers or processors())
        memory = settings.memory_bytes or default_memory_bytes(self._most)
        self._orders = Orders(
            inspector=settings.inspector,
            settings=settings.inspect,
            memory_bytes=memory,
            position_file="",
            slot=0,
            parent=0,
        )
        self._settings = settings
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._positions: Positions | None = None
        self._workers: dict[int, Worker] = {}
        self._waiting: deque[Assignment] = deque()
        self._failed_starts = 0
        self._looked_s = 0.0

    def run(self, jobs: Iterator[Job], stopped: Callable[[], bool]) -> Iterator[list[Done]]:
        parcels: deque[_Parcel] = deque()
        listing = True
        while not stopped():
            while listing and len(parcels) < PARCELS_A_WORKER * self._most and len(self._waiting) < self._most:
                parcel = _next_parcel(jobs)
                listing = parcel is not None
                if parcel is not None:
                    parcels.append(parcel)
                    self._post(parcel)
                    self._hand_out()
                if parcels and not parcels[0].missing:
                    break
            ready = parcels.popleft() if parcels and not parcels[0].missing else None
            if ready is not None:
                yield [result for result in ready.results if result is not None]
            elif not parcels and not listing:
                return
            self._attend(wait_s=0.0 if ready is not None or (listing and len(self._waiting) < self._most) else TICK_S)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.kill()
        for worker in self._workers.values():
            worker.bury()
        self._workers.clear()
        if self._positions is not None:
            self._positions.close()

    def _post(self, parcel: _Parcel) -> None:
        places = [at for at, result in enumerate(parcel.results) if result is None]
        if places:
            self._waiting.append(_assignment(parcel, places))

    def _attend(self, wait_s: float) -> None:
        """Take in what has been answered, and look after those that do not answer."""
        try:
            event = self._events.get(timeout=wait_s) if wait_s else self._events.get_nowait()
            while True:
                self._take_in(*event)
                event = self._events.get_nowait()
        except queue.Empty:
            pass
        self._hand_out()
        now_s = time.monotonic()
        if now_s - self._looked_s >= TICK_S:
            self._looked_s = now_s
            for worker in list(self._workers.values()):
                if worker.hangs(self._settings.sample_timeout_s, SLOWEST_BYTES_PER_S):
                    self._convict(worker)

    def _hand_out(self) -> None:
        """Two batches for each worker, so that it never waits; a suspect goes to a process that has seen nothing else."""
        for depth in (0, 1):
            for slot in range(self._most):
                if not self._waiting:
                    return
                worker = self._workers.get(slot)
                alone = self._waiting[0].alone
                if worker is None:
                    worker = self._start(slot)
                elif len(worker.given) > depth or (worker.given and (alone or worker.given[0].alone)):
                    continue
                elif alone and worker.served:
                    worker.kill()
                    worker.bury()
                    worker = self._start(slot)
                worker.give(self._waiting.popleft())

    def _start(self, slot: int) -> Worker:
        if self._positions is None:
            self._positions = Positions(self._most)
        self._workers[slot] = Worker.start(slot, self._positions, self._orders, self._events)
        return self._workers[slot]

    def _take_in(self, worker: Worker, data: bytes | None) -> None:
        if self._workers.get(worker.slot) is not worker:
            return
        if data is None:
            self._mourn(worker)
            return
        lines = worker.heard(data)
        if lines is None:
            return
        self._failed_starts = 0
        assignment = worker.given.popleft()
        for place, line in zip(assignment.places, lines, strict=True):
            text = line[1:]
            _settle(assignment, place, read_inspection(text), text if line[0] == STEADY else None)

    def _mourn(self, worker: Worker) -> None:
        """A worker has ended: nobody's fault (it retired, or was killed between samples), or that of one sample."""
        at = worker.suspect()
        words = worker.last_words()
        code = worker.bury()
        del self._workers[worker.slot]
        if at is None and code:
            self._failed_starts += 1
            if self._failed_starts >= FAILED_STARTS:
                raise WorkersFailedError(f"worker processes end before they begin (exit code {code}): {words[-500:]}")
        given = list(worker.given)
        if at is None:
            self._waiting.extendleft(reversed(given))
            return
        first, *rest = given
        if first.alone:
            self._waiting.extendleft(reversed(rest))
            _settle(first, first.places[0], _killer(first, code, words))
            return
        others = [place for place in first.places if place != first.places[at]]
        again = [_assignment(first.parcel, [first.places[at]], alone=True)]
        self._waiting.extendleft(reversed([*again, *([_assignment(first.parcel, others)] if others else []), *rest]))

    def _convict(self, worker: Worker) -> None:
        """The sample that it is at has taken too long."""
        at = worker.suspect()
        if at is None:
            return
        worker.kill()
        worker.bury()
        del self._workers[worker.slot]
        first, *rest = worker.given
        place = first.places[at]
        limit_s = self._settings.sample_timeout_s
        detail = f"the decoder had not come to an end after {limit_s:g} s, and was stopped"
        _settle(first, place, _flawed(first, at, "decoder-hang", detail))
        others = [other for other in first.places if other != place]
        self._waiting.extendleft(reversed([*([_assignment(first.parcel, others)] if others else []), *rest]))


def _next_parcel(jobs: Iterator[Job]) -> _Parcel | None:
    taken: list[Job] = []
    results: list[Done | None] = []
    room_bytes, missing = BATCH_BYTES, 0
    for job in islice(jobs, BATCH_SAMPLES):
        taken.append(job)
        if job.known is None:
            results.append(None)
            missing += 1
            room_bytes -= job.size_bytes
            if room_bytes <= 0:
                break
        else:
            results.append(Done(job, job.known))
    return _Parcel(taken, results, missing) if taken else None


def _assignment(parcel: object, places: list[int], *, alone: bool = False) -> Assignment:
    assert isinstance(parcel, _Parcel)
    tasks = []
    for place in places:
        job = parcel.jobs[place]
        item = job.item
        tasks.append((item.path, item.name, -1 if item.start_byte is None else item.start_byte, job.size_bytes))
    return Assignment(parcel, places, tasks, alone)


def _settle(assignment: Assignment, place: int, found: Inspection, line: str | None = None) -> None:
    parcel = assignment.parcel
    assert isinstance(parcel, _Parcel)
    parcel.results[place] = Done(parcel.jobs[place], found, line)
    parcel.missing -= 1


def _flawed(assignment: Assignment, at: int, kind: str, detail: str) -> Inspection:
    flaw = Flaw(rule="corrupt-file", kind=kind, severity=Severity.ERROR, detail=detail)
    return Inspection(format=None, size_bytes=max(0, assignment.tasks[at][3]), flaws=(flaw,))


def _killer(assignment: Assignment, code: int, words: str) -> Inspection:
    """What is said of a sample at which a fresh process has died as well."""
    wanting = any(word in words.lower() for word in MEMORY_WORDS)
    if code == OUT_OF_MEMORY or wanting:
        return _flawed(assignment, 0, "memory", "decoding it takes more memory than a worker may have")
    if code == -getattr(signal, "SIGKILL", 9):
        return _flawed(assignment, 0, "memory", "the system killed the decoder, most likely for the memory it took")
    if code < 0:
        return _flawed(assignment, 0, "decoder-crash", f"the decoder crashed ({signal_name(code)})")
    return _flawed(assignment, 0, "decoder-crash", f"the decoder ended its process (exit code {code})")
