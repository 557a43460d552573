"""DAT115 shape-mismatch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan import FINDINGS_A_RULE, Sample
from dltool.core.measured.scan_model import ModelFit, SampleShapes
from dltool.core.measured.scan_pictures import ImageSet, OddImages
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.data.columns import listed
from dltool.rules.data.flawed import members
from dltool.rules.data.scanned_shapes import misfits, odd_shapes

SAID = {
    "rotated": (
        "with an EXIF rotation ({value}), which many loaders ignore",
        "turn them for good, or have the loader do it (PIL.ImageOps.exif_transpose, torchvision's decode_image)",
    ),
    "animated": ("with several frames, of which most loaders show the first", "keep the frames that you mean as files"),
    "one-pixel-side": ("one pixel wide or high", "look at these files"),
    "mode": ("of mode {value}, where most have {usual}", "convert them when loading: image.convert('{usual}')"),
}


class ShapeMismatch(Rule):
    """Samples have another shape than the others, or than the model takes.

    What it measures: pictures that differ in mode (L, CMYK, RGBA, P, 16 bit) or size from nine in ten of the others, that
    carry an EXIF rotation, several frames, or a side of one pixel; all of that is information, as loaders may take care
    of it. Samples of a dataset that differ in shape or type from nine in ten of the others: an error where its loader
    cannot put both into a batch, information where it can. With a model, a batch that it cannot take.

    Why it is bad: a batch of unequal sizes or channels cannot be stacked; CMYK and palettes read as RGB have other
    colours; a rotation that the loader passes over shows the net another picture than it shows you.

    How to fix: convert mode and size when loading, apply the rotation.

    When it is wrong: a loader that already does so.

    References: Pillow documentation, "Concepts: modes"; PyTorch documentation, "torch.utils.data.default_collate"; Pillow
    documentation, "ImageOps.exif_transpose".
    """

    id = "DAT115"
    name = "shape-mismatch"
    severity = Severity.ERROR
    needs = ()
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if not any(section in measured for section in (ImageSet, SampleShapes, ModelFit)):
            return Skip("not measured: images, sample_shapes, model_fit")
        images = self._images(measured[ImageSet]) if ImageSet in measured else []
        return [*misfits(self, measured), *odd_shapes(self, measured), *images]

    def _images(self, images: ImageSet) -> list[Finding]:
        alone = [self._group(odd) for odd in images.odd if odd.oddity in SAID]
        return [*alone, *self._sizes(images), *self._no_usual_mode(images)]

    def _group(self, odd: OddImages) -> Finding:
        told, advice = (text.format(value=odd.value, usual=odd.usual) for text in SAID[odd.oddity])
        pictures = "1 picture" if odd.count == 1 else f"{odd.count:,} pictures"
        return self._odd(f"{pictures} {told}", odd.oddity, odd.value, [odd], advice)

    def _sizes(self, images: ImageSet) -> Iterator[Finding]:
        odd = [group for group in images.odd if group.oddity == "size"]
        advice = "resize or crop when loading; look at these files if they should all have one size"
        if odd:
            told = listed([group.value for group in odd], 4)
            count = sum(group.count for group in odd)
            yield self._odd(f"{count:,} not {odd[0].usual} as the other pictures: {told}", "size", None, odd, advice)
        elif images.size_count > 1:
            told = listed(list(images.sizes), 4)
            yield self._odd(f"pictures come in {images.size_count:,} sizes: {told}", "size", None, [], advice)

    def _no_usual_mode(self, images: ImageSet) -> Iterator[Finding]:
        if len(images.modes) > 1 and not any(odd.oddity == "mode" for odd in images.odd):
            told = ", ".join(f"{count:,} {mode}" for mode, count in images.modes.items())
            yield self._odd(f"pictures come in several modes: {told}", "mode", None, [], "convert them when loading")

    def _odd(self, message: str, kind: str, value: str | None, odd: list[OddImages], advice: str) -> Finding:
        paths = [path for group in odd for path in group.paths][:FINDINGS_A_RULE]
        return self.finding(
            message,
            severity=Severity.INFO,
            where=Where(phase="input", key=kind if value is None else f"{kind} {value}"),
            evidence={
                "kind": kind,
                "count": sum(group.count for group in odd),
                "values": {group.value: group.count for group in odd},
                "samples": members(Sample(path=path) for path in paths),
            },
            advice=(advice,),
        )
