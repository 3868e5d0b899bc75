"""The example package of plug-ins: built, installed from its wheel into a clean environment, and used there.

    python benchmarks/plugin.py

Three cycles of its target with its proposer and its parser, its own tests (which subclass the contracts of
optiloop.testing), and three faulty plug-ins, each of which an error must name. Ends with code 1 where one of
these does not hold.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "optiloop-tour"

FAULTY = """\
def target():
    return 7

class Proposer:
    def propose(self, brief):
        return "a text"

def parser(output, *, options):
    raise KeyError("a slip")
"""
ENTRY_POINTS = """\
[optiloop.targets]
faulty-target = faulty:target
[optiloop.proposers]
faulty-proposer = faulty:Proposer
[optiloop.parsers]
faulty-parser = faulty:parser
"""


def ran(*words: str | Path, cwd: Path, must: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command; it must end with 0 unless told otherwise."""
    done = subprocess.run(list(map(str, words)), cwd=cwd, capture_output=True, text=True, check=False)
    if must and done.returncode:
        sys.exit(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def installed(folder: Path) -> Path:
    """A clean environment with optiloop and the example, both from wheels; returns its programs."""
    for source in (ROOT, EXAMPLE):
        ran(
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "-o",
            folder / "wheels",
            source,
            cwd=folder,
        )
    ran(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    programs = folder / "venv" / "bin"
    wheels = sorted((folder / "wheels").glob("*.whl"))
    ran(programs / "python", "-m", "pip", "install", "-q", *wheels, cwd=folder)
    return programs


def break_in(site: Path) -> None:
    """Lay a package with three faulty plug-ins beside the others."""
    (site / "faulty.py").write_text(FAULTY)
    facts = site / "faulty-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS)


def promises(folder: Path) -> Iterator[tuple[str, bool]]:
    """Each promise, and whether it holds."""
    programs = installed(folder)
    optiloop, work = programs / "optiloop", folder / "work"
    work.mkdir()
    known = json.loads(ran(optiloop, "list", "--json", cwd=work).stdout)
    told = [("targets", "tour"), ("proposers", "reverse"), ("parsers", "labelled")]
    yield "`optiloop list --json` names its plug-ins", all(name in known[kind] for kind, name in told)
    lines = ran(optiloop, "run", "tour", "--proposer", "reverse", "--cycles", "3", "--json", cwd=work).stdout
    *experiments, status = (json.loads(line) for line in lines.splitlines())
    for one in experiments:
        print(f"  {one['status']}: {one['hypothesis']} ({one['reason']})")
    print(f"  length {status['baseline']['value']} -> {status['champion']['value']} km")
    yield (
        "three cycles, all measured",
        [one["origin"] for one in experiments] == ["reverse"] * 3
        and all(one["status"] in ("keep", "discard") for one in experiments),
    )
    shutil.copytree(EXAMPLE / "tests", work / "tests")
    tests = ran(programs / "python", "-m", "pytest", "-q", "tests", cwd=work)
    print(f"  {tests.stdout.splitlines()[-1]}")
    yield "its tests pass", " passed" in tests.stdout
    break_in(next((folder / "venv").glob("lib/*/site-packages")))
    (work / "tour/target.toml").write_text(
        (work / "tour/target.toml").read_text().replace('"labelled"', '"faulty-parser"')
    )
    calls = {
        "faulty-target": ("check", "faulty-target"),
        "faulty-proposer": ("propose", "tour", "--proposer", "faulty-proposer", "-n", "1"),
        "faulty-parser": ("check", "tour", "--fresh"),
    }
    for name, words in calls.items():
        said = ran(optiloop, *words, cwd=work, must=False).stderr.strip()
        print(f"  {said.splitlines()[0]}")
        yield f"an error names {name}, without a traceback", name in said and "Traceback" not in said


def main() -> None:
    """Print what was done, and what holds."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="optiloop-plugin-") as folder:
        told = list(promises(Path(folder)))
    for what, holds in told:
        print(f"{'holds ' if holds else 'BROKEN'}  {what}")
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(0 if all(holds for _, holds in told) else 1)


if __name__ == "__main__":
    main()
