"""What a file is, by its first bytes; what its name promises; and what is put in the place of data by servers and tools."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

SUFFIXES: dict[str, tuple[str, ...]] = {
    "jpeg": ("jpg", "jpeg", "jpe", "jfif", "jif", "mpo"),
    "png": ("png", "apng"),
    "gif": ("gif",),
    "bmp": ("bmp",),
    "dib": ("dib",),
    "webp": ("webp",),
    "tiff": ("tif", "tiff"),
    "jpeg2000": ("jp2", "j2k", "j2c", "jpc", "jpf", "jpx"),
    "avif": ("avif",),
    "ico": ("ico",),
    "cur": ("cur",),
    "psd": ("psd",),
    "pnm": ("pbm", "pgm", "ppm", "pnm", "pam", "pfm"),
    "qoi": ("qoi",),
    "dds": ("dds",),
    "tga": ("tga",),
    "pcx": ("pcx",),
    "sgi": ("sgi",),
    "csv": ("csv",),
    "tsv": ("tsv",),
    "jsonl": ("jsonl", "ndjson"),
    "parquet": ("parquet", "pq"),
    "npy": ("npy",),
    "npz": ("npz",),
    "safetensors": ("safetensors",),
    "checkpoint": ("pt", "pth", "ckpt"),
    "wav": ("wav", "wave"),
}
"""Formats that are looked into, and what their files are called; one format may go by many names."""

PROMISED = {suffix: name for name, suffixes in SUFFIXES.items() for suffix in suffixes}
IMAGES = frozenset(list(SUFFIXES)[: list(SUFFIXES).index("csv")])
TABLES = frozenset(SUFFIXES) - IMAGES
TEXTS = frozenset({"csv", "tsv", "jsonl"})
UNMARKED = TEXTS | {"dib", "tga", "pcx", "sgi", "checkpoint", "safetensors"}
"""Formats whose first bytes prove nothing: a file that is called so is taken at its word."""

MARKS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"8BPS\0\x01", "psd"),
    (b"qoif", "qoi"),
    (b"DDS ", "dds"),
    (b"PAR1", "parquet"),
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"%PDF-", "pdf"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x7fELF", "executable"),
    (b"SQLite format 3\0", "sqlite"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
)
BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "avif"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "heif"),
    **dict.fromkeys((b"isom", b"mp41", b"mp42", b"qt  ", b"M4V ", b"avc1", b"iso2"), "mp4"),
}
BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
PNM = re.compile(rb"P(?:[1-6][\s#]|[fF]\s|7\n)")
PICKLE = re.compile(rb"\x80[\x02-\x05].", re.DOTALL)
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
HTML = re.compile(
    rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|script|title|meta)\b", re.IGNORECASE | re.DOTALL
)
XML = re.compile(rb"\s*<(?:\?xml|svg\b|Error>|soap|rss\b)", re.IGNORECASE)
JSON = re.compile(rb'\s*(?:\{\s*(?:"|\})|\[\s*(?:[\[{"\]\d-]|true|false|null))')
MARK_BYTES = 64
"""Enough for ``signature``."""

CONTROL = bytes(byte for byte in range(32) if byte not in b"\t\n\f\r")
NOT_ASCII = bytes(range(128, 256))
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Impostor(NamedTuple):
    """Something that lies where data should: its ``kind`` and what it is, for a sentence."""

    kind: str
    what: str


def promised(name: str) -> str | None:
    """The format that a file's name promises; None where it promises none that is looked into."""
    return PROMISED.get(name[name.rfind(".") + 1 :].lower()) if "." in name else None


def signature(head: bytes) -> str | None:
    """The format that the first bytes give away, or None. ``head`` should hold 64 bytes, or all there is."""
    for mark, name in MARKS:
        if head.startswith(mark):
            return name
    if head[:4] in {b"RIFF", b"RF64"}:
        return {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12])
    if head[:2] == b"BM" and (len(head) < 18 or int.from_bytes(head[14:18], "little") in BMP_HEADERS):
        return "bmp"
    if head[:4] in {b"\0\0\1\0", b"\0\0\2\0"} and 0 < int.from_bytes(head[4:6], "little") < 256:
        return "ico" if head[2] == 1 else "cur"
    if PNM.match(head):
        return "pnm"
    if PICKLE.match(head):
        return "pickle"
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 100_000_000:
        return "safetensors"
    return None


def document(head: bytes) -> Impostor | None:
    """A text that servers and tools leave in place of data: an error page, an API's answer, a pointer to the real file."""
    text = head.removeprefix(BYTE_ORDER_MARK)
    if text.startswith(LFS_POINTER):
        return Impostor("lfs-pointer", "a Git LFS pointer; the data itself was never fetched (git lfs pull)")
    if HTML.match(text):
        return Impostor("html", "an HTML page, such as a server sends for an error or a login")
    if XML.match(text):
        return Impostor("xml", "an XML document, such as a storage service sends for an error")
    if JSON.match(text):
        return Impostor("json", "a JSON text, such as an API answers with")
    return None


def is_text(head: bytes) -> bool:
    """Whether the bytes read as text: no control characters but white space, and UTF-8 or nearly all ASCII."""
    if len(head.translate(None, CONTROL)) < len(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # which may end within a character
    except UnicodeDecodeError:
        return len(head.translate(None, NOT_ASCII)) >= 0.9 * len(head)
    return True
