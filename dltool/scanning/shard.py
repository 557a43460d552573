"""One n-th of a data set, chosen by the name of each file: the same files on every machine, whatever the others hold."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from dltool.core.errors import UserError


@dataclass(frozen=True, slots=True)
class ShardChoice:
    """Part ``index`` (from 1) of ``count``."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> ShardChoice:
        """Read ``2/8``.

        Raises:
            UserError: it is something else.
        """
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UserError(f"--shard {text} is no part of a whole; expected i/n with i from 1 to n, such as 2/8")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def takes(self, name: str) -> bool:
        """Whether the file of this name, relative to what is scanned, is in this part."""
        digest = hashlib.blake2b(os.fsencode(name), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.index - 1
