"""The layers of a spec in a row: each fitted to what the one before it leaves, with its path in the model and its key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dltool.core.errors import Problem, SpecError
from dltool.specs.load import LoadedSpec
from dltool.specs.misfit import KeyPath, MisfitError, placed, shape_text
from dltool.specs.schema.base import Target
from dltool.specs.schema.initialisers import LayerInit
from dltool.specs.schema.layer_base import Layer, Weighted
from dltool.specs.schema.layers import AnyLayer, Residual
from dltool.specs.shapes.fit import Fitted, fit
from dltool.specs.shapes.incoming import Incoming
from dltool.specs.shapes.reserved import RESERVED

OwnCode = Callable[[Target, KeyPath, Incoming], Incoming | None]
"""What leaves a layer that is the user's own code; None where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """The shortcut that a block gets where its layers change the shape (He et al. 2016, option B)."""

    kind: Literal["linear", "conv1d", "conv2d", "conv3d"]
    before: tuple[int, ...]
    after: tuple[int, ...]
    stride: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What a residual layer holds. Without ``shortcut`` and ``projection`` the input itself is added."""

    layers: tuple[RowLayer, ...]
    shortcut: tuple[RowLayer, ...] = ()
    projection: Projection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLayer:
    """A layer in its place. ``arrives`` and ``fitted`` are None behind what could not be followed.

    ``init`` is the layer's own, or that of the residual block around it, written at ``init_key``; ``frozen`` likewise.
    """

    path: str
    key_path: KeyPath
    spec: Layer | Target
    arrives: Incoming | None
    leaves: Incoming | None
    init: LayerInit | None
    init_key: KeyPath | None
    frozen: bool
    fitted: Fitted | None = None
    block: Block | None = None

    @property
    def name(self) -> str:
        """What its module is called within the one around it."""
        return self.path.rpartition(".")[2]

    @property
    def own_init(self) -> bool:
        """Whether the init was written at this very layer."""
        return self.init_key is not None and self.init_key[: len(self.key_path)] == self.key_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a layer has from the block that it stands in."""

    init: LayerInit | None = None
    init_key: KeyPath | None = None
    frozen: bool = False


@dataclass(slots=True)
class Row:
    """Fits layers one after the other; ``problems`` gathers what does not fit, but for ``told_elsewhere``."""

    loaded: LoadedSpec
    own_code: OwnCode
    told_elsewhere: tuple[type[MisfitError], ...] = ()
    problems: list[Problem] = field(default_factory=list)

    def model(self, layers: Sequence[AnyLayer], incoming: Incoming | None) -> tuple[tuple[RowLayer, ...], Incoming | None]:
        """The layers of the model, and what leaves the last. Behind a layer that does not fit, shapes are not known."""
        return self._row(layers, ("model", "layers"), "", incoming, Around())

    def _row(
        self, layers: Sequence[AnyLayer], key: KeyPath, path: str, incoming: Incoming | None, around: Around
    ) -> tuple[tuple[RowLayer, ...], Incoming | None]:
        row: list[RowLayer] = []
        taken: set[str] = set()
        for index, layer in enumerate(layers):
            name = getattr(layer, "name", None) or str(index)
            if name in taken or name in RESERVED:
                own = (layer.kind, "name")
                misfit = MisfitError("this name is taken", value=name, expected="a name of its own", below=own)
                self._note((*key, index), misfit)
            taken.add(name)
            row.append(self._layer(layer, (*key, index), f"{path}{name}", incoming, around))
            incoming = row[-1].leaves
        return tuple(row), incoming

    def _layer(self, layer: AnyLayer, key: KeyPath, path: str, incoming: Incoming | None, around: Around) -> RowLayer:
        inner = _around(layer, key, around)
        fitted, block, leaves = None, None, None
        try:
            if isinstance(layer, Residual):
                block, leaves = self._block(layer, key, path, incoming, inner)
            elif isinstance(layer, Target):
                leaves = None if incoming is None else self.own_code(layer, key, incoming)
            elif incoming is not None:
                fitted = fit(layer, incoming)
                leaves = fitted.leaves
        except MisfitError as misfit:
            self._note(key, misfit)
        except SpecError as error:
            self.problems += error.problems
        return RowLayer(
            path=path,
            key_path=key,
            spec=layer,
            arrives=incoming,
            leaves=leaves,
            init=inner.init,
            init_key=inner.init_key,
            frozen=inner.frozen,
            fitted=fitted,
            block=block,
        )

    def _block(
        self, layer: Residual, key: KeyPath, path: str, incoming: Incoming | None, inner: Around
    ) -> tuple[Block, Incoming | None]:
        branch, outgoing = self._row(layer.layers, self._key_of_branch(key), f"{path}.", incoming, inner)
        shortcut: tuple[RowLayer, ...] = ()
        projection = None
        arriving = incoming
        if layer.shortcut:
            shortcut_key = (*key, "residual", "shortcut")
            shortcut, arriving = self._row(layer.shortcut, shortcut_key, f"{path}.shortcut.", incoming, inner)
        block = Block(layers=branch, shortcut=shortcut)
        if incoming is None or outgoing is None or arriving is None:
            return block, None
        if layer.shortcut and arriving.shape != outgoing.shape:
            misfit = MisfitError(
                "the shortcut and the layers give different shapes",
                value=f"{shape_text(arriving.shape)} and {shape_text(outgoing.shape)}",
                expected="the same shape",
                below=("residual", "shortcut"),
            )
            self._note(key, misfit)
            return block, None
        if incoming.shape != outgoing.shape and not layer.shortcut:
            try:
                projection = _projection(incoming.shape, outgoing.shape)
            except MisfitError as misfit:
                self._note(key, misfit)
                return block, None
        leaves = Incoming(outgoing.shape, incoming.sequence, padded=incoming.padded)
        return Block(layers=branch, shortcut=shortcut, projection=projection), leaves

    def _key_of_branch(self, key: KeyPath) -> KeyPath:
        """Where the layers of a block stand: right under its name, or under ``layers``."""
        form: object = self.loaded.resolved
        for part in (*key, "residual"):
            form = form[part]  # type: ignore[index]
        return (*key, "residual") if isinstance(form, list) else (*key, "residual", "layers")

    def _note(self, key: KeyPath, misfit: MisfitError) -> None:
        if isinstance(misfit, self.told_elsewhere):
            return
        self.problems += placed(self.loaded, key, misfit).problems


def _around(layer: AnyLayer, key: KeyPath, around: Around) -> Around:
    if not isinstance(layer, Weighted):
        frozen = around.frozen or bool(getattr(layer, "frozen", False))
        return Around(init=around.init, init_key=around.init_key, frozen=frozen)
    own = layer.init
    return Around(
        init=own or around.init,
        init_key=(*key, layer.kind, "init") if own else around.init_key,
        frozen=around.frozen or layer.frozen,
    )


def _projection(before: tuple[int, ...], after: tuple[int, ...]) -> Projection:
    if len(before) == len(after) and before[:-1] == after[:-1] and len(before) <= 2:
        return Projection(kind="linear", before=before, after=after)
    if len(before) == len(after) and 2 <= len(before) <= 4:
        stride = tuple(-(-old // new) for old, new in zip(before[1:], after[1:], strict=True))
        if all((old - 1) // s + 1 == new for old, new, s in zip(before[1:], after[1:], stride, strict=True)):
            kinds: tuple[Literal["conv1d", "conv2d", "conv3d"], ...] = ("conv1d", "conv2d", "conv3d")
            return Projection(kind=kinds[len(before) - 2], before=before, after=after, stride=stride)
    raise MisfitError(
        "no shortcut can be made from what enters the block to what leaves it",
        value=f"{shape_text(before)} to {shape_text(after)}",
        expected="the same shape, or `shortcut:` with layers of your own",
    )
