"""Trustworthy timing of Python functions: the process that runs a candidate never reports its own number.

A target's protected `benchmark.py` is the driver and needs five lines:

    from optiloop import bench

    CASES = [bench.Case("sort_words", arguments=lambda rng: [some_words(rng)], expected=sorted)]

    if __name__ == "__main__":
        bench.main("text_processor.py", CASES)

The driver starts a worker process that imports the candidate file, sends it fresh arguments, compares
each answer with an independent one, and reads the worker's CPU time from outside. Why that holds:

- All CPU time since the previous answer is billed to a call: decoding its arguments, the function,
  serialising the result, and whatever the candidate does meanwhile.
- The arguments do not exist before the candidate is imported, and they are drawn anew in each round. Where
  a case draws the same ones again, a new worker is asked: what the candidate remembers is cold.
- Nothing the worker prints is read; its one channel carries answers, and an answer must be right byte
  for byte as JSON. So 1, 1.0 and true differ, the order of a dict's keys counts, tuples equal lists, and
  keys that are no strings become strings; a class derived from one of these is wrong. Arguments that JSON
  would change are refused.
- The worker stays one process with one thread: a seccomp filter forbids more (Linux on x86-64 and ARM64), and
  after each call others are looked for (Linux).
- It can write no file, open no connection, signal no process, and read neither the judge's files nor the
  memory of others, at any level of the sandbox (where the kernel has Landlock: Linux 5.13).

Where the environment names a second folder in OPTILOOP_RIVAL, its file is timed too, by a worker of its own:
call by call on the same arguments, in an order drawn each time. So both have the same machine, and what is
slow now is slow for both. Its numbers are printed as `rival.<name>`; `duet = true` in [metric] asks for them.

What it cannot do is isolate: code that runs as the same user may still read or kill what the system lets
it. That is the sandbox's task. Elsewhere than on Linux there is no CPU clock of another process at hand:
times are wall-clock times there, and `main` says so on stderr.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import re
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

MAX_ANSWER_BYTES = 64 * 2**20
HAS_CPU_CLOCK = sys.platform == "linux"

RIVAL = "OPTILOOP_RIVAL"
"""Where the engine names the folder of the program that this one is compared with, for a duet."""
RIVALS = "rival."
"""What the names of that program's numbers begin with."""

_WORKER = Path(__file__).with_name("worker.py")
_family: set[str] = set()
"""The processes that a driver has on purpose: its workers, and what it had before."""
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36  # prctl(2)


class BenchError(Exception):
    """The candidate gave no number worth reading, in one line: wrong, crashed, hung or cheating."""


class Case(NamedTuple):
    """One function to time.

    `arguments` draws fresh ones from the generator it is given; `expected` takes the same arguments and
    returns what the function must return, and should share no code with it. `scaled` draws arguments of a
    given size, for `--scaling`.
    """

    function: str
    arguments: Callable[[random.Random], Sequence[object]]
    expected: Callable[..., object]
    scaled: Callable[[random.Random, int], Sequence[object]] | None = None


class Worker:
    """A running worker with the candidate imported, made by `worker()`.

    `import_us` is the CPU time that importing the candidate took, in microseconds.
    """

    import_us: float

    def __init__(
        self, pid: int, channel: socket.socket, candidate: Path, timeout: float, readable: Sequence[str]
    ) -> None:
        self._pid, self._channel, self._candidate, self._timeout = pid, channel, candidate, timeout
        self._exchange("start", json.dumps(readable).encode())  # it has not seen the candidate yet
        self._billed_ns = _cpu_ns(pid)

    def load(self) -> None:
        """Import the candidate."""
        _, self.import_us = self._ask("import", str(self._candidate).encode())

    def expect(self, function: str, arguments: Sequence[object], expected: Callable[..., object]) -> float:
        """Call the candidate's function and return the microseconds it took.

        Raises BenchError unless the answer equals what `expected` returns for the same arguments.
        """
        return self._timed(_Call(function, arguments, expected))

    def _timed(self, call: _Call) -> float:
        function, right = call.function, call.right
        answer, spent_us = self._ask(function, call.request)
        if answer != right:
            raise BenchError(f"{function}: wrong answer {_excerpt(answer)}, right is {_excerpt(right)}")
        return spent_us

    def peak_mb(self) -> float | None:
        """The largest resident size of the worker so far, in MB; None where there is no /proc."""
        found = re.search(r"VmHWM:\s*(\d+) kB", _read_proc(f"{self._pid}/status") or "")
        return int(found[1]) * 1024 / 1e6 if found else None

    def _ask(self, what: str, request: bytes) -> tuple[bytes, float]:
        """The worker's answer and the microseconds it used since its previous one."""
        billed_ns = (
            self._billed_ns if HAS_CPU_CLOCK else _cpu_ns(self._pid)
        )  # wall time runs on between calls
        answer = self._exchange(what, request)
        self._billed_ns = _cpu_ns(self._pid)
        self._check_alone(what)
        return answer, max(1, self._billed_ns - billed_ns) / 1000  # a clock may stand still; a time is not 0

    def _exchange(self, what: str, request: bytes) -> bytes:
        deadline = time.monotonic() + self._timeout
        try:
            self._channel.settimeout(self._timeout)
            self._channel.sendall(struct.pack(">I", len(request)) + request)
            size = struct.unpack(">I", self._read(4, deadline))[0]
            if size > MAX_ANSWER_BYTES:
                raise BenchError(f"{what}: an answer of {size} bytes; at most {MAX_ANSWER_BYTES} are read")
            answer = self._read(size, deadline)
        except TimeoutError:
            raise BenchError(f"{what}: no answer within {self._timeout:g} s") from None
        except ConnectionError:
            raise BenchError(f"{what}: the worker died") from None
        if answer.startswith(b"-"):
            raise BenchError(f"{what}: raised {_excerpt(answer[1:])}")
        if not answer.startswith(b"+"):
            raise BenchError(f"{what}: the worker's channel carried garbage: {_excerpt(answer)}")
        return answer[1:]

    def _read(self, size: int, deadline: float) -> bytes:
        chunks = bytearray()
        while len(chunks) < size:
            self._channel.settimeout(max(deadline - time.monotonic(), 1e-3))  # 0 would mean "do not wait"
            chunk = self._channel.recv(min(size - len(chunks), 2**20))
            if not chunk:
                raise ConnectionResetError
            chunks += chunk
        return bytes(chunks)

    def _check_alone(self, what: str) -> None:
        """Raise unless the worker is one process with one thread and never waited for a child.

        Orphans count too: the driver is made their new parent (`_shield`).
        """
        if (stat := _read_proc(f"{self._pid}/stat")) is None:
            return
        fields = stat.rpartition(")")[2].split()  # proc(5): the first one here is field 3
        childrens_page_faults, threads = int(fields[11 - 3]), int(fields[20 - 3])
        strangers = _children(self._pid) | (_children(os.getpid()) - _family)
        if strangers or threads > 1 or childrens_page_faults:
            raise BenchError(f"{what}: the worker started threads or processes")


class _Call:
    """One call to be made of any worker: what is sent, and what is right."""

    def __init__(self, function: str, arguments: Sequence[object], expected: Callable[..., object]) -> None:
        arguments = list(arguments)
        self.function = function
        self.request = _encode([function, arguments])
        if json.loads(self.request) != [function, arguments]:
            raise TypeError(f"{function}: JSON changes these arguments (tuples? keys that are no strings?)")
        self.right = _encode(expected(*arguments))


@contextmanager
def worker(
    candidate: str | Path,
    *,
    hash_seed: int = 0,
    timeout: float = 30.0,
    readable: Sequence[str | Path] = (),
) -> Iterator[Worker]:
    """Run a worker that has imported one file, and kill it afterwards.

    `timeout` bounds each call, in seconds. `hash_seed` fixes the order of sets of strings. The candidate's
    folder is not on its import path, and where the kernel has Landlock (Linux 5.13) it can read nothing but
    itself, the standard library, what is installed, and `readable`: not the judge's files beside it.
    """
    with _workers([candidate], hash_seed, timeout, readable) as (running,):
        yield running


@contextmanager
def _workers(
    candidates: Sequence[str | Path], hash_seed: int, timeout: float, readable: Sequence[str | Path] = ()
) -> Iterator[list[Worker]]:
    """One worker for each file; all are there before the first file is imported."""
    _shield()
    _family.update(_children(os.getpid()))
    with ExitStack() as stack:
        running = [
            stack.enter_context(_started(candidate, hash_seed, timeout, readable)) for candidate in candidates
        ]
        for each in running:
            each.load()
        yield running


@contextmanager
def _started(
    candidate: str | Path, hash_seed: int, timeout: float, readable: Sequence[str | Path]
) -> Iterator[Worker]:
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-s", "-P", "-B", str(_WORKER)],
        stdin=theirs.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(hash_seed),
    )
    with theirs, ours, process:
        theirs.close()
        try:
            _forbid_children(process.pid)
            _family.add(str(process.pid))
            shown = [str(Path(path).absolute()) for path in (candidate, *readable)]
            yield Worker(process.pid, ours, Path(candidate), timeout, [*shown, *_installed()])
        finally:
            process.kill()


def measure(
    candidate: str | Path,
    cases: Sequence[Case],
    *,
    seed: int,
    rounds: int = 3,
    timeout: float = 30.0,
    rival: str | Path | None = None,
) -> dict[str, float]:
    """Time every case once a round on fresh arguments, and return the metrics by name.

    `<function>_us` is the median over the rounds, `combined_us` the sum of those, `import_us` the time of
    the import, `peak_mb` the worker's peak memory. With a `rival` both files get the same calls in turn, and
    the rival's metrics are there as `rival.<name>`. Raises BenchError on the first answer that is not right.
    """
    draw, order = random.Random(seed), random.Random(seed + 1)
    if len({case.function for case in cases}) < len(cases):
        raise ValueError("two cases time the same function; give it one larger input instead")
    files = [candidate] if rival is None else [candidate, rival]
    spent: dict[str, list[list[float]]] = {case.function: [[] for _ in files] for case in cases}
    asked: set[bytes] = set()
    with ExitStack() as stack:
        running = stack.enter_context(_workers(files, seed, timeout))
        for _ in range(rounds):
            for case in cases:
                call = _Call(case.function, case.arguments(draw), case.expected)
                if call.request in asked:  # a cache would know the answer: begin with a cold one
                    stack.close()
                    running = stack.enter_context(_workers(files, seed, timeout))
                    asked.clear()
                asked.add(call.request)
                for side in order.sample(range(len(files)), len(files)):
                    spent[case.function][side].append(running[side]._timed(call))
        peaks = [each.peak_mb() for each in running]
    times = {
        function: _levels(*sides) if len(sides) == 2 else (_median(sides[0]),)
        for function, sides in spent.items()
    }
    found: dict[str, float] = {}
    for side, prefix in enumerate(("", RIVALS)[: len(files)]):
        found |= {f"{prefix}{function}_us": levels[side] for function, levels in times.items()}
        found[f"{prefix}combined_us"] = sum(levels[side] for levels in times.values())
        found[f"{prefix}import_us"] = running[side].import_us
        peak = peaks[side]
        found[f"{prefix}peak_mb"] = _peak_mb_of_children() if peak is None else peak
    return found


def _levels(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """The times of two programs on the same arguments: their ratio is the median of the calls' ratios.

    A slow moment of the machine hits a call's two sides, so it leaves their ratio alone. What they are
    around is the geometric mean of both medians; to swap the sides swaps the result.
    """
    centre = math.sqrt(_median(ours) * _median(theirs))
    ratios = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    half = math.exp(_median(ratios) / 2)
    return centre * half, centre / half


def main(candidate: str, cases: Sequence[Case], *, rounds: int = 3, timeout: float = 30.0) -> None:
    """Be a target's benchmark program: print one `METRIC name=value` line each, or one error and exit 1.

    The seed is the environment's OPTILOOP_SEED (the engine gives both sides of a pair the same one), else
    a random one. A folder in OPTILOOP_RIVAL holds another candidate, to be timed in turn with this one.
    """
    parser = argparse.ArgumentParser(description=f"Time the functions of {candidate} on fresh inputs.")
    parser.add_argument("--json", action="store_true", help="print one JSON object, not METRIC lines")
    parser.add_argument(
        "--scaling",
        action="store_true",
        help="tell how the time grows with the size instead: <function>_exponent",
    )
    chosen = parser.parse_args()
    seed = int(os.environ.get("OPTILOOP_SEED") or int.from_bytes(os.urandom(4)))
    if not HAS_CPU_CLOCK:
        print("note: wall-clock times; this system has no CPU clock of another process", file=sys.stderr)
    rival = Path(os.environ[RIVAL], candidate) if os.environ.get(RIVAL) else None
    try:
        if chosen.scaling:
            metrics = _scaling(candidate, cases, seed=seed, timeout=timeout, rival=rival)
        else:
            metrics = measure(candidate, cases, seed=seed, rounds=rounds, timeout=timeout, rival=rival)
    except BenchError as error:
        sys.exit(f"error: {error} (OPTILOOP_SEED={seed})")
    if chosen.json:
        print(json.dumps(metrics))
    else:
        print("\n".join(f"METRIC {name}={value!r}" for name, value in metrics.items()))


def _scaling(
    candidate: str, cases: Sequence[Case], *, seed: int, timeout: float, rival: Path | None
) -> dict[str, float]:
    from optiloop.bench.scaling import exponents

    ours = exponents(candidate, cases, seed=seed, timeout=timeout)
    theirs = exponents(rival, cases, seed=seed, timeout=timeout) if rival else {}
    return ours | {f"{RIVALS}{name}": value for name, value in theirs.items()}


def _cpu_ns(pid: int) -> int:
    """The CPU time a process has used; wall-clock time where there is no such clock."""
    if not HAS_CPU_CLOCK:
        return time.perf_counter_ns()
    return time.clock_gettime_ns((~pid << 3) | 2)  # what clock_getcpuclockid(3) computes


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)  # the statistics module takes longer to import than this program to start
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _encode(value: object) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def _excerpt(answer: bytes) -> str:
    """At most 120 characters on one line, printable: it may be the candidate's own words."""
    text = answer[:480].decode("utf-8", "backslashreplace")
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= 120 else line[:117] + "..."


def _environment(hash_seed: int) -> dict[str, str]:
    """Ours, less what steers Python and what tells the seed; native libraries keep to one thread."""
    kept = {key: text for key, text in os.environ.items() if not key.startswith(("PYTHON", "OPTILOOP"))}
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **single, "PYTHONHASHSEED": str(hash_seed % 2**32)}


def _shield() -> None:
    """Close this process's memory, environment and files to others of the same user; adopt orphans.

    Linux only. Root is not kept out.
    """
    if sys.platform == "linux":
        import ctypes

        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _installed() -> Iterator[str]:
    """What any Python program may read: the system, Python, and what is installed for it."""
    yield from ("/usr", "/bin", "/lib", "/lib64", "/etc", "/sys", "/nix/store", "/gnu/store")
    yield from (
        "/proc/self",
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/sys",
    )  # no process of others
    yield from ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", sys.prefix, sys.base_prefix)
    own = os.path.dirname(os.path.abspath(sys.argv[0]))
    for entry in map(os.path.abspath, sys.path):
        if os.path.basename(entry) in ("site-packages", "dist-packages"):
            yield entry
        elif os.path.isdir(entry) and entry != own:  # an editable install: its packages, not what lies beside
            yield from (str(path) for path in Path(entry).iterdir() if (path / "__init__.py").is_file())


def _forbid_children(pid: int) -> None:
    """Let another process start no thread and no process. Linux only; root does all the same."""
    if sys.platform == "linux":
        resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))


def _peak_mb_of_children() -> float:
    """The largest resident size of any child that has ended, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6


def _children(pid: int) -> set[str]:
    return set((_read_proc(f"{pid}/task/{pid}/children") or "").split())


def _read_proc(path: str) -> str | None:
    try:
        return Path("/proc", path).read_text()
    except OSError:
        return None
