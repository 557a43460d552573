"""What a comment to dltool says: ``# dltool: ignore[rule-a, rule-b] the reason``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dltool.core.errors import Problem, UserError, closest
from dltool.rules.select import choose

MARK = "dltool:"
"""What has to be in a text at all, for a comment to dltool to be in it."""

_ADDRESSED = re.compile(r"#\s*dltool:\s*(?P<said>.*)")
_ORDER = re.compile(r"ignore\s*\[(?P<rules>[^\]]*)\]\s*(?P<reason>.*)")
FORM = "# dltool: ignore[rule-a, rule-b] reason"


@dataclass(frozen=True, slots=True)
class Said:
    """The rules that a comment names, and its reason; or what is wrong with it."""

    rules: tuple[str, ...] = ()
    reason: str | None = None
    problems: tuple[Problem, ...] = ()


def read_order(comment: str) -> Said | None:
    """What a comment, from its ``#`` on, tells dltool; None where it speaks to someone else."""
    addressed = _ADDRESSED.search(comment)
    if addressed is None:
        return None
    said = addressed["said"].strip()
    order = _ORDER.fullmatch(said)
    if order is None:
        word = re.split(r"[\s\[]", said, maxsplit=1)[0]
        meant = None if word == "ignore" else closest(word, ["ignore"])
        return Said(problems=(Problem(message="is no order to dltool", value=repr(said), expected=FORM, suggestion=meant),))
    rules = tuple(dict.fromkeys(name.strip() for name in order["rules"].split(",") if name.strip()))
    if not rules:
        return Said(problems=(Problem(message="names no rule to ignore", value=repr(said), expected=FORM),))
    known: list[str] = []
    problems: list[Problem] = []
    for rule in rules:
        try:
            choose((), (rule,), {})
            known.append(rule)
        except UserError as error:
            problems.extend(error.problems)
    return Said(tuple(known), order["reason"].strip() or None, tuple(problems))
