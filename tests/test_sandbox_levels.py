"""Commands as enemies: what each level keeps from them, and that nothing of them survives."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from optiloop.errors import TargetError, UsageError
from optiloop.loop import Engine
from optiloop.model import Command, Confinement, Experiment, Seconds, Status
from optiloop.sandbox import Outcome, Sandbox, bwrap, probe
from optiloop.sandbox.limits import by_shell, limits
from optiloop.sandbox.probe import found
from optiloop.targets import load_target
from optiloop.testing import ScriptedProposer, toy_text, write_toy_target

PATIENCE = 30.0
"""How long a test waits for what must happen soon. Never asserted."""


def until(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def need(level: str) -> str:
    """Skip where a level is missing; never in CI."""
    missing = found(level).missing
    if missing and not os.environ.get("CI"):
        pytest.skip(f"no {level} here: {missing}")
    assert not missing
    return level


@pytest.fixture(params=["process", "bwrap"])
def level(request: pytest.FixtureRequest) -> str:
    return need(request.param)


class Box:
    """A tree as a worktree is: a `.git` pointer at its root, the working folder below."""

    def __init__(self, folder: Path, level: str) -> None:
        self.folder, self.level = folder, level
        self.tree, self.private = folder / "tree", folder / "private"
        self.work = self.tree / "target"
        self.work.mkdir(parents=True)
        self.private.mkdir()
        (self.tree / ".git").write_text("gitdir: /somewhere\n")

    def python(self, program: str, *words: object, **bounds: object) -> Outcome:
        """Run a Python program at the level, with these bounds."""
        argv = ("python", "-c", program, *map(str, words))
        return self.run(argv, **bounds)

    def run(self, line: str | tuple[str, ...], **bounds: object) -> Outcome:
        paths = {
            key: bounds.pop(key)
            for key in ("read_only", "writable", "secret", "own", "cache")
            if key in bounds
        }
        sandbox = Sandbox(self.level, Confinement(**bounds), **paths)  # type: ignore[arg-type]
        command = Command(line, Seconds(PATIENCE))
        return sandbox.run(command, self.work, private=self.private, tree=self.tree)


@pytest.fixture
def box(tmp_path: Path, level: str) -> Box:
    return Box(tmp_path, level)


@pytest.fixture
def bubble(tmp_path: Path) -> Box:
    return Box(tmp_path, need("bwrap"))


def marked() -> list[str]:
    """The processes that carry this process's mark: commands of ours that live."""
    from optiloop.sandbox.command import MARK, token

    mark, found = f"{MARK}={token()}".encode(), []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in file.read_bytes().split(b"\0"):
                found.append(file.parent.name)
        except OSError:
            continue
    return found


# --- limits, at each level ---------------------------------------------------------------------------


def test_a_fork_bomb_is_killed_whole(box: Box) -> None:
    # Bounded, 128 in all: an endless bomb as root takes the whole machine down, this test run included.
    bomb = "import os, time\nfor _ in range(7):\n    os.fork()\n    time.sleep(0.02)\ntime.sleep(600)"
    assert box.python(bomb, processes=64).failure() == "killed: more than 64 processes"
    assert marked() == []


def test_a_fork_bomb_of_daemons_is_killed_whole(box: Box) -> None:
    bomb = (
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for _ in range(6):\n    if os.fork() == 0: os.setsid()\n    time.sleep(0.01)\ntime.sleep(600)"
    )
    assert box.python(bomb, processes=50).failure() == "killed: more than 50 processes"
    assert marked() == []


def test_a_memory_hog_gets_no_more(box: Box) -> None:
    outcome = box.python("x = bytearray(300_000_000)", memory=200_000_000)
    assert outcome.failure() == "exit 1: MemoryError"


def test_address_space_that_is_only_reserved_is_no_memory(box: Box) -> None:
    reserve = "import mmap; mmap.mmap(-1, 10**10, prot=0); print('ok')"
    assert box.python(reserve, memory=200_000_000).stdout == "ok\n"


def test_one_huge_file_is_cut(box: Box) -> None:
    outcome = box.python("open('big', 'wb').write(bytes(20 << 20))", disk=10 << 20)
    # By the kernel, or by who counts from outside, where he comes first.
    assert outcome.failure() in (
        "exit 1: OSError: [Errno 27] File too large",
        "killed: wrote more than 10 MiB to disk",
    )


def test_many_files_are_too_much_together(box: Box) -> None:
    hog = "import os\nn = 0\nwhile True:\n    n += 1\n    open(str(n), 'wb').write(os.urandom(1 << 20))"
    outcome = box.python(hog, disk=20 << 20)
    assert outcome.failure() == "killed: wrote more than 20 MiB to disk"


def test_no_core_is_dumped(box: Box) -> None:
    assert box.run("ulimit -c;").stdout == "0\n"


def test_cpu_time_is_bounded_even_where_nobody_watches(box: Box) -> None:
    found = limits(Confinement(), Seconds(2))
    seconds = box.python("import resource; print(resource.getrlimit(resource.RLIMIT_CPU)[0])").stdout
    assert int(seconds) == (os.cpu_count() or 1) * PATIENCE + 1
    assert 2 * (os.cpu_count() or 1) + 1 in found.values()


def test_where_limits_cannot_be_set_from_outside_a_shell_sets_them() -> None:
    words = by_shell(limits(Confinement(disk=1 << 20), Seconds(9)), ["/bin/sh", "-c", "ulimit -f; ulimit -c"])
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "2048\n0\n"


# --- ends, at each level -----------------------------------------------------------------------------


def test_a_double_forked_daemon_that_ignores_signals_and_holds_stdout_is_named_and_dead(box: Box) -> None:
    daemon = (
        "import os, signal, time\n"
        "for n in {*range(1, 65)} - {9, 17, 19, 32, 33}: signal.signal(n, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(600)\n"
        "    os._exit(0)\n"
        "os.wait()"
    )
    outcome = box.python(daemon)
    assert outcome.ok
    # The name is the kernel's, of the file that was run: python, python3 or python3.11.
    assert (outcome.leftovers() or "").startswith("left 1 process behind: python")
    assert marked() == []


def test_honest_helpers_that_end_soon_after_are_no_leftovers(box: Box) -> None:
    assert box.run("(sleep 0.1 &) ; exit 0").left == ()


def test_honest_multiprocessing_is_no_leftover(box: Box) -> None:
    (box.work / "pool.py").write_text(
        "import multiprocessing as mp\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(2) as pool:\n"
        "        print(sum(pool.map(abs, range(4))))\n"
        "    mp.shared_memory = __import__('multiprocessing.shared_memory').shared_memory\n"
        "    block = mp.shared_memory.SharedMemory(create=True, size=10)\n"
        "    block.close(); block.unlink()\n"
    )
    outcome = box.run("python pool.py")
    assert (outcome.stdout, outcome.left) == ("6\n", ())


ENGINE = """
import sys
from pathlib import Path
from optiloop.model import Command
from optiloop.sandbox import Sandbox
folder = Path(sys.argv[2])
Sandbox(sys.argv[1]).run(Command(("/bin/sh", "-c", sys.argv[3])), folder, private=folder)
"""


NAP = 10_000 + os.getpid()
"""Seconds that no other test run on this machine sleeps for."""


def test_a_killed_engine_takes_the_whole_tree_with_it(tmp_path: Path, level: str) -> None:
    started = "touch started; while :; do sleep 1; done"
    program = f"setsid env -i sh -c 'trap \"\" TERM HUP; exec sleep {NAP}' & {started}"
    engine = subprocess.Popen([sys.executable, "-c", ENGINE, level, str(tmp_path), program])
    try:
        assert until((tmp_path / "started").exists)
        assert until(lambda: bool(sleeping()))
    finally:
        engine.kill()
        engine.wait()
    assert until(lambda: not sleeping())


def sleeping() -> list[int]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if file.read_bytes() == f"sleep\0{NAP}\0".encode():
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found


# --- what bwrap hides --------------------------------------------------------------------------------


def test_nothing_outside_is_seen_or_written(bubble: Box) -> None:
    outside = bubble.folder / "log.jsonl"
    outside.write_text("secret")
    program = (
        "import os, sys\n"
        "for path in sys.argv[1:]:\n"
        "    for mode in ('r', 'w', 'x'):\n"
        "        try: open(path, mode)\n"
        "        except OSError: continue\n"
        "        if mode == 'r' or not path.startswith('/tmp/'): print(path, mode)\n"  # a folder in memory
    )
    root = Path(__file__).parents[1]
    files = (root / "pyproject.toml", root / ".git", Path.home() / ".new", "/usr/new", "/etc/shadow", "/new")
    assert bubble.python(program, outside, bubble.folder / "new", *files).stdout == ""
    assert outside.read_text() == "secret"
    assert sorted(path.name for path in bubble.folder.iterdir()) == ["log.jsonl", "private", "tree"]


def test_it_makes_new_files_in_its_own_tree_and_its_temporary_folder(bubble: Box) -> None:
    line = "mkdir build && touch build/x ../beside here $TMPDIR/x $HOME/y /dev/shm/z && ls $HOME | grep y"
    outcome = bubble.run(line)
    assert outcome.ok, outcome.stderr
    assert (bubble.tree / "beside").exists()
    assert (bubble.work / "build" / "x").exists()
    assert list(bubble.private.iterdir()) == []


CHANGES = (
    *("echo >> judge.py", "rm judge.py", "mv judge.py x", "echo x > x; mv x judge.py", "chmod 777 judge.py"),
    *("ln -sf /etc/passwd judge.py", "touch tests/new.py", "rm -r tests", "mv tests x", "rm ../conftest.py"),
    *("echo > ../other/judge.py", "mv ../target ../x", "rm ../.git", "truncate -s 0 program.py"),
    *("echo > out/kept.txt", "python -c 'import os; os.utime(\"judge.py\")'"),
)


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_there_already_is_read_only(bubble: Box, change: str) -> None:
    for name in (
        "judge.py",
        "program.py",
        "tests/test_it.py",
        "out/kept.txt",
        "../conftest.py",
        "../other/judge.py",
    ):
        file = bubble.work / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("x")
    before = _facts(bubble.tree)
    outcome = bubble.run(f"{change};", own=("out/result.json",))
    assert re.search("Read-only file system|Device or resource busy|cannot", outcome.stderr), outcome.stderr
    assert _facts(bubble.tree) == before or change.startswith("echo x > x")
    assert (bubble.work / "judge.py").read_text() == "x"


def _facts(folder: Path) -> dict[str, tuple[int, ...]]:
    """What a file is, to the time at which anything of it changed."""
    found = {str(path): path.lstat() for path in folder.rglob("*") if path.is_file()}
    return {name: (stat.st_ino, stat.st_mode, stat.st_size, stat.st_ctime_ns) for name, stat in found.items()}


def test_a_result_file_and_what_the_target_names_can_be_written(bubble: Box) -> None:
    for name in ("out/kept.txt", "cache/old"):
        (bubble.work / name).parent.mkdir()
        (bubble.work / name).write_text("x")
    line = "echo 1 > out/result.json && echo 2 > cache/old && rm cache/old"
    assert bubble.run(line, own=("out/result.json", "cache")).ok
    assert (bubble.work / "out" / "result.json").read_text() == "1\n"


def test_the_temporary_folder_has_a_size(bubble: Box) -> None:
    fill = "import os\nfor n in range(30): open(f'/tmp/{n}', 'wb').write(bytes(1 << 20)) and os.sync"
    assert "No space left" in bubble.python(fill, disk=10 << 20).stderr


def test_the_pointer_to_the_repository_is_hidden(bubble: Box) -> None:
    assert bubble.run("cat ../.git").stdout == ""
    assert (bubble.tree / ".git").read_text() == "gitdir: /somewhere\n"


def test_no_process_of_the_host_is_seen(bubble: Box) -> None:
    program = "import os; print(sorted(int(n) for n in os.listdir('/proc') if n.isdigit()))"
    assert bubble.python(program).stdout == "[1, 2]\n"


def test_process_1_shows_nobody_its_pipes_and_dies_for_nobody(bubble: Box) -> None:
    """A candidate that could write to the benchmark's stdout could forge its number."""
    program = (
        "import os\n"
        "for path in ('/proc/1/fd/0', '/proc/1/fd/1', '/proc/1/fd/2', '/proc/1/fd/5', '/proc/1/mem'):\n"
        "    try: open(path, 'w').write('0\\n')\n"
        "    except OSError as error: print(error.strerror)\n"
        "for number in (15, 9):\n"
        "    os.kill(1, number)\n"
        "print('alive')\n"
    )
    outcome = bubble.python(program)
    assert outcome.stdout.splitlines() == [*["Permission denied"] * 5, "alive"]
    assert outcome.ok


def test_there_is_no_network_unless_the_target_says_so(bubble: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)"
        assert bubble.python(connect, port).exit_code == 1
        assert bubble.python(connect, port, network=True).ok


def test_a_unix_socket_of_the_host_cannot_be_reached(bubble: Box) -> None:
    path = bubble.folder / "agent"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as abstract:
        server.bind(str(path))
        server.listen()
        abstract.bind(f"\0optiloop-{os.getpid()}")
        abstract.listen()
        connect = (
            "import socket, sys\n"
            "for name in (sys.argv[1], chr(0) + sys.argv[2]):\n"
            "    try: socket.socket(socket.AF_UNIX).connect(name)\n"
            "    except OSError: continue\n"
            "    print('connected')\n"
        )
        assert bubble.python(connect, path, f"optiloop-{os.getpid()}").stdout == ""


def test_it_has_no_rights_and_can_get_none(bubble: Box) -> None:
    status = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status"
    assert {line.split()[1] for line in bubble.run(f"{status};").stdout.splitlines()} == {"0" * 16, "1"}
    assert not bubble.run("unshare --user true").ok


def test_extra_paths_are_shown_as_the_target_says(bubble: Box) -> None:
    for name in ("read", "write"):
        (bubble.folder / name).mkdir()
    read, write = bubble.folder / "read", bubble.folder / "write"
    line = f"ls {read} && touch {write}/x && ! touch {read}/x"
    assert not bubble.run(line).ok
    assert bubble.run(line, read_only=(read,), writable=(write,)).ok
    assert (write / "x").exists()


def test_what_a_command_remembers_is_there_for_the_next_one(box: Box) -> None:
    cache = box.folder / "home" / "cache"
    assert box.run('echo once > "$OPTILOOP_CACHE/x"', cache=cache).ok
    assert box.run('cat "$OPTILOOP_CACHE/x"', cache=cache, secret=(cache.parent,)).stdout == "once\n"
    assert not box.run('test -n "$OPTILOOP_CACHE"').ok


def test_a_secret_folder_is_covered_even_below_a_path_that_is_shown(bubble: Box) -> None:
    log = bubble.folder / "data" / ".optiloop"
    log.mkdir(parents=True)
    (log / "experiments.jsonl").write_text("{}")
    outcome = bubble.run(f"ls -A {log};", read_only=(bubble.folder / "data",), secret=(log,))
    assert (outcome.exit_code, outcome.stdout) == (0, "")


def test_a_benchmark_reads_its_worker_s_clock_and_so_do_we(bubble: Box) -> None:
    (bubble.work / "candidate.py").write_text("def total(n):\n    return sum(range(n))\n")
    (bubble.work / "benchmark.py").write_text(
        "from optiloop import bench\n"
        "CASES = [bench.Case('total', arguments=lambda rng: [10**6 + rng.randrange(9)],"
        " expected=lambda n: n * (n - 1) // 2)]\n"
        "bench.main('candidate.py', CASES)\n"
    )
    outcome = bubble.run("python benchmark.py")
    assert outcome.ok, outcome.stderr
    microseconds = float(outcome.stdout.split("total_us=")[1].split()[0])
    assert microseconds > 1000
    assert outcome.cpu_seconds > 3 * microseconds / 1e6


def test_a_command_that_is_not_there_is_exit_127(bubble: Box) -> None:
    assert bubble.run("no-such-command").exit_code == 127
    assert bubble.run("./no-such-file").exit_code == 127
    assert bubble.run(("exit", "0")).exit_code == 127, "a shell's word is no command"


# --- secrets -----------------------------------------------------------------------------------------


def test_the_engine_s_environment_is_not_in_its_commands(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "GITHUB_ENV", "GITHUB_TOKEN", "CI", "ACTIONS_RUNTIME_TOKEN"):
        monkeypatch.setenv(name, "hush-hush")
    monkeypatch.setenv("WANTED", "yes")
    assert "hush-hush" not in box.run("env").stdout
    assert "WANTED=yes" in box.run("env", pass_env=("WANTED", "NOT_SET")).stdout


def test_the_engine_s_environment_is_not_in_proc(bubble: Box) -> None:
    look = "cat /proc/[0-9]*/environ;"
    with environment_of_another("hush-hush"):
        assert "hush-hush" not in bubble.run(look).stdout


@contextmanager
def environment_of_another(secret: str) -> Iterator[None]:
    with subprocess.Popen(["sleep", "600"], env={"KEY": secret}) as process:
        yield
        process.kill()


def test_an_engine_that_runs_commands_shows_its_memory_to_nobody(tmp_path: Path) -> None:
    """PR_GET_DUMPABLE is 3. Root is not kept out by it, at `process`."""
    ask = "import ctypes\nprint(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    words = ("process", str(tmp_path), "true")
    done = subprocess.run(
        [sys.executable, "-c", ENGINE + ask, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0\n"


# --- choosing ----------------------------------------------------------------------------------------


def test_bubblewrap_that_is_not_there_is_no_fallback_where_it_is_demanded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for cached in (found, bwrap.program):
        cached.cache_clear()
    monkeypatch.setattr(bwrap.shutil, "which", lambda *_, **__: None)
    try:
        assert probe.choose() == "process"
        with pytest.raises(
            UsageError, match="--sandbox bwrap: not available here: bubblewrap is not installed"
        ):
            probe.choose("bwrap")
    finally:
        for cached in (found, bwrap.program):
            cached.cache_clear()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1", "setting up uid map: Permission"),
        (
            'while [ "$1" != -- ]; do [ "$1" != --chdir ] || cd "$2"; shift; done; exec /bin/sh "${@:3}"',
            "outside; it can",
        ),
    ],
    ids=["refused", "contains nothing"],
)
def test_a_bubblewrap_that_does_not_contain_is_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/bash\n{script}\n")
    fake.chmod(0o755)
    found.cache_clear()
    monkeypatch.setattr(bwrap, "program", lambda: str(fake))
    try:
        assert probe.choose() == "process"
        assert why in found("bwrap").missing
    finally:
        found.cache_clear()


# --- the loop ----------------------------------------------------------------------------------------


def cycle(folder: Path, level: str, *texts: str) -> list[Experiment]:
    with Engine.opened(load_target(folder), ScriptedProposer(*texts), sandbox=level) as engine:
        engine.prepare()
        return list(engine.cycles())


def test_leaving_a_process_behind_is_a_violation_and_the_level_is_logged(tmp_path: Path, level: str) -> None:
    folder = write_toy_target(tmp_path / "toy")
    stray = f"sleep 600 & {toy_text(50)}"
    first, second = cycle(folder, level, stray, toy_text(40))
    assert first.status is Status.VIOLATION
    assert first.reason == "/bin/sh gate.sh left 1 process behind: sleep"
    assert second.status is Status.KEEP
    lines = (folder / ".optiloop" / "toy" / "experiments.jsonl").read_text().splitlines()
    assert [json.loads(line)["sandbox"] for line in lines] == [level, level]


def test_a_judge_that_leaves_a_process_behind_is_told_so(tmp_path: Path, level: str) -> None:
    folder = write_toy_target(
        tmp_path / "toy", score='. ./value.sh\necho "METRIC score=$VALUE"\nsleep 600 &\n'
    )
    with pytest.raises(TargetError, match="left 1 process behind: sleep; a command must end what it starts"):
        cycle(folder, level)


def test_log_and_artifacts_hold_no_secret_but_the_diff_is_the_candidate_s(
    tmp_path: Path, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "correct-horse-battery")
    folder = write_toy_target(tmp_path / "toy", more='[sandbox]\npass_env = ["MY_API_KEY"]\n')
    leak = 'echo "$MY_API_KEY ghp_' + "a" * 36 + '" >&2; exit 1\n'
    (found,) = cycle(folder, level, leak)
    home = folder / ".optiloop" / "toy"
    assert found.reason == "digits: exit 1: [redacted] [redacted]"
    assert found.gates[0].reason == "exit 1: [redacted] [redacted]"
    assert "+" + leak in found.diff
    (artifact,) = home.glob("artifacts/*/*")
    assert artifact.read_text() == "[redacted] [redacted]\n"
    assert "correct-horse" not in (home / "experiments.jsonl").read_text()


def test_a_path_that_is_not_there_is_told_before_anything_runs(tmp_path: Path) -> None:
    folder = write_toy_target(tmp_path / "toy", more='[sandbox]\nread_only = ["nowhere"]\n')
    with pytest.raises(TargetError, match=r"toy: \[sandbox\] read_only: 'nowhere' is not there"):
        cycle(folder, "process")


def test_a_pattern_names_what_is_there(tmp_path: Path) -> None:
    more = f'[sandbox]\nwritable = ["/dev/ful*", "{tmp_path}/none*"]\n'
    folder = write_toy_target(tmp_path / "toy", more=more)
    assert Sandbox.of(load_target(folder), "bwrap").writable == (Path("/dev/full"),)


def test_candidates_do_not_see_log_repository_or_home(tmp_path: Path) -> None:
    need("bwrap")
    folder = write_toy_target(tmp_path / "toy")
    paths = [folder / "value.sh", folder / ".optiloop" / "toy" / "experiments.jsonl", folder / ".git"]
    look = f"for f in {shlex.join(map(str, paths))} ../base/value.sh; do [ -e $f ] && echo $f >&2; done\n"
    first, second = cycle(folder, "bwrap", f"{look}exit 9\n", "cat ../.git ../trial/.git >&2\nexit 9\n")
    assert (first.reason, second.reason) == ("digits: exit 9", second.reason)
    assert "gitdir" not in second.reason


def test_an_interrupt_ends_the_tree(tmp_path: Path, level: str) -> None:
    """KeyboardInterrupt is raised in the main thread while it waits for the command."""
    import signal

    private = tmp_path / "private"
    private.mkdir()
    started = tmp_path / "started"

    def interrupt() -> None:
        until(started.exists)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    thread = threading.Thread(target=interrupt)
    thread.start()
    command = Command("setsid sleep 600 & touch started; sleep 600", timeout=Seconds(60))
    with pytest.raises(KeyboardInterrupt):
        Sandbox(level).run(command, tmp_path, private=private)
    thread.join()
    signal.signal(signal.SIGINT, before)
    assert marked() == []
