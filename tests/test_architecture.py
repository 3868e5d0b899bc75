"""The import order of docs/design.md, the purity of the pure modules, and that importing costs nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "optiloop"

ROWS = (
    ("",),  # optiloop/__init__.py: the version; its public names are imported on first use
    ("model", "errors"),
    ("definitions",),
    ("census", "complexity", "diff", "record", "redact", "stats", "untrusted"),
    ("decide",),
    ("memory",),
    ("report",),
    ("foreign",),
    ("parsers", "bench"),
    ("swaps",),
    ("knobs",),
    ("files", "git"),
    ("sandbox", "ledger"),
    ("worktrees",),
    ("measure", "workspace", "events"),
    ("trial",),
    ("state", "steering"),
    ("targets", "records"),
    ("index",),
    ("proposers",),
    ("vault",),
    ("stopping",),
    ("loop",),
    ("team",),
    (
        "live",
        "again",
        "notify",
        "ci",
        "watch",
        "apply",
        "branches",
        "contest",
        "recheck",
        "scaffold",
        "wrap",
        "workflows",
        "scan",
        "scaling",
    ),
    ("verify", "imports", "campaign"),
    ("callables",),
    ("testing",),
    ("cli",),
    ("__main__",),
)
"""Each imports only from the rows above it, and from its own package. `testing` needs no cli."""

PURE = (
    "model",
    "errors",
    "census",
    "complexity",
    "stats",
    "decide",
    "definitions",
    "diff",
    "record",
    "memory",
    "report",
    "foreign",
    "parsers",
    "redact",
    "stopping",
    "knobs",
    "swaps",
    "untrusted",
)
WORLD = {
    "os",
    "time",
    "random",
    "secrets",
    "subprocess",
    "socket",
    "shutil",
    "tempfile",
    "threading",
    "signal",
}
WORLD |= {"urllib", "http", "asyncio", "multiprocessing", "fcntl", "select", "selectors", "uuid"}

BROAD = {
    "callables._called": "a user's function may raise anything",
    "bench.worker.serve": "the candidate's function may raise anything: that is its answer",
    "parsers._plugin_faults": "a plug-in's parser may raise anything",
    "proposers._made": "a plug-in's proposer may raise anything when made",
    "proposers.propose": "and anything when asked",
    "proposers.rewrite.sites_of": "a plug-in's rule may raise anything",
    "proposers.rewrite.table._loaded": "and anything when loaded",
    "targets._from_python": "a user's target.py may raise anything",
    "targets._installed": "a plug-in's target may raise anything",
}
"""Every `except Exception` of the program: plug-in boundaries, each with its reason."""

MODULES = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): file
    for file in sorted(PACKAGE.rglob("*.py"))
    if "_shipped" not in file.parts
}


def parsed(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def room(module: str) -> str:
    return module.partition(".")[0]


def row(module: str) -> int:
    return next(number for number, names in enumerate(ROWS) if room(module) in names)


def imported(tree: ast.Module) -> Iterator[str]:
    """Absolute names of what a module imports, anywhere in it; not under `if TYPE_CHECKING`."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the order"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        pending += ast.iter_child_nodes(node)


def own(name: str) -> str:
    """`optiloop.report.words.ratio` -> `report.words.ratio`."""
    return name.removeprefix("optiloop").lstrip(".")


def test_each_room_has_a_row() -> None:
    rooms = [name for names in ROWS for name in names]
    assert sorted(rooms) == sorted({room(module) for module in MODULES})


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_upwards(module: str) -> None:
    for name in imported(parsed(module)):
        if name.partition(".")[0] != "optiloop" or room(own(name)) == room(module):
            continue
        target = room(own(name)) if room(own(name)) in {room(other) for other in MODULES} else ""
        assert row(target) < row(module), f"{module} imports {name}, which is not above it"


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) in PURE])
def test_pure_modules_do_not_know_the_world(module: str) -> None:
    tree = parsed(module)
    known = {name.partition(".")[0] for name in imported(tree)}
    assert not known & WORLD
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    clock = {
        call for call in calls if call.endswith((".now", ".today", ".utcnow", ".read_text", ".write_text"))
    }
    assert not clock | calls & {"open", "print", "input"}


def broad_handlers(module: str) -> Iterator[str]:
    """Functions that catch everything."""
    for function in ast.walk(parsed(module)):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler):
                    caught = "BaseException" if node.type is None else ast.unparse(node.type)
                    if "Exception" in caught.replace("(", " ").replace(",", " ").replace(
                        ")", " "
                    ).split() or ("BaseException" in caught):
                        yield f"{module}.{function.name}"


def test_exceptions_are_caught_by_name() -> None:
    found = {name for module in MODULES for name in broad_handlers(module)}
    assert found == set(BROAD)


def in_new_python(statement: str, folder: Path) -> dict[str, list[str]]:
    """The modules that a statement loads, and the files it leaves in an empty folder."""
    program = f"import json, sys\n{statement}\nsys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    return {"said": done.stdout.splitlines(), "loaded": json.loads(done.stderr)}


HEAVY = ("libcst", "optuna", "rich", "numpy", "jinja2", "httpx", "pytest", "yaml")


@pytest.mark.parametrize(
    "statement",
    [
        "import optiloop",
        "import optiloop.cli",
        "from optiloop import Engine, Target, load_target",
        "import optiloop.testing",
    ],
)
def test_importing_is_light_and_silent(statement: str, tmp_path: Path) -> None:
    found = in_new_python(statement, tmp_path)
    assert found["said"] == []
    assert list(tmp_path.iterdir()) == []
    assert not {name.partition(".")[0] for name in found["loaded"]} & set(HEAVY)


def test_importing_the_package_loads_none_of_its_modules(tmp_path: Path) -> None:
    loaded = in_new_python("import optiloop", tmp_path)["loaded"]
    assert [name for name in loaded if name.startswith("optiloop")] == ["optiloop"]


def test_help_loads_no_plugin_and_no_engine(tmp_path: Path) -> None:
    statement = (
        "from click.testing import CliRunner\nfrom optiloop.cli import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0"
    )
    loaded = in_new_python(statement, tmp_path)["loaded"]
    unwanted = ("optiloop.proposers", "optiloop.loop", "optiloop.report", "optiloop.targets")
    assert not [name for name in loaded if name.startswith(unwanted)]
