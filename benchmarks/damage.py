"""Pictures as cameras and renderers make them, and fifty-odd ways in which transfers, disks and servers spoil them.

    python benchmarks/damage.py FOLDER [--clean 1000] [--each 10] [--seed 0]

Writes FOLDER/clean/*.{jpg,png} (four JPEG to a PNG, 224 pixels) and FOLDER/damaged/KIND/*, all from the seed alone.
`REVEALED` says of each kind whether the format itself gives the damage away: a bit that flips in a JPEG scan may just make
another picture, while a PNG has a checksum over everything.
"""

from __future__ import annotations

import argparse
import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 224
Spoil = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Damage:
    """One way to spoil a file that was written as ``source`` and lies about under ``suffix``."""

    name: str
    source: str
    spoil: Spoil
    suffix: str = ""
    revealed: bool = True


def picture(seed: int, side: int = SIDE) -> Image.Image:
    """Smooth light over several scales, a few shapes with edges, and a little sensor noise."""
    rng = np.random.default_rng(seed)
    light = np.zeros((side, side, 3))
    for octave in (2, 4, 8, 16, 32, 64):
        grid = rng.normal(size=(octave + 1, octave + 1, 3)) * 60 / octave**0.8
        bands = [
            Image.fromarray(grid[..., c].astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC) for c in range(3)
        ]
        light += np.stack([np.asarray(band) for band in bands], axis=2) * rng.uniform(0.6, 1.0)
    image = Image.fromarray((light + rng.uniform(90, 160, 3)).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(2, 7)):
        corners = [tuple(map(float, rng.uniform(0, side, 2))) for _ in range(rng.integers(3, 6))]
        draw.polygon(corners, fill=tuple(map(int, rng.integers(0, 256, 3))))
    noisy = np.asarray(image) + rng.normal(scale=rng.uniform(1, 4), size=(side, side, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str) -> bytes:  # noqa: PLR0912
    """``image`` as a file of one of the kinds that damage starts from."""
    target = io.BytesIO()
    match kind:
        case "jpg":
            image.save(target, "JPEG", quality=90)
        case "progressive.jpg":
            image.save(target, "JPEG", quality=85, progressive=True)
        case "png":
            image.save(target, "PNG")
        case "palette.png":
            image.quantize(200).save(target, "PNG")
        case "gif":
            image.quantize(128).save(target, "GIF")
        case "animated.gif":
            frames = [image.rotate(9 * turn).quantize(64) for turn in range(4)]
            frames[0].save(target, "GIF", save_all=True, append_images=frames[1:])
        case "bmp":
            image.save(target, "BMP")
        case "palette.bmp":
            image.quantize(256).save(target, "BMP")
        case "tif":
            image.save(target, "TIFF")
        case "lzw.tif":
            image.save(target, "TIFF", compression="tiff_lzw")
        case "deflate.tif":
            image.save(target, "TIFF", compression="tiff_adobe_deflate")
        case "webp":
            image.save(target, "WEBP", quality=85)
        case "lossless.webp":
            image.save(target, "WEBP", lossless=True)
    return target.getvalue()


def _cut(share: float) -> Spoil:
    return lambda data, _: data[: int(len(data) * share)]


def _drop_end(count: int) -> Spoil:
    return lambda data, _: data[:-count]


def _append(what: bytes) -> Spoil:
    return lambda data, _: data + what


def _replace(what: bytes) -> Spoil:
    return lambda _, rng: what.replace(b"%N", str(rng.randrange(10**6)).encode())


def _zero_from(share: float) -> Spoil:
    return lambda data, _: data[: int(len(data) * share)].ljust(len(data), b"\0")


def _middle(data: bytes, count: int, rng: random.Random) -> int:
    return rng.randrange(len(data) // 3, max(len(data) // 3 + 1, len(data) * 2 // 3 - count))


def _fill_middle(count: int, *, noise: bool = False) -> Spoil:
    def spoil(data: bytes, rng: random.Random) -> bytes:
        at = _middle(data, count, rng)
        return data[:at] + (rng.randbytes(count) if noise else bytes(count)) + data[at + count :]

    return spoil


def _flip(count: int) -> Spoil:
    """That many bytes, next to each other, become others."""

    def spoil(data: bytes, rng: random.Random) -> bytes:
        at = _middle(data, count, rng)
        return data[:at] + bytes(byte ^ rng.randrange(1, 256) for byte in data[at : at + count]) + data[at + count :]

    return spoil


def _flip_bit(data: bytes, rng: random.Random) -> bytes:
    at = _middle(data, 1, rng)
    return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]


def _without_middle(count: int) -> Spoil:
    def spoil(data: bytes, rng: random.Random) -> bytes:
        at = _middle(data, count, rng)
        return data[:at] + data[at + count :]

    return spoil


def _twice_middle(data: bytes, rng: random.Random) -> bytes:
    at = _middle(data, 2048, rng)
    return data[: at + 2048] + data[at:]


def _crlf(data: bytes, _: random.Random) -> bytes:
    return data.replace(b"\n", b"\r\n")


def _seven_bits(data: bytes, _: random.Random) -> bytes:
    return bytes(byte & 0x7F for byte in data)


def _as_text(data: bytes, _: random.Random) -> bytes:
    return data.decode("utf-8", "replace").encode()


def _spliced(data: bytes, rng: random.Random) -> bytes:
    other = encoded(picture(rng.randrange(10**6)), "jpg")
    return data[: len(data) // 2] + other[len(other) // 2 :]


def _jpeg_size(grow: int) -> Spoil:
    """The frame header declares more or fewer rows than there are."""

    def spoil(data: bytes, _: random.Random) -> bytes:
        at = next(data.find(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in data) + 5
        return data[:at] + struct.pack(">H", min(65500, int.from_bytes(data[at : at + 2], "big") + grow)) + data[at + 2 :]

    return spoil


def _jpeg_bomb(data: bytes, _: random.Random) -> bytes:
    at = data.find(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", 65500, 65500) + data[at + 4 :]


def _jpeg_codes(data: bytes, rng: random.Random) -> bytes:
    """Zeros in the place of the first Huffman table."""
    at = data.find(b"\xff\xc4") + 5
    return data[:at] + rng.randbytes(16) + data[at + 16 :]


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and payload of each chunk of a PNG."""
    at = 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def png_of(parts: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG of such chunks, with checksums that match."""
    body = (struct.pack(">I", len(payload)) + name + payload + _crc(name + payload) for name, payload in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def _png_header(place: int, value: bytes) -> Spoil:
    """Other bytes in IHDR, with a checksum that matches: the header lies."""

    def spoil(data: bytes, _: random.Random) -> bytes:
        parts = list(chunks(data))
        payload = parts[0][1]
        return png_of([(b"IHDR", payload[:place] + value + payload[place + len(value) :]), *parts[1:]])

    return spoil


def _png_rows(data: bytes, rng: random.Random) -> bytes:
    """A row names a filter that does not exist."""
    parts = list(chunks(data))
    rows = bytearray(zlib.decompress(b"".join(payload for name, payload in parts if name == b"IDAT")))
    rows[rng.randrange(SIDE) * (1 + 3 * SIDE)] = rng.randrange(5, 256)
    return png_of([parts[0], (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b"")])


def _png_without(name: bytes, *, all_of_them: bool = True) -> Spoil:
    def spoil(data: bytes, _: random.Random) -> bytes:
        parts = list(chunks(data))
        last = max(i for i, part in enumerate(parts) if part[0] == name)
        return png_of([part for i, part in enumerate(parts) if part[0] != name or (not all_of_them and i != last)])

    return spoil


def _png_short(data: bytes, _: random.Random) -> bytes:
    """The stream ends early, and all checksums are in order."""
    parts = list(chunks(data))
    stream = b"".join(payload for name, payload in parts if name == b"IDAT")
    return png_of([parts[0], (b"IDAT", stream[: len(stream) * 3 // 4]), (b"IEND", b"")])


def _png_checksum(data: bytes, _: random.Random) -> bytes:
    return data[:29] + bytes((data[29] ^ 0x55,)) + data[30:]


def _put(place: int, form: str, value: int) -> Spoil:
    return lambda data, _: data[:place] + struct.pack(form, value) + data[place + struct.calcsize(form) :]


def _tiff_tag(tag: int, value: int) -> Spoil:
    """Another value for a tag of the first directory (little endian, as Pillow writes)."""

    def spoil(data: bytes, _: random.Random) -> bytes:
        start = int.from_bytes(data[4:8], "little")
        for at in range(start + 2, start + 2 + 12 * int.from_bytes(data[start : start + 2], "little"), 12):
            if int.from_bytes(data[at : at + 2], "little") == tag:
                return data[: at + 8] + struct.pack("<I", value) + data[at + 12 :]
        raise ValueError(f"no tag {tag}")

    return spoil


def _gif_early(data: bytes, _: random.Random) -> bytes:
    """The last third of the sub-blocks is gone, and the file goes on in order."""
    at = data.rfind(b"\x2c", 0, 2000) if data.count(b"\x2c") == 1 else data.find(b"\x2c\0\0\0\0")
    start = at + 11
    spans, place = [], start
    while data[place]:
        spans.append(place)
        place += 1 + data[place]
    return data[: spans[len(spans) * 2 // 3]] + data[place:]


def _gif_mark(data: bytes, _: random.Random) -> bytes:
    """The length of a sub-block changes, so that the next one begins in the middle of codes."""
    at = data.find(b"\x2c\0\0\0\0") + 11
    for _block in range(5):
        at += 1 + data[at]
    return data[:at] + b"\x10" + data[at + 1 :]


HTML = b"<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head><body>Request %N was denied.</body></html>\n"
XML = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><RequestId>%N</RequestId></Error>\n'
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a2146" * 8 + b"\nsize %N\n"

KINDS: tuple[Damage, ...] = (
    Damage("jpeg-half", "jpg", _cut(0.5)),
    Damage("jpeg-95-percent", "jpg", _cut(0.95)),
    Damage("jpeg-cut-in-header", "jpg", lambda data, _: data[:300]),
    Damage("jpeg-without-end-marker", "jpg", _drop_end(2)),
    Damage("jpeg-last-byte-missing", "jpg", _drop_end(1)),
    Damage("jpeg-second-half-zero", "jpg", _zero_from(0.5)),
    Damage("jpeg-tail-zero", "jpg", _zero_from(0.95)),
    Damage("jpeg-2kb-zero-inside", "jpg", _fill_middle(2048)),
    Damage("jpeg-2kb-noise-inside", "jpg", _fill_middle(2048, noise=True)),
    Damage("jpeg-1kb-missing-inside", "jpg", _without_middle(1024)),
    Damage("jpeg-2kb-twice-inside", "jpg", _twice_middle),
    Damage("jpeg-spliced-of-two", "jpg", _spliced, revealed=False),
    Damage("jpeg-six-bytes-flipped", "jpg", _flip(6), revealed=False),
    Damage("jpeg-one-bit-flipped", "jpg", _flip_bit, revealed=False),
    Damage("jpeg-huffman-table", "jpg", _jpeg_codes),
    Damage("jpeg-more-rows-declared", "jpg", _jpeg_size(96)),
    Damage("jpeg-fewer-rows-declared", "jpg", _jpeg_size(-64)),
    Damage("jpeg-bomb", "jpg", _jpeg_bomb),
    Damage("jpeg-trailing-garbage", "jpg", _append(b"<!-- injected by a proxy -->" * 3)),
    Damage("jpeg-crlf", "jpg", _crlf),
    Damage("jpeg-seven-bits", "jpg", _seven_bits),
    Damage("jpeg-as-utf8", "jpg", _as_text),
    Damage("progressive-half", "progressive.jpg", _cut(0.5), "jpg"),
    Damage("progressive-2kb-zero-inside", "progressive.jpg", _fill_middle(2048), "jpg"),
    Damage("empty", "jpg", _replace(b"")),
    Damage("all-zero", "jpg", _zero_from(0.0)),
    Damage("noise", "jpg", lambda data, rng: rng.randbytes(len(data))),
    Damage("html", "jpg", _replace(HTML)),
    Damage("json", "png", _replace(b'{"error": {"code": 404, "request": %N}}')),
    Damage("xml", "jpg", _replace(XML)),
    Damage("lfs-pointer", "png", _replace(POINTER)),
    Damage("text", "jpg", _replace(b"photo %N is no longer available\n")),
    Damage("png-as-jpg", "png", _append(b""), "jpg"),
    Damage("webp-as-jpg", "webp", _append(b""), "jpg"),
    Damage("bmp-as-jpg", "bmp", _append(b""), "jpg"),
    Damage("gif-as-png", "gif", _append(b""), "png"),
    Damage("jpg-as-png", "jpg", _append(b""), "png"),
    Damage("png-half", "png", _cut(0.5)),
    Damage("png-without-end", "png", _drop_end(12)),
    Damage("png-last-bytes-missing", "png", _drop_end(20)),
    Damage("png-one-bit-flipped", "png", _flip_bit),
    Damage("png-2kb-zero-inside", "png", _fill_middle(2048)),
    Damage("png-second-half-zero", "png", _zero_from(0.5)),
    Damage("png-header-checksum", "png", _png_checksum),
    Damage("png-chunk-missing", "png", _png_without(b"IDAT", all_of_them=False)),
    Damage("png-without-picture", "png", _png_without(b"IDAT")),
    Damage("png-without-palette", "palette.png", _png_without(b"PLTE"), "png"),
    Damage("png-short-stream", "png", _png_short),
    Damage("png-more-rows-declared", "png", _png_header(4, struct.pack(">I", 300))),
    Damage("png-bomb", "png", _png_header(0, struct.pack(">II", 60000, 60000))),
    Damage("png-bad-colour-type", "png", _png_header(9, b"\x05")),
    Damage("png-bad-filter", "png", _png_rows),
    Damage("png-crlf", "png", _crlf),
    Damage("png-trailing-garbage", "png", _append(b"<!-- injected by a proxy -->" * 3)),
    Damage("gif-half", "gif", _cut(0.5)),
    Damage("gif-short-codes", "gif", _gif_early),
    Damage("gif-block-length", "gif", _gif_mark),
    Damage("gif-animation-cut", "animated.gif", _cut(0.6), "gif"),
    Damage("bmp-half", "bmp", _cut(0.5)),
    Damage("bmp-more-rows-declared", "bmp", _put(22, "<i", 400)),
    Damage("bmp-start-outside", "bmp", _put(10, "<I", 10**7)),
    Damage("bmp-bits", "bmp", _put(28, "<H", 17)),
    Damage("bmp-palette-index", "palette.bmp", _put(46, "<I", 3), "bmp"),
    Damage("tiff-half", "tif", _cut(0.5)),
    Damage("tiff-more-rows-declared", "tif", _tiff_tag(257, 400)),
    Damage("tiff-strip-outside", "tif", _tiff_tag(273, 10**7)),
    Damage("tiff-lzw-2kb-zero-inside", "lzw.tif", _fill_middle(2048), "tif"),
    Damage("tiff-deflate-bit-flipped", "deflate.tif", _flip_bit, "tif"),
    Damage("tiff-directory-outside", "tif", _put(4, "<I", 10**8)),
    Damage("webp-half", "webp", _cut(0.5)),
    Damage("webp-lossless-2kb-zero-inside", "lossless.webp", _fill_middle(2048), "webp", revealed=False),
    Damage("webp-size-declared", "webp", _put(4, "<I", 10**6)),
    Damage("webp-trailing-garbage", "webp", _append(b"<!-- injected by a proxy -->" * 3)),
)
REVEALED = {kind.name: kind.revealed for kind in KINDS}


def write_clean(folder: Path, count: int, seed: int) -> list[Path]:
    """``count`` pictures that nothing is wrong with, every fifth a PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        kind = "png" if number % 5 == 4 else "jpg"
        paths.append(folder / f"{number:05}.{kind}")
        paths[-1].write_bytes(encoded(picture(seed * 1_000_003 + number), kind))
    return paths


def write_damaged(folder: Path, each: int, seed: int) -> dict[str, list[Path]]:
    """``each`` files of every kind of damage, in a folder of that name."""
    paths: dict[str, list[Path]] = {}
    for place, kind in enumerate(KINDS):
        (folder / kind.name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            rng = random.Random(f"{seed} {kind.name} {number}")
            path = folder / kind.name / f"{number:02}.{kind.suffix or kind.source}"
            path.write_bytes(
                kind.spoil(encoded(picture(seed * 1_000_003 + 500_000 + 100 * place + number), kind.source), rng)
            )
            paths.setdefault(kind.name, []).append(path)
    return paths


def main() -> None:
    """Write both sets."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clean", type=int, default=1000)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_clean(arguments.folder / "clean", arguments.clean, arguments.seed)
    write_damaged(arguments.folder / "damaged", arguments.each, arguments.seed)


if __name__ == "__main__":
    main()
