"""The command line as a process: signals, terminals, two at once, full disks, missing git, plug-ins."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from test_cli import GATE, SCORE, TOY, call, git, home, write_replay, write_toy

PATIENCE = 60.0
"""Seconds after which what a test waits for is not coming."""

OPTILOOP = (sys.executable, "-m", "optiloop")

ASLEEP = f"6543.{os.getpid()}"
"""Seconds that the hanging candidates of this test run sleep, and of no other."""

# A candidate says where it hangs; its process id and a stray file are how the test knows that it does.
HANGING_GATE = GATE.replace("*[!0-9.]*)", f"71) echo $$ > pid; sleep {ASLEEP};; *[!0-9.]*)")
HANGING_SCORE = f'case "$(cat value.txt)" in 72) echo $$ > pid; sleep {ASLEEP};; esac\n{SCORE}'

PLUGIN = """\
import os, time
from optiloop.errors import ProposerError
from optiloop.model import Cost, Proposal


class GivesUp:
    def propose(self, brief):
        raise ProposerError("the model said nothing", Cost(0.25, 10))


class Hangs:
    def propose(self, brief):
        (brief.folder / "pid").write_text(str(os.getpid()))
        time.sleep(600)


class Stubborn:
    def propose(self, brief):
        for times in range(9):
            try:
                (brief.folder / "pid").write_text(f"refused {times}")
                time.sleep(600)
            except KeyboardInterrupt:
                continue


class Broken:
    def __init__(self):
        raise RuntimeError("no key")
"""
ENTRY_POINTS = """\
[optiloop.proposers]
gives-up = fake_plugin:GivesUp
hangs = fake_plugin:Hangs
stubborn = fake_plugin:Stubborn
broken = fake_plugin:Broken
absent = fake_plugin:Absent

[optiloop.parsers]
fake = fake_plugin:parse

[optiloop.targets]
fake-target = fake_plugin:target
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return write_toy(tmp_path / "toy", gate=HANGING_GATE, score=HANGING_SCORE)


@pytest.fixture
def plugins(tmp_path: Path) -> dict[str, str]:
    """An environment with a distribution in it that brings plug-ins."""
    site = tmp_path / "site"
    (site / "fake-1.0.dist-info").mkdir(parents=True)
    (site / "fake-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
    (site / "fake-1.0.dist-info/entry_points.txt").write_text(ENTRY_POINTS)
    (site / "fake_plugin.py").write_text(PLUGIN)
    return {"PYTHONPATH": str(site)}


def start(*words: str, here: Path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*OPTILOOP, *words],
        cwd=here,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def shell(*words: str, here: Path, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    return finish(start(*words, here=here, env=env))


def wait_for(path: Path, text: str = "") -> str:
    """Wait until a file is there (and holds a text); return what it holds."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if path.exists() and (said := path.read_text().strip()) and text in said:
            return said
        time.sleep(0.02)
    raise AssertionError(f"{path} never came")


def hanging() -> list[str]:
    """The processes in which a candidate hangs, by what they sleep: a number that is written inside a sandbox
    says nothing out here."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if file.read_bytes() == f"sleep\0{ASLEEP}\0".encode():
                found.append(file.parent.name)
    return found


def gone() -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not hanging():
            return True
        time.sleep(0.02)
    return False


def worktrees_are_clean(campaign: Path) -> bool:
    """Whether both hold the champion's files, and nothing else."""
    repository = campaign / "repository.git"
    names = git(repository, "ls-tree", "-r", "--name-only", "optiloop/toy").split()
    champion = {name: git(repository, "show", f"optiloop/toy:{name}") for name in names}
    return all(
        champion == {f.name: f.read_text().strip() for f in (campaign / tree).iterdir() if f.name != ".git"}
        for tree in ("base", "trial")
    )


# --- Ctrl-C ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("hangs_in", ["gate", "measuring", "proposing"])
def test_an_interrupt_ends_in_order_and_the_next_run_goes_on(toy, plugins, number, hangs_in):
    candidate = {"gate": "71", "measuring": "72", "proposing": ""}[hangs_in]
    replay = write_replay(toy.parent / "c.jsonl", "90", *filter(None, [candidate]))
    if hangs_in == "proposing":
        call("run", "toy", "--proposer", replay, here=toy.parent)
    proposer = "hangs" if hangs_in == "proposing" else replay
    process = start("run", "toy", "--proposer", proposer, here=toy.parent, env=plugins)
    wait_for(home(toy.parent) / "trial/pid")
    process.send_signal(number)
    code, out, err = finish(process)
    assert (code, out) == (130, "")
    assert err.endswith("\nended in order, nothing lost; `optiloop run toy` goes on from here\n")
    assert gone()
    assert worktrees_are_clean(home(toy.parent))
    code, out, err = shell(
        "run", "toy", "--proposer", write_replay(toy.parent / "d.jsonl", "80"), here=toy.parent
    )
    assert (code, "experiments  2: 2 keep" in out) == (0, True)
    assert call("verify", "toy", here=toy.parent).code == 0


def test_a_second_interrupt_ends_at_once_and_loses_nothing(toy, plugins):
    call("run", "toy", "--proposer", write_replay(toy.parent / "c.jsonl", "90"), here=toy.parent)
    process = start("run", "toy", "--proposer", "stubborn", here=toy.parent, env=plugins)
    wait_for(home(toy.parent) / "trial/pid", "refused 0")
    process.send_signal(signal.SIGINT)
    wait_for(home(toy.parent) / "trial/pid", "refused 1")
    process.send_signal(signal.SIGINT)
    try:
        assert finish(process)[0] == 130
    finally:
        process.kill()
    proposer = write_replay(toy.parent / "d.jsonl", "80")
    code, out, _ = shell("run", "toy", "--proposer", proposer, here=toy.parent)
    assert (code, "experiments  2: 2 keep" in out) == (0, True)
    assert worktrees_are_clean(home(toy.parent))


@contextmanager
def terminal(*words: str, here: Path, size: tuple[int, int]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the command line in a terminal of its own; yields the process and the other end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    unset = ("NO_COLOR", "COLUMNS", "LINES", "CI")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    process = subprocess.Popen(
        [*OPTILOOP, *words],
        cwd=here,
        env={**environment, "TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        preexec_fn=own_terminal,
    )
    os.close(slave)
    try:
        yield process, master
    finally:
        process.kill()
        process.wait()
        os.close(master)


def read_until(master: int, text: str) -> str:
    """Read what the terminal shows until a text comes, or to the end where the text is empty."""
    seen, deadline = b"", time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux: the other end is closed
                data = b""
            if not data:
                break
            seen += data
        if text and text in plain(seen.decode(errors="replace")):
            break
    return seen.decode(errors="replace")


def plain(shown: str) -> str:
    """What a terminal shows, without its escapes."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


@pytest.mark.parametrize("size", [(80, 24), (40, 20)])
def test_the_live_view_in_a_terminal_and_ctrl_c(toy, size):
    proposer = write_replay(toy.parent / "c.jsonl", "90", "95", "bad", "80", "72")
    words = ("run", "toy", "--proposer", proposer, "--time", "10m")
    with terminal(*words, here=toy.parent, size=size) as (process, master):
        wait_for(home(toy.parent) / "trial/pid")
        shown = read_until(master, "#4 keep") + read_until(master, "experiment 5: pair 1")
        os.write(master, b"\x03")
        shown += read_until(master, "")
        assert process.wait(PATIENCE) == 130
    text = plain(shown)
    for said in ("optiloop toy", "experiment 5: pair 1", "champion  80, from 100", "1.250× better", "so far"):
        assert said in text
    assert "2 keep  1 discard" in text
    assert "left" in text
    assert re.search(r"course +█[▁-█]+", text)
    assert "ended in order, nothing lost" in text
    assert shown.count("\x1b[?25h") >= 1, "the cursor is shown again"
    assert max(len(line) for line in text.replace("\r", "\n").split("\n") if "│" in line) <= size[0]


def test_no_colour_where_none_is_wanted(toy, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    proposer = write_replay(toy.parent / "c.jsonl", "90")
    assert "\x1b" not in "".join(shell("run", "toy", "--proposer", proposer, here=toy.parent)[1:])


# --- two at once, plug-ins ------------------------------------------------------------------------------


def test_a_second_loop_is_refused_and_names_the_first(toy):
    first = start("run", "toy", "--proposer", write_replay(toy.parent / "c.jsonl", "72"), here=toy.parent)
    wait_for(home(toy.parent) / "trial/pid")
    code, out, err = shell("run", "toy", here=toy.parent)
    assert (code, out, err.count("\n")) == (5, "", 1)
    assert f"another loop works here: process {first.pid} on " in err
    assert shell("status", "toy", "--json", here=toy.parent)[0] == 0, "reading needs no lock"
    first.terminate()
    assert finish(first)[0] == 130


def test_a_proposer_that_gives_up_ends_with_4_and_its_cost_is_counted(toy, plugins):
    code, out, err = shell("run", "toy", "--proposer", "gives-up", here=toy.parent, env=plugins)
    assert code == 4
    assert err.endswith("\noptiloop: the proposer gave up: the model said nothing\n")
    assert "5 no_proposal" in out
    assert "1.25 USD" in out
    code, _, err = shell(
        "run", "toy", "--proposer", "gives-up", "--usd", "0.25", "--fresh", here=toy.parent, env=plugins
    )
    assert (code, "0.25 USD of 0.25 are spent" in err) == (0, True)


@pytest.mark.parametrize(
    ("proposer", "named"),
    [("broken", "'broken' of fake does not load: RuntimeError: no key"), ("absent", "'absent' of fake")],
)
def test_a_broken_plugin_is_named(toy, plugins, proposer, named):
    code, out, err = shell("run", "toy", "--proposer", proposer, here=toy.parent, env=plugins)
    assert (code, out, err.count("\n"), named in err) == (2, "", 1, True), err


def test_a_broken_target_or_parser_plugin_is_named(toy, plugins):
    code, _, err = shell("check", "fake-target", here=toy.parent, env=plugins)
    assert (code, "target plug-in 'fake-target'" in err) == (3, True)
    (toy / "target.toml").write_text(TOY.replace("[metric]", '[metric]\nparser = "fake"'))
    code, _, err = shell("check", "toy", here=toy.parent, env=plugins)
    assert (code, err.count("\n")) == (3, 1)
    assert "'fake' (fake_plugin:parse of fake) cannot be imported" in err


def test_help_and_list_load_no_plugin(toy, plugins):
    bad = {**plugins, "PYTHONVERBOSE": ""}
    (toy.parent / "site/fake_plugin.py").write_text("raise SystemExit('loaded')")
    for words in (("--help",), ("run", "--help"), ("list",), ("doctor",)):
        assert shell(*words, here=toy.parent, env=bad)[0] == 0


# --- the machine -----------------------------------------------------------------------------------------


def test_without_git(toy, tmp_path):
    (tmp_path / "bin").mkdir()
    without = {"PATH": str(tmp_path / "bin")}
    code, out, err = shell("run", "toy", here=toy.parent, env=without)
    assert (code, out) == (5, "")
    assert err == "optiloop: git is not installed or not on PATH; optiloop keeps its champions in git\n"
    assert not (toy / ".optiloop").exists()
    assert "git:          not found" in shell("doctor", here=toy.parent, env=without)[1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "optiloop-test", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def read_only(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that nothing can be written to, with the toy in it."""
    if os.getuid() != 0:
        folder = write_toy(tmp_path / "disk/toy").parent
        for path in (folder / "toy", folder):
            path.chmod(0o555)
        yield folder
        for path in (folder, folder / "toy"):
            path.chmod(0o755)
        return
    folder = request.getfixturevalue("small_disk")
    write_toy(folder / "toy")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield folder


def test_a_read_only_folder(read_only):
    code, out, err = shell("run", "toy", here=read_only)
    assert (code, out, err.count("\n")) == (5, "", 1)
    assert re.search(r": (Read-only file system|Permission denied); make it writable, then run again\n", err)
    assert not (read_only / "toy/.optiloop").exists()
    for words in (("new", "mine"), ("run", "text_processor")):
        code, out, err = shell(*words, here=read_only)
        assert (code, out, err.count("\n")) == (2, "", 1), err


def fill(file: Path) -> None:
    """Fill the disk to the last byte."""
    with file.open("wb", buffering=0) as filler:
        for size in (65536, 512, 1):
            try:
                while filler.write(b"\0" * size):
                    pass
            except OSError:
                continue


# The candidate 80 fills the disk while it is judged: what comes after must be the engine's to bear.
FILLING_GATE = 'case "$(cat value.txt)" in 80) cat /dev/zero > "$FILLER" 2> /dev/null;; esac\n' + GATE


def test_a_full_disk_costs_one_line_and_nothing_else(small_disk, tmp_path):
    filler = small_disk / "filler"
    toml = TOY.replace('"gate.sh"]', f'"gate.sh"]\nenv = {{ FILLER = "{filler}" }}')
    toy = write_toy(small_disk / "toy", toml=toml, gate=FILLING_GATE)
    log = home(small_disk) / "experiments.jsonl"
    proposer = write_replay(tmp_path / "c.jsonl", "90", "80", "70")
    words = ("run", "toy", "--proposer", proposer, "--sandbox", "process")  # `bwrap` hides the filler
    assert shell(*words, "--cycles", "1", here=small_disk)[0] == 0
    written = log.read_bytes()
    for full_before in (False, True):
        if full_before:
            fill(filler)
        code, out, err = shell(*words, here=small_disk)
        assert (code in (5, 6), out) == (True, ""), (code, out, err)
        (said,) = [line for line in err.splitlines() if not re.match(r"baseline|#|note", line)]
        assert said.startswith("optiloop: ")
        assert re.search("No space left on device|Out of diskspace", said)
        assert log.read_bytes().startswith(written)
        assert log.read_bytes().endswith(b"}\n")
        assert call("log", "toy", here=small_disk).code == 0
        filler.unlink(missing_ok=True)
    (toy / "gate.sh").write_text(FILLING_GATE)
    code, out, err = shell(
        "run", "toy", "--proposer", write_replay(tmp_path / "d.jsonl", "60"), here=small_disk
    )
    assert (code, "champion     60" in out) == (0, True), err
    assert call("verify", "toy", here=small_disk).code == 0
    assert list(home(small_disk).glob(".*.tmp")) == []


def test_a_result_that_cannot_be_written_is_one_line(toy):
    call("run", "toy", "--proposer", write_replay(toy.parent / "c.jsonl", "90"), here=toy.parent)
    for command in ("status", "log", "report"):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [*OPTILOOP, command, "toy"],
                cwd=toy.parent,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert (done.returncode, done.stderr) == (5, "optiloop: the result: No space left on device\n")


def test_a_terminal_without_the_signs_gets_others(toy):
    call("run", "toy", "--proposer", write_replay(toy.parent / "c.jsonl", "90"), here=toy.parent)
    code, out, err = shell("status", "toy", here=toy.parent, env={"PYTHONIOENCODING": "ascii"})
    assert (code, err) == (0, "")
    assert "1.111? better" in out
