"""Which suspect began the damage: the earliest whose repair, and nothing else, makes the step come out good.

Every try is a repeat of the very step, bit for bit but for what was repaired. Leaves come first, in the order in which a
step meets them, then births in the order in which they ran, and what was meant to be bad (a mask) last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from dltool.diagnostics.hunt.blame import OutOfTriesError
from dltool.diagnostics.hunt.minimal import earliest_needed
from dltool.diagnostics.hunt.repairs import Repair, left_by_mend_first
from dltool.diagnostics.hunt.traced import Traced, mending, trace
from dltool.diagnostics.hunt.trials import Trials
from dltool.probes.finite import is_allowed
from dltool.probes.trace.record import Leaf, Place, Suspect
from dltool.probes.trace.suspects import is_meant, leaves_behind
from dltool.training.patrol import Caught

MOST_REPEATS = 16
"""Repeats of the step that a proof may cost; with one suspect it is two, with two at most five."""

MOST_ROUNDS = 3
"""How often births that only show after a repair are added to the suspects."""

ORDER = ("input", "target", "parameter", "buffer", "state")


@dataclass(frozen=True, slots=True)
class Cause:
    """The suspect that began the damage.

    ``proof`` says in words what was mended to heal the step, or why nothing is proven; ``healed`` whether it was.
    ``repeats`` of the step were made.
    """

    suspect: Suspect
    proof: str
    healed: bool
    repeats: int


def find_cause(caught: Caught, traced: Traced) -> Cause | None:
    """The earliest suspect whose repair heals the step; of several that must be mended together, the earliest of them.

    Beside the suspects of the trace these are parameters and states whose bad values the step turned into good ones on their
    way (exp(-inf) is 0), for what comes of those may go bad.

    At most ``MOST_REPEATS`` repeats are made, and the walk is back at ``caught.moment`` afterwards. Healed is what was
    caught first: the loss, else the gradients, else what the update wrote, else the buffers.

    Returns:
        None where there is no suspect.
    """
    if not traced.suspects:
        return None
    try:
        return _Inquiry(caught, traced).examine()
    finally:
        caught.walk.go_back(caught.moment)


class _Inquiry:
    def __init__(self, caught: Caught, traced: Traced) -> None:
        self._caught = caught
        self._traced = traced
        self._experiment = caught.walk.experiment
        self._batches = caught.batches
        self._trials = Trials(caught, MOST_REPEATS)
        self._known: dict[Repair, bool] = {}

    def examine(self) -> Cause:
        ordered = _ordered([*self._hidden(), *self._traced.suspects])
        try:
            for _ in range(MOST_ROUNDS):
                found = self._earliest_of(ordered)
                if found is not None:
                    return self._origin_of(found, ordered)
                latent = self._latent(ordered)
                if not latent:
                    break
                ordered = _ordered([*ordered, *latent])
        except OutOfTriesError:
            return self._undecided(ordered)
        return self._unproven(ordered, "no repair made the step come out good")

    def _earliest_of(self, suspects: Sequence[Suspect]) -> Cause | None:
        """None where even the repair of all of them does not heal."""
        groups = _grouped(self._masks_last(suspects))
        needed = earliest_needed(len(groups), lambda chosen: self._heals(_all_of(groups, chosen)))
        if not needed:
            return None
        others = _all_of(groups, needed[1:])
        first = self._first_needed(groups[needed[0]], others)
        return self._cause(first, self._story(first, groups[needed[0]], others), healed=True)

    def _hidden(self) -> list[Suspect]:
        """Parameters, buffers and states whose bad values arithmetic turned into good ones, masks excepted."""
        tracer = self._traced.tracer
        known = [suspect.leaf for suspect in self._traced.suspects]
        leaves = leaves_behind(tracer.operations, tracer.swallowed)
        hidden = [leaf for leaf in leaves if leaf.kind in {"parameter", "buffer", "state"} and leaf not in known]
        return [Suspect(leaf=leaf) for leaf in hidden if not is_meant(leaf, self._experiment.allow_nonfinite)]

    def _origin_of(self, found: Cause, ordered: Sequence[Suspect]) -> Cause:
        """Where NaN was made of infinities that arithmetic had made, that arithmetic, if the step can be healed there.

        What overflows again and again (a recurrence, a solver's steps) does so anew where only its first time is mended:
        what shows then is mended too.
        """
        fed_by = [s for s in ordered if s is not found.suspect and not s.last_resort and self._feeds(s, found.suspect)]
        kept = fed_by[:1]
        try:
            for _ in range(MOST_ROUNDS if kept else 0):
                if self._heals(kept):
                    return self._cause(kept[0], self._story(kept[0], kept[:1], kept[1:]), healed=True)
                latent = [s for s in self._latent(kept) if not _places(s) & _places(found.suspect) and not s.last_resort]
                if not latent:
                    break
                kept += latent
        except OutOfTriesError:
            pass
        return found

    def _feeds(self, first: Suspect, second: Suspect) -> bool:
        """Whether bad values that ``first`` made of good ones reached ``second``."""
        operations = self._traced.tracer.operations
        makers = {o.ordinal for o in first.operations if o.born and not o.sources}
        ahead = [source for o in second.operations for source in o.sources]
        seen: set[int] = set()
        while ahead and makers:
            source = ahead.pop()
            if isinstance(source, int) and source not in seen and source in operations:
                seen.add(source)
                ahead.extend(operations[source].sources)
        return bool(makers & seen)

    def _latent(self, suspects: Sequence[Suspect]) -> list[Suspect]:
        """What goes bad once all of these are repaired: 0 / 0 that was mended to a number whose logarithm is -inf."""
        repair = Repair.of(suspects)
        self._trials.count()
        edit = partial(repair.edit, self._experiment)
        again = trace(self._caught, repair.batches(self._batches), edit=edit, mend=repair.mending)
        known = {o.ordinal for suspect in suspects for o in suspect.operations}
        births = [suspect for suspect in again.suspects if suspect.operations]
        return [suspect for suspect in births if not known & {o.ordinal for o in suspect.operations}]

    def _heals(self, suspects: Sequence[Suspect], *, only_part: bool = False) -> bool:
        repair = Repair.of(suspects, only_part=only_part)
        if repair not in self._known:
            self._known[repair] = not self._trials.is_bad(
                repair.batches(self._batches),
                edit=partial(repair.edit, self._experiment),
                context=mending(self._caught.walk, repair.mending) if repair.mending else None,
            )
        return self._known[repair]

    def _masks_last(self, suspects: Sequence[Suspect]) -> list[Suspect]:
        """Infinities that do no harm as long as not all of a row are such are a mask: something else went wrong with it."""
        if len(suspects) == 1:
            return list(suspects)
        masks = [suspect for suspect in suspects if self._acts_as_mask(suspect)]
        allowed = self._experiment.allow_nonfinite
        return sorted(suspects, key=lambda suspect: suspect in masks or _meant(suspect, allowed))

    def _acts_as_mask(self, suspect: Suspect) -> bool:
        leaf = suspect.leaf
        if leaf is None or not _could_be_mask(leaf):
            return False
        self._caught.walk.go_back(self._caught.moment)  # what the leaf holds now may be of after the step
        return left_by_mend_first(self._experiment, leaf, self._batches) and self._heals([suspect], only_part=True)

    def _first_needed(self, group: Sequence[Suspect], others: Sequence[Suspect]) -> Suspect:
        """Of leaves of one kind the first without whose repair the step stays bad."""
        kept = list(group)
        for suspect in group[:-1]:
            without = [other for other in kept if other is not suspect]
            if not self._heals([*without, *others]):
                return suspect
            kept = without
        return kept[0]

    def _undecided(self, suspects: Sequence[Suspect]) -> Cause:
        """Out of tries: of what has healed so far, the smallest."""
        healing = [r for r, heals in self._known.items() if heals and not r.only_part]
        best = min(healing, key=lambda r: len(r.given) + len(r.held) + len(r.mending.ordinals), default=None)
        if best is None:
            return self._unproven(suspects, f"{self._trials.done} repeats were not enough")
        first = next(suspect for suspect in suspects if _is_in(suspect, best))
        return self._cause(first, f"with {_named(first)} and others mended, the step comes out good", healed=True)

    def _story(self, first: Suspect, group: Sequence[Suspect], others: Sequence[Suspect]) -> str:
        """What was mended, in words."""
        together = [suspect for suspect in group if suspect is not first] + list(others)
        if not together or self._known.get(Repair.of([first])):
            return f"with {_named(first)} mended, and nothing else changed, the step comes out good"
        more = _named(together[0]) if len(together) == 1 else f"{len(together)} more"
        return f"with {_named(first)} and {more} mended, the step comes out good; with fewer it does not"

    def _unproven(self, suspects: Sequence[Suspect], why: str) -> Cause:
        return self._cause(suspects[0], f"nothing is proven: {why}", healed=False)

    def _cause(self, suspect: Suspect, proof: str, *, healed: bool) -> Cause:
        return Cause(suspect, proof, healed, self._trials.done)


def _ordered(suspects: Iterable[Suspect]) -> list[Suspect]:
    def place(suspect: Suspect) -> tuple[int, int]:
        leaf = suspect.leaf
        if leaf is not None and leaf.kind in ORDER:
            return ORDER.index(leaf.kind), 0
        return len(ORDER), suspect.operations[0].ordinal if suspect.operations else -1

    return sorted(suspects, key=place)


def _grouped(suspects: Sequence[Suspect]) -> list[list[Suspect]]:
    """Leaves of one kind that follow each other are tried as one, every birth by itself."""

    def kind(pair: tuple[int, Suspect]) -> str | int:
        place, suspect = pair
        return place if suspect.leaf is None else f"{suspect.leaf.kind} {suspect.last_resort}"

    return [[suspect for _, suspect in group] for _, group in groupby(enumerate(suspects), key=kind)]


def _places(suspect: Suspect) -> set[Place]:
    return {operation.place for operation in suspect.operations}


def _all_of(groups: Sequence[Sequence[Suspect]], chosen: Iterable[int]) -> list[Suspect]:
    return [suspect for i in sorted(chosen) for suspect in groups[i]]


def _could_be_mask(leaf: Leaf) -> bool:
    return leaf.kind != "state" and not leaf.facts.nan


def _meant(suspect: Suspect, allow: Sequence[str]) -> bool:
    """Whether it is a last resort for another reason than that it looks like a mask, which is tried instead."""
    leaf = suspect.leaf
    if leaf is None or not _could_be_mask(leaf) or leaf.facts.positive_inf:
        return suspect.last_resort
    return is_allowed(leaf.name, allow)


def _is_in(suspect: Suspect, repair: Repair) -> bool:
    leaves = {*repair.given, *repair.held}
    return suspect.leaf in leaves or any(o.ordinal in repair.mending.ordinals for o in suspect.operations)


def _named(suspect: Suspect) -> str:
    leaf = suspect.leaf
    if leaf is not None:
        return {"input": "the input", "target": "the target", "state": f"the optimizer's {leaf.name}"}.get(
            leaf.kind, f"{leaf.kind} {leaf.name}"
        )
    operation = suspect.operations[0]
    line = f" ({Path(operation.file).name}:{operation.line})" if operation.file is not None else ""
    return f"the result of {operation.op}{line}"
