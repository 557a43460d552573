"""The samples of a target, each with what is known of it: from the ledger, or looked into by the pool; in order."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from dltool.scanning.collect.listing import Listed, Listing
from dltool.scanning.collect.target import ScanTarget
from dltool.scanning.collect.walk import PassedOver, walk
from dltool.scanning.ledger import Ledger, NoLedger, SqliteLedger, ledger_path, make_room
from dltool.scanning.pool import BATCH_SAMPLES, Done, Job, PoolSettings, inspect_all
from dltool.scanning.progress import ScanProgress
from dltool.scanning.record import Entry
from dltool.scanning.settings import InspectSettings

TELL_EVERY_S = 0.1


def examined(
    listing: Listing, settings: PoolSettings, ledger: Ledger, stopped: Callable[[], bool]
) -> Iterator[list[tuple[Listed, Entry]]]:
    """Lists of samples with what was found, in the order of the listing; fewer than all where ``stopped`` says so."""
    ahead: deque[Listed] = deque()

    def jobs() -> Iterator[Job]:
        samples = listing.samples()
        while chunk := list(islice(samples, BATCH_SAMPLES)):
            known = ledger.known([sample for sample in chunk if sample.told is None])
            for sample in chunk:
                item, stamp, told, _ = sample
                ahead.append(sample)
                size_bytes = item.size_bytes if item.size_bytes is not None else stamp.size_bytes if stamp is not None else 0
                yield Job(item, size_bytes, told or known.get(item.name))

    for batch in inspect_all(jobs(), settings, stopped):
        pairs: list[tuple[Listed, Done]] = [(ahead.popleft(), done) for done in batch]
        ledger.add((sample, done.line) for sample, done in pairs if done.line is not None)
        yield [(sample, Entry(sample.item, done.found)) for sample, done in pairs]


def open_ledger(target: ScanTarget, settings: InspectSettings, progress: ScanProgress, *, resume: bool) -> Ledger:
    """The target's ledger, or one that knows nothing where there can be none."""
    try:
        path = ledger_path(target.root, target.kind, target.pattern)
        path.parent.mkdir(parents=True, exist_ok=True)
        make_room(path.parent)
        ledger = SqliteLedger(path, settings)
    except (sqlite3.Error, OSError, RuntimeError) as error:
        progress.note(f"nothing is kept for the next scan: the cache cannot be used ({error})")
        return NoLedger()
    if resume:
        begun = "continuing the scan that was interrupted" if ledger.unfinished else "no interrupted scan to resume"
        progress.note(begun if ledger.unfinished else f"{begun}: scanning from the start, with what is cached")
    ledger.begin()
    return ledger


class Ticker:
    """Tells how far the scan is, now and then; the files are counted meanwhile, so that it can tell how far it is to go."""

    def __init__(self, progress: ScanProgress, target: ScanTarget | None) -> None:
        self._progress = progress
        self._told_s = 0.0
        self._total: int | None = None
        self._ended = threading.Event()
        if target is not None and target.kind == "folder":
            threading.Thread(target=self._count, args=(target,), daemon=True).start()

    def tick(self, files: int, size_bytes: int) -> None:
        """So much is done."""
        now_s = time.monotonic()
        if now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            self._progress.advance(files, size_bytes, self._total)

    def close(self) -> None:
        """Stop counting."""
        self._ended.set()

    def _count(self, target: ScanTarget) -> None:
        total = 0
        try:
            for _ in walk(target.root, PassedOver(), hidden=target.hidden):
                total += 1
                if not total % 256 and self._ended.is_set():
                    return
        except OSError:
            return
        self._total = total
