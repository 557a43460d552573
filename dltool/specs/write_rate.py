"""Puts a learning rate into a spec: that number, and not a byte besides.

The new text is loaded before it is written: it has to mean what the old one means with the rate overridden, or the file is
left as it is.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dltool.core.errors import Location, OutputError, Problem, SpecError, TargetError
from dltool.specs.load import LoadedSpec, load, load_text
from dltool.specs.nodes import dotted
from dltool.specs.schema.base import TARGET_KEY
from dltool.specs.yaml_nodes import compose, read_text

SUFFIXES = (".yaml", ".yml")
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
DEFAULT_OPTIMIZER = "adamw"
"""What is taken where a spec names none."""

VARIABLE = re.compile(r"\$\{vars\.([\w.]+)\}")
PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
"""Anchor and tag, which PyYAML counts as part of the scalar behind them."""

TRIAL_LR = 0.123

KeyNames = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RateFile:
    """A spec whose rate stands at ``key`` and can be replaced."""

    shown: str
    text: str
    key: KeyNames

    def write(self, lr: float) -> str:
        """Replace the rate in the file at once and whole, and say so.

        Raises:
            OutputError: the file changed meanwhile, or cannot be written.
        """
        path = Path(self.shown).resolve()
        new = edited(self.shown, self.text, self.key, lr)
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            if path.read_bytes() != self.text.encode():
                raise OutputError(f"{self.shown} was changed while the rate was looked for; {dotted(self.key)} is {lr:g}")
            try:
                beside.write_bytes(new.encode())
                shutil.copymode(path, beside)
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {self.shown}: {error.strerror}") from error
        return f"{self.shown}: {dotted(self.key)} is {lr:g} now"


def open_for_rate(target: str, overrides: Sequence[str] = ()) -> RateFile:
    """The place of the rate in the spec ``target``, found before anything is computed.

    Raises:
        TargetError: a target that is no spec file.
        SpecError: a spec that cannot be loaded, or whose rate has no place of its own in the file.
    """
    if not target.endswith(SUFFIXES) or Path(target).exists() > Path(target).is_file():
        raise TargetError(Problem(message="--write puts the rate into a spec", value=target, expected="a SPEC.yaml"))
    text = read_text(target, target)
    key = rate_key(load(target).resolved)
    if rate_key(load(target, overrides).resolved) != key:
        raise SpecError(
            Problem(
                message="the command line changes the optimizer or the schedule, which --write does not put into the file",
                location=Location(file=target),
                key=dotted(key),
                expected="the optimizer in the file that the rate is looked for",
            )
        )
    edited(target, text, key, TRIAL_LR)
    return RateFile(target, text, key)


def rate_key(resolved: dict[str, Any]) -> KeyNames:
    """Where the rate stands, or would: ``optimizer.adam.lr``, or the peak of a one-cycle schedule, which overrules it."""
    schedule, optimizer = resolved.get("schedule"), resolved.get("optimizer")
    if isinstance(schedule, dict) and "one_cycle" in schedule:
        return ("schedule", "one_cycle", "max_lr")
    if isinstance(optimizer, dict):
        return ("optimizer", "lr") if TARGET_KEY in optimizer else ("optimizer", next(iter(optimizer)), "lr")
    return ("optimizer", optimizer or DEFAULT_OPTIMIZER, "lr")


def edited(shown: str, text: str, key: KeyNames, lr: float) -> str:
    """``text`` with the rate ``lr`` at ``key``.

    Raises:
        SpecError: there is no way to do that without changing what else the spec says.
    """
    wanted = load_text(text, shown, [f"{dotted(key)}={lr:g}"])
    body = text.removeprefix(BOM)
    root = compose(body)
    new = None if root is None else _put(body, root, root, key, f"{lr:g}")
    if new is None or not _means(text[: len(text) - len(body)] + new, shown, wanted):
        raise SpecError(
            Problem(
                message="the rate cannot be written without changing what else the spec says",
                location=load_text(text, shown).locate(key),
                key=dotted(key),
                expected="a number of its own there (no reference to the environment, no anchor that is used elsewhere)",
            )
        )
    return text[: len(text) - len(body)] + new


def _means(text: str, shown: str, wanted: LoadedSpec) -> bool:
    try:
        return load_text(text, shown).spec == wanted.spec
    except SpecError:
        return False


def _put(text: str, root: yaml.Node, node: yaml.Node, key: KeyNames, number: str) -> str | None:
    """``text`` with ``number`` at ``key`` below ``node``; None where the scalar that stands there cannot be replaced."""
    if isinstance(node, yaml.MappingNode):
        child = next((value for name, value in node.value if name.value == key[0]), None)
        return _insert(text, root, node, _inline(key, number)) if child is None else _put(text, root, child, key[1:], number)
    if not isinstance(node, yaml.ScalarNode):
        return None
    variable = VARIABLE.fullmatch(node.value)
    if variable is not None:
        return _put(text, root, root, ("vars", *variable[1].split(".")), number) if len(key) < 2 else None
    if "${" in node.value:  # it follows the environment
        return None
    if node.value == "":
        at: int = node.start_mark.index
        return f"{text[:at]} {{{_inline(key, number)}}}{text[at:]}"
    new = f"{{{_inline(key, number)}}}" if key and node.value == key[0] else number
    own = text[node.start_mark.index : node.end_mark.index]
    properties = PROPERTIES.match(own)
    kept = "" if properties is None else properties[0]
    before, after = text[: node.start_mark.index], text[node.end_mark.index :]
    return f"{before}{kept}{new}{after}"


def _insert(text: str, root: yaml.Node, node: yaml.MappingNode, entry: str) -> str:
    """A new entry: the first within braces or of an indented block, the last of the document."""
    newline = "\r\n" if "\r\n" in text else "\n"
    if node.flow_style:
        at = text.index("{", node.start_mark.index) + 1
        return text[:at] + entry + (", " if node.value else "") + text[at:]
    if node is root:
        return text + ("" if text.endswith("\n") else newline) + entry + newline
    first = node.value[0][0].start_mark
    before, after = text[: first.index], text[first.index :]
    return f"{before}{entry}{newline}{' ' * first.column}{after}"


def _inline(key: KeyNames, number: str) -> str:
    """``adam: {lr: 0.01}``."""
    return number if not key else f"{key[0]}: {number}" if len(key) == 1 else f"{key[0]}: {{{_inline(key[1:], number)}}}"
