"""Pictures and their encodings for the tests of image formats; the damage comes from the benchmark's generator."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path

from dltool.core.finding import Severity
from dltool.scanning.inspect import inspect
from dltool.scanning.record import Inspection, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import BytesSource

PATH = Path(__file__).parents[2] / "benchmarks" / "damage.py"
spec = importlib.util.spec_from_file_location("damage", PATH)
damage = importlib.util.module_from_spec(spec)
sys.modules["damage"] = damage
spec.loader.exec_module(damage)

QUICK, NORMAL, DEEP = (InspectSettings(tier=tier) for tier in Tier)


def encoded(image, kind, **options):
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def seen(data: bytes, name: str, settings=NORMAL) -> Inspection:
    return inspect(BytesSource(data, name), settings)


def kinds(found: Inspection) -> list[str]:
    return [flaw.kind for flaw in found.flaws]


def alarms(found: Inspection) -> list[str]:
    return [flaw.kind for flaw in found.flaws if flaw.severity is not Severity.INFO]
