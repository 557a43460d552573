"""The forms that inspectors of formats have."""

from __future__ import annotations

from collections.abc import Callable

from dltool.scanning.formats.seen import Seen
from dltool.scanning.record import Inspection
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import Source

PictureInspector = Callable[[bytes, InspectSettings], Seen]
"""Of a format whose files are read as a whole."""

TableInspector = Callable[[Source, InspectSettings], Inspection]
"""Of a format whose files may be larger than memory."""
