"""Bytes from files, archive members and memory."""

from __future__ import annotations

import pytest

from dltool.scanning.record import Item
from dltool.scanning.source import BytesSource, FileSource, MemberSource, source_of

DATA = bytes(range(256)) * 40


def sources(folder):
    path = folder / "whole.bin"
    path.write_bytes(DATA)
    archive = folder / "shard.tar"
    archive.write_bytes(b"before" + DATA + b"after")
    return FileSource(str(path), "whole.bin"), MemberSource(str(archive), "m.bin", 6, len(DATA)), BytesSource(DATA, "b.bin")


def test_every_source_gives_the_same(tmp_path):
    for source in sources(tmp_path):
        assert source.size_bytes == len(DATA)
        assert source.head(10) == DATA[:10]
        assert source.head() == DATA[:4096]
        assert source.read() == DATA
        with source.open() as stream:
            stream.seek(300)
            assert stream.read(5) == DATA[300:305]


def test_a_file_that_grew_is_read_to_its_end_or_told_by_its_size(tmp_path):
    path = tmp_path / "log.bin"
    path.write_bytes(b"12345")
    source = FileSource(str(path), "log.bin")
    assert source.size_bytes == 5
    path.write_bytes(b"1234567")
    assert source.read() == b"1234567"
    assert source.size_bytes == 5


def test_a_member_of_an_archive_that_is_cut_off_is_short(tmp_path):
    path = tmp_path / "shard.tar"
    path.write_bytes(b"0123456789")
    assert MemberSource(str(path), "m", 8, 10).read() == b"89"


def test_what_is_not_there_raises(tmp_path):
    source = FileSource(str(tmp_path / "no.bin"), "no.bin")
    for look in (source.read, source.head, source.open):
        with pytest.raises(FileNotFoundError):
            look()


def test_an_item_tells_where_its_bytes_lie(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(b"xxDATA")
    assert source_of(Item(0, "a.tar/m", str(path), start_byte=2, size_bytes=4)).read() == b"DATA"
    assert source_of(Item(0, "a.tar", str(path))).read() == b"xxDATA"
