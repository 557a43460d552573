"""Every kind of damage that its format reveals is found, clean pictures are not accused, with and without fast decoders."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from images import NORMAL, QUICK, alarms, damage, seen

from dltool.scanning.inspect import inspect
from dltool.scanning.source import FileSource

BLOCKED = ("simplejpeg", "isal", "isal.isal_zlib", "xxhash")
WITHOUT = """
import json, sys
sys.modules.update(dict.fromkeys({blocked!r}))
from dltool.scanning.inspect import inspect
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import FileSource
found = {{}}
for path in sys.argv[1:]:
    seen = inspect(FileSource(path, path), InspectSettings())
    image = seen.image
    facts = image and [image.encoder, image.similarity, image.mean]
    found[path] = [seen.format, [[f.kind, f.severity] for f in seen.flaws], facts]
    assert seen.digest.startswith("blake2b:") or not seen.size_bytes
print(json.dumps(found))
"""


def spoilt(kind, number=0):
    rng = random.Random(f"{kind.name} {number}")
    data = kind.spoil(damage.encoded(damage.picture(900 + number), kind.source), rng)
    return data, f"a.{kind.suffix or kind.source}"


@pytest.mark.parametrize("kind", [kind for kind in damage.KINDS if kind.revealed], ids=lambda kind: kind.name)
def test_damage_that_the_format_reveals_is_found(kind):
    data, name = spoilt(kind)
    assert alarms(seen(data, name, NORMAL))


def test_clean_pictures_are_not_accused(tmp_path):
    for path in damage.write_clean(tmp_path, 25, seed=7):
        for settings in (QUICK, NORMAL):
            assert inspect(FileSource(str(path), path.name), settings).flaws == ()


@pytest.mark.slow
def test_the_same_is_found_without_the_fast_decoders(tmp_path):
    paths = damage.write_clean(tmp_path / "clean", 6, seed=8)
    for kind in damage.KINDS:
        data, name = spoilt(kind, 1)
        paths.append(tmp_path / f"{kind.name}{Path(name).suffix}")
        paths[-1].write_bytes(data)
    names = [str(path) for path in paths]
    code = WITHOUT.format(blocked=BLOCKED)
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    slow = json.loads(done.stdout.splitlines()[-1])
    for name in names:
        found = inspect(FileSource(name, name), NORMAL)
        image = found.image
        facts = image and [image.encoder, image.similarity, pytest.approx(image.mean, abs=1e-3)]
        assert slow[name] == [found.format, [[flaw.kind, flaw.severity] for flaw in found.flaws], facts], name
