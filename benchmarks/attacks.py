"""Hostile and honest candidates against the whole engine: what is kept, changed, left running, or seen.

    python benchmarks/attacks.py                       both levels, and an engine without any defence
    python benchmarks/attacks.py --sandbox bwrap --only print_a_metric leave_a_daemon

Each candidate of tests/attacks is proposed to `optiloop run` by a replay, on the built-in target with a short
benchmark, in a throw-away repository with canaries around it. The naive engine is what many are: it believes
the gate's exit code and the number that a benchmark prints, in whose process the candidate runs.
Exit code 1 where a hostile candidate is kept, an honest one is not, or, at `bwrap`, anything else was done.
"""

from __future__ import annotations

import argparse
import ast
import ctypes
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from optiloop.sandbox.probe import LEVELS, found
from optiloop.targets import builtins_folder, lay_out

CORPUS = Path(__file__).resolve().parents[1] / "tests" / "attacks"
OPTILOOP = (sys.executable, "-m", "optiloop")
PROGRAM = "text_processor.py"
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)

_SHORT = """
CASES = [
    bench.Case("split_words", lambda rng: [prose(rng, 4000)], reference.split_words),
    bench.Case("sort_words", lambda rng: [words(rng, 250)], reference.sort_words),
    bench.Case("count_words", lambda rng: [words(rng, 800)], reference.count_words),
    bench.Case("remove_stop_words", lambda rng: [words(rng, 2500)], reference.remove_stop_words),
    bench.Case("concordance", lambda rng: [words(rng, 350)], reference.concordance),
    bench.Case("edit_distance", lambda rng: [letters(rng, 6), letters(rng, 6)], reference.edit_distance),
    bench.Case("caesar", lambda rng: [prose(rng, 2000), rng.randint(1, 25)], reference.caesar),
]

if __name__ == "__main__":
    bench.main(
"""
_BOUNDS = """
[sandbox]
memory = "500MB"
processes = 64
disk = "40MB"
"""
_ALONE = 'env = { PYTEST_DISABLE_PLUGIN_AUTOLOAD = "1" }  # half of the gate is loading what is installed'
_NAIVE_BENCHMARK = """
import random, statistics, time
from benchmark import CASES
import text_processor

rng, times = random.Random(0), []
calls = [(case.function, case.arguments(rng)) for case in CASES]
for _ in range(3):
    started = time.perf_counter()
    for case, (function, arguments) in zip(CASES, calls):
        getattr(text_processor, function)(*arguments)
    times.append(time.perf_counter() - started)
print(f"METRIC combined_us={statistics.median(times) * 1e6}")
"""


@dataclass(frozen=True)
class Candidate:
    """One proposal: `edits` and what it tries; of class `honest` where it tries nothing."""

    name: str
    kind: str
    what: str
    edits: dict[str, str]


@dataclass
class Result:
    """What one level let through."""

    level: str
    verdicts: dict[str, tuple[str, str]] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The figures on one line."""
        counts = (
            ("hostile kept", self.kept),
            ("honest rejected", self.rejected),
            ("protected files changed", self.changed),
            ("processes left", self.left),
            ("secrets seen", self.seen),
            ("faults", self.faults),
        )
        said = (f"{name} {len(what)}" + (f" ({', '.join(what)})" if what else "") for name, what in counts)
        return f"{self.level}: {len(self.verdicts)} candidates, " + "; ".join(said)


# --- the corpus --------------------------------------------------------------------------------------


def hostile(places: dict[str, str]) -> list[Candidate]:
    """Every attack of hostile.py on the naive program; `places` are put for its words."""
    text = (CORPUS / "hostile.py").read_text(encoding="utf-8")
    for word, value in places.items():
        text = text.replace(f"@{word}@", value)
    prelude, _, attacks = text.partition("# --- attacks")
    naive = _naive_text()
    made = []
    for node in ast.parse(attacks).body:
        assert isinstance(node, ast.FunctionDef)
        kind, _, what = (ast.get_docstring(node) or "").partition(" | ")
        source = ast.get_source_segment(attacks, node)
        program = f"{naive}\n\n{prelude}\n\n{source}\n\n\n{node.name}()\n"
        made.append(Candidate(node.name, kind, what.split("\n")[0], {PROGRAM: program}))
    return made + list(_odd(naive))


def _odd(naive: str) -> Iterator[Candidate]:
    """Proposals whose form is the attack."""
    quick = naive.replace("result = list(words)\n", "return sorted(words)\n")
    yield Candidate("edit_the_benchmark", "proposal", "proposes the benchmark", {"benchmark.py": "pass\n"})
    yield Candidate("edit_two_files", "proposal", "adds a file", {PROGRAM: quick, "conftest.py": "pass\n"})
    yield Candidate("climb_out", "proposal", "names a file above", {"../../x.py": "pass\n"})
    yield Candidate("absolute_path", "proposal", "names a file of the machine", {"/tmp/x.py": "pass\n"})
    yield Candidate("hide_from_the_reader", "injection", "turns text round", {PROGRAM: f"{quick}# \u202e\n"})
    yield Candidate("hide_in_the_terminal", "injection", "moves the cursor", {PROGRAM: f"{quick}# \x1b[2A\n"})
    yield Candidate("lone_surrogate", "proposal", "is no UTF-8", {PROGRAM: f"{quick}# \ud800\n"})
    yield Candidate("nothing", "proposal", "deletes the program", {PROGRAM: ""})


def honest() -> list[Candidate]:
    """The honest candidates, each upon those before it."""
    _, *sections = (CORPUS / "honest.py").read_text(encoding="utf-8").split("# --- ")
    text, made = _naive_text(), []
    for section in sections:
        what, _, source = section.partition("\n")
        text = f"{text}\n\n{source.strip()}\n"
        made.append(Candidate(what, "honest", what, {PROGRAM: text}))
    return made


def _naive_text() -> str:
    return (builtins_folder() / "text_processor" / PROGRAM).read_text(encoding="utf-8")


# --- the place ---------------------------------------------------------------------------------------


class Place:
    """A repository with the target, a home with a secret, a listening port, a key in the environment."""

    def __init__(self, folder: Path) -> None:
        self.home, self.repository = folder / "home", folder / "repository"
        self.target = self.repository / "targets" / "text_processor"
        self.home.mkdir(parents=True)
        self.secrets = {"key": secrets.token_hex(16), "home": secrets.token_hex(16)}
        (self.home / "secret").write_text(self.secrets["home"])
        lay_out_short(self.target)
        git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(self.repository))
        for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "the target")):
            subprocess.run((*git, *words), check=True)
        self.connections: list[object] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def places(self) -> dict[str, str]:
        return {
            "HOME_FILE": str(self.home / "secret"),
            "REPOSITORY": str(self.repository),
            "PORT": str(self._listener.getsockname()[1]),
        }

    def environment(self) -> dict[str, str]:
        """What the engine is started with: a key that no candidate may see."""
        kept = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
        return {**kept, "HOME": str(self.home), "ATTACKS_API_KEY": self.secrets["key"]}

    def digests(self) -> dict[str, str]:
        """Every file that must stay as it is: checkout, git's own files, home; with modes and links."""
        found = {}
        for path in (*self.repository.rglob("*"), *self.home.rglob("*")):
            name = str(path.relative_to(self.home.parent))
            ours = (".optiloop", "optiloop", "objects", "worktrees", "logs")
            if not path.is_dir() and not any(part in ours for part in path.parts[len(self.home.parts) - 1 :]):
                content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
                found[name] = f"{path.lstat().st_mode:o} {hashlib.sha256(content).hexdigest()}"
        return found

    def mend(self) -> None:
        """Put the checkout back, which a candidate at `process` may have changed."""
        subprocess.run(("git", "-C", str(self.repository), "checkout", "-q", "--", "."), check=True)

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                self.connections.append(self._listener.accept())

    def close(self) -> None:
        self._listener.close()


def lay_out_short(folder: Path) -> None:
    """Lay the built-in target out with a short benchmark and tight bounds."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lay_out(builtins_folder() / "text_processor", folder)
    benchmark, holdout, toml = (folder / name for name in ("benchmark.py", "holdout.py", "target.toml"))
    before, _, after = benchmark.read_text().partition("CASES = [")
    assert after
    call = after.partition("    bench.main(")[2]
    benchmark.write_text(before + _SHORT.strip().replace("bench.main(", f"bench.main({call}"))
    holdout.write_text(holdout.read_text().replace("ROUNDS = 25", "ROUNDS = 5"))
    bounded = (
        toml.read_text().replace('timeout = "60s"', 'timeout = "10s"').replace('run = "10m"', 'run = "2h"')
    )
    assert bounded.count("tests = 51 ") == 1
    toml.write_text(bounded.replace("tests = 51 ", f"{_ALONE}\ntests = 51 ") + _BOUNDS)


# --- the engine --------------------------------------------------------------------------------------


def attacked(level: str, folder: Path, *, only: Sequence[str] = (), part: str = "") -> Result:
    """Run the candidates through `optiloop run` at a level, and look at what they have done."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what outlives the engine becomes ours
    place, result = Place(folder), Result(level)
    bad = [one for one in hostile(place.places) if not only or one.name in only]
    good = honest() if not only or "honest" in only else []
    if part:
        number, _, parts = part.partition("/")
        bad, good = (bad[int(number) - 1 :: int(parts)], []) if parts else ([], good)
    replay = folder / "candidates.jsonl"
    lines = (
        json.dumps({"edits": one.edits, "hypothesis": f"{one.name}: {one.what}"}) for one in (*bad, *good)
    )
    replay.write_text("".join(f"{line}\n" for line in lines))
    before, ours = place.digests(), _children()
    with _closing(place):
        words = ("run", str(place.target), "--proposer", f"replay:{replay}", "--json", "--sandbox", level)
        done = subprocess.run((*OPTILOOP, *words), env=place.environment(), capture_output=True, text=True)
        after = place.digests()
        place.mend()
        check = ("verify", str(place.target), "--sandbox", level)
        sound = subprocess.run((*OPTILOOP, *check), env=place.environment(), capture_output=True, text=True)
    result.left = _ended(_children() - ours)
    log = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"v"')]
    log = [line for line in log if "demotion" not in line["tags"]]
    for one, line in zip((*bad, *good), log, strict=False):
        result.verdicts[one.name] = (line["status"], line["reason"])
    result.kept = [one.name for one in bad if result.verdicts.get(one.name, ("",))[0] == "keep"]
    result.rejected = [one.name for one in good if result.verdicts.get(one.name, ("",))[0] != "keep"]
    if len(log) != len(bad) + len(good):
        result.faults.append(f"{len(log)} of {len(bad) + len(good)} lines: {done.stderr.strip()[-300:]}")
    if sound.returncode != 0 and (good or "BAD" in sound.stdout):
        result.faults.append(f"verify: {(sound.stdout + sound.stderr).strip()[-300:]}")
    result.changed = sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )
    result.seen = _seen(place, [line["id"] for line in log], [one.name for one in (*bad, *good)])
    return result


_GRACE_SECONDS = 1.5

_TOLD = ("memory of the parent", "repository", "hold-out", "site-packages", "signal", "network")


def _seen(place: Place, ids: list[str], names: list[str]) -> list[str]:
    """Who saw what: by the digests that candidates tell, and by secrets that stand in plain text anywhere."""
    campaign = place.repository / ".optiloop" / "text_processor"
    tags = {_tag(value): name for name, value in (*place.secrets.items(), *((word, word) for word in _TOLD))}
    found = []
    for name, number in zip(names, ids, strict=False):
        texts = [file.read_text(errors="replace") for file in (campaign / "artifacts" / number).glob("*")]
        for tag in sorted(set(re.findall("SEEN ([0-9a-f]{16})", "\n".join(texts)))):
            if tag in tags or name == "read_the_hold_out":
                found.append(f"{name}: {tags.get(tag, 'hold-out')}")
    plain = (campaign / "experiments.jsonl").read_text(errors="replace")
    found += [f"{name} in the log" for name, value in place.secrets.items() if value in plain]
    return found + ["a connection"] * len(place.connections)


def _tag(value: str) -> str:
    return hashlib.sha256(b"optiloop" + value.encode()).hexdigest()[:16]


def _children() -> set[int]:
    """This process's children, adopted ones too."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for file in tasks for pid in file.read_text().split()}


def _ended(pids: set[int]) -> list[str]:
    """Name what is left running, and end it. The engine's own watchman ends a moment after the engine."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while _alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = []
    for pid in pids:
        with suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text()
            if stat.rpartition(")")[2].split()[0] != "Z":
                left.append(stat.split()[1])
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
    return left


def _alive(pids: set[int]) -> bool:
    states = []
    for pid in pids:
        with suppress(OSError):
            states.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
    return any(state != "Z" for state in states)


@contextmanager
def _closing(place: Place) -> Iterator[None]:
    try:
        yield
    finally:
        place.close()


# --- the naive engine --------------------------------------------------------------------------------


def naively_kept(candidate: Candidate, folder: Path, baseline: float) -> bool:
    """Whether an engine without defences would keep it: exit code 0, and a printed number 20 % better."""
    lay_out_short(folder)
    for path, text in candidate.edits.items():
        (folder / path).write_text(text, encoding="utf-8")
    tests = (sys.executable, "-m", "pytest", "-q", "test_text_processor.py")
    if _run_naively(tests, folder).returncode != 0:
        return False
    value = _naive_value(folder)
    return value is not None and value < 0.8 * baseline


def naive_baseline(folder: Path) -> float:
    """What the naive benchmark prints for the naive program, in microseconds."""
    lay_out_short(folder)
    value = _naive_value(folder)
    assert value is not None
    return value


def _naive_value(folder: Path) -> float | None:
    """The first number that the benchmark prints; it may have been replaced by then."""
    own, benchmark = folder / "naive_benchmark.py", folder / "benchmark.py"
    own.write_text(_NAIVE_BENCHMARK)
    replaced = "CASES" not in benchmark.read_text(errors="replace")
    done = _run_naively((sys.executable, benchmark.name if replaced else own.name), folder)
    values = re.findall(r"METRIC combined_us=(\S+)", done.stdout)
    with suppress(ValueError):
        return float(values[0]) if values else None
    return None


def _run_naively(words: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[str]:
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    try:
        return subprocess.run(
            words, cwd=folder, env=kept, capture_output=True, text=True, errors="replace", timeout=20
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 1, "", "")


HARMLESS = frozenset({"judge", "symlink", "gate", "plant", "number", "memo"})
"""Classes of candidates that may be run without any defence."""


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--sandbox", choices=LEVELS, nargs="+", default=list(LEVELS))
    options.add_argument("--only", nargs="+", default=[], help="names of candidates, or honest")
    options.add_argument(
        "--part", default="", help="2/3: a third of the hostile candidates; honest: the others"
    )
    options.add_argument("--no-naive", action="store_true", help="leave the naive engine out")
    chosen = options.parse_args()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="optiloop-attacks-") as scratch:
        for level in chosen.sandbox:
            if missing := found(level).missing:
                print(f"{level}: not available here: {missing}")
                continue
            results.append(attacked(level, Path(scratch) / level, only=chosen.only, part=chosen.part))
        naive = {} if chosen.no_naive else _naive(Path(scratch), chosen.only)
    _print_table(results, naive)
    safe = all(not (r.changed or r.left or r.seen) for r in results if r.level == "bwrap")
    return 0 if safe and not any(r.kept or r.rejected or r.faults for r in results) else 1


def _naive(scratch: Path, only: Sequence[str]) -> dict[str, bool]:
    """What the naive engine would have kept of what may be run without a defence."""
    nowhere = {"HOME_FILE": f"{scratch}/nothing/x", "REPOSITORY": f"{scratch}/nothing", "PORT": "9"}
    baseline, verdicts = naive_baseline(scratch / "naive"), {}
    for one in hostile(nowhere):
        if one.kind in HARMLESS and (not only or one.name in only):
            verdicts[one.name] = naively_kept(one, scratch / "naive" / one.name, baseline)
    shutil.rmtree(scratch / "naive", ignore_errors=True)
    return verdicts


def _print_table(results: list[Result], naive: dict[str, bool]) -> None:
    nowhere = dict.fromkeys(("HOME_FILE", "REPOSITORY", "PORT"), "9")
    for one in (*hostile(nowhere), *honest()):
        verdicts = [result.verdicts.get(one.name, ("-", ""))[0] for result in results]
        if any(verdict != "-" for verdict in verdicts):
            without = {True: "kept", False: "not kept", None: ""}[naive.get(one.name)]
            cells = "  ".join(f"{verdict:<11}" for verdict in verdicts)
            print(f"{one.kind:<10} {one.name:<38} {cells}  {without:<9} {one.what}")
    for result in results:
        print(result.line())
    if naive:
        print(f"a naive engine keeps {sum(naive.values())} of {len(naive)} of these")


if __name__ == "__main__":
    sys.exit(main())
