"""What a worker process may take: so much memory, no core files, and no life without its parent; as far as systems can."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

MEMORY_BYTES = 4 << 30
LEAST_MEMORY_BYTES = 1 << 30
SHARE_OF_MACHINE = 0.75
"""All workers together leave the rest of the machine's memory to everybody else."""


def default_memory_bytes(workers: int) -> int:
    """What one of ``workers`` may hold: 4 GiB, less on a small machine, never less than 1 GiB."""
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return MEMORY_BYTES
    return max(LEAST_MEMORY_BYTES, min(MEMORY_BYTES, int(machine * SHARE_OF_MACHINE / workers)))


def limit_memory(most_bytes: int) -> None:
    """Make allocations of this process fail beyond ``most_bytes``.

    On Linux this limits data, not address space: files that are mapped and memory that allocators only reserve are free.
    """
    with suppress(ImportError, ValueError, OSError):
        import resource

        kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
        hard = resource.getrlimit(kind)[1]
        most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
        resource.setrlimit(kind, (most, hard))


def no_core_files() -> None:
    """A decoder that crashes leaves no image of its memory behind."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def die_with_parent(parent: int) -> None:
    """On Linux the kernel ends this process when ``parent`` ends; elsewhere it notices when it next asks for work."""
    if sys.platform != "linux":
        return
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def held_bytes() -> int:
    """Resident memory of this process, 0 where it cannot be told."""
    with suppress(OSError, ValueError, IndexError), open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - after every batch
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def cpu_seconds(pid: int) -> float | None:
    """Processor time that another process has used, None where it cannot be told."""
    if sys.platform != "linux":
        return None
    clock = ((-pid - 1) << 3) | 2  # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) of the kernel
    try:
        return time.clock_gettime(clock)
    except OSError:
        return None
