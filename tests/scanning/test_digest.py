"""Digests carry their algorithm."""

from __future__ import annotations

import hashlib
import io

import pytest

from dltool.scanning import digest
from dltool.scanning.digest import algorithm_of, digest_of, digest_of_stream

DATA = bytes(range(256)) * 9000


@pytest.mark.parametrize("algorithm", ["xxh3", "blake2b"])
def test_a_stream_and_its_bytes_agree(algorithm):
    assert digest_of_stream(io.BytesIO(DATA), algorithm) == (digest_of(DATA, algorithm), len(DATA))
    assert algorithm_of(digest_of(DATA, algorithm)) == algorithm
    assert digest_of(DATA, algorithm) != digest_of(DATA[:-1], algorithm)


def test_blake2b_is_the_standard_librarys():
    assert digest_of(DATA, "blake2b") == "blake2b:" + hashlib.blake2b(DATA, digest_size=16).hexdigest()


def test_without_xxhash_its_digests_cannot_be_made(monkeypatch):
    monkeypatch.setattr(digest, "xxhash", None)
    with pytest.raises(ValueError, match="xxh3"):
        digest_of(DATA, "xxh3")
