"""What a glance at targets tells: labels or numbers, how they are encoded, whether they are in order."""

from __future__ import annotations

from typing import Any

import numpy as np

from dltool.core.measured.design import TargetKind
from dltool.data.forms import FORMS, Form, Wanted, is_discrete
from dltool.data.layout import Layout
from dltool.data.moments import Moments
from dltool.data.table import Array, Table
from dltool.data.transforms import Normalize, fit_normalizer

MOST_CLASSES = 1000
"""Whole numbers with more distinct values are no labels that anybody counts as classes; ImageNet has as many."""
FEW_SAMPLES = 2
"""Samples a class, on average, from which on their order can tell anything."""


def target_facts(table: Table, wanted: Wanted, normalize: Normalize) -> dict[str, Any]:
    """The fields of ``Samples`` that are about targets, as the loss gets them."""
    form = _form(table, wanted)
    targets = table.targets
    if isinstance(targets, list):
        whole = all(part.dtype.kind in "iub" for part in targets)
        return {"target_kind": "class-index" if whole else "numbers", "integer_targets": whole and form is Form.CLASSES}
    labels = _labels(targets, wanted)
    facts = _label_facts(labels, wanted) if labels is not None else {}
    classes = facts.get("classes")
    facts |= _delivered(targets, form, wanted, classes)
    if facts["target_kind"] == "counts" and normalize != "none":
        facts["target_kind"] = "numbers"
    if targets.dtype.kind != "U" and facts["target_kind"] in {"numbers", "counts"} and not facts["integer_targets"]:
        facts |= _range(targets, normalize if form is Form.NUMBERS else "none")
    facts["sorted_by_target"] = _in_order(targets)
    return facts


def _form(table: Table, wanted: Wanted) -> Form:
    if wanted.loss is not None:
        return FORMS.get(wanted.loss, Form.NUMBERS)
    if wanted.task is not None:
        return Form.CLASSES if wanted.task == "classification" else Form.NUMBERS
    return Form.CLASSES if is_discrete(table.targets) else Form.NUMBERS


def _labels(targets: Array, wanted: Wanted) -> Array | None:
    """Labels in a row; None where these are no labels."""
    if targets.dtype.kind == "U":
        labels: Array = targets[targets != ""]
        return labels
    if not is_discrete(targets) or (targets.ndim == 2 and targets.shape[1] > 1 and _is_binary(targets)):
        return None
    flat = targets.reshape(-1)
    flat = flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat
    kept: Array = flat[flat != wanted.ignored]
    return kept


def _label_facts(labels: Array, wanted: Wanted) -> dict[str, Any]:
    distinct = _distinct(labels)
    words = labels.dtype.kind == "U"
    renumbered = words or wanted.classes is not None
    facts: dict[str, Any] = {"renumbered": renumbered}
    if len(distinct) and not words:
        facts |= {"label_min": int(distinct[0]), "label_max": int(distinct[-1])}
    if len(distinct) <= MOST_CLASSES or words:
        facts["classes"] = len(distinct)
    return facts


def _distinct(values: Array) -> Array:
    """``np.unique``, which imports numpy.ma only to ask whether the values are masked; NaN counts as one value here too."""
    ordered = np.sort(values, axis=None)
    new = np.ones(len(ordered), dtype=np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    if ordered.dtype.kind == "f":
        new[1:] &= ~np.isnan(ordered[:-1])  # they are sorted to the end
    distinct: Array = ordered[new]
    return distinct


def _delivered(targets: Array, form: Form, wanted: Wanted, classes: int | None) -> dict[str, Any]:
    """Kind, shape and type of the targets as the loss gets them (``data.targets.encode_targets``)."""
    inner = tuple(int(size) for size in targets.shape[1:])
    if wanted.one_hot and classes is not None:
        return {"target_kind": "one-hot", "target_shape": (classes,), "integer_targets": False}
    kind = _kind(targets, form)
    if form is Form.CLASSES and kind == "class-index":
        return {"target_kind": kind, "target_shape": inner, "integer_targets": True}
    shape = inner or (1,)
    return {"target_kind": kind, "target_shape": shape, "integer_targets": False}


def _kind(targets: Array, form: Form) -> TargetKind:
    if targets.dtype.kind == "U":
        return {Form.BITS: "multi-hot", Form.SIGNS: "signs"}.get(form, "class-index")  # type: ignore[return-value]
    values = targets[np.isfinite(targets)] if targets.dtype.kind == "f" else targets
    wide = targets.ndim == 2 and targets.shape[1] > 1
    if wide and bool((targets >= 0).all()) and np.allclose(targets.sum(axis=1), 1.0, atol=1e-4):
        return "one-hot" if _is_binary(values) else "probabilities"
    if form is Form.CLASSES or wide:
        if form is not Form.CLASSES and _is_binary(values):
            return "multi-hot"
        if form is Form.CLASSES and is_discrete(targets):
            return "class-index"
    if form is Form.BITS and _is_binary(values):
        return "multi-hot"
    if form is Form.BITS and bool(((values >= 0) & (values <= 1)).all()):
        return "probabilities"
    if form is Form.SIGNS and bool(np.isin(values, (-1, 1)).all()):
        return "signs"
    if not is_discrete(targets):
        return "numbers"
    if form in {Form.BITS, Form.SIGNS}:
        return "class-index"
    return "counts" if bool((values >= 0).all()) else "numbers"


def _is_binary(values: Array) -> bool:
    return bool(np.isin(values, (0, 1)).all())


def _range(targets: Array, normalize: Normalize) -> dict[str, float]:
    moments = Moments(targets.shape[-1] if targets.ndim > 1 else 1)
    moments.add(targets.reshape(-1, targets.shape[-1] if targets.ndim > 1 else 1))
    normalizer = fit_normalizer(normalize, moments, Layout.FEATURES)
    if normalizer is not None:
        moments = moments.moved(normalizer.shift, normalizer.scale)
    pooled = moments.pooled()
    names = ("target_mean", "target_std", "target_min", "target_max")
    return {} if pooled is None else dict(zip(names, pooled, strict=True))


def _in_order(targets: Array) -> bool | None:
    """Whether samples lie class by class, or in the order of their number; None where that cannot be told."""
    if targets.ndim > 1 and targets[0].size == 1:
        targets = targets.reshape(-1)
    if targets.ndim != 1 or len(targets) < 2 * FEW_SAMPLES:
        return None
    changes = int((targets[1:] != targets[:-1]).sum())
    distinct = len(_distinct(targets))
    if distinct == 1:
        return None
    if distinct * FEW_SAMPLES <= len(targets) and changes == distinct - 1:
        return True
    if targets.dtype.kind == "U":
        return False
    return bool((targets[1:] >= targets[:-1]).all() or (targets[1:] <= targets[:-1]).all())
