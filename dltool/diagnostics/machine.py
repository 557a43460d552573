"""What a run ran on, in words that stay the same from run to run: only then do times compare."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")


def machine_of(device: torch.device) -> str:
    """Processor, number of processors, threads and accelerator; no name of a host or user.

    The processors are those of the machine, not those that this process may use: that number comes as ``threads``.
    """
    parts = [_processor(), f"{os.cpu_count()} processors", f"{torch.get_num_threads()} threads"]
    if device.type == "cuda":
        parts.append(torch.cuda.get_device_name(device))
    elif device.type != "cpu":
        parts.append(device.type)
    return ", ".join(parts)


def _processor() -> str:
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
