"""``python -m dltool`` and the ``dltool`` command."""

from __future__ import annotations

import sys

from dltool.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
