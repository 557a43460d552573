"""Who may import whom (docs/architecture.md), read from the source; and a check that the reader itself sees violations."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "dltool"

MAY_IMPORT = {
    "core": set(),
    "probes": {"core"},
    "rules": {"core"},
    "scanning": {"core"},
    "training": {"core", "probes", "rules"},
    "data": {"core", "probes", "rules", "training"},
    "specs": {"core", "probes", "rules", "training", "data"},
    "diagnostics": {"core", "probes", "rules", "scanning", "training", "data", "specs"},
    "reporters": {"core", "probes", "rules", "scanning", "training", "data", "specs", "diagnostics"},
    "cli": {"core", "probes", "rules", "scanning", "training", "data", "specs", "diagnostics", "reporters"},
    "integrations": {"core", "probes", "rules", "scanning", "training", "data", "specs", "diagnostics", "reporters"},
}
"""Each package's own modules, and those of the packages named."""

THIRD_PARTY = {
    "core": set(),
    "rules": set(),
    "probes": {"torch", "numpy"},
    "scanning": {"numpy", "PIL", "simplejpeg", "isal", "xxhash", "polars", "pyarrow", "safetensors"},
    "scanning.formats.checkpoint": {"torch"},
    "training": {"torch", "numpy", "safetensors"},
    "data": {"torch", "numpy", "pyarrow", "PIL"},
    "specs": {"pydantic", "pydantic_core", "annotated_types", "yaml"},
    "specs.build": {"torch", "numpy", "safetensors"},
    "specs.design.samples": {"numpy"},
    "specs.design.targets": {"numpy"},
    "specs.factory": {"torch"},
    "specs.factory_batches": {"torch", "numpy"},
    "specs.factory_parts": {"torch"},
    "specs.factory_trial": {"torch"},
    "specs.target": {"torch"},
    "diagnostics": {"torch", "numpy"},
    "diagnostics.scan.picture_probe": {"PIL"},
    "reporters": set(),
    "reporters.table": {"rich"},
    "cli": {"typer"},
    "cli.console": {"rich"},
    "cli.progress": {"rich"},
    "cli.scan_progress": {"rich"},
}
"""What a package may import besides the standard library; a longer name adds to the shorter one."""


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    line: int
    at_start: bool
    """It runs when the module is imported: not inside a function, not for type checkers alone."""


@dataclass(frozen=True)
class Module:
    name: str
    tree: ast.Module
    is_package: bool


def modules(root: Path) -> dict[str, Module]:
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found[name] = Module(name, ast.parse(path.read_text(encoding="utf-8")), is_package)
    return found


def imports(module: Module, known: dict[str, Module]) -> Iterator[Import]:
    """Every import; ``from package import module`` counts as the module where that is one."""
    for node, at_start in _import_nodes(module.tree, at_start=True):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{module.name}:{node.lineno}: imports are absolute"
            assert node.module is not None
            targets = [f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in known else node.module for a in node.names]
        for target in dict.fromkeys(targets):
            yield Import(module.name, target, node.lineno, at_start)


def _import_nodes(tree: ast.AST, *, at_start: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, at_start
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _import_nodes(ast.Module(node.body, []), at_start=False)
            yield from _import_nodes(ast.Module(node.orelse, []), at_start=at_start)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _import_nodes(node, at_start=at_start and not inside)


def package_of(name: str) -> str:
    return ".".join(name.split(".")[1:2])


def levels_broken(known: dict[str, Module]) -> list[str]:
    """Imports that point up or sideways."""
    broken = []
    for each in _all_imports(known):
        above, below = package_of(each.importer), package_of(each.imported)
        if not each.imported.startswith("dltool") or above in {"", "__main__"}:
            continue
        if below != above and below not in MAY_IMPORT[above]:
            broken.append(f"{each.importer}:{each.line} imports {each.imported}")
    return broken


def facades_imported(known: dict[str, Module]) -> list[str]:
    """Imports of a package rather than of the module that defines the name."""
    return [
        f"{each.importer}:{each.line} imports the package {each.imported}"
        for each in _all_imports(known)
        if each.imported in known and known[each.imported].is_package
    ]


def third_parties_uninvited(known: dict[str, Module]) -> list[str]:
    """Imports of libraries, anywhere in a module, that its package has no business with."""
    broken = []
    for each in _all_imports(known):
        library = each.imported.split(".")[0]
        place = each.importer.removeprefix("dltool").removeprefix(".")
        allowed = {lib for name, libs in THIRD_PARTY.items() if f"{place}.".startswith(f"{name}.") for lib in libs}
        if library not in {*allowed, "dltool"} and library not in sys.stdlib_module_names:
            broken.append(f"{each.importer}:{each.line} imports {library}")
    return broken


def cycles(known: dict[str, Module]) -> list[str]:
    """Modules that reach themselves through imports made when a module is imported."""
    direct = {name: {each.imported for each in imports(m, known) if each.at_start} & set(known) for name, m in known.items()}
    looped = []
    for name, ahead in ((name, list(first)) for name, first in direct.items()):
        seen: set[str] = set()
        while ahead:
            module = ahead.pop()
            if module not in seen:
                seen.add(module)
                ahead.extend(direct[module])
        if name in seen:
            looped.append(name)
    return looped


def prints(known: dict[str, Module]) -> list[str]:
    """Uses of print, sys.stdout and sys.stderr outside the command line and outside of ``if __name__ == "__main__"``."""
    found = []
    for name, module in known.items():
        imported = [
            part for part in module.tree.body if not (isinstance(part, ast.If) and "__name__" in ast.unparse(part.test))
        ]
        for node in (node for part in imported for node in ast.walk(part)):
            is_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            is_stream = isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.stdout", "sys.stderr"}
            if (is_print or is_stream) and package_of(name) != "cli":
                found.append(f"{name}:{node.lineno} {ast.unparse(node)}")
    return found


def packages_not_empty(known: dict[str, Module]) -> list[str]:
    """Package ``__init__`` files with anything in them, but for the public one."""
    return [name for name, module in known.items() if module.is_package and name != "dltool" and module.tree.body]


CHECKS = (levels_broken, facades_imported, third_parties_uninvited, cycles, prints, packages_not_empty)


def _all_imports(known: dict[str, Module]) -> Iterator[Import]:
    return (each for module in known.values() for each in imports(module, known))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_package_keeps_to_its_architecture(check):
    assert check(modules(ROOT)) == []


def test_every_package_has_its_place_in_the_order():
    packages = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert packages <= set(MAY_IMPORT)


PLANTED = {
    levels_broken: ("dltool/core/bad.py", "def f():\n    from dltool.rules.base import Rule\n"),
    facades_imported: ("dltool/cli/bad.py", "from dltool.core import x\n"),
    third_parties_uninvited: ("dltool/rules/bad.py", "def f():\n    import numpy.linalg\n"),
    cycles: ("dltool/core/bad.py", "import dltool.core.bad\n"),
    prints: ("dltool/training/bad.py", "import sys\nsys.stderr.write('x')\n"),
    packages_not_empty: ("dltool/core/__init__.py", "X = 1\n"),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_planted_violation_is_seen(check, tmp_path):
    for name in ("", "core", "rules", "training", "cli"):
        (tmp_path / "dltool" / name).mkdir(exist_ok=True)
        (tmp_path / "dltool" / name / "__init__.py").touch()
    (tmp_path / "dltool/rules/base.py").touch()
    assert check(modules(tmp_path / "dltool")) == []
    path, source = PLANTED[check]
    (tmp_path / path).write_text(source)
    assert len(check(modules(tmp_path / "dltool"))) == 1


def test_imports_for_type_checkers_make_no_cycle(tmp_path):
    (tmp_path / "dltool").mkdir()
    (tmp_path / "dltool/one.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import dltool.two\n")
    (tmp_path / "dltool/two.py").write_text("import dltool.one\n")
    assert cycles(modules(tmp_path / "dltool")) == []


HEAVY = {"torch", "numpy", "pyarrow", "PIL", "safetensors", "jinja2"}
SPEC = "sample_configs/healthy/digits_mlp.yaml"
MUST_NOT_LOAD = {  # Typer itself takes pydantic to convert options
    "--help": HEAVY | {"pydantic", "yaml", "rich"},
    "--version": HEAVY | {"pydantic", "yaml", "rich"},
    "train --help": HEAVY | {"yaml", "rich"},
    "init-stats --help": HEAVY | {"yaml", "rich"},
    "nan-hunt --help": HEAVY | {"yaml", "rich"},
    "lr-find --help": HEAVY | {"yaml", "rich"},
    "scan --help": HEAVY | {"yaml", "rich"},
    "scan sample_configs/data/iris.csv --no-cache --fail-on never": {"torch", "pyarrow", "yaml", "jinja2"},
    "compare --help": HEAVY | {"yaml", "rich"},
    "compare tests/diagnostics/compared/healthy.json tests/diagnostics/compared/healthy.json": HEAVY | {"yaml"},
    "rules": HEAVY | {"yaml"},
    "explain dead-relu": HEAVY | {"yaml"},
    "schema --report": HEAVY | {"yaml", "rich"},
    "schema": HEAVY,
    "new": HEAVY,
    f"show {SPEC}": HEAVY,
    f"lint {SPEC}": HEAVY - {"numpy"},
    f"lint {SPEC} --no-data --format sarif": HEAVY | {"rich"},
    "lint sample_configs/healthy --fail-on never": HEAVY - {"numpy"},
}
PROBE = """
import io, sys
from dltool.cli.main import main
sys.stdout = io.TextIOWrapper(io.BytesIO())
code = main(sys.argv[1:])
sys.stderr.write("\\n" + " ".join(sorted({name.split(".")[0] for name in sys.modules})))
sys.exit(code)
"""


@pytest.mark.parametrize("command", MUST_NOT_LOAD)
def test_a_command_loads_only_what_it_needs(command):
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *command.split()], check=False, capture_output=True, text=True, cwd=ROOT.parent
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stderr.splitlines()[-1].split()) & MUST_NOT_LOAD[command] == set()


def test_help_is_there_at_once():
    """Counted and not timed: start-up is the import of modules, and this many take a quarter of a second."""
    counting = f"{PROBE.rpartition('sys.stderr')[0]}sys.stderr.write(str(len(sys.modules)))"
    command = [sys.executable, "-c", counting, "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT.parent)
    assert int(done.stderr) < 300


def test_lint_loads_no_rule_and_no_section_of_another_command():
    listing = f"{PROBE.rpartition('sys.stderr')[0]}sys.stderr.write(' '.join(sys.modules))"
    command = [sys.executable, "-c", listing, "lint", SPEC]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT.parent)
    loaded = set(done.stderr.split())
    sections = {name for name in loaded if name.startswith("dltool.core.measured.")}
    assert sections == {f"dltool.core.measured.{name}" for name in ("design", "lint", "task")}
    families = {name.split(".")[2] for name in loaded if name.startswith("dltool.rules.") and name.count(".") > 2}
    assert families == {"spec"}
    assert not {"numpy.ma", "numpy.random"} & loaded
