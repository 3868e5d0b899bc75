"""optiloop.bench, tested as an enemy would: each candidate cheats or fails in one way, for its own reason.

Drivers run as programs of their own, as in a target, because `bench.worker` changes the process it is in.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from optiloop.bench import _levels as levels_of_duet

HONEST = """
    def total(numbers):
        return sum(numbers)

    def words(text):
        return text.split()
"""

DRIVER = """
    from optiloop import bench

    CASES = [
        bench.Case("total", lambda rng: [[rng.randrange(1000) for _ in range(100)]], sum),
        bench.Case("words", lambda rng: ["so it is " * rng.randrange(1, 9)], str.split),
    ]

    if __name__ == "__main__":
        bench.main("candidate.py", CASES, timeout=TIMEOUT)
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def landlock_version() -> int:
    return ctypes.CDLL(None).syscall(444, None, 0, 1) if sys.platform == "linux" else 0


landlock = pytest.mark.skipif(landlock_version() < 6, reason="needs Landlock 6, Linux 6.12")


@pytest.fixture
def bench(tmp_path):
    """Run a driver on a candidate; the result has returncode, stdout and stderr."""

    def run(
        candidate: str, *options: str, driver: str = DRIVER, timeout: float = 20.0, seed: str | None = "1"
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "candidate.py").write_text(dedent(candidate))
        (tmp_path / "benchmark.py").write_text(dedent(driver).replace("TIMEOUT", str(timeout)))
        environment = {key: value for key, value in os.environ.items() if key != "OPTILOOP_SEED"}
        if seed is not None:
            environment["OPTILOOP_SEED"] = seed
        return subprocess.run(
            [sys.executable, "benchmark.py", *options],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def metrics(stdout: str) -> dict[str, float]:
    lines = [line.removeprefix("METRIC ").split("=") for line in stdout.splitlines()]
    return {name: float(value) for name, value in lines}


# --- a duet ------------------------------------------------------------------------------------------


@pytest.fixture
def rival(tmp_path, monkeypatch):
    """Lay a second candidate out for the driver to time in turn with the first."""

    def lay(candidate: str) -> None:
        folder = tmp_path / "rival"
        folder.mkdir(exist_ok=True)
        (folder / "candidate.py").write_text(dedent(candidate))
        monkeypatch.setenv("OPTILOOP_RIVAL", str(folder))

    return lay


def test_a_duet_gives_the_numbers_of_both(bench, rival):
    rival(HONEST.replace("sum(numbers)", "sum([sum(numbers) for _ in range(5000)][:1])"))
    result = bench(HONEST)
    assert (result.returncode, result.stderr) == (0, "")
    found = metrics(result.stdout)
    names = ["total_us", "words_us", "combined_us", "import_us", "peak_mb"]
    assert list(found) == [*names, *(f"rival.{name}" for name in names)]
    assert found["rival.total_us"] > 10 * found["total_us"], "5,000 times the work"
    assert found["rival.combined_us"] == found["rival.total_us"] + found["rival.words_us"]


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ("def total(numbers): return 7\ndef words(text): return text.split()", "total: wrong answer 7"),
        ("import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', ''])\n" + dedent(HONEST), "import"),
        ("1 / 0", "import: raised ZeroDivisionError"),
    ],
)
def test_either_side_of_a_duet_can_fail_it(bench, rival, candidate, said):
    rival(HONEST)
    assert said in bench(candidate).stderr
    rival(candidate)
    assert said in bench(HONEST).stderr


def test_to_swap_the_sides_of_a_duet_swaps_their_times():
    ours, theirs = [3.0, 5.0, 4.0, 9.0], [2.0, 8.0, 4.5, 1.0]
    assert levels_of_duet(ours, theirs) == pytest.approx(levels_of_duet(theirs, ours)[::-1])
    slow = [10.0, 1.0, 1.0]
    both = levels_of_duet([2 * by for by in slow], [1 * by for by in slow])
    assert both[0] / both[1] == pytest.approx(2.0), "what slows both sides leaves their ratio alone"


# --- an honest candidate -----------------------------------------------------------------------------


def test_every_number_comes_out_once_and_in_full(bench):
    result = bench(HONEST)
    assert (result.returncode, result.stderr) == (0, "")
    found = metrics(result.stdout)
    assert list(found) == ["total_us", "words_us", "combined_us", "import_us", "peak_mb"]
    assert len(result.stdout.splitlines()) == len(found)
    assert found["combined_us"] == found["total_us"] + found["words_us"]
    assert all(value > 0 for value in found.values())


def test_json_has_the_same_names(bench):
    found = json.loads(bench(HONEST, "--json").stdout)
    assert list(found) == ["total_us", "words_us", "combined_us", "import_us", "peak_mb"]


ECHO = """
    import sys
    from optiloop import bench
    def told(*arguments):
        print(arguments, file=sys.stderr)
        return 0
    if __name__ == "__main__":
        bench.main("candidate.py", [bench.Case("f", lambda rng: [rng.random()], told)])
"""


@pytest.mark.parametrize(("seeds", "equal"), [(("7", "7"), True), (("7", "8"), False), ((None, None), False)])
def test_the_seed_decides_the_inputs_and_each_round_draws_new_ones(bench, seeds, equal):
    first, second = (bench("def f(x): return 0", driver=ECHO, seed=seed).stderr for seed in seeds)
    assert (first == second) is equal
    assert len(set(first.splitlines())) == 3


REMEMBERING = """
    calls = []

    def total(numbers):
        calls.append(numbers)
        return calls.count(numbers)

    def words(text):
        return len(calls)
"""


def test_what_a_candidate_remembers_is_cold_when_a_case_repeats_itself(bench):
    """A cache of the whole call would otherwise be timed warm: in all rounds but the first."""
    same = DRIVER.replace("rng.randrange(1000) for _ in range(100)", "7").replace(
        "sum)", "lambda numbers: 1)"
    )
    same = same.replace("rng.randrange(1, 9)", "rng.randrange(10**6)").replace(
        "str.split)", "lambda text: 1)"
    )
    done = bench(REMEMBERING, driver=same.replace("so it is ", ""))
    assert done.returncode == 0, done.stderr


def test_fresh_inputs_go_to_one_worker(bench):
    counting = DRIVER.replace("sum)", "lambda numbers: 1)").replace("str.split)", "lambda text: 1)")
    done = bench(REMEMBERING.replace("calls.count(numbers)", "len(calls)"), driver=counting)
    assert "wrong answer 2, right is 1" in done.stderr


def test_import_loads_no_other_part_of_optiloop_and_nothing_heavy():
    code = "import sys, optiloop.bench; print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert [name for name in modules.split() if name.startswith("optiloop")] == ["optiloop", "optiloop.bench"]
    assert not {"numpy", "statistics", "dataclasses", "asyncio", "inspect"} & set(modules.split())


# --- candidates that fail or cheat ---------------------------------------------------------------------

FAILURES = {
    "wrong answer": ("def total(n): return 1", "total: wrong answer 1, right is "),
    "float for an int": ("def total(n): return float(sum(n))", "total: wrong answer"),
    "NaN": ("def total(n): return float('nan')", "total: raised ValueError: Out of range float"),
    "no JSON": ("def total(n): return {1, 2}", "total: raised TypeError: Object of type set"),
    "raises": ("def total(n): raise KeyError('x')", "total: raised KeyError: 'x'"),
    "function gone": ("def other(): pass", "total: raised AttributeError: module 'candidate' has no"),
    "exit at import": ("raise SystemExit(0)", "import: raised SystemExit: 0"),
    "exit at call": ("import sys\ndef total(n): sys.exit(0)", "total: raised SystemExit: 0"),
    "hard exit": ("import os\ndef total(n): os._exit(0)", "total: the worker died"),
    "syntax error": ("def total(n) return", "import: raised SyntaxError"),
    "derived from int": (
        "class N(int): pass\ndef total(n): return N(sum(n))",
        "total: raised ValueError: unmar",
    ),
    "deep recursion": ("def total(n): return total(n)", "total: raised RecursionError"),
    "shouting": (
        "def total(n): raise ValueError('x\\nMETRIC combined_us=1\\n' * 99)",
        "x METRIC combined_us=1 x",
    ),
}


@pytest.mark.parametrize(("candidate", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_one_line_and_no_number(bench, candidate, reason):
    assert_refused(bench(candidate), reason)


def assert_refused(result: subprocess.CompletedProcess[str], *reasons: str) -> None:
    """It failed in one line of stderr, with one of these reasons, and gave no number."""
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) < 400
    assert any(reason in result.stderr for reason in reasons), result.stderr


@pytest.mark.parametrize("where", ["import", "total"])
def test_a_hang_ends_at_the_timeout(bench, where):
    hang = "import time\n" + {"import": "time.sleep(99)", "total": "def total(n): time.sleep(99)"}[where]
    assert_refused(bench(hang, timeout=0.5), f"{where}: no answer within 0.5 s")


def test_an_answer_that_drips_ends_at_the_timeout(bench):
    drip = """
        import os, struct, time
        def total(n):
            os.write(CHANNEL, struct.pack(">I", 1000))
            while True:
                os.write(CHANNEL, b"x")
                time.sleep(0.05)
    """
    assert_refused(bench(FIND_CHANNEL + dedent(drip), timeout=0.5), "total: no answer within 0.5 s")


FIND_CHANNEL = """
import os, stat
OPEN = [fd for fd in range(3, 99) if os.path.exists(f"/dev/fd/{fd}")]
CHANNEL = next(fd for fd in OPEN if stat.S_ISSOCK(os.fstat(fd).st_mode))
"""


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        (b"\xff\xff\xff\xff", "total: an answer of 4294967295 bytes; at most "),
        (b"\x00\x00\x00\x03abc", "total: the worker's channel carried garbage: abc"),
        (b"\x00\x00\x00\x00", "total: the worker's channel carried garbage: "),
        (b"\x00\x00\x00\x03+17", "total: wrong answer 17"),
    ],
    ids=["huge", "garbage", "empty", "forged"],
)
def test_writing_to_the_channel_can_only_hurt(bench, forged, reason):
    candidate = f"def total(n):\n    os.write(CHANNEL, {forged!r})\n    return sum(n)\n"
    assert_refused(bench(FIND_CHANNEL + candidate), reason)


def test_an_oversized_answer_is_not_read(bench):
    driver = dedent(DRIVER).replace("CASES = [", "bench.MAX_ANSWER_BYTES = 1000\nCASES = [")
    assert_refused(
        bench("def total(n): return 'x' * 1000", driver=driver), "an answer of 1003 bytes; at most 1000"
    )


def test_what_the_candidate_prints_reaches_nobody(bench):
    shout = """
        import os, sys
        def total(numbers):
            for name in ("combined_us", "total_us"):
                print(f"METRIC {name}=0.001", flush=True)
                print(f"METRIC {name}=0.001", file=sys.stderr, flush=True)
            for fd in (0, 1, 2):
                os.write(fd, b"METRIC combined_us=0.001\\n")
            return sum(numbers)
        def words(text):
            assert sys.stdin.read() == ""
            return text.split()
    """
    result = bench(shout)
    assert (result.returncode, result.stderr) == (0, "")
    assert metrics(result.stdout)["combined_us"] > 1
    assert result.stdout.count("combined_us") == 1


def test_writing_to_every_inherited_descriptor_forges_no_number(bench):
    spray = """
        import os
        def total(numbers):
            for fd in range(256):
                try:
                    os.write(fd, b"METRIC combined_us=0.001\\n")
                except OSError:
                    pass
            return sum(numbers)
    """
    assert_refused(bench(spray), "total: an answer of ")  # "METR" as a length


BUSY = """
    import time
    def burn(seconds, clock=time.process_time):
        end = clock() + seconds
        while clock() < end:
            pass
"""


@linux
def test_patching_every_clock_changes_nothing(bench):
    patched = """
        for name in ("time", "perf_counter", "process_time", "perf_counter_ns", "clock_gettime_ns"):
            setattr(time, name, lambda *_: 0)
        def total(numbers):
            burn(0.02)
            return sum(numbers)
        def words(text):
            return text.split()
    """
    assert metrics(bench(dedent(BUSY) + dedent(patched)).stdout)["total_us"] > 19_000


@linux
def test_work_while_the_arguments_are_decoded_is_billed(bench):
    """A candidate that hooks the decoder does its work there, before its function is called."""
    early = """
        import json
        loads = json.loads
        def hooked(message):
            function, arguments = loads(message)
            if function == "total":
                burn(0.02)
            return function, arguments
        json.loads = hooked
        def total(numbers):
            return sum(numbers)
        def words(text):
            return text.split()
    """
    assert metrics(bench(dedent(BUSY) + dedent(early)).stdout)["total_us"] > 19_000


@linux
def test_work_after_the_answer_is_billed(bench):
    late = """
        import sys
        def total(numbers):
            sys.setprofile(after)
            return sum(numbers)
        def after(frame, event, argument):
            if event == "return" and frame.f_code.co_name == "send":
                sys.setprofile(None)
                burn(0.02)
        def words(text):
            return text.split()
    """
    assert metrics(bench(dedent(BUSY) + dedent(late)).stdout)["combined_us"] > 19_000


@linux
@pytest.mark.parametrize("where", ["import", "total"])
@pytest.mark.parametrize(
    "start",
    [
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.fork() or os._exit(0); time.sleep(0.1)",
        "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "os.fork() or time.sleep(99)",
        "os.waitpid(os.fork() or os._exit(0), 0)",
        "os.fork() or (os.fork() and os._exit(0)) or os.setsid() or time.sleep(99)",
    ],
    ids=["child that nobody waits for", "thread", "child", "child that has ended", "daemon"],
)
def test_threads_and_processes_are_noticed(bench, where, start):
    """As root by looking; others cannot even start them."""
    begin = (
        f"{start}\n"
        if where == "import"
        else f"def total(n):\n    {start}\n    time.sleep(.1)\n    return sum(n)\n"
    )
    result = bench(
        "import os, signal, threading, time\n" + begin + dedent(HONEST if where == "import" else "")
    )
    forbidden = (f"{where}: raised BlockingIOError", f"{where}: raised RuntimeError: can't start new thread")
    assert_refused(result, f"{where}: the worker started threads or processes", *forbidden)


def test_the_worker_is_not_told_the_seed(bench):
    assert bench("import os\nassert 'OPTILOOP_SEED' not in os.environ\n" + dedent(HONEST)).returncode == 0


@landlock
@pytest.mark.parametrize("name", ["environ", "mem", "fd/1"])
def test_the_driver_is_closed_to_the_worker(bench, name):
    peek = f"import os\nopen(f'/proc/{{os.getppid()}}/{name}', 'r+b' if {name!r} != 'environ' else 'rb')\n"
    assert_refused(bench(peek + dedent(HONEST)), "import: raised PermissionError")


OUTSIDE = {
    "the judge": "open('benchmark.py')",
    "its folder": "os.listdir('.')",
    "a new file": "open('shadow.py', 'w')",
    "itself": "open('candidate.py', 'a')",
    "a link": "os.symlink('candidate.py', 'shadow.py')",
    "another name": "os.rename('candidate.py', 'shadow.py')",
    "a memo": "open('/tmp/optiloop-memo', 'w')",
    "shared memory": "open('/dev/shm/optiloop-memo', 'w')",
    "home": "os.listdir(os.path.expanduser('~'))",
    "the network": "socket.create_connection(('127.0.0.1', 9), 1)",
    "the driver": "os.kill(os.getppid(), 0)",
}


@landlock
@pytest.mark.parametrize("reach", OUTSIDE.values(), ids=OUTSIDE)
def test_the_worker_reads_and_writes_nothing_of_others(bench, reach):
    result = bench(f"import os, socket\n{reach}\n{dedent(HONEST)}")
    assert_refused(result, "import: raised PermissionError", "import: raised OSError: [Errno 18]")


@landlock
def test_a_driver_may_show_the_worker_more(bench, tmp_path):
    (tmp_path / "table.txt").write_text("7")
    driver = """
        from optiloop import bench
        with bench.worker("candidate.py", readable=["table.txt"]) as worker:
            worker.expect("f", [], lambda: 7)
    """
    result = bench("def f(): return int(open('table.txt').read())", driver=driver)
    assert (result.returncode, result.stderr) == (0, "")


def test_what_is_installed_can_be_imported(bench):
    assert bench(f"import json, ctypes, pytest, optiloop\n{dedent(HONEST)}").returncode == 0


def test_a_stale_bytecode_file_is_not_run(bench, tmp_path):
    """The candidate's source counts, not a .pyc that fits its time and size."""
    import py_compile

    bench(HONEST)
    source = tmp_path / "candidate.py"
    honest, times = source.read_text(), source.stat()
    source.write_text("raise SystemExit".ljust(len(honest)))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    py_compile.compile(str(source))
    source.write_text(honest)
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    driver = [sys.executable, "benchmark.py"]
    assert subprocess.run(driver, cwd=tmp_path, capture_output=True).returncode == 0


def test_the_targets_other_files_cannot_be_imported(bench, tmp_path):
    (tmp_path / "reference.py").write_text("total = sum")
    assert_refused(bench("from reference import total"), "import: raised ModuleNotFoundError")


def test_no_worker_is_left_behind(bench, tmp_path):
    code = "import os, time\nassert os.getcwd() == FOLDER\ntime.sleep(99)".replace(
        "FOLDER", repr(str(tmp_path))
    )
    assert_refused(bench(code, timeout=0.5), "import: no answer within 0.5 s")
    folders = {link: os.readlink(link) for link in Path("/proc").glob("[0-9]*/cwd") if _readable(link)}
    assert str(tmp_path) not in folders.values()


def _readable(link: Path) -> bool:
    try:
        return bool(os.readlink(link))
    except OSError:
        return False


# --- targets that are set up wrong ----------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["[(1, 2)]", "[{1: 2}]", "[float('nan')]", "[{1, 2}]"])
def test_arguments_that_json_would_change_are_refused(bench, arguments):
    driver = f"""
        from optiloop import bench
        bench.main("candidate.py", [bench.Case("f", lambda rng: {arguments}, repr)])
    """
    result = bench("def f(x): return repr(x)", driver=driver)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith(("TypeError", "ValueError"))


def test_two_cases_of_one_function_are_refused(bench):
    driver = dedent(DRIVER).replace("CASES, ", "CASES * 2, ")
    assert "ValueError: two cases time the same function" in bench(HONEST, driver=driver).stderr


WRITES = """
import sys
from optiloop.bench.worker import confine

inside, outside = sys.argv[1:]
confine([], (inside,))
open(inside + "/a", "w").write("a")
for way in (lambda: open(outside + "/a", "w"), lambda: open("/etc/hostname")):
    try:
        way()
    except PermissionError:
        print("refused")
"""


@landlock
def test_a_confined_process_writes_only_where_it_may(tmp_path):
    folders = [tmp_path / "inside", tmp_path / "outside"]
    for folder in folders:
        folder.mkdir()
    done = subprocess.run([sys.executable, "-c", WRITES, *map(str, folders)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folders[0] / "a").read_text() == "a"
    assert done.stdout.split() == ["refused", "refused"]
