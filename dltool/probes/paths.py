"""Files of the user's code as a report names them."""

from __future__ import annotations

import os
from pathlib import Path


def seen_from_here(file: str) -> str:
    """As a person in this folder would name it, with forward slashes; outside of it the whole path."""
    try:
        shown = os.path.relpath(file)
    except ValueError:  # another drive
        shown = file
    return Path(file if shown.startswith("..") else shown).as_posix()
