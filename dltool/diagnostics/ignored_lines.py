"""What is ignored on purpose: on the command line, in a spec, and by comments ``# dltool: ignore[...]``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from dltool.core.finding import Check, Finding
from dltool.core.suppression import Order, Stale, Suppressed, Suppression, settled
from dltool.rules.catalogue import RULES
from dltool.rules.select import Judged, choose
from dltool.specs.comments.in_python import orders_in

PYTHON = ".py"
IGNORED_HERE = "ignored on the command line"


def orders_to_ignore(in_spec: Mapping[str, Suppression], here: Sequence[str]) -> dict[str, Suppression]:
    """What a spec ignores and what the command line leaves out, which has the last word."""
    return dict(in_spec) | dict.fromkeys(here, Suppression(by="command-line", reason=IGNORED_HERE))


def without_ignored_lines(judged: Judged, orders: Sequence[Order] = (), files: Iterable[str] = ()) -> Judged:
    """``judged`` after the comments of the spec (``orders``) and of Python files: those findings point at, and ``files``.

    The findings have their places already.
    """
    pointed = (f.where.file for f in judged.findings if f.where.file is not None and f.where.file.endswith(PYTHON))
    wrong: list[Stale] = []
    all_orders = list(orders)
    for file in dict.fromkeys([*files, *pointed]):
        in_file, meaningless = orders_in(file)
        all_orders += in_file
        wrong += meaningless
    if not all_orders and not wrong:
        return judged
    given = [(order, word, _ids(word)) for order in all_orders for word in order.rules]
    counting: list[Finding] = []
    ignored: list[Suppressed] = []
    used: set[int] = set()
    for finding in judged.findings:
        held = [i for i, (order, _, ids) in enumerate(given) if finding.rule in ids and order.covers(finding.where)]
        used.update(held)
        if held:
            ignored.append(Suppressed(finding=finding, suppression=given[held[0]][0].suppression))
        else:
            counting.append(finding)
    unused = [each for i, each in enumerate(given) if i not in used]
    suppressed = (*judged.suppressed, *ignored)
    return replace(
        judged,
        findings=tuple(counting),
        checks=settled(judged.checks, counting, suppressed),
        suppressed=suppressed,
        stale=(*judged.stale, *_in_vain(unused, judged.checks, counting), *wrong),
    )


def _ids(word: str) -> frozenset[str]:
    return frozenset(choose((), (word,), {}).ignored)


def _in_vain(
    unused: Iterable[tuple[Order, str, frozenset[str]]], checks: Sequence[Check], counting: Sequence[Finding]
) -> Iterator[Stale]:
    outcomes = {check.rule: check.outcome for check in checks}
    names = {rule.id: rule.name for rule in RULES}
    for order, word, ids in unused:
        if not any(outcomes.get(id_, "skipped") != "skipped" for id_ in ids):
            continue
        elsewhere = next((finding for finding in counting if finding.rule in ids), None)
        if elsewhere is None:
            message = "need not be ignored here: it found nothing"
        else:
            everywhere = f"rules: {{ignore: {{{names[elsewhere.rule]}: reason}}}}"
            message = f"found something, but not here; `{everywhere}` is for all places"
        yield Stale(rule=word, suppression=order.suppression, message=message)
