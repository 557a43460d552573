"""``dltool scan``: which samples of a data set are corrupt or suspicious.

Everything happens without torch: the samples are listed (``scan.collect``), known from the ledger or looked into by worker
processes (``scan.pool``), gathered over (``scan.gather``), and judged by the rules.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from dltool.core.errors import DataError, Problem, UserError, closest
from dltool.core.finding import Severity
from dltool.core.measured.scan_run import LeftOut, ManifestCheck, ShardRecords
from dltool.core.measurements import Section
from dltool.core.report import Report
from dltool.diagnostics.scan.conclude import Conclusion, check_selection, conclude
from dltool.diagnostics.scan.examine import Ticker, examined, open_ledger
from dltool.diagnostics.scan.gather import Gathering, added_up, left_out_files
from dltool.diagnostics.scan.kind import Kind, kind_of, refuse_options
from dltool.diagnostics.scan.merge import merge
from dltool.diagnostics.scan.options import ScanOptions
from dltool.diagnostics.scan.outlets import Outlets
from dltool.scanning.collect.listing import TARS, Listed, Listing, Order, file_of
from dltool.scanning.collect.manifest import listed
from dltool.scanning.collect.target import ScanTarget, open_scan_target
from dltool.scanning.ledger import Ledger, NoLedger
from dltool.scanning.manifest import Verification, Verified, absent, verified
from dltool.scanning.parts import PartWriter
from dltool.scanning.pool import Job
from dltool.scanning.progress import ScanProgress, SilentScan
from dltool.scanning.record import Entry, Item, Tier
from dltool.scanning.settings import InspectSettings
from dltool.scanning.shard import ShardChoice
from dltool.scanning.wire import LAYOUT
from dltool.training.stop import StopFlag

AFTER_ALL = "\U0010ffff"
"""Sorts behind every name."""


def run(target: str, options: ScanOptions) -> Report:
    """Scan ``target``: a folder, file, glob, manifest, spec or factory; with ``options.merge`` put reports together.

    Raises:
        UserError: nothing to scan, a selector that means nothing, options that contradict each other, or a file that
            cannot be written.
    """
    started_s = time.perf_counter()
    check_selection(options)
    _refuse_contradictions(options)
    if options.merge:
        return merge(options.merge, options, started_s)
    kind = kind_of(target)
    if kind != "path":
        return _run_target(target, kind, options, started_s)
    refuse_options("path", {"KEY=VALUE": bool(options.overrides)})
    found = open_scan_target(target, hidden=options.hidden)
    scan = Scan(found, options)
    outlets = Outlets.open(options, Path(found.root))
    with closing(scan.progress):
        scan.progress.start()
        sections = scan.run(outlets)
        if options.probe:
            from dltool.diagnostics.scan.picture_probe import probe_pictures

            sections.append(probe_pictures(scan.pictures, found.given, options))
    lines = None
    if found.kind == "manifest":
        lines = {line.path: at for at, line in reversed(list(enumerate(listed(Path(found.root) / found.pattern))))}
    assumptions = (found.understood,) if found.understood else ()
    about = Conclusion(target=found.given, started_s=started_s, assumptions=assumptions, lines=lines)
    report = conclude(sections, options, outlets, about)
    for note in outlets.notes:
        scan.progress.note(note)
    return report


def _run_target(target: str, kind: Kind, options: ScanOptions, started_s: float) -> Report:
    """What needs torch: a spec, or code."""
    asked = {
        "--shard": options.shard is not None,
        "--verify-manifest": options.verify_manifest is not None,
        "--target": options.target_column is not None,
        "--quarantine": options.quarantine is not None and kind == "code",
        "--manifest": options.manifest is not None and kind == "code",
        "--labels": options.labels and kind == "code",
        "--batch-size": options.batch_size is not None and kind == "spec",
        "KEY=VALUE": bool(options.overrides) and kind == "code",
    }
    refuse_options(kind, asked)
    if kind == "code":
        from dltool.diagnostics.scan.from_code import run_code

        return run_code(target, options, started_s)
    from dltool.diagnostics.scan.from_spec import run_spec

    return run_spec(target, options, started_s)


class Scan:
    """One pass over a target.

    Raises:
        UserError: options that mean nothing, a manifest that cannot be read.
    """

    def __init__(self, target: ScanTarget, options: ScanOptions, settings: InspectSettings | None = None) -> None:
        self.target = target
        self.options = options
        self.progress: ScanProgress = options.progress or SilentScan()
        self._stop = options.stop or StopFlag(options.timeout_s)
        self._shard = None if options.shard is None else ShardChoice.parse(options.shard)
        path = options.verify_manifest
        self._verification = None if path is None else Verification(Path(path))
        self._seen = Verified()
        self._settings = settings or inspect_settings(target, options)
        self.pictures: list[Job] = []
        """Those that can be decoded, where they are to be probed."""
        self._part = None if self._shard is None else PartWriter()
        self._listing = Listing(
            target,
            takes=None if self._shard is None else self._shard.takes,
            digest_of=None if self._verification is None else self._verification.expected,
        )

    def run(self, outlets: Outlets) -> list[Section]:
        """Look into everything, and say what was found.

        Raises:
            DataError: there is nothing.
        """
        gathering = Gathering.begin(outlets, self.target.kind, self.options, self._stop)
        for sample, entry in self.entries(gathering):
            checked = entry if entry.item.expected_hash is None else verified(entry, self._seen)
            gathering.take(checked)
            if self.options.probe and is_whole_picture(checked):
                self.pictures.append(Job(checked.item, checked.found.size_bytes))
            if self._part is not None:
                self._part.add(sample.order, checked.item, checked.found)
        if self._stop.reason is None:
            self._refuse_nothing(gathering)
            for entry, order in self._absent(gathering.files):
                gathering.take(entry)
                if self._part is not None:
                    self._part.add(order, entry.item, entry.found)
        return list(self._sections(gathering))

    def entries(self, gathering: Gathering) -> Iterator[tuple[Listed, Entry]]:
        """Every sample with what was found, in order; ``gathering`` tells how far that is."""
        options, stop = self.options, self._stop
        ledger: Ledger = NoLedger()
        if options.cache and self._verification is None:  # a file that rots keeps its size and times
            ledger = open_ledger(self.target, self._settings, self.progress, resume=options.resume)
        one = self.target.kind == "file" and not self.target.pattern.endswith(TARS)
        pool = options.pool(self._settings)
        pool = replace(pool, workers=1) if one else pool
        shown = Ticker(self.progress, self.target if options.progress is not None and self._shard is None else None)
        try:
            for batch in examined(self._listing, pool, ledger, lambda: stop.reason is not None):
                yield from batch
                shown.tick(gathering.files, gathering.size_bytes)
        finally:
            shown.close()
            samples = gathering.files if self._shard is None else None
            ledger.close(finished=stop.reason is None and sys.exc_info()[0] is None, samples=samples)

    def _absent(self, index: int) -> Iterator[tuple[Entry, Order]]:
        """What the manifest to verify lists, and the target does not have."""
        if self._verification is None:
            return
        for name, line in self._verification.missing():
            if self._shard is None or self._shard.takes(file_of(name)):
                item = Item(index, name, str(Path(self.target.root) / name))
                order: Order = (1 << 60, line) if self.target.kind == "manifest" else (AFTER_ALL, f"{line:012}")
                yield Entry(item, absent(self._seen)), order
                index += 1

    def _refuse_nothing(self, gathering: Gathering) -> None:
        compressed = self._listing.passed.counts["compressed"]
        if self._listing.files > compressed:
            if self._shard is None:
                _refuse_no_samples(gathering, self.target.given)
                _refuse_unknown(gathering, self.target.given, self.options.target_column)
            return
        if compressed:
            is_what = "is compressed" if self.target.kind == "file" else f"holds compressed files alone ({compressed:,})"
            message = f"{self.target.given} {is_what}: there is nothing that scan looks into"
            expected = "what is in it, unpacked (a plain .tar can stay as it is)"
            raise DataError(Problem(message=message, expected=expected))
        hidden = self._listing.passed.counts["hidden"]
        what = {"folder": "holds no files", "glob": "matches no files", "manifest": "lists no files"}
        message = f"{self.target.given} {what.get(self.target.kind, 'is empty')}: there is nothing to scan"
        more = f"--hidden, to look into its {hidden:,} hidden files and folders" if hidden else None
        raise DataError(Problem(message=message, expected=more))

    def _sections(self, gathering: Gathering) -> Iterator[Section]:
        shard, listing = self._shard, self._listing
        yield from gathering.sections(
            self.options.tier, shard=None if shard is None else str(shard), stopped=self._stop.reason or "finished"
        )
        met = left_out_files(listing.passed.counts, listing.passed.examples)
        within = left_out_files(listing.passed_within.counts, listing.passed_within.examples)
        yield LeftOut(kinds=added_up([met, within]))
        if self._verification is not None:
            seen = self._seen
            yield ManifestCheck(
                manifest=str(self._verification.path),
                unchanged=seen.unchanged,
                changed=seen.changed,
                missing=seen.missing,
                new=seen.new,
                unverifiable=seen.unverifiable,
            )
            self._verification.close()
        if shard is not None and self._part is not None:
            yield ShardRecords(
                index=shard.index,
                count=shard.count,
                kind=self.target.kind,
                settings=f"{LAYOUT} {self._settings!r}",
                files_met=listing.files,
                left_out=met,
                left_out_within=within,
                records=self._part.text(),
            )


def _refuse_no_samples(gathering: Gathering, given: str) -> None:
    """Archives that hold nothing, and have nothing wrong with them either."""
    if not gathering.files:
        raise DataError(Problem(message=f"{given} holds no samples: its archives are empty"))


def _refuse_unknown(gathering: Gathering, given: str, target: str | None) -> None:
    """Where nothing could be told of any file, or no table has the column that was named, there is no answer."""
    if gathering.files and not gathering.told:
        known = "a picture (jpeg, png, ...), a table (csv, jsonl, parquet), arrays, weights or wav"
        if given.endswith(".py"):
            known = f"{given}:NAME, a function in it that returns a dataset"
        many = f"none of the {gathering.files:,} files of {given} is" if gathering.files > 1 else f"{given} is not"
        raise DataError(Problem(message=f"{many} of a format that scan reads", expected=known))
    if target is not None and target not in gathering.targets:
        near = closest(target, list(gathering.columns))
        raise DataError(
            Problem(message=f"no table of {given} has this column", key="--target", value=repr(target), suggestion=near)
        )


def is_whole_picture(entry: Entry) -> bool:
    """Whether a sample is a picture that decoders take."""
    return entry.found.image is not None and not any(flaw.severity is Severity.ERROR for flaw in entry.found.flaws)


def inspect_settings(target: ScanTarget, options: ScanOptions) -> InspectSettings:
    """What the inspectors are told. Hashes of rows are asked for where there may be several tables to compare."""
    return InspectSettings(
        tier=Tier(options.tier),
        target=options.target_column,
        want_row_hashes=target.kind != "file" and options.tier != "quick",
    )


def _refuse_contradictions(options: ScanOptions) -> None:
    problems = []
    if options.merge:
        given = {"--shard": options.shard, "--verify-manifest": options.verify_manifest}
        message = "does not go with --merge: it was for the shards to do"
        problems += [Problem(message=message, key=key) for key, value in given.items() if value is not None]
    if options.labels and options.shard is not None:
        problems.append(Problem(message="needs all samples at once: give it to --merge, not to --shard", key="--labels"))
    if options.labels and options.tier == "quick":
        problems.append(Problem(message="does not go with --quick, which decodes nothing", key="--labels"))
    if options.resume and not options.cache:
        problems.append(Problem(message="needs the cache: leave out --no-cache", key="--resume"))
    if problems:
        raise UserError(*problems)
