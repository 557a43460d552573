"""What a shell may offer behind an option or argument: nothing here may cost the time of an import of torch."""

from __future__ import annotations

DEVICES = ("cpu", "cuda", "mps")


def rule_names(incomplete: str) -> list[str]:
    """Names of rules, or ids if that is what was begun; behind a comma, the next of a list."""
    from dltool.rules.catalogue import RULES

    before, comma, begun = incomplete.rpartition(",")
    families = dict.fromkeys(rule.id[:3] for rule in RULES)
    words = [*(rule.name for rule in RULES), *families, *(rule.id for rule in RULES)]
    taken = set(before.split(","))
    upper = begun[:1].isupper()
    return [
        f"{before}{comma}{word}"
        for word in words
        if word.startswith(begun) and word not in taken and (upper or word[0].islower())
    ]


def one_rule(incomplete: str) -> list[str]:
    """One name, or one id."""
    return [word for word in rule_names(incomplete) if len(word) != len("GRD") and "," not in word]


def devices(incomplete: str) -> list[str]:
    """Kinds of devices that torch knows."""
    return [device for device in DEVICES if device.startswith(incomplete)]


def tasks(incomplete: str) -> list[str]:
    """What ``dltool new`` has a starter for."""
    from dltool.specs.starter import TASKS

    return [task for task in TASKS if task.startswith(incomplete)]
