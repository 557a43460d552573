"""The forms that inspectors of formats have."""

from __future__ import annotations

from collections.abc import Callable

from dltool.scan.formats.seen import Seen
from dltool.scan.record import Inspection
from dltool.scan.settings import InspectSettings
from dltool.scan.source import Source

PictureInspector = Callable[[bytes, InspectSettings], Seen]
"""Of a format whose files are read as a whole."""

TableInspector = Callable[[Source, InspectSettings], Inspection]
"""Of a format whose files may be larger than memory."""
