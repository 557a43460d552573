"""Baselines on disk: read with every mistake told, and written beside and renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dltool.core.baseline import ANY_TARGET, KIND, SCHEMA_VERSION, Baseline, Known, Section, as_baseline, moved
from dltool.core.errors import Location, OutputError, Problem, UserError
from dltool.core.finding import Severity
from dltool.core.report import Report

TEXTS = ("fingerprint", "rule", "name", "severity", "where")
MAKE_ONE = "a file that --write-baseline made, or a JSON report"


def read(path: Path, *, or_report: bool = False) -> Baseline:
    """The baseline in a file; with ``or_report``, a JSON report may stand in for one.

    Raises:
        UserError: it is missing, no JSON, of a newer version, or holds something else.
    """
    data = _json(path)
    if not isinstance(data, dict):
        raise _refused(path, "is not a baseline", expected=MAKE_ONE)
    if data.get("kind") != KIND:
        return _from_report(path, data, welcome=or_report)
    if data.get("schema_version") != SCHEMA_VERSION:
        said = f"a baseline of schema version {SCHEMA_VERSION}; a newer dltool wrote this one"
        raise _refused(path, "cannot be used", key="schema_version", value=repr(data.get("schema_version")), expected=said)
    problems: list[Problem] = []
    sections = tuple(_sections(data.get("targets"), Location(file=str(path)), problems))
    if problems:
        raise UserError(*problems)
    return Baseline(sections, path.as_posix())


def write(path: Path, baseline: Baseline) -> None:
    """Write it beside the old one and put it in its place.

    Raises:
        OutputError: the place cannot be written to.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            beside.write_bytes(baseline.dumps().encode())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def names_of(report: Report, baseline: Baseline, path: Path, *, here: Path, root: Path) -> tuple[str, ...]:
    """What ``baseline``, a file at ``path``, may call the target of ``report``; the name that it would be given today first.

    A path is named from the baseline's folder if it lies below, else from ``root`` (of the checkout), else from ``here``.
    A target of the same file name whose file is gone is taken for the one that has moved. A report that stands in for a
    baseline is of any target.
    """
    file, colon, factory = _split(report.target)
    if file is None:
        return report.target, ANY_TARGET
    place = Path(os.path.normpath(here / file))
    home = Path(os.path.normpath(here / path)).parent
    below = [place.relative_to(folder).as_posix() for folder in (home, root, here) if place.is_relative_to(folder)]
    names = [f"{name}{colon}{factory}" for name in dict.fromkeys([*below, Path(file).as_posix()])]
    if baseline.of(report.command, names) is None:
        once = [name for name in moved(baseline, report.command, names[0]) if not _is_there(name, (home, root, here))]
        names += once if len(once) == 1 else []
    return *names, ANY_TARGET


def _split(target: str) -> tuple[str | None, str, str]:
    """The file of a target, and the factory in it; a module's name has no file."""
    head, colon, factory = target.rpartition(":")
    if colon and head.endswith(".py"):
        return head, colon, factory
    if colon and factory.isidentifier() and all(part.isidentifier() for part in head.split(".")):
        return None, "", ""
    return target, "", ""


def _is_there(name: str, folders: Iterable[Path]) -> bool:
    file = _split(name)[0] or name
    return any((folder / file).exists() for folder in folders)


def _json(path: Path) -> Any:
    twice: list[str] = []

    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            twice.extend(dict.fromkeys(name for name in names if names.count(name) > 1))
        return made

    try:
        data = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=once)
    except FileNotFoundError:
        raise _refused(path, "there is no such baseline", expected="a file; --write-baseline makes it") from None
    except IsADirectoryError:
        raise _refused(path, "is a folder, not a baseline", expected="a file; --write-baseline makes it") from None
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        at = Location(file=str(path), line=error.lineno, column=error.colno)
        raise UserError(Problem(message=f"is no JSON: {error.msg}", location=at, expected=MAKE_ONE)) from None
    except (ValueError, RecursionError):
        raise _refused(path, "is no JSON: not UTF-8, or nested too deep", expected=MAKE_ONE) from None
    if twice:
        raise UserError(*(Problem(message="the key stands twice", location=Location(file=str(path)), key=k) for k in twice))
    return data


def _from_report(path: Path, data: Mapping[str, Any], *, welcome: bool) -> Baseline:
    is_report = {"command", "target", "findings", "checks", "run"} <= data.keys()
    if not is_report:
        raise _refused(path, "is not a baseline", expected=MAKE_ONE)
    if not welcome:
        raise _refused(path, "is a report, and is not overwritten with a baseline", expected="another file")
    try:
        return as_baseline(Report.from_dict(data), path.as_posix())
    except (TypeError, KeyError, ValueError, AttributeError):
        raise _refused(path, "is a report that cannot be read", expected=MAKE_ONE) from None


def _sections(listed: Any, at: Location, problems: list[Problem]) -> Iterator[Section]:
    if not isinstance(listed, list):
        problems.append(Problem(message="is not a list", location=at, key="targets"))
        return
    seen: set[tuple[str, str]] = set()
    for index, item in enumerate(listed):
        key = f"targets.{index}"
        entry = item if isinstance(item, dict) else {}
        command, target, findings = (entry.get(name) for name in ("command", "target", "findings"))
        if not (isinstance(command, str) and isinstance(target, str) and isinstance(findings, list)):
            problems.append(Problem(message="has to have command, target and findings", location=at, key=key))
        elif (command, target) in seen:
            said = "the target stands twice; write the baseline anew, or put both lists of findings into one"
            problems.append(Problem(message=said, location=at, key=key, value=f"{command} {target}"))
        else:
            seen.add((command, target))
            known = tuple(_findings(findings, at, f"{key}.findings", problems))
            yield Section(command=command, target=target, findings=known)


def _findings(listed: Iterable[Any], at: Location, key: str, problems: list[Problem]) -> Iterator[Known]:
    seen: set[str] = set()
    for index, item in enumerate(listed):
        entry = item if isinstance(item, dict) else {}
        texts = {name: entry[name] for name in TEXTS if isinstance(entry.get(name), str)}
        count = entry.get("count")
        if (
            len(texts) < len(TEXTS)
            or texts["severity"] not in set(Severity)
            or isinstance(count, bool)
            or not isinstance(count, int)
            or count < 1
        ):
            said = f"has to have {', '.join(TEXTS)}, and a count from 1"
            problems.append(Problem(message=said, location=at, key=f"{key}.{index}"))
        elif entry["fingerprint"] in seen:
            problems.append(
                Problem(
                    message="the fingerprint stands twice", location=at, key=f"{key}.{index}", value=entry["fingerprint"]
                )
            )
        else:
            seen.add(entry["fingerprint"])
            yield Known(**texts | {"severity": Severity(texts["severity"])}, count=count)


def _refused(
    path: Path, message: str, *, key: str | None = None, value: str | None = None, expected: str | None = None
) -> UserError:
    at = Location(file=str(path))
    return UserError(Problem(message=message, location=at, key=key, value=value, expected=expected))
