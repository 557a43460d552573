"""Near-duplicates found and invented: sets of pictures that are alike, with and without copies among them.

    python benchmarks/near_duplicates.py            # seeds that nobody looked at while the limits were chosen
    python benchmarks/near_duplicates.py --chosen   # those that they were chosen on
    python benchmarks/near_duplicates.py --quick    # one seed, small sets

Each set is looked at twice: clean, where every group told is false, and with a copy of every twentieth picture. ``told`` is
the groups told one by one in the clean set, ``alike`` the pictures that are only counted; recall is the share of copies that
are in a group with their original, precision the share of groups that hold a picture and a copy of it and nothing else.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from dltool.core.measured.scan_likeness import Duplicates, LikeGroup, NearDuplicates
from dltool.scanning.gather.likeness import Likeness
from dltool.scanning.inspect import inspect
from dltool.scanning.record import Entry, Item
from dltool.scanning.settings import InspectSettings
from dltool.scanning.source import BytesSource

CHOSEN_ON, REPORTED_ON = range(3), range(100, 103)
DIGITS = Path(__file__).parents[1] / "sample_configs/data/digits.npz"
SIDE = 224

Rng = np.random.Generator
Maker = Callable[[Rng, int], Iterator[Image.Image]]


def field(rng: Rng, height: int, width: int, slope: float = 2.0) -> NDArray[np.float64]:
    """A random field whose power falls with frequency as in photographs (1/f^2, Field 1987), from 0 to 1."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    amplitude = 1.0 / np.maximum(np.hypot(fy, fx), 1.0 / max(height, width)) ** (slope / 2)
    phase = np.exp(2j * np.pi * rng.random(amplitude.shape))
    values = np.fft.irfft2(amplitude * phase * rng.rayleigh(size=amplitude.shape), (height, width))
    return np.asarray((values - values.min()) / np.ptp(values))


def picture(values: NDArray[np.float64]) -> Image.Image:
    """0 to 1 as 8 bits."""
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))


def scene(rng: Rng) -> Image.Image:
    """Sky, ground and a few things, in colours and places that differ from picture to picture."""
    coloured = np.stack([field(rng, SIDE, SIDE)] * 3, axis=2) * 0.6 + 0.4 * rng.random(3)
    horizon = int(SIDE * rng.uniform(0.2, 0.8))
    coloured[:horizon] = 0.5 * coloured[:horizon] + 0.5 * rng.random(3)
    image = picture(coloured)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(2, 7)):
        x, y, w, h = rng.integers(0, SIDE, 2).tolist() + rng.integers(SIDE // 10, SIDE // 2, 2).tolist()
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x - w // 2, y - h // 2, x + w // 2, y + h // 2), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(0.7))


def scenes(rng: Rng, count: int) -> Iterator[Image.Image]:
    """Pictures that have nothing to do with each other."""
    return (scene(rng) for _ in range(count))


def textures(rng: Rng, count: int) -> Iterator[Image.Image]:
    """Tiles of landscapes from above: fields alone."""
    return (picture(field(rng, SIDE, SIDE)) for _ in range(count))


def faces(rng: Rng, count: int) -> Iterator[Image.Image]:
    """Aligned faces: the same parts in the same places, in other sizes and tones."""
    for _ in range(count):
        tone = rng.uniform(90, 220)
        image = Image.new("RGB", (SIDE, SIDE), tuple(rng.integers(60, 200, 3).tolist()))
        sides = np.array([-1, 1])
        parts = [(0.5, 0.35, 0.72, 0.62, rng.uniform(10, 120)), (0.5, 0.52, 0.55, 0.75, tone)]
        parts += [(0.5 + 0.13 * side, 0.45, 0.11, 0.06, 235) for side in sides]
        parts += [(0.5 + 0.13 * side, 0.45, 0.05, 0.05, 40) for side in sides]
        parts += [(0.5, 0.57, 0.09, 0.14, tone * 0.85)]
        parts += [(0.5, 0.72, rng.uniform(0.15, 0.3), rng.uniform(0.03, 0.09), tone * 0.6)]
        for *place, grey in parts:
            x, y, w, h = (np.array(place) * SIDE * rng.normal(1, 0.03, 4)).tolist()
            fill = tuple(np.clip(grey + rng.normal(0, 6, 3), 0, 255).astype(int).tolist())
            ImageDraw.Draw(image).ellipse((x - w / 2, y - h / 2, x + w / 2, y + h / 2), fill=fill)
        lit = np.asarray(image.filter(ImageFilter.GaussianBlur(2)), dtype=float) / 255
        yield picture(lit * (0.85 + 0.3 * field(rng, SIDE, SIDE, 3.0)[..., None]))


def products(rng: Rng, count: int) -> Iterator[Image.Image]:
    """One thing in the middle of white."""
    for _ in range(count):
        image = Image.new("RGB", (SIDE, SIDE), "white")
        draw = ImageDraw.Draw(image)
        w, h = (SIDE * rng.uniform(0.35, 0.75, 2)).tolist()
        box = (SIDE / 2 - w / 2, SIDE / 2 - h / 2, SIDE / 2 + w / 2, SIDE / 2 + h / 2)
        fill = tuple(rng.integers(20, 200, 3).tolist())
        draw.rounded_rectangle(box, (0, 20, w / 2)[rng.integers(3)], fill=fill)
        for _ in range(rng.integers(0, 3)):
            x, y = rng.uniform(0.35, 0.65, 2) * SIDE
            draw.rectangle((x - 12, y - 8, x + 12, y + 8), fill=tuple(rng.integers(0, 256, 3).tolist()))
        yield image


def pages(rng: Rng, count: int) -> Iterator[Image.Image]:
    """Scans of text: lines of words on white, in one layout."""
    for _ in range(count):
        image = Image.new("L", (SIDE, int(SIDE * 1.4)), 250)
        draw = ImageDraw.Draw(image)
        for y in range(30, int(SIDE * 1.4) - 30, 9):
            x = 22
            end = SIDE - 22 if rng.random() < 0.85 else rng.integers(60, SIDE - 22)
            while x < end:
                word = int(rng.integers(6, 30))
                draw.rectangle((x, y, min(x + word, SIDE - 22), y + 4), fill=int(rng.integers(20, 90)))
                x += word + 5
        yield image


def videos(rng: Rng, count: int) -> Iterator[Image.Image]:
    """Scenes of 25 frames: something moves before a still background, under noise."""
    while count > 0:
        back = np.asarray(scene(rng), dtype=float) / 255
        x, y, dx, dy = (rng.uniform(0.2, 0.8, 2) * SIDE).tolist() + rng.normal(0, 3, 2).tolist()
        colour = rng.random(3)
        for frame in range(min(25, count)):
            shown = back.copy()
            cx, cy = int(np.clip(x + dx * frame, 20, SIDE - 20)), int(np.clip(y + dy * frame, 20, SIDE - 20))
            shown[cy - 20 : cy + 20, cx - 14 : cx + 14] = colour
            yield picture(shown + rng.normal(0, 0.01, shown.shape))
        count -= 25


def digits(rng: Rng, count: int) -> Iterator[Image.Image]:
    """Handwritten digits, enlarged to 64 pixels."""
    with np.load(DIGITS) as data:
        pixels = next(np.asarray(data[name]) for name in data.files if data[name].ndim > 1).reshape(-1, 8, 8)
    for which in rng.permutation(len(pixels))[:count]:
        yield picture(pixels[which] / 16.0).resize((64, 64), Image.Resampling.BICUBIC)


def scans(rng: Rng, count: int) -> Iterator[Image.Image]:
    """One anatomy in many bodies: the same picture, warped a little, with other noise."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE - 0.5
    for _ in range(count):
        sx, sy, dx, dy = (1 + rng.normal(0, 0.06, 2)).tolist() + rng.normal(0, 0.015, 2).tolist()
        u, v = (x - dx) * sx, (y - dy) * sy
        body = np.exp(-((u / 0.36) ** 4) - (v / 0.46) ** 4) * 0.65
        lungs = sum(np.exp(-(((u + side * 0.16) / 0.1) ** 2) - ((v + 0.02) / 0.24) ** 2) for side in (-1, 1))
        heart = 0.4 * np.exp(-(((u - 0.06) / 0.1) ** 2) - ((v - 0.12) / 0.1) ** 2)
        yield picture(body - 0.5 * lungs + heart + 0.12 * field(rng, SIDE, SIDE) + rng.normal(0, 0.01, x.shape))


SETS: dict[str, Maker] = {
    "scenes": scenes,
    "textures": textures,
    "pages of text": pages,
    "aligned faces": faces,
    "one anatomy": scans,
    "products on white": products,
    "frames of videos": videos,
    "digits of 64 px": digits,
}


def jpeg(image: Image.Image, quality: int = 92) -> bytes:
    """The picture as a JPEG."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def png(image: Image.Image) -> bytes:
    """The picture as a PNG."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _decoded(image: Image.Image) -> Image.Image:
    """What is left after the original was written: copies are made of files."""
    return Image.open(io.BytesIO(jpeg(image)))


def _resized(image: Image.Image, factor: float) -> Image.Image:
    size = (max(8, round(image.width * factor)), max(8, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BICUBIC)


def _cropped(image: Image.Image, ratio: float) -> Image.Image:
    dx, dy = round(image.width * ratio), round(image.height * ratio)
    return image.crop((dx, dy, image.width - dx, image.height - dy))


COPIES: dict[str, Callable[[Image.Image], bytes]] = {
    "same pixels as png": png,
    "jpeg quality 75": lambda image: jpeg(image, 75),
    "jpeg quality 40": lambda image: jpeg(image, 40),
    "resized x 0.5": lambda image: jpeg(_resized(image, 0.5)),
    "resized x 0.75": lambda image: jpeg(_resized(image, 0.75)),
    "resized x 1.7": lambda image: jpeg(_resized(image, 1.7)),
    "brightness x 0.85": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(0.85)),
    "brightness x 1.15": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(1.15)),
    "contrast x 0.8": lambda image: jpeg(ImageEnhance.Contrast(image).enhance(0.8)),
    "in greys": lambda image: jpeg(image.convert("L")),
    "cropped by 1 % a side": lambda image: jpeg(_cropped(image, 0.01)),
    "cropped by 3 % a side": lambda image: jpeg(_cropped(image, 0.03)),
}


def looked_into(data: bytes, name: str, index: int) -> Entry:
    """What a scan knows of a picture."""
    return Entry(Item(index, name, f"/{name}"), inspect(BytesSource(data, name), InspectSettings()))


def told(entries: list[Entry]) -> tuple[tuple[LikeGroup, ...], NearDuplicates]:
    """The groups among them, exact ones included, and what else is known of near-duplicates."""
    likeness = Likeness()
    for entry in entries:
        likeness.add(entry)
    sections = list(likeness.sections())
    exact = next(section for section in sections if isinstance(section, Duplicates))
    near = next(section for section in sections if isinstance(section, NearDuplicates))
    return exact.groups + near.groups, near


def _original(image: Image.Image, i: int) -> Entry:
    """Every other score of pictures is kept as JPEG, the rest as PNG."""
    return looked_into(jpeg(image), f"{i}.jpg", i) if i // 20 % 2 else looked_into(png(image), f"{i}.png", i)


class Score:
    """Sums over seeds of one set."""

    def __init__(self) -> None:
        self.pictures = self.false_groups = self.alike = self.groups = self.right_groups = 0
        self.found: Counter[str] = Counter()
        self.made: Counter[str] = Counter()

    def add(self, make: Maker, seed: int, count: int) -> None:
        """One seed: the set alone, then with copies."""
        images = [_decoded(image) for image in make(np.random.default_rng(seed), count)]
        entries = [_original(image, i) for i, image in enumerate(images)]
        groups, near = told(entries)
        self.pictures += near.samples
        self.false_groups += len(groups)
        self.alike += near.alike
        kind_of: dict[str, tuple[int, str]] = {}
        for place, original in enumerate(range(0, count, 20)):
            kind = list(COPIES)[place % len(COPIES)]
            name = f"copy of {original}.{'png' if 'png' in kind else 'jpg'}"
            kind_of[name] = (original, kind)
            self.made[kind] += 1
            entries.append(looked_into(COPIES[kind](images[original]), name, count + place))
        before = {tuple(sample.path for sample in group.samples) for group in groups}
        for group in told(entries)[0]:
            paths = [sample.path for sample in group.samples]
            copies = [path for path in paths if path in kind_of]
            self.groups += tuple(paths) not in before
            right = len(paths) == 2 and len(copies) == 1 and any(p.startswith(f"{kind_of[copies[0]][0]}.") for p in paths)
            self.right_groups += right
            if right:
                self.found[kind_of[copies[0]][1]] += 1


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:7.1%}" if whole else "      -"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--chosen", action="store_true")
    parser.add_argument("--pictures", type=int, default=480)
    options = parser.parse_args()
    seeds = range(100, 101) if options.quick else CHOSEN_ON if options.chosen else REPORTED_ON
    count = 60 if options.quick else options.pictures
    print(f"seeds {seeds.start} to {seeds.stop - 1}, {count} pictures each")
    print(f"{'set':20} {'pictures':>8} {'told':>6} {'alike':>6} {'recall':>7} {'precision':>9}")
    scores = {}
    for name, make in SETS.items():
        score = scores[name] = Score()
        for seed in seeds:
            score.add(make, seed, count)
        recall, precision = _ratio(score.right_groups, score.made.total()), _ratio(score.right_groups, score.groups)
        print(f"{name:20} {score.pictures:8} {score.false_groups:6} {score.alike:6} {recall} {precision:>9}", flush=True)
    print(f"\n{'copies, found of made':24}" + "".join(f"{name:>19}" for name in SETS))
    for kind in COPIES:
        cells = (f"{s.found[kind]} of {s.made[kind]}" for s in scores.values())
        print(f"{kind:24}" + "".join(f"{cell:>19}" for cell in cells))


if __name__ == "__main__":
    main()
