"""Inspectors for tests of what is around them: by name, a file makes them crash, hang, take memory or fail."""

import ctypes
import os
import signal
import sys
import time

from dltool.core.finding import Severity
from dltool.scanning.digest import digest_of
from dltool.scanning.record import Flaw, Inspection
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source


def inspect(source: Source, settings: InspectSettings) -> Inspection:
    """By the file's name: what a decoder might do; otherwise it is whole."""
    name = source.name.rpartition("/")[2]
    for word, act in ACTS.items():
        if name.startswith(word):
            act()
    data = source.read()
    flaws = (Flaw(rule="corrupt-file", kind="empty", severity=Severity.ERROR, detail="is empty"),) if not data else ()
    return Inspection(format="bytes", size_bytes=len(data), digest=digest_of(data), flaws=flaws)


def segfault() -> None:
    ctypes.string_at(0)


def hang() -> None:
    while True:
        pass


def take_memory() -> None:
    blocks = []
    while True:
        blocks.append(bytearray(1 << 26))


def fail() -> None:
    raise ValueError("no such marker")


def chatter() -> None:
    sys.stdout.write("a library prints\n")
    sys.stdin.read()
    os.write(2, b"and complains " * 1000)


def out_of_memory_abroad() -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


ACTS = {
    "segv": segfault,
    "abort": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(3),
    "hang": hang,
    "hog": take_memory,
    "raise": fail,
    "print": chatter,
    "alloc": out_of_memory_abroad,
    "slow": lambda: time.sleep(0.02),
    "sleep": lambda: time.sleep(60),
}


def once(source: Source, settings: InspectSettings) -> Inspection:
    """Crashes at a sample only where the process has seen another one before: as a damaged heap would."""
    if SEEN and source.name.startswith("late"):
        segfault()
    SEEN.append(source.name)
    return inspect(source, settings)


SEEN: list[str] = []
