"""What names of folders tell of the pictures in them."""

from __future__ import annotations

import re

MASK_FOLDER = re.compile(r"mask|seg(?:ment|$)|(?<!un)label|annot|matte|alpha|^gt$|ground.?truth|trimap", re.IGNORECASE)
"""Names of folders whose pictures are no photographs: an empty one says that nothing is there."""


def holds_masks(name: str) -> bool:
    """Whether a folder on the way to a file, or the stem's last part, says that it is a mask.

    >>> [holds_masks(n) for n in ("masks/7.png", "7_mask.png", "train/cat/7.png", "7_seg.png", "segovia/7.png")]
    [True, True, False, True, False]
    """
    *folders, file = name.split("/")
    stem = file.rpartition(".")[0] or file
    return any(MASK_FOLDER.search(part) for part in (*folders, re.split(r"[_\-.]", stem)[-1]))
