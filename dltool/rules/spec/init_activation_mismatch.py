"""SPC121 init-activation-mismatch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.design import Architecture
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.spec.chains import Growth, Link, chains, growth_of
from dltool.rules.spec.change import put
from dltool.rules.spec.graph import NO_LAYERS, Graph
from dltool.rules.spec.signal import fans, variance

SELU_SPREAD = (0.5, 1.6)
"""Within it the sum of squared weights of a SELU unit is near enough to 1 to keep it in the basin of its fixed point."""
ADVICE = {
    **dict.fromkeys(("relu", "relu6", "leaky_relu", "gelu", "silu", "elu", "softplus"), "init: kaiming_normal"),
    "selu": "init: lecun_normal",
}


class InitActivationMismatch(Rule):
    """The weights start at a size that does not suit the activations, in a stack deep enough for it to matter.

    What it measures: for each plain stack of layers, what the theory of wide nets makes of the initialisers and activations
    in use: the size of the signal at the last hidden layer over that at the first, and of the gradient on its way back.

    Why it is bad: each layer scales by the same factor, and the product over the depth dies out or explodes: the first
    layers get no gradient, or the first step throws them away.

    How to fix: kaiming_normal for ReLU and its kin, xavier_normal for tanh and sigmoid, lecun_normal for SELU; or
    normalisation layers, or residual connections.

    When it is wrong: a mismatch in a shallow net, in front of normalisation layers, or in residual branches hardly matters
    and is not reported; lsuv, identity and starts that code set by itself are not judged.

    References: Glorot & Bengio 2010; He et al. 2015, section 2.2; Klambauer et al. 2017, Self-normalizing neural networks,
    theorem 1; Schoenholz et al. 2017, Deep information propagation; PyTorch documentation, "calculate_gain".
    """

    id = "SPC121"
    name = "init-activation-mismatch"
    severity = Severity.WARNING
    needs = (Architecture,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="decay",
            default=1e-3,
            unit="signal or gradient at one end of the stack over that at the other",
            source="as vanishing-activations and vanishing-gradients-at-init, which measure it (benchmarks/init_stats.py)",
        ),
        Threshold(
            name="growth",
            default=100.0,
            unit="the same",
            source="as exploding-activations, which measures it (benchmarks/init_stats.py): healthy nets stay below 3",
        ),
        Threshold(
            name="selu_layers",
            default=3.0,
            unit="layers before SELU whose weights are given another size than SELU's own",
            source="Klambauer et al. 2017, theorem 1: the map to the fixed point is one of many layers",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "vanishing-activations",
        "exploding-activations",
        "vanishing-gradients-at-init",
        "exploding-gradients-at-init",
        "surprising-initial-loss",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        graph = Graph(measured[Architecture])
        if not graph.is_known:
            return Skip(NO_LAYERS)
        stacks = list(chains(graph))
        known = [growth for links in stacks if (growth := growth_of(links)) is not None]
        if stacks and not known:
            return Skip("how the weights start is not known")
        return [finding for growth in known if (finding := self._judge(growth)) is not None]

    def _judge(self, growth: Growth) -> Finding | None:
        hidden = [link for link in growth.links[:-1] if link.activation]
        for what, factor in (("signal", growth.forward), ("gradient", growth.backward)):
            if len(hidden) > 1 and factor is not None and not self.limits["decay"] <= factor <= self.limits["growth"]:
                change = "grows" if factor > 1.0 else "shrinks"
                return self._told(growth, f"the {what} {change} to {factor:.1e} of itself over {len(hidden)} layers", hidden)
        off = [link for link in hidden if _misses_selu(link)]
        if len(off) >= self.limits["selu_layers"]:
            return self._told(growth, f"{len(off)} SELU layers do not start at the size that keeps SELU's variance", off)
        return None

    def _told(self, growth: Growth, message: str, links: list[Link]) -> Finding:
        starts = Counter((link.layer.init.name if link.layer.init else None, link.activation) for link in links)
        (start, activation), _ = starts.most_common(1)[0]
        first = next(link.layer for link in links if link.layer.init is not None and link.layer.init.name == start)
        key = first.init.key if first.init is not None and first.init.key is not None else first.key
        better = ADVICE.get(activation, "init: xavier_normal")
        own = first.init.key if first.init is not None else None
        change = put(own or (None if first.key is None else "model.init"), better.removeprefix("init: "))
        named = "torch's own start" if start == "default" else str(start)
        return self.finding(
            f"{named} does not suit {activation}: {message}",
            where=Where(phase="parameter", module=first.module, file=first.file, line=first.line, key=key),
            cause=f"weights of the wrong size for {activation}, layer upon layer",
            evidence={
                "init": start,
                "activation": activation,
                "forward": growth.forward,
                "backward": growth.backward,
                **change,
            },
            limit=dict(self.limits),
            advice=(better, "batch_norm or residual layers"),
        )


def _misses_selu(link: Link) -> bool:
    """Whether a layer before SELU was given weights of another size; torch's own start was not given."""
    fan, init = fans(link.layer), link.layer.init
    if link.activation != "selu" or fan is None or init is None or init.name == "default":
        return False
    spread = variance(init, *fan)
    low, high = SELU_SPREAD
    return spread is not None and not low <= fan[0] * spread <= high
