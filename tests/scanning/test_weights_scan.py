import io
import json
import math
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save

from dltool.scanning.formats.checkpoint import inspect_checkpoint
from dltool.scanning.formats.safetensors import inspect_safetensors
from dltool.scanning.formats.wav import inspect_wav
from dltool.scanning.record import Inspection
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import BytesSource, FileSource

SETTINGS = InspectSettings()


def kinds(found: Inspection) -> list[tuple[str, str]]:
    return [(flaw.kind, flaw.severity.value) for flaw in found.flaws]


def tensors(data: bytes) -> Inspection:
    return inspect_safetensors(BytesSource(data, "x.safetensors"), SETTINGS)


def made(header: object, buffer: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + buffer


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_healthy_tensors_of_every_type():
    kinds_of = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool,
                torch.float8_e4m3fn]  # fmt: skip
    found = tensors(save({str(kind): torch.ones(3, 4).to(kind) for kind in kinds_of}, {"made": "here"}))
    assert found.flaws == ()
    assert found.table.rows == len(kinds_of)
    assert {column.minimum for column in found.table.columns} == {1.0, None}


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_non_finite_weights_are_counted_by_tensor(kind):
    weight = torch.zeros(100).to(kind)
    weight[3], weight[7], weight[8] = math.nan, math.inf, -math.inf
    found = tensors(save({"a": torch.ones(4), "head.weight": weight}))
    assert [(flaw.column, flaw.count) for flaw in found.flaws] == [("head.weight", 3)]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "bad-header"),
        (b"\1\0", "bad-header"),
        (struct.pack("<Q", 2**62), "bad-header"),
        (struct.pack("<Q", 500) + b"{}", "truncated"),
        (made(b"not json", b""), "bad-header"),
        (made([1], b""), "bad-header"),
        (made({"a": entry("F32", [2], 0, 8)}, b"\0" * 7), "truncated"),
        (made({"a": entry("F32", [2], 0, 8)}, b"\0" * 9), "bad-header"),
        (made({"a": entry("F32", [3], 0, 8)}, b"\0" * 8), "bad-header"),
        (made({"a": entry("F99", [2], 0, 8)}, b"\0" * 8), "bad-header"),
        (made({"a": entry("F32", [-2], 0, 8)}, b"\0" * 8), "bad-header"),
        (made({"a": entry("F32", [2], 4, 12)}, b"\0" * 12), "bad-header"),
        (made({"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)}, b"\0" * 12), "bad-header"),
        (made({"a": {"dtype": "F32"}}, b""), "bad-header"),
        (made({"__metadata__": {"a": 1}}, b""), "bad-header"),
        (made(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{}}', b"\0"), "bad-header"),
    ],
)
def test_headers_that_break_the_format(data, kind):
    assert kinds(tensors(data)) == [(kind, "error")]


def saved(value: object, **options: object) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def checkpoint(tmp_path, data: bytes) -> Inspection:
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    return inspect_checkpoint(FileSource(str(path), "x.pt"), SETTINGS)


class Sly:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_healthy_checkpoint_with_its_optimizer(tmp_path):
    model = torch.nn.Linear(3, 2)
    state = {"model": model.state_dict(), "optimizer": torch.optim.Adam(model.parameters()).state_dict(), "epoch": 3}
    found = checkpoint(tmp_path, saved(state))
    assert found.flaws == ()
    assert [column.name for column in found.table.columns] == ["model.weight", "model.bias"]


def test_weights_that_are_nan_are_named(tmp_path):
    found = checkpoint(tmp_path, saved({"w": torch.tensor([1.0, math.nan, -math.inf])}))
    assert [(flaw.rule, flaw.column, flaw.count) for flaw in found.flaws] == [("non-finite-value", "w", 2)]


@pytest.mark.parametrize("legacy", [True, False])
def test_code_in_a_checkpoint_is_refused_and_does_not_run(tmp_path, capsys, legacy):
    found = checkpoint(tmp_path, saved({"w": Sly()}, _use_new_zipfile_serialization=not legacy))
    assert [(flaw.rule, flaw.kind) for flaw in found.flaws] == [("unsafe-file", "pickle")]
    assert capsys.readouterr().out == ""


def test_damaged_checkpoints(tmp_path):
    whole = saved({"w": torch.arange(1000.0)})
    assert [kind for kind, _ in kinds(checkpoint(tmp_path, whole[:-50]))] == ["truncated"]
    flipped = bytearray(whole)
    flipped[2000] ^= 4
    assert [kind for kind, _ in kinds(checkpoint(tmp_path, bytes(flipped)))] == ["checksum"]


def wav(samples: np.ndarray, *, code: int = 1, rate_hz: int = 8000, extra: bytes = b"") -> bytes:
    bits, channels = samples.dtype.itemsize * 8, samples.shape[1]
    head = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * channels * bits // 8, channels * bits // 8, bits)
    data = samples.tobytes()
    body = b"fmt " + struct.pack("<I", len(head)) + head + extra + b"data" + struct.pack("<I", len(data)) + data
    body += b"\0" * (len(data) & 1)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


def sound(data: bytes) -> Inspection:
    return inspect_wav(BytesSource(data, "x.wav"), SETTINGS)


SILENCE = np.zeros((100, 2), "<i2")


@pytest.mark.parametrize("data", [wav(SILENCE), wav(np.zeros((7, 1), "u1")), wav(np.ones((9, 1), "<f4"), code=3),
                                  wav(SILENCE, extra=b"LIST\x03\0\0\0abc\0")])  # fmt: skip
def test_healthy_sounds(data):
    assert sound(data).flaws == ()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"RIFF", ("bad-header", "error")),
        (wav(SILENCE)[:-10], ("truncated", "error")),
        (wav(SILENCE)[:30], ("truncated", "error")),
        (wav(SILENCE) + b"more than enough", ("trailing-bytes", "warning")),
        (wav(SILENCE[:0]), ("no-samples", "error")),
        (wav(SILENCE)[:36], ("missing-chunk", "error")),
        (wav(SILENCE, rate_hz=0), ("bad-format", "error")),
        (wav(SILENCE).replace(b"data\x90\1\0\0", b"data\xff\xff\xff\xff"), ("unknown-size", "warning")),
    ],
)
def test_broken_sounds(data, expected):
    assert kinds(sound(data))[0] == expected


def test_sound_that_is_nan_is_named_by_frame():
    samples = np.zeros((50, 2), "<f4")
    samples[20, 1] = np.nan
    (flaw,) = sound(wav(samples, code=3)).flaws
    assert (flaw.rule, flaw.frame, flaw.count) == ("non-finite-value", 20, 1)


def test_random_damage_never_raises(tmp_path):
    random = np.random.default_rng(6)
    wholes = [(tensors, save({"a": torch.ones(5), "b": torch.zeros(3)})), (sound, wav(SILENCE))]
    for trial in range(300):
        look, whole = wholes[trial % 2]
        data = bytearray(whole)
        for at in random.integers(0, min(len(data), 100), 3):
            data[at] = random.integers(0, 256)
        found = look(bytes(data[: random.integers(1, len(data) + 1)]))
        assert isinstance(found, Inspection)
