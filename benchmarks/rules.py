"""The rules of `rewrite`, measured: how fast they look, what they gain, what they find in good libraries.

    python benchmarks/rules.py                 speed, and the gain of each rule at its own workload
    python benchmarks/rules.py --quick         the short form that CI runs: every third module, small workloads
    python benchmarks/rules.py --libraries     three libraries from the package registry, by `optiloop run`

Speed is CPU time; it fails above 50 ms for the sites of 1,000 lines, or 20 ms for a proposal. A gain is CPU
time before over CPU time after, of one site, on the naive code that the tests hold for the rule and inputs of a
few thousand elements. The libraries' own tests are the gate.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from optiloop.model import DEMOTION, TAKES_BACK
from optiloop.proposers.rewrite import Rewrite, parsed, sites_in, sites_of
from optiloop.proposers.rewrite.code import PYTHON
from optiloop.proposers.rewrite.table import RULES
from optiloop.scan import scan_file
from optiloop.testing import brief_of

ROOT = Path(__file__).parents[1]
MOST_PER_1000_LINES = 0.050
MOST_PER_PROPOSAL = 0.020
OPTILOOP = (sys.executable, "-m", "optiloop")


# --- speed --------------------------------------------------------------------------------------------


def speed(step: int) -> bool:
    """Sites per 1,000 lines of the standard library, and proposals for a whole file. Whether both are in time."""
    paths = [path for path in sorted(Path(os.__file__).parent.glob("*.py")) if path.stat().st_size > 4000]
    texts = [path.read_text(encoding="utf-8") for path in paths[::step]]
    lines, sites = sum(text.count("\n") for text in texts), 0
    parse = look = 0.0
    for text in texts:
        parse += _seconds(partial(parsed, PYTHON, text))
        look += _seconds(partial(sites_in, "module.py", text))
        sites += len(sites_in("module.py", text))
    print(
        f"{len(texts)} modules, {lines:,} lines, {sites} sites ({sites / lines * 1000:.1f} per 1,000 lines)"
    )
    per_1000 = (parse + look) / lines * 1000
    print(
        f"sites of 1,000 lines  {per_1000 * 1000:.1f} ms CPU, {parse / lines * 1e6:.1f} of them for parsing"
    )
    target = (ROOT / "targets/text_processor/text_processor.py").read_text(encoding="utf-8")
    briefs = [brief_of({"a.py": f"{target}\nNUMBER = {number}\n"}) for number in range(15)]
    whole = min(_seconds(partial(Rewrite().propose, brief)) for brief in briefs)
    later = min(_seconds(partial(Rewrite().propose, brief)) for brief in briefs)
    size = target.count("\n")
    print(f"proposal for a file   {whole * 1000:.1f} ms CPU (text_processor.py, {size} lines), best of 15")
    print(f"  the next for it     {later * 1000:.1f} ms: its sites are known")
    return per_1000 <= MOST_PER_1000_LINES and whole <= MOST_PER_PROPOSAL


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


# --- gains --------------------------------------------------------------------------------------------


def _inputs(n: int) -> dict[str, tuple[Any, ...]]:
    """The arguments of each rule's naive function; `n` scales them."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdef", k=4)) for _ in range(n)]
    text = " ".join(words)
    numbers = [draw.randrange(n * 10) for _ in range(n)]
    small = max(8, n // 40)
    graph = {i: [j for j in (2 * i + 1, 2 * i + 2) if j < n * 10] for i in range(n * 10)}
    return {
        "memoise": (22 if n > 1000 else 12,),
        "list-index": ("".join(words),),
        "repeated-selection": ({word: len(word) + i % 7 for i, word in enumerate(words[: n // 4])}, 40),
        "take-extreme": (numbers,),
        "map-characters": (text, 3),
        "reverse-by-loop": (text * 5,),
        "mirror-by-loop": (text + text[::-1],),
        "compare-characters": (text, "abcabc"),
        "find-positions": (text, "abcabc"),
        "split-characters": (text,),
        "list-as-queue": (graph, 0),
        "insert-at-front": (2 ** (n * 5),),
        "prepend-text": (2 ** (n * 2), 2),
        "hoist-invariant": (text, words[:200]),
        "prefix-sums": (numbers,),
        "prefix-loop": (words,),
        "running-sum": (words,),
        "plain-regex": (text[:200],),
        "sum-loop": (numbers,),
        "modular-power": (12345, n * 5, 10**9 + 7),
        "trial-division": (100_003,),
        "divisor-pairs": (20_000,),
        "digit-sum": (3**2000,),
        "contained-in-copy": (dict.fromkeys(numbers, 1), -1),
        "counted-membership": (words,),
        "values-membership": (dict(enumerate(words)), words),
        "flat-copy": (n,),
        "array-to-list": (n * 10,),
        "numeric-swap": (small * 3,),
        "iterate-file": ("",),
        "scan-folder": ("",),
        "hoist-encoder": ([{"b": number, "a": [1]} for number in numbers],),
        "slots": (n * 5,),
        "cheaper-call": (numbers,),
        "direct-iteration": (words,),
        "list-membership": (words,),
        "": (words,),
    }


_CASES = {"list-membership": "membership in what was seen"}
"""The case that tells where the first does not scale."""


def gains(n: int, rounds: int, only: str = "") -> dict[str, float]:
    """The ratio of each rule for Python at its own workload: the best of its sites in the tests' naive code."""
    sys.path.insert(0, str(ROOT / "tests" / "rewrite"))
    tests = import_module("test_rewrite_rules")  # it holds the naive functions

    inputs = _inputs(n)
    found: dict[str, float] = {}
    for rule in RULES:
        cases = [case for case in tests.CASES.values() if case.rule == rule.name]
        case = tests.CASES.get(_CASES.get(rule.name, "")) or next(iter(cases), None)
        if case is not None and only in rule.name:
            arguments = inputs.get(rule.name, inputs[""])
            sites = sites_of(rule, case.text)
            found[rule.name] = max(_gain(case.text, site.text, arguments, rounds) for site in sites)
    return found


def _gain(before: str, after: str, arguments: tuple[Any, ...], rounds: int) -> float:
    functions = [_function(before), _function(after)]
    best = [math.inf, math.inf]
    for _ in range(rounds):
        for number, function in enumerate(functions):
            given = copy.deepcopy(arguments)  # each call is cold, and may change what it is given
            best[number] = min(best[number], _seconds(partial(function, *given)))
    return best[0] / max(best[1], 1e-7)


def _function(text: str) -> Callable[..., object]:
    namespace: dict[str, Any] = {"__name__": __name__}
    exec(compile(text, "case", "exec"), namespace)
    function: Callable[..., object] = namespace["f"]
    return function


def shell_gains(n: int, rounds: int) -> dict[str, float]:
    """The ratio of each shell rule in a folder of small files, in wall-clock time of /bin/sh."""
    sys.path.insert(0, str(ROOT / "tests" / "rewrite"))
    tests = import_module("test_rewrite_shell")

    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for rule in RULES:
            case = next((case for case in tests.CASES.values() if case.rule == rule.name), None)
            if case is None:
                continue
            sites = sites_of(rule, case.text)
            times: list[list[float]] = [[], []]
            for number in range(rounds):
                for text, taken in zip((case.text, sites[0].text), times, strict=True):
                    folder = tests.folder(Path(scratch), f"{rule.name}-{number}-{len(taken)}")
                    for extra in range(n):
                        (folder / f"more{extra}.txt").write_text(tests.FILES["a.txt"])
                    (folder / "data.csv").write_text(tests.FILES["data.csv"] * n)
                    started = time.monotonic()
                    subprocess.run(["/bin/sh", "-c", text], cwd=folder, capture_output=True, check=False)
                    taken.append(time.monotonic() - started)
            found[rule.name] = min(times[0]) / min(times[1])
    return found


def show_gains(found: dict[str, float]) -> None:
    """A table: measured now, and the gain that the rule states."""
    for rule in RULES:
        if rule.name in found:
            print(f"  {rule.name:<22}{found[rule.name]:>9.2f}x   stated {rule.gain:g}x")


# ruff: noqa: E501
# --- libraries ----------------------------------------------------------------------------------------

LIBRARIES = {
    "sqlparse==0.5.1": (
        "sqlparse",
        "tests",
        "import sqlparse\n"
        "SQL = 'select a, b as c, count(*) from t join u on t.id = u.id where a in (1,2,3) and b like \\'x%\\' '\n"
        "SQL += 'group by a order by c desc limit 5; insert into t (a, b) values (1, 2); -- done\\n'\n"
        "def work():\n"
        "    for _ in range(4):\n"
        "        sqlparse.format(SQL * 3, reindent=True, keyword_case='upper', strip_comments=True)\n"
        "        sqlparse.format(SQL, reindent_aligned=True, use_space_around_operators=True)\n"
        "        sqlparse.split(SQL * 5)\n",
    ),
    "tabulate==0.9.0": (
        "tabulate",
        "test",
        "from tabulate import tabulate\n"
        "ROWS = [[i, i / 7, f'name {i}', None if i % 5 else 'x\\ny'] for i in range(60)]\n"
        "def work():\n"
        "    for form in ('plain', 'grid', 'html', 'latex', 'github', 'pretty'):\n"
        "        tabulate(ROWS, headers=['a', 'b', 'c', 'd'], tablefmt=form, maxcolwidths=[None, None, 5, None])\n",
    ),
    "boltons==24.0.0": (
        "boltons",
        "tests --noconftest",  # it has an argument that new versions of pytest do not know
        "from boltons import cacheutils, dictutils, iterutils, listutils, mathutils, statsutils, strutils, tableutils\n"
        "from boltons import setutils, timeutils, urlutils\n"
        "WORDS = [f'word{i % 90} Of_Text-{i}' for i in range(600)]\n"
        "def work():\n"
        "    for word in WORDS:\n"
        "        strutils.slugify(word), strutils.camel2under(word), strutils.under2camel('a_b_c')\n"
        "        strutils.pluralize('fox'), strutils.ordinalize(21), strutils.strip_ansi(word)\n"
        "    iterutils.unique(WORDS), iterutils.redundant(WORDS), iterutils.chunked(WORDS, 7)\n"
        "    iterutils.bucketize(WORDS, len), iterutils.windowed(WORDS, 3), iterutils.remap({'a': WORDS})\n"
        "    table = dictutils.OMD([(word[:5], word) for word in WORDS]); table.inverted(), table.counts()\n"
        "    setutils.IndexedSet(WORDS)[3], statsutils.describe(range(400)), listutils.BList(WORDS).pop(5)\n"
        "    strutils.format_int_list(range(0, 600, 2)), strutils.parse_int_list('1,3,5-900')\n"
        "    strutils.html2text('<p>a</p>' * 50), strutils.args2cmd(WORDS[:90]), strutils.indent('a\\nb\\n' * 90, ' ')\n"
        "    tableutils.Table([['1', '2']] * 60).to_text(), tableutils.Table([['1', '2']] * 60).to_html()\n"
        "    urlutils.URL('http://a.b/c?d=e&f=g#h').to_text(), urlutils.find_all_links('see http://a.b ' * 30)\n"
        "    cacheutils.MinIDMap(), mathutils.Bits('1010').as_hex()\n",
    ),
}
BENCHMARK = (
    "import time\n{work}\nwork()\ntimes = []\nfor _ in range(7):\n    started = time.process_time()\n"
    "    work()\n    times.append(time.process_time() - started)\nprint(f'METRIC cpu_us={{min(times) * 1e6:.1f}}')\n"
)


def libraries(seconds: str) -> None:
    """Every candidate in three libraries: gated by their tests, measured by a workload of their main functions."""
    total: Counter[str] = Counter()
    for requirement, (package, tests, work) in LIBRARIES.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = _unpacked(requirement, Path(scratch))
            counts = _campaign(folder, package, tests, work, seconds)
        total.update(counts)
        _told(requirement, counts)
    _told("together", total)


def _unpacked(requirement: str, scratch: Path) -> Path:
    download = ("download", "-q", "--no-binary", ":all:", "--no-deps", "-d", str(scratch), requirement)
    subprocess.run((sys.executable, "-m", "pip", *download), check=True, capture_output=True)
    (archive,) = scratch.glob("*.tar.gz")
    subprocess.run(("tar", "-xzf", str(archive), "-C", str(scratch)), check=True)
    return next(path for path in scratch.iterdir() if path.is_dir())


def _campaign(folder: Path, package: str, tests: str, work: str, seconds: str) -> Counter[str]:
    scanned = [
        found for path in sorted((folder / package).rglob("*.py")) if (found := scan_file(path)) is not None
    ]
    editable = [Path(found.path).relative_to(folder).as_posix() for found in scanned if found.smells]
    (folder / "measure_it.py").write_text(BENCHMARK.format(work=work))
    gate = f"{sys.executable} -m pytest -q -x {tests} -p no:cacheprovider"
    (folder / "target.toml").write_text(
        f'name = "{package}"\ngoal = "Faster."\neditable = {json.dumps(editable)}\n'
        f'[[gate]]\nname = "tests"\ncommand = {json.dumps(gate)}\ntimeout = "2m"\n'
        f'[metric]\nname = "cpu_us"\nunit = "us"\ncommand = "{sys.executable} measure_it.py"\n'
        'noise = "timing"\ntimeout = "30s"\nmin_effect = 0.01\n[budget]\ncycle = "5m"\n'
    )
    run = (*OPTILOOP, "run", str(folder), "--proposer", "rewrite", "--time", seconds)
    subprocess.run(run, check=True, capture_output=True)
    done = subprocess.run(
        (*OPTILOOP, "log", str(folder), "--json"), check=True, capture_output=True, text=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    taken = {tag.removeprefix(TAKES_BACK) for line in lines for tag in line["tags"]}
    own = [line for line in lines if DEMOTION not in line["tags"]]
    counts = Counter(line["status"] for line in own)
    counts["lines"] = sum(found.lines for found in scanned)
    counts["candidates"] = sum(len(found.smells) for found in scanned)
    for line in own:
        if line["status"] == "keep":
            counts["taken back"] += line["id"] in taken
            print(f"  {line['effect']:.3f}x: {line['hypothesis']}{', taken back' * (line['id'] in taken)}")
    return counts


def _told(name: str, counts: Counter[str]) -> None:
    tried = sum(counts[status] for status in ("keep", "discard", "gate_failed", "crash", "violation"))
    passing = counts["keep"] + counts["discard"]
    kept = counts["keep"] - counts["taken back"]
    print(
        f"{name:<18}{counts['lines']:>7,} lines, {counts['candidates']:>3} candidates "
        f"({counts['candidates'] / max(counts['lines'], 1) * 1000:.1f} per 1,000), {tried} tried: "
        f"{_share(passing, tried)} pass the tests, {_share(kept, tried)} faster",
        flush=True,
    )


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.0%})" if whole else "0"


def main(arguments: Iterable[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--quick", action="store_true")
    options.add_argument("--libraries", action="store_true")
    options.add_argument("--time", default="6m", help="for each library")
    chosen = options.parse_args(None if arguments is None else list(arguments))
    if chosen.libraries:
        libraries(chosen.time)
        return 0
    fast = speed(3 if chosen.quick else 1)
    size, rounds = (300, 2) if chosen.quick else (2000, 7)
    print(f"gains, n = {size:,}")
    show_gains({**gains(size, rounds), **shell_gains(5 if chosen.quick else 20, rounds)})
    # On a busy machine CPU time, too, is stretched: the short form promises nothing.
    return 0 if fast or chosen.quick else 1


if __name__ == "__main__":
    sys.exit(main())
