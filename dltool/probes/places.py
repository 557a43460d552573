"""Where in the network a value is seen: every run of every watched module, in the order of the first forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from dltool.probes.hooks import Run, kind_of
from dltool.probes.nested import first_tensor
from dltool.probes.saturation import activation_name

CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,  # noqa: SLF001 - the one base of all convolutions, transposed ones included
    nn.modules.batchnorm._NormBase,  # noqa: SLF001 - batch and instance norms
    nn.GroupNorm,
    nn.Softmax2d,
)
FEATURES_LAST = (
    nn.Linear,
    nn.Bilinear,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.Embedding,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.MultiheadAttention,
)
NOT_MULTIPLIED = (*CHANNELS_FIRST[1:], nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.EmbeddingBag)
"""Modules whose parameters are not multiplied with every position of the output."""

Key = tuple[str, int]
"""A module's path, and which of its calls within one forward pass; modules with parameters have one key for all calls."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place where a module runs. ``unit_dim`` and ``sample_dim`` are the dimensions of units and of samples.

    ``output_shape`` is the shape of the first output seen, samples included; ``flops`` are multiply-adds times two.
    """

    path: str
    call: int
    kind: str
    activation: str | None
    output_shape: tuple[int, ...]
    sample_dim: int
    unit_dim: int
    output_bytes: int
    flops: int

    @property
    def key(self) -> Key:
        """What values of this place are filed under."""
        return self.path, self.call

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of the output of one sample."""
        return tuple(size for dim, size in enumerate(self.output_shape) if dim != self.sample_dim)


def key_of(run: Run) -> Key:
    """A parameter-free module that is used at several places (one shared relu) is several places; a shared layer is one."""
    has_parameters = next(run.module.parameters(), None) is not None
    return run.path, 0 if has_parameters else run.call


def fused_activations(model: nn.Module) -> dict[str, nn.Module]:
    """Activations that torch's transformer layers call as functions on the output of ``linear1``, by the path of that."""
    found: dict[str, nn.Module] = {}
    for path, module in model.named_modules():
        if isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
            stand_in = {nn.functional.relu: nn.ReLU, nn.functional.gelu: nn.GELU}.get(module.activation)
            if stand_in is not None:
                found[f"{path}.linear1" if path else "linear1"] = stand_in()
    return found


def describe(run: Run, before: Place | None, activation: nn.Module | None, batch: int | None) -> Place | None:
    """The place of this run; None when it returned no tensor.

    Args:
        run: the run, with its output.
        before: the place that ran before, whose layout an elementwise module inherits.
        activation: what acts on the module's output when it is not the module itself.
        batch: samples in the batch, to tell the sample dimension.
    """
    output = first_tensor(run.output)
    if output is None:
        return None
    sample_dim, unit_dim = _layout(run.module, output, before, batch)
    return Place(
        path=run.path,
        call=key_of(run)[1],
        kind=kind_of(run.module),
        activation=activation_name(activation or run.module),
        output_shape=tuple(output.shape),
        sample_dim=sample_dim,
        unit_dim=unit_dim,
        output_bytes=output.numel() * output.element_size(),
        flops=_flops(run.module, output, unit_dim),
    )


def _layout(module: nn.Module, output: Tensor, before: Place | None, batch: int | None) -> tuple[int, int]:
    dims = output.ndim
    sample_dim = 0
    # Two dimensions are rows of features (those of packed sequences among them), even where the width equals the batch.
    if batch is not None and dims > 2 and output.shape[0] != batch and output.shape[1] == batch:
        sample_dim = 1
    if isinstance(module, CHANNELS_FIRST):
        unit_dim = 1
    elif isinstance(module, FEATURES_LAST):
        unit_dim = dims - 1
    elif before is not None and len(before.output_shape) == dims:
        unit_dim = before.unit_dim
    else:
        unit_dim = 1 if dims in (2, 4, 5) else dims - 1
    return sample_dim, max(0, min(unit_dim, dims - 1))


def _flops(module: nn.Module, output: Tensor, unit_dim: int) -> int:
    if isinstance(module, NOT_MULTIPLIED) or output.ndim == 0 or output.numel() == 0:
        return 0
    weights = sum(parameter.numel() for parameter in module.parameters())
    return 2 * weights * (output.numel() // output.shape[unit_dim])


def parameter_count(path: str, modules: Mapping[str, nn.Module]) -> tuple[int, bool]:
    """How many parameters a watched module has, and whether any of them is trainable."""
    parameters = list(modules[path].parameters())
    return sum(p.numel() for p in parameters), any(p.requires_grad for p in parameters)
