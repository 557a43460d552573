"""What of a run is not finite after a step, and which of it does not count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from dltool.probes.finite import is_allowed, is_finite, kind_of_bad
from dltool.training.experiment import Experiment

Part = Literal["gradients", "parameters", "buffers", "states"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptoms:
    """What went bad: names as in named_parameters() and named_buffers(), of optimizer states ``<parameter>/<key>``.

    ``error`` is what the user's code raised: some functions of torch do so when they are given a NaN.
    """

    loss: bool = False
    gradients: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    error: bool = False

    def __bool__(self) -> bool:
        return bool(self.loss or self.error or self.gradients or self.parameters or self.buffers or self.states)


NONE = Symptoms()


class Ignoring:
    """Names whose non-finite values do not count: bad before the first step, allowed by the spec, or found innocent.

    Where only Inf was known, a NaN counts as new. A buffer that held NaN from the start counts until it is found innocent:
    no average forgets it, and a loaded running variance spoils the model where a cache that is filled does not.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._allowed = experiment.allow_nonfinite
        self._known: dict[tuple[Part, str], Literal["nan", "inf"]] = {}
        for part, name, value in state_of(experiment):
            if not is_finite(value) and not (part == "buffers" and kind_of_bad(value) == "nan"):
                self._known[part, name] = kind_of_bad(value)

    def accept(self, symptoms: Symptoms) -> None:
        """Let none of these count any more."""
        for part in ("gradients", "parameters", "buffers", "states"):
            self._known.update({(part, name): "nan" for name in getattr(symptoms, part)})

    def counts(self, part: Part, name: str, value: Tensor) -> bool:
        """Whether these values, which are not finite, are a symptom."""
        known = self._known.get((part, name))
        return known != "nan" and (known != "inf" or kind_of_bad(value) == "nan") and not is_allowed(name, self._allowed)


def symptoms_of(experiment: Experiment, ignoring: Ignoring | None = None) -> Symptoms:
    """Which parameters, buffers and optimizer states are not finite now, without those that do not count."""
    found: dict[str, list[str]] = {"parameters": [], "buffers": [], "states": []}
    everything = list(state_of(experiment))
    if is_finite([value for _, _, value in everything]):
        return NONE
    for part, name, value in everything:
        if not is_finite(value) and (ignoring is None or ignoring.counts(part, name, value)):
            found[part].append(name)
    return Symptoms(parameters=tuple(found["parameters"]), buffers=tuple(found["buffers"]), states=tuple(found["states"]))


def names_of_updated(experiment: Experiment) -> dict[Tensor, str]:
    """The optimizer's parameters by the name they have in the model, in the loss, or among the groups."""
    named = {id(parameter): name for name, parameter in _named_parameters(experiment)}
    groups = [] if experiment.optimizer is None else experiment.optimizer.param_groups
    return {
        parameter: named.get(id(parameter), f"param_groups.{i}.{j}")
        for i, group in enumerate(groups)
        for j, parameter in enumerate(group["params"])
    }


def _named_parameters(experiment: Experiment) -> Iterator[tuple[str, nn.Parameter]]:
    if isinstance(experiment.criterion, nn.Module):
        yield from experiment.criterion.named_parameters("loss")
    yield from experiment.model.named_parameters()


def state_of(experiment: Experiment) -> Iterator[tuple[Part, str, Tensor]]:
    """Every parameter, buffer and optimizer state, in this order, by part and name; what they hold is not copied."""
    updated = names_of_updated(experiment)
    own = dict(experiment.model.named_parameters())
    others = {name: parameter for parameter, name in updated.items() if name not in own}
    for name, parameter in {**own, **others}.items():
        yield "parameters", name, parameter.detach()
    for name, buffer in experiment.model.named_buffers():
        yield "buffers", name, buffer
    if experiment.optimizer is not None:
        for holder, state in experiment.optimizer.state.items():
            for key, value in _tensors(state.items()) if isinstance(state, dict) else ():
                yield "states", f"{updated.get(holder, '')}/{key}", value


def _tensors(items: Iterable[tuple[Any, Any]], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors in a state, by their place in its nesting; LBFGS keeps lists of them."""
    for key, value in items:
        if isinstance(value, Tensor):
            yield f"{prefix}{key}", value.detach()
        elif isinstance(value, dict):
            yield from _tensors(value.items(), f"{prefix}{key}/")
        elif isinstance(value, list | tuple):
            yield from _tensors(enumerate(value), f"{prefix}{key}/")
