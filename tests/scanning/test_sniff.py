"""What files are by their first bytes, and what their names promise."""

from __future__ import annotations

import pytest
from images import kinds, seen

from dltool.scanning.sniff import document, is_text, promised, signature

HTML = b"\xef\xbb\xbf\n<!-- x -->\n<!doctype HTML>\n<html></html>"


@pytest.mark.parametrize(
    ("name", "promise"),
    [("a.JPG", "jpeg"), ("b/c.jfif", "jpeg"), ("x.mpo", "jpeg"), ("t.TIF", "tiff"), ("t.tiff", "tiff"), ("a.csv", "csv"),
     ("m.pth", "checkpoint"), ("README", None), ("a.jpg.bak", None), (".hidden", None), ("a.", None), ("a.txt", None)],
)  # fmt: skip
def test_names_promise(name, promise):
    assert promised(name) == promise


@pytest.mark.parametrize(
    ("head", "name"),
    [(b"\xff\xd8\xff\xe0", "jpeg"), (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
     (b"RIFF\0\0\0\0WAVEfmt ", "wav"), (b"RIFF\0\0\0\0XXXX", None),
     (b"\0\0\0\x1cftypheic", "heif"), (b"\0\0\0\x1cftypavif", "avif"), (b"BM" + bytes(12) + b"\x28\0\0\0", "bmp"),
     (b"BM" + b"I,age,name\n1,2,3,4\n", None), (b"P6\n3 2\n255\n", "pnm"), (b"P12,P13\n1,2", None), (b"PK\x03\x04", "zip"),
     (b"\x10\0\0\0\0\0\0\0{\"a\"", "safetensors"), (b"\x80\x04\x95", "pickle"), (b"", None), (b"\0" * 64, None)],
)  # fmt: skip
def test_first_bytes_tell(head, name):
    assert signature(head) == name


@pytest.mark.parametrize(
    ("text", "kind"),
    [(HTML, "html"), (b"<html lang='en'>", "html"), (b"<?xml version='1.0'?><Error/>", "xml"), (b"<Error><Code/>", "xml"),
     (b' {"error": 1}', "json"), (b"[1, 2]", "json"), (b"version https://git-lfs.github.com/spec/v1\noid", "lfs-pointer"),
     (b"a,b\n1,2\n", None), (b"<3,heart\n", None), (b"{not json", None)],
)  # fmt: skip
def test_texts_in_place_of_data(text, kind):
    found = document(text)
    assert (found and found.kind) == kind


def test_text_is_told_from_bytes():
    assert is_text(b"a,b\r\n1,2\t\n")
    assert is_text("Ärger, naïve café, and more plain text".encode())
    assert not is_text(b"a\0b")
    assert not is_text(bytes(range(128, 256)))


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [(b"", "a.jpg", "empty"), (b"\0" * 5000, "a.png", "zeroed"), (HTML, "a.jpg", "html"), (b"gone\n", "a.webp", "text"),
     (bytes(range(7, 250)), "a.gif", "unrecognised"),
     (b"version https://git-lfs.github.com/spec/v1\n", "weights.bin", "lfs-pointer"),
     (b"%PDF-1.4 \xff", "a.jpg", "pdf-named-jpeg"), (b"\0\0\0\x18ftypmp42", "a.jpg", "mp4-named-jpeg"),
     (b"PK\x03\x04" + bytes(60), "table.csv", "zip-named-csv")],
)  # fmt: skip
def test_what_lies_in_place_of_data_is_named(data, name, kind):
    assert kinds(seen(data, name)) == [kind]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", ".gitkeep"),
        (b"", "labels/0001.txt"),
        (b'{"images": []}', "annotations.json"),
        (HTML, "index.html"),
        (b"\0" * 99, "blob.bin"),
    ],
)
def test_files_that_promise_no_data_are_left_alone(data, name):
    assert seen(data, name).flaws == ()
