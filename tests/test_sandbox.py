"""Commands that misbehave: each ends at its limit, sees little, and leaves nothing running."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from optiloop.model import Command, Seconds
from optiloop.sandbox import Outcome, Sandbox, argv, last_line, private_folder, run, watch
from optiloop.sandbox import command as commands
from optiloop.sandbox import outcome as outcomes
from optiloop.sandbox.probe import found

PATIENCE = 20.0
"""How long a test waits for what must happen soon. Never asserted."""


def until(happened: Callable[[], bool]) -> bool:
    """Whether something happens before patience ends."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that nobody has reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def running(argument: str) -> list[str]:
    """The processes that sleep for so many seconds, wherever they are, but no other test run's."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if words[0].endswith(b"sleep") and f"{argument}.{os.getpid()}".encode() in words:
                found.append(path.parent.name)
    return found


@pytest.fixture(params=["process", "bwrap"])
def level(request: pytest.FixtureRequest) -> str:
    """Each level in turn. In CI both must be there."""
    missing = found(request.param).missing
    if missing and not os.environ.get("CI"):
        pytest.skip(f"no {request.param} here: {missing}")
    assert not missing
    return str(request.param)


@pytest.fixture
def sh(tmp_path: Path, level: str) -> Callable[..., Outcome]:
    """Run a shell program at each level."""
    work, private = tmp_path / "work", tmp_path / "private"
    work.mkdir()
    private.mkdir()

    def go(program: str, timeout: float = PATIENCE, env: Mapping[str, str] | None = None) -> Outcome:
        command = Command(("/bin/sh", "-c", program), Seconds(timeout))
        return Sandbox(level).run(command, work, private=private, env=env)

    go.work, go.home = work, "/tmp" if level == "bwrap" else str(private)  # type: ignore[attr-defined]
    return go


# --- how it ended ------------------------------------------------------------------------------------


def test_a_command_that_ends_by_itself(sh: Callable[..., Outcome]) -> None:
    outcome = sh("echo out; echo err >&2")
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, "out\n", "err\n")
    assert outcome.ok
    assert outcome.failure() == ""


@pytest.mark.parametrize(
    ("program", "failure"),
    [
        ("exit 3", "exit 3"),
        ("echo why; exit 3", "exit 3: why"),
        ("echo out; echo why >&2; exit 3", "exit 3: why"),
        ("kill -SEGV $$", "killed by SIGSEGV"),
        ("printf 'a\\033[31mb\\n' >&2; exit 1", "exit 1: ab"),
    ],
)
def test_a_failure_is_one_line(sh: Callable[..., Outcome], program: str, failure: str) -> None:
    assert sh(program).failure() == failure


@pytest.mark.parametrize(
    "line",
    [
        "no-such-command-at-all",
        ("no-such-command-at-all",),
        "./not-executable",
        "./no-interpreter",
        "./no-shebang",
        ".",
        "an 'open quote",
        ("echo", "nul\0"),
    ],
    ids=str,
)
def test_a_command_that_cannot_be_started_is_exit_127(tmp_path: Path, line: str | tuple[str, ...]) -> None:
    (tmp_path / "not-executable").write_text("true\n")
    for name, text in (("no-interpreter", "#!/no/such/thing\n"), ("no-shebang", "echo\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    outcome = run(Command(line), tmp_path, private=tmp_path)
    assert outcome.exit_code == 127
    assert "cannot start" in outcome.failure()
    assert "\n" not in outcome.failure()


def test_a_folder_that_is_gone_is_exit_127(tmp_path: Path) -> None:
    assert run(Command("true"), tmp_path / "gone", private=tmp_path).exit_code == 127


def test_cpu_time_is_the_command_s_and_its_children_s(sh: Callable[..., Outcome]) -> None:
    busy = shlex.join([sys.executable, "-c", "import time\nwhile time.process_time() < 0.2: pass"])
    assert sh(f"{busy}; true").cpu_seconds >= 0.2
    assert sh("sleep 0.2").cpu_seconds < 0.2


# --- limits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program",
    [
        "sleep 99",
        "trap '' TERM INT HUP; sleep 99; sleep 99",
        "kill -STOP $$",
        "while :; do :; done",
        "exec >&- 2>&-; sleep 99",
    ],
)
def test_a_command_is_killed_at_its_limit(sh: Callable[..., Outcome], program: str) -> None:
    outcome = sh(program, timeout=0.3)
    assert outcome.exit_code is None
    assert not outcome.ok
    assert outcome.failure() == "killed at its limit of 0.3 s"


def test_what_was_said_before_the_limit_is_kept(sh: Callable[..., Outcome]) -> None:
    assert sh("echo so far; sleep 99", timeout=0.3).stdout == "so far\n"


def test_its_grandchildren_die_with_it(sh: Callable[..., Outcome]) -> None:
    outcome = sh(f"(trap '' TERM HUP; sleep 98.{os.getpid()} & echo $!; wait) & sleep 99", timeout=0.5)
    assert outcome.killed
    assert not running("98")


def test_what_it_leaves_behind_dies_when_it_ends(sh: Callable[..., Outcome]) -> None:
    outcome = sh(f"sleep 97.{os.getpid()} &")
    assert outcome.ok
    assert outcome.leftovers() == "left 1 process behind: sleep"
    assert not running("97")


def test_a_daemon_that_keeps_stdout_open_is_not_waited_for(sh: Callable[..., Outcome]) -> None:
    outcome = sh(f"setsid sh -c 'trap \"\" TERM HUP INT; sleep 96.{os.getpid()}; sleep 96' & echo done")
    assert outcome.ok
    assert outcome.stdout == "done\n"
    assert sorted(outcome.left) == ["sh", "sleep"]
    assert not running("96")


def test_a_flood_of_output_is_killed_and_its_ends_are_kept(
    sh: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "OUTPUT_FLOOD", 2 << 20)
    monkeypatch.setattr(outcomes, "OUTPUT_KEPT", 1 << 16)
    outcome = sh("echo first; yes")
    assert outcome.failure() == "killed: more than 2 MB of output; have it print less"
    assert outcome.stdout.startswith("first\ny\n")
    assert "bytes dropped" in outcome.stdout
    assert len(outcome.stdout) < 4 << 16


def test_much_output_is_shortened_in_the_middle(
    sh: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "OUTPUT_KEPT", 1 << 16)
    outcome = sh("echo first; yes | head -c 1000000; echo last")
    assert outcome.ok
    assert outcome.stdout.startswith("first\n")
    assert outcome.stdout.endswith("last\n")
    assert len(outcome.stdout) < 4 << 16


def test_output_need_not_be_text(sh: Callable[..., Outcome]) -> None:
    assert sh("printf 'a\\377b'").stdout == "a\ufffdb"


def test_it_gets_no_input(sh: Callable[..., Outcome]) -> None:
    assert sh("cat").stdout == ""


def test_it_leads_a_session_of_its_own(sh: Callable[..., Outcome]) -> None:
    """Ctrl-C at the terminal is for the engine, which ends its command itself."""
    program = f"import os; print(os.getsid(0) != {os.getsid(0)})"
    assert sh(f"exec {shlex.join([sys.executable, '-c', program])}").stdout == "True\n"


# --- what it sees ------------------------------------------------------------------------------------


def test_a_secret_of_the_parent_is_not_passed_on(
    sh: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "GITHUB_TOKEN", "PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD_X", "GIT_DIR"):
        monkeypatch.setenv(name, "hush-hush")
    seen = sh("env").stdout
    assert "hush-hush" not in seen


def test_it_sees_an_allow_list(sh: Callable[..., Outcome]) -> None:
    names = {line.partition("=")[0] for line in sh("env", env={"OPTILOOP_SEED": "7"}).stdout.splitlines()}
    own = {"HOME", "TMPDIR", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "PYTHONHASHSEED", "OPTILOOP_RUN"}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} <= own | {"OPTILOOP_SEED", *commands.PASSED}
    assert own | {"OPTILOOP_SEED"} <= names


def test_home_and_temporary_files_are_its_own(sh: Callable[..., Outcome]) -> None:
    outcome = sh('echo "$HOME"; echo "$TMPDIR"; pwd -P')
    home, work = sh.home, sh.work  # type: ignore[attr-defined]
    assert outcome.stdout.splitlines() == [home, home, str(work)]


def test_a_private_folder_is_empty_and_goes_whatever_was_put_there(tmp_path: Path) -> None:
    with private_folder(tmp_path) as folder:
        assert list(folder.iterdir()) == []
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "link").symlink_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_private_folder_that_nothing_was_done_to_serves_again(tmp_path: Path) -> None:
    with private_folder(tmp_path) as first:
        pass
    with private_folder(tmp_path) as second:
        assert second == first


@pytest.mark.parametrize(
    "do",
    [
        lambda folder: (folder / "a").touch(),
        lambda folder: ((folder / "a").touch(), (folder / "a").unlink(), os.utime(folder, ns=(1, 1))),
        lambda folder: folder.chmod(0o500),
        lambda folder: folder.rmdir(),
        lambda folder: (folder.rmdir(), folder.symlink_to(folder.parent)),
        lambda folder: (folder.rename(folder.parent / "away"), folder.mkdir()),
    ],
)
@pytest.mark.parametrize("when", ["while", "after"])
def test_a_private_folder_that_was_touched_does_not_serve_again(
    tmp_path: Path, do: Callable[[Path], object], when: str
) -> None:
    with private_folder(tmp_path) as first:
        if when == "while":
            do(first)
    if when == "after":
        do(first)
    with private_folder(tmp_path) as second:
        assert list(second.iterdir()) == []
        assert second != first


def test_two_private_folders_are_two(tmp_path: Path) -> None:
    with private_folder(tmp_path) as one, private_folder(tmp_path) as other:
        assert one != other


def test_what_lies_deeper_than_a_path_may_be_long_goes(tmp_path: Path) -> None:
    """And what is behind a link stays."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    with private_folder(tmp_path) as folder:
        (folder / "link").symlink_to(tmp_path / "kept")
        here = os.open(folder, os.O_RDONLY)
        for _ in range(3000):
            os.mkdir("deep", dir_fd=here)
            below = os.open("deep", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.fchmod(here, 0)
        os.close(here)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").exists()


# --- words -------------------------------------------------------------------------------------------


def test_python_is_the_interpreter_that_runs_optiloop() -> None:
    assert argv("python -m x")[0] == sys.executable
    assert argv(("python3", "x.py")) == [sys.executable, "x.py"]
    assert argv("pythonic x") == ["pythonic", "x"]


@pytest.mark.parametrize("line", ["a | b", "a && b", "a; b", "a > b", "echo $HOME", "cat *.py", "a\nb"])
def test_shell_syntax_is_for_the_shell(line: str) -> None:
    assert argv(line) == ["/bin/sh", "-c", line]


def test_words_without_shell_syntax_need_no_shell() -> None:
    assert argv("cmd 'two words' --x=1") == ["cmd", "two words", "--x=1"]


def test_an_argv_is_taken_as_it_is() -> None:
    assert argv(("echo", "$HOME | cat")) == ["echo", "$HOME | cat"]


def test_python_in_a_shell_line_is_that_interpreter_s_neighbour(sh: Callable[..., Outcome]) -> None:
    found = sh("command -v python || command -v python3").stdout.strip()
    assert Path(found).parent == Path(sys.executable).parent


@pytest.mark.parametrize(
    ("text", "line"),
    [("", ""), ("\n \n", ""), ("a\nb\n\n", "b"), ("\x1b\x07\n", ""), ("x" * 400, "x" * 299 + "…")],
)
def test_the_last_line_that_says_something(text: str, line: str) -> None:
    assert last_line(text) == line


# --- an engine that is killed ------------------------------------------------------------------------

ENGINE = """
import sys
from pathlib import Path
from optiloop.model import Command
from optiloop.sandbox import run
run(Command(("/bin/sh", "-c", sys.argv[1])), Path(sys.argv[2]), private=Path(sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the watchman reads /proc")
@pytest.mark.parametrize("start", ["", "setsid "], ids=["a child", "a daemon in a session of its own"])
def test_the_watchman_ends_what_a_killed_engine_leaves(tmp_path: Path, start: str) -> None:
    program = f"{start}sleep 99 & echo $! > pid.part; mv pid.part pid; wait"
    engine = subprocess.Popen([sys.executable, "-c", ENGINE, program, str(tmp_path)])
    try:
        assert until((tmp_path / "pid").exists)
    finally:
        engine.kill()
        engine.wait()
    assert until(lambda: ended(int((tmp_path / "pid").read_text())))


@pytest.mark.skipif(sys.platform != "linux", reason="the watchman reads /proc")
def test_the_watchman_goes_with_an_engine_that_ends(tmp_path: Path) -> None:
    program = "from optiloop.sandbox import processes\nprint(processes.lifeline().pid)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert until(lambda: ended(int(done.stdout)))


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_a_daemon_in_its_own_session_with_an_empty_environment_dies_with_its_command(
    sh: Callable[..., Outcome],
) -> None:
    """Nothing of the token or the group is left to find it by; it is found as an adopted child."""
    sleep = f"sleep 601.{os.getpid()}"
    outcome = sh(f"setsid env -i /bin/sh -c 'echo $$ > pid; exec {sleep}' & while [ ! -s pid ]; do :; done")
    assert outcome.ok
    assert outcome.left == ("sleep",)
    assert not running("601")


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_children_of_ours_that_are_no_command_s_are_left_alone(sh: Callable[..., Outcome]) -> None:
    with subprocess.Popen(["sleep", "600"]) as innocent:
        assert sh("setsid sleep 602 & exit 0").left == ("sleep",)
        assert innocent.poll() is None
        innocent.kill()
