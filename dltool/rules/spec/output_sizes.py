"""The shape of an output against what its loss compares it with."""

from __future__ import annotations

from dltool.core.finding import Severity
from dltool.core.measured.design import DesignedLayer, LossTerm, Samples
from dltool.rules.spec.change import Evidence, below, insert, put
from dltool.rules.spec.graph import CONVS
from dltool.rules.spec.losses import ELEMENTWISE, INDEX_LOSSES, class_dim, classes_of, counts_from_one, without_last_one
from dltool.rules.spec.shapes import broadcasts

Reason = tuple[str, str, Severity]
"""What is wrong, what to do, and how grave it is."""
PARTS = {"gaussian_nll": 2, "margin_ranking": 2}
"""How many numbers of the output the loss takes for one of the target."""
SIZES = {"linear": "out_features", "drop_connect": "out_features", **dict.fromkeys(CONVS, "out_channels")}
"""The argument that sets how many outputs a layer has."""


def size_reason(term: LossTerm, leaves: tuple[int, ...], samples: Samples) -> Reason | None:
    """What is wrong with an output of this shape; None where nothing is, or where it cannot be told."""
    reason = _scores(term, leaves, samples) if term.name in INDEX_LOSSES else _values(term, leaves, samples)
    return reason or _weights(term, leaves, samples)


def _scores(term: LossTerm, leaves: tuple[int, ...], samples: Samples) -> Reason | None:
    """Scores of classes against class numbers, or against one row of shares each."""
    if samples.target_kind != "class-index":
        wanted = samples.target_shape
        if samples.target_kind not in {"one-hot", "probabilities"} or wanted is None or wanted == leaves:
            return None
        return (
            f"the output has shape {leaves} a sample, the targets {wanted}",
            f"end in {_count(wanted[-1] if wanted else 1, 'output')}",
            Severity.ERROR,
        )
    labels = () if samples.target_shape is None else samples.target_shape
    dim = class_dim(leaves, labels)
    if dim is None and samples.target_shape is None:
        return None
    if dim is None:
        hint = "add flatten (or pool over time) before the last layer" if not labels else "one row of scores for each label"
        return f"the output has shape {leaves} a sample, the labels {labels}", hint, Severity.ERROR
    outputs, needed = leaves[dim], classes_of(samples, term)
    if needed is None or outputs == needed:
        return None
    if outputs == samples.classes and counts_from_one(term, samples):
        return None  # how they are numbered is another rule's matter
    if outputs < needed:
        one = outputs == 1 and needed == 2
        advice = "bce_with_logits as the loss, or two outputs" if one else f"end in {needed} outputs"
        counted = f"{needed} classes" if samples.renumbered else f"labels up to {needed - 1}"
        return f"the model has {_count(outputs, 'output')} for {counted}", advice, Severity.ERROR
    if not samples.all_read or (samples.label_min == 1 and samples.classes == needed - 1):
        return None
    told = f"the model has {_count(outputs, 'output')} for {needed} classes: the others are never right"
    return told, f"{needed} outputs, unless more classes are to come", Severity.INFO


def _values(term: LossTerm, leaves: tuple[int, ...], samples: Samples) -> Reason | None:
    """Numbers against numbers; shapes that broadcast are another rule's matter."""
    wanted = samples.target_shape
    if wanted is None:
        return None
    if term.name in PARTS:
        parts = PARTS[term.name]
        half = (*leaves[:-1], leaves[-1] // parts) if leaves else ()
        if leaves and leaves[-1] % parts == 0 and without_last_one(half) == without_last_one(wanted):
            return None
        numbers = parts * (wanted[-1] if wanted else 1)
        return (
            f"{term.name} takes {parts} numbers of the output for each target",
            f"end in {numbers} outputs",
            Severity.ERROR,
        )
    if term.name not in ELEMENTWISE or without_last_one(leaves) == without_last_one(wanted) or broadcasts(leaves, wanted):
        return None
    advice = f"end in {_count(wanted[-1] if wanted else 1, 'output')}"
    if term.name in {"bce", "bce_with_logits"} and samples.target_kind == "class-index":
        advice += ", or cross_entropy as the loss"
    return f"the output has shape {leaves} a sample, the targets {wanted}", advice, Severity.ERROR


def _weights(term: LossTerm, leaves: tuple[int, ...], samples: Samples) -> Reason | None:
    if term.class_weights is None or not leaves:
        return None
    dim = class_dim(leaves, samples.target_shape or ()) if term.name in INDEX_LOSSES else len(leaves) - 1
    outputs = None if dim is None else leaves[dim]
    if outputs is None or term.class_weights == outputs or (term.class_weights == 1 and term.name not in INDEX_LOSSES):
        return None
    told = f"{term.name} has {term.class_weights} class weights for {_count(outputs, 'output')}"
    return told, "one weight for each class", Severity.ERROR


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def cure(term: LossTerm, end: DesignedLayer | None, advice: str) -> Evidence:
    """The change that an advice comes to: another size of the last layer, flatten before it, or another loss."""
    words = advice.split()
    if words[0] == "bce_with_logits" and term.name == "cross_entropy" and not term.class_weights:
        return put(term.key, "bce_with_logits")
    if end is None or end.kind not in SIZES:
        return {}
    if words[:2] == ["add", "flatten"]:
        return insert([end.key], "flatten")
    return (
        put(below(end.key, end.kind, SIZES[end.kind]), int(words[2].replace(",", ""))) if words[:2] == ["end", "in"] else {}
    )
