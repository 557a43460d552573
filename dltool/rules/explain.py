"""A rule's docstring as its page: the same text for ``dltool explain`` and for docs/rules.md."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from dltool.rules.base import Rule, Threshold

HEADINGS = ("What it measures", "Why it is bad", "How to fix", "When it is wrong", "References")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One rule explained: ``sections`` are (heading, text) in the order of ``HEADINGS``."""

    id: str
    name: str
    severity: str
    summary: str
    sections: tuple[tuple[str, str], ...]
    thresholds: tuple[Threshold, ...]
    explains: tuple[str, ...]


def page_of(rule: type[Rule]) -> Page:
    """The page of a rule, read from its docstring.

    Raises:
        ValueError: when a paragraph bears none of the headings, or they are not in order: a bug in the rule.
    """
    summary, *paragraphs = inspect.cleandoc(rule.__doc__ or "").split("\n\n")
    sections = tuple(_split(rule, paragraph) for paragraph in paragraphs)
    if tuple(heading for heading, _ in sections) != HEADINGS:
        raise ValueError(f"{rule.id}: the page has the headings {[h for h, _ in sections]}, not {list(HEADINGS)}")
    return Page(
        id=rule.id,
        name=rule.name,
        severity=rule.severity.value,
        summary=" ".join(summary.split()),
        sections=sections,
        thresholds=rule.thresholds,
        explains=rule.explains,
    )


def markdown(page: Page, level: int = 1) -> str:
    """The page as Markdown, its title at heading ``level``."""
    lines = [f"{'#' * level} {page.id} {page.name}", "", f"{page.summary} (severity: {page.severity})", ""]
    for heading, text in page.sections:
        lines += [f"**{heading}.** {text[:1].upper()}{text[1:]}", ""]
    if page.thresholds:
        lines += ["| threshold | default | unit | source |", "|---|---|---|---|"]
        lines += [f"| `{page.name}.{t.name}` | {t.default:.4g} | {t.unit} | {t.source} |" for t in page.thresholds]
        lines.append("")
    if page.explains:
        lines += [f"Can bring about: {', '.join(page.explains)}.", ""]
    return "\n".join(lines)


def _split(rule: type[Rule], paragraph: str) -> tuple[str, str]:
    heading, colon, text = " ".join(paragraph.split()).partition(": ")
    if not colon or not text:
        raise ValueError(f"{rule.id}: the paragraph {heading[:40]!r} has no heading")
    return heading, text
