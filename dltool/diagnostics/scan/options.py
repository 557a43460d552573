"""What can be asked of a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dltool.scanning.pool import SAMPLE_TIMEOUT_S, PoolSettings
from dltool.scanning.progress import ScanProgress
from dltool.scanning.settings import InspectSettings
from dltool.training.stop import StopFlag


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """What the command line adds to the target.

    Attributes:
        tier: "quick" (signatures, sizes, marks, checksums), "normal" (a strict decode at reduced scale) or "deep" (every
            frame in full).
        target_column: the column of labels in tables.
        labels: look for wrong labels, by a light model.
        batch_size: samples in a batch, where no spec and no loader says so.
        hidden: look into hidden files too.
        workers: processes; as many as there are processors where it is None.
        sample_timeout_s: after which a decoder that still computes is stopped.
        memory_bytes: what a worker may hold; 4 GiB, or less on a small machine, where it is None.
        shard: "i/n": look only into the i-th of n parts, chosen by a hash of each file's name.
        merge: reports of all shards, to be judged as one; the target is then left alone.
        cache: use and keep what scans of the same set found.
        resume: say what an interrupted scan left (the cache continues it in any case).
        manifest: write the clean samples there.
        verify_manifest: a manifest that the samples must agree with.
        bad_samples: write the bad samples there, in the form that ``data.exclude`` of a spec reads.
        quarantine: put the bad samples into this folder, by ``quarantine_way``.
        overrides: of a spec's values.
        allow_import: packages that ``_target_`` in a spec may run code from.
        seed: in place of the spec's; a factory's is 0.
        probe: pass every sample through the target's model, or a small net where it has none.
    """

    tier: Literal["quick", "normal", "deep"] = "normal"
    target_column: str | None = None
    labels: bool = False
    batch_size: int | None = None
    hidden: bool = False
    workers: int | None = None
    sample_timeout_s: float = SAMPLE_TIMEOUT_S
    memory_bytes: int | None = None
    shard: str | None = None
    merge: tuple[str, ...] = ()
    cache: bool = True
    resume: bool = False
    manifest: str | None = None
    verify_manifest: str | None = None
    bad_samples: str | None = None
    quarantine: str | None = None
    quarantine_way: Literal["copy", "link", "move"] = "copy"
    overrides: tuple[str, ...] = ()
    allow_import: tuple[str, ...] = ()
    seed: int | None = None
    probe: bool = False
    timeout_s: float | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    progress: ScanProgress | None = None
    stop: StopFlag | None = None

    def pool(self, settings: InspectSettings | None = None) -> PoolSettings:
        """How worker processes look into samples."""
        return PoolSettings(
            inspect=settings or InspectSettings(),
            workers=self.workers,
            sample_timeout_s=self.sample_timeout_s,
            memory_bytes=self.memory_bytes,
        )
