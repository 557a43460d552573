"""Hashes of bytes, by the fastest algorithm at hand; the algorithm's name goes with each, so that two can be told apart."""

from __future__ import annotations

import hashlib
from typing import Any, BinaryIO

from dltool.scanning.optional import optional

xxhash = optional("xxhash")
ALGORITHM = "blake2b" if xxhash is None else "xxh3"
BLOCK_BYTES = 1 << 20


def digest_of(data: bytes | memoryview, algorithm: str = ALGORITHM) -> str:
    """``xxh3:<32 hex digits>`` (XXH3, 128 bits) or ``blake2b:<32 hex digits>`` of some bytes.

    Raises ValueError where the algorithm is unknown, or not installed here.
    """
    if algorithm == "xxh3" and xxhash is not None:
        return "xxh3:" + str(xxhash.xxh3_128_hexdigest(data))
    hasher = _hasher(algorithm)
    hasher.update(data)
    return f"{algorithm}:{hasher.hexdigest()}"


def digest_of_stream(stream: BinaryIO, algorithm: str = ALGORITHM) -> tuple[str, int]:
    """The digest of what is left in a stream, and how many bytes that was; a block at a time."""
    hasher, count = _hasher(algorithm), 0
    while block := stream.read(BLOCK_BYTES):
        hasher.update(block)
        count += len(block)
    return f"{algorithm}:{hasher.hexdigest()}", count


class RunningDigest:
    """The digest of bytes that come in pieces."""

    def __init__(self, algorithm: str = ALGORITHM) -> None:
        self._algorithm = algorithm
        self._hasher = _hasher(algorithm)
        self.size_bytes = 0

    def add(self, piece: bytes | memoryview) -> None:
        """Bytes after all so far."""
        self._hasher.update(piece)
        self.size_bytes += len(piece)

    @property
    def text(self) -> str:
        """The same as ``digest_of`` of all pieces."""
        return f"{self._algorithm}:{self._hasher.hexdigest()}"


def algorithm_of(digest: str) -> str:
    """The algorithm that made a digest, so that a manifest can be verified with the same one."""
    return digest.partition(":")[0]


def _hasher(algorithm: str) -> Any:
    if algorithm == "blake2b":
        return hashlib.blake2b(digest_size=16)
    if algorithm == "xxh3" and xxhash is not None:
        return xxhash.xxh3_128()
    raise ValueError(f"no digest algorithm {algorithm!r} here")
