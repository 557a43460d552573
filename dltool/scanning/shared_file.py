"""A file that processes share, and that is gone when they are."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


class SharedFile:
    """An empty file for this process and those that it starts.

    Where the system can, it has no name from the start, so that nothing is left when all of them are killed: ``inherited``
    is then to be passed to new processes, for which ``path`` holds as it does here.
    """

    def __init__(self) -> None:
        self.descriptor, self._named = tempfile.mkstemp(prefix="dltool-scan-")
        self.path = f"/dev/fd/{self.descriptor}"
        self.inherited: tuple[int, ...] = ()
        if os.name == "posix" and Path(self.path).exists():
            self.inherited = (self.descriptor,)
            self._forget_name()
        else:
            self.path = self._named

    @property
    def size_bytes(self) -> int:
        """How much is in it now."""
        return os.fstat(self.descriptor).st_size

    def text(self) -> str:
        """All of it."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        with os.fdopen(os.dup(self.descriptor), encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def close(self) -> None:
        """The file goes; processes that still have it open or mapped keep it until they end."""
        os.close(self.descriptor)
        self._forget_name()

    def _forget_name(self) -> None:
        if self._named:
            with suppress(OSError):
                Path(self._named).unlink()
            self._named = ""
