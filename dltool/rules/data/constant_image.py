"""DAT105 constant-image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan import Sample
from dltool.core.measured.scan_pictures import ConstantImage as Blank
from dltool.core.measured.scan_pictures import ImageSet
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Threshold
from dltool.rules.data.flawed import members

ADVICE = ("look at the file; leave it out if something should be seen there (dltool scan --manifest, --quarantine)",)
DARK, LIGHT = 2 / 255, 253 / 255
MOST = 0.5
"""Share of all pictures above which being of one colour is what the set is about."""


class ConstantImage(Rule):
    """A picture is all of one colour, or a single pixel.

    What it measures: the largest range of any channel over the picture, reduced in size, on a scale where white is 1;
    and pictures of one pixel.

    Why it is bad: nothing can be learnt from it but a false connection of black with its label, and scaling it by its
    own range or standard deviation divides by zero: NaN.

    How to fix: find out why nothing was recorded (a lens cap, a failed render, a failed download), and leave it out.

    When it is wrong: masks and label maps, where an empty picture says that nothing is there: folders named like them
    are told as information, and so are sets most of whose pictures are of one colour. A pattern finer than eight pixels
    may look constant when it is reduced.

    References: GatedConvolution_pytorch issue 27 (max equals min: NaN); cleanvision documentation, "low information".
    """

    id = "DAT105"
    name = "constant-image"
    severity = Severity.WARNING
    needs = (ImageSet,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="span",
            default=2 / 255,
            unit="largest range of any channel, of 0 to 1; at most 0.02 is looked at",
            source="two levels of 8 bits: what JPEG's colour conversion rounds off in a picture of one colour",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        images = measured[ImageSet]
        blank = [image for image in images.constant if not image.span > self.limits["span"]]
        usual = len(blank) + len(images.more_constant) > MOST * images.images and images.images > 1
        return [*self._pixels(images), *(self._one(image, usual=usual) for image in blank), *self._more(images)]

    def _one(self, image: Blank, *, usual: bool) -> Finding:
        kind = "black" if image.brightness <= DARK else "white" if image.brightness >= LIGHT else "constant"
        told = f"all {kind}" if kind != "constant" else f"all of one colour (brightness {image.brightness:.2f})"
        name = image.path if image.row is None else f"sample {image.row} of {image.path}"
        return self.finding(
            f"{name} is {told}",
            severity=Severity.INFO if image.mask or usual else self.severity,
            where=Where(
                phase="input",
                file=image.file,
                samples=None if image.row is None else (image.row,),
                key=image.path if image.row is None else f"{image.path}#{image.row}",
            ),
            evidence={
                "kind": kind,
                "brightness": image.brightness,
                "span": image.span,
                "mask": image.mask,
                "samples": members([Sample(path=image.path, row=image.row)]),
            },
            limit=dict(self.limits),
            advice=ADVICE,
        )

    def _pixels(self, images: ImageSet) -> Iterator[Finding]:
        for odd in images.odd:
            if odd.oddity != "one-pixel":
                continue
            for path, file in zip(odd.paths, odd.files, strict=True):
                yield self.finding(
                    f"{path} is a single pixel",
                    where=Where(phase="input", file=file, key=path),
                    evidence={"kind": "one-pixel", "samples": members([Sample(path=path)])},
                    limit={"pixels": 2},
                    advice=ADVICE,
                )

    def _more(self, images: ImageSet) -> Iterator[Finding]:
        if images.more_constant:
            yield self.finding(
                f"{len(images.more_constant):,} more are of one colour",
                where=Where(phase="input", key="more constant"),
                evidence={"kind": "more", "samples": members(images.more_constant)},
                limit=dict(self.limits),
                advice=ADVICE,
            )
