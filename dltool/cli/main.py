"""The command line: which commands there are, and what becomes of whatever goes wrong in one.

Exit codes: 0 nothing found, 1 findings, 2 the user's side, 3 a bug in dltool, 130 interrupted.
"""

from __future__ import annotations

import errno
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, TypeGuard

import typer

from dltool.cli.compare import compare
from dltool.cli.console import say, say_problems
from dltool.cli.emit import BUG, INTERRUPTED, USER_ERROR
from dltool.cli.explain import explain
from dltool.cli.gradcheck import gradcheck
from dltool.cli.init_stats import init_stats
from dltool.cli.lint import lint
from dltool.cli.lr_find import lr_find
from dltool.cli.nan_hunt import nan_hunt
from dltool.cli.new import new
from dltool.cli.rules import rules
from dltool.cli.scan import scan
from dltool.cli.schema import schema
from dltool.cli.show import show
from dltool.cli.train import train
from dltool.core.errors import UserError
from dltool.core.version import VERSION

EPILOG = "Exit codes: 0 nothing found, 1 findings, 2 a mistake in what was given, 3 a bug in dltool, 130 interrupted."

# Plain help: Rich's costs 100 ms at every --help and draws boxes into CI logs.
app = typer.Typer(
    name="dltool",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog=EPILOG,
)
app.command(short_help="Does it learn, and if not, what stops it?")(train)
app.command(short_help="Are the analytic gradients right?")(gradcheck)
app.command(short_help="Where does the first NaN or Inf come from?")(nan_hunt)
app.command(short_help="Do signals and gradients survive the depth at the start?")(init_stats)
app.command(short_help="Which learning rate?")(lr_find)
app.command(short_help="Which samples of a data set are corrupt or suspicious?")(scan)
app.command(short_help="What is wrong with a spec, without running it?")(lint)
app.command(short_help="What got worse between two reports, runs or baselines?")(compare)
app.command(short_help="Write a starter spec that trains as it is.")(new)
app.command(short_help="Show a spec as it will be run.")(show)
app.command(short_help="Print the JSON Schema of specs or of reports.")(schema)
app.command(short_help="List every rule.")(rules)
app.command(short_help="Explain one rule.")(explain)


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        typer.echo(f"dltool {VERSION}")
        raise typer.Exit


@app.callback()
def dltool(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find out why a neural network does not train, and prove it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (``sys.argv`` by default) and return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with _terminated_as_interrupted():
            app(args=words, prog_name="dltool")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except UserError as error:
        say_problems(error.problems)
        return USER_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever is left is a bug of ours, and says so
        if _is_out_of_room(error):
            say(f"error: {type(error).__name__}: {error}; free some, or ask for less")
            return USER_ERROR
        if _is_beyond_the_locale(error):
            say(f"error: {error.object!a} cannot be opened in this locale ({error.encoding}); set PYTHONUTF8=1")
            return USER_ERROR
        _say_bug(error, debug="--debug" in words)
        return BUG
    return 0


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does. Signal handlers belong to the main thread; elsewhere nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature that signal asks for
    raise KeyboardInterrupt


def _is_out_of_room(error: Exception) -> bool:
    """Whether the machine had no memory or disk left."""
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    torchs = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return full or isinstance(error, MemoryError) or torchs


def _is_beyond_the_locale(error: Exception) -> TypeGuard[UnicodeEncodeError]:
    """Whether a file's name has characters that Python cannot give to the system: LC_ALL=C without its UTF-8 mode."""
    return isinstance(error, UnicodeEncodeError) and error.encoding == sys.getfilesystemencoding() != "utf-8"


def _say_bug(error: Exception, *, debug: bool) -> None:
    if debug:
        say("".join(traceback.format_exception(error)).rstrip())
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{Path(__file__).parents[1]}" in frame.filename]
    say(f"dltool failed: {type(error).__name__}: {error}")
    if ours:
        say(f"  at {ours[-1].filename}:{ours[-1].lineno} in {ours[-1].name}")
    say("This is a bug in dltool, not in what you gave it." + ("" if debug else " Please report what --debug adds to this."))
