"""``python -m dltool`` and the ``dltool`` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line of this process; an interruption while it is still loading ends it quietly."""
    try:
        from dltool.cli.main import main as run
    except KeyboardInterrupt:
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
