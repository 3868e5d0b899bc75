"""optiloop.bench.instructions: real commands under each counter that this machine has.

`page faults` stands in for the processor's counter where there is none: the same system call, inheritance
and reading, with another event.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from optiloop.bench import instructions
from optiloop.parsers import parse

HARDWARE, NONE = (0, 1), (0, 0xFFFF)
EVENTS = {"hardware": HARDWARE, "page faults": (1, 2), "valgrind": NONE}

PROGRAM = (
    "import sys; from optiloop.bench import instructions as i; i.EVENT = {}; sys.exit(i.main(sys.argv[1:]))"
)

in_ci = os.environ.get("CI", "").lower() in ("true", "1")
needs_valgrind = pytest.mark.skipif(
    shutil.which("valgrind") is None and not in_ci, reason="valgrind is not installed"
)

Counted = subprocess.CompletedProcess[str]
Count = Callable[..., Counted]


def count_with(event: tuple[int, int], *words: str, cwd: Path, **environment: str) -> Counted:
    unset = ("PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE")
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(event), *words],
        cwd=cwd,
        env={**{name: value for name, value in os.environ.items() if name not in unset}, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


def counts(event: tuple[int, int]) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instructions, "EVENT", event)
        return instructions._hardware_counts()


HAS_HARDWARE = counts(HARDWARE)
COUNTERS = [name for name in ("hardware", "page faults") if counts(EVENTS[name])]


@pytest.fixture(params=[pytest.param("valgrind", marks=needs_valgrind), *COUNTERS])
def count(request: pytest.FixtureRequest, tmp_path: Path) -> Count:
    """Count a command, the words after `--`: once with each counter of this machine."""
    event = EVENTS[request.param]
    return lambda *words, **environment: count_with(event, "--", *words, cwd=tmp_path, **environment)


@pytest.fixture
def valgrind(tmp_path: Path) -> Count:
    return lambda *words, **environment: count_with(NONE, "--", *words, cwd=tmp_path, **environment)


def number(counted: Counted) -> int:
    assert counted.returncode == 0, counted.stderr
    return int(parse("metric-line", counted.stdout, {"name": "instructions", "unit": ""})["instructions"])


def loop(times: int) -> str:
    """A shell's loop: nothing to import, so that valgrind starts in a fraction of a second."""
    return f"i=0; while [ $i -lt {times} ]; do i=$((i+1)); done"


def memory(pages: int) -> tuple[str, ...]:
    return "python", "-S", "-c", f"bytearray({pages} * 4096)"


# --- the number --------------------------------------------------------------------------------------


def test_a_command_gives_one_line(count):
    counted = count("/bin/sh", "-c", "true")
    assert re.fullmatch(r"METRIC instructions=\d+\n", counted.stdout)
    assert counted.stderr == ""
    assert number(counted) > 0


@needs_valgrind
def test_more_work_is_more_instructions_and_one_per_cent_shows(valgrind, tmp_path):
    start, less, more = (number(valgrind("/bin/sh", "-c", loop(times))) for times in (0, 20_000, 20_200))
    assert less > 10 * start
    assert (more - less) / (less - start) == pytest.approx(0.01, rel=0.05)


@needs_valgrind
def test_equal_runs_agree(valgrind):
    first, second = (number(valgrind("python", "-c", "{str(n) for n in range(999)}")) for _ in range(2))
    assert first == pytest.approx(second, rel=1e-4)


@pytest.mark.parametrize("start", ["{0}", "{0} & wait", "sh -c '{0}; exit'"], ids=["child", "job", "sub"])
def test_what_a_command_starts_is_counted(count, start):
    """Two thousand pages: instructions to copy, faults to map."""
    line = " ".join(f'"{word}"' for word in (sys.executable, *memory(2000)[1:])).replace(" * ", "*")
    alone = number(count(*memory(2000)))
    idle = number(count("/bin/sh", "-c", "true"))
    assert number(count("/bin/sh", "-c", start.format(line) + "; true")) > 0.95 * alone > 3 * idle


def test_what_a_command_leaves_behind_is_waited_for(count):
    counted = count("/bin/sh", "-c", "(sleep 0.3; echo late >&2; true) >/dev/null & true")
    assert counted.stderr == "late\n"
    assert number(counted) > 0


@needs_valgrind
def test_threads_are_counted(valgrind):
    program = "import threading\ndef f(): sum(range({}))\nt = threading.Thread(target=f); t.start(); t.join()"
    idle, busy = (number(valgrind("python", "-S", "-c", program.format(n))) for n in (0, 300_000))
    assert busy > idle + 3_000_000


@needs_valgrind
def test_a_process_that_escapes_the_count_is_no_number(valgrind):
    counted = valgrind("/bin/sh", "-c", "sleep 60 & kill -9 $!")
    assert (counted.returncode, counted.stdout) == (1, "")
    assert re.fullmatch(r"error: process \d+ was not counted: it was killed, .*\n", counted.stderr)


def test_hashes_have_one_order_and_no_cache_is_written(count, tmp_path):
    (tmp_path / "module.py").write_text("")
    show = "import os, module; print(os.environ['PYTHONHASHSEED'])"
    assert count("python", "-c", show).stderr == "0\n"
    assert count("python", "-c", show, PYTHONHASHSEED="7").stderr == "7\n"
    assert not (tmp_path / "__pycache__").exists()


def test_python_is_the_interpreter_that_counts(count):
    shown = count("python3", "-c", "import sys; print(sys.executable)", PATH=os.environ["PATH"])
    assert shown.stderr.strip() == sys.executable


def test_folders_with_spaces_and_signs(count, tmp_path):
    folder = tmp_path / "a b%p%%'c"
    folder.mkdir()
    tool = folder / "my tool"
    tool.write_text('#!/bin/sh\necho "METRIC words=$#"\n')
    tool.chmod(0o755)
    counted = count(str(tool), "one two", "three", TMPDIR=str(folder))
    assert counted.stdout.startswith("METRIC words=2\nMETRIC instructions=")
    assert os.listdir(folder) == ["my tool"]


@needs_valgrind
def test_an_options_file_in_the_folder_is_not_read(valgrind, tmp_path):
    """It could leave out a child, and with it the work that was moved there."""
    (tmp_path / ".valgrindrc").write_text("--trace-children-skip=*\n")
    assert number(valgrind("/bin/sh", "-c", "/bin/sh -c true; true")) > 0


# --- what the command prints -------------------------------------------------------------------------


def test_other_metrics_pass_and_the_rest_is_no_output(count):
    counted = count("/bin/sh", "-c", "echo METRIC peak=3 MB; echo hello; printf 'METRIC last = 1.5'")
    assert counted.stdout.splitlines()[:-1] == ["METRIC peak=3 MB", "METRIC last = 1.5"]
    assert counted.stderr == "hello\n"
    found = parse("metric-line", counted.stdout, {"name": "instructions", "unit": ""})
    assert (found["peak"], found["last"]) == (3e6, 1.5)


FORGERIES = {
    "plain": r"METRIC instructions=1\n",
    "spaced": r"METRIC   instructions  = 1\n",
    "unfinished": "METRIC instructions=1",
    "after a return": r"hello\rMETRIC instructions=1\n",
    "after a form feed": r"METRIC other=1\fMETRIC instructions=1\n",
    "after a unicode line": r"x\342\200\250METRIC instructions=1\n",
    "not a number": r"METRIC instructions=\n",
}


@pytest.mark.parametrize("text", FORGERIES.values(), ids=FORGERIES)
def test_a_command_cannot_print_its_own_count(count, text):
    counted = count("/bin/sh", "-c", f"printf '{text}'")
    assert counted.returncode == 1
    assert "instructions" not in counted.stdout
    assert counted.stderr.splitlines()[-1] == (
        "error: the command prints METRIC instructions itself; choose another --name"
    )


@needs_valgrind
def test_another_name(tmp_path):
    words = ("--name", "loads", "--", "/bin/sh", "-c", "echo METRIC instructions=1")
    counted = count_with(HARDWARE, *words, cwd=tmp_path)
    assert re.fullmatch(r"METRIC instructions=1\nMETRIC loads=\d\d+\n", counted.stdout)


# --- failing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("end", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143)])
def test_a_command_that_fails_has_its_exit_code_and_no_number(count, end, code):
    counted = count("/bin/sh", "-c", f"echo before; {end}")
    assert (counted.returncode, counted.stdout, counted.stderr) == (code, "", "before\n")


def test_a_command_that_is_not_there(count, tmp_path):
    (tmp_path / "text").write_text("true")
    for name in ("no-such-command", "./text"):
        counted = count(name)
        assert (counted.returncode, counted.stdout) == (127, "")
        assert counted.stderr == f"error: cannot start {name!r}: not found, or not executable\n"


def test_without_any_counter(tmp_path):
    counted = count_with(NONE, "--", "/bin/sh", "-c", "true", cwd=tmp_path, PATH=str(tmp_path))
    assert (counted.returncode, counted.stdout) == (127, "")
    assert counted.stderr == f"error: cannot count instructions: {instructions.MEND}\n"
    assert "install valgrind" in instructions.MEND


@pytest.mark.parametrize("words", [(), ("--",), ("true",), ("--name", "a b", "--", "true"), ("--less",)])
def test_a_wrong_call(tmp_path, words):
    counted = count_with(NONE, *words, cwd=tmp_path)
    assert (counted.returncode, counted.stdout) == (2, "")
    assert counted.stderr.startswith("usage: python -m optiloop.bench.instructions")


# --- the processor's own counter ------------------------------------------------------------------------


def test_a_counter_that_opens_counts(monkeypatch):
    """With page faults, so that the way of asking is tested where the processor's counter is not there."""
    monkeypatch.setattr(instructions, "EVENT", EVENTS["page faults"])
    try:
        instructions.Hardware().close()
    except OSError as refusal:
        pytest.skip(f"perf_event_open: {refusal.strerror}")
    assert instructions._hardware_counts()


@pytest.mark.skipif(not HAS_HARDWARE, reason="this machine has no hardware counter, or forbids it")
def test_the_hardware_counter_is_preferred_and_sees_one_per_cent(tmp_path):
    assert instructions.offered().startswith("hardware counter")
    words = ("--", "/bin/sh", "-c")
    start, less, more = (
        number(count_with(HARDWARE, *words, loop(times), cwd=tmp_path)) for times in (0, 20_000, 20_200)
    )
    assert (more - less) / (less - start) == pytest.approx(0.01, rel=0.2)


# --- doctor -------------------------------------------------------------------------------------------


@needs_valgrind
def test_a_counter_is_tried_before_it_is_offered(tmp_path, monkeypatch):
    monkeypatch.setattr(instructions, "EVENT", NONE)
    assert instructions.offered().startswith("valgrind 3.")
    broken = tmp_path / "valgrind"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ]\n')
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert instructions.offered().startswith("valgrind does not work here: Command ")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert instructions.offered() == f"not found (optional): {instructions.MEND}"
