"""Scripts of a vault: what they may do, what they may not, how programs are counted. Real processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from optiloop.vault.scripts import MOST_STARTED, Ran, run_script

linux = pytest.mark.skipif(sys.platform != "linux", reason="Landlock and seccomp are Linux's")


def ran(tmp_path: Path, text: str, *, name: str = "script.sh", stdin: str = "", seconds: float = 20.0) -> Ran:
    script, folder = tmp_path / name, tmp_path / "folder"
    script.write_text(text)
    folder.mkdir(exist_ok=True)
    (folder / "given.md").write_text("given\n")
    return run_script(script, folder, stdin=stdin, seconds=seconds, env={"TODAY": "2026-07-03"})


def test_a_script_reads_its_folder_and_stdin_and_may_write_there(tmp_path: Path) -> None:
    found = ran(tmp_path, "cat given.md -; echo $TODAY > new; cat new", stdin="asked\n")
    assert (found.stdout, found.failure) == ("given\nasked\n2026-07-03\n", "")


def test_a_python_script_has_the_standard_library(tmp_path: Path) -> None:
    found = ran(tmp_path, "import json, sys\nprint(json.dumps(sys.stdin.read()))", name="s.py", stdin="x")
    assert (found.stdout, found.failure) == ('"x"\n', "")


@linux
def test_programs_are_counted_the_same_each_time(tmp_path: Path) -> None:
    text = "for n in 1 2 3; do x=$(sed -n 1p given.md); done; cat given.md | sort | uniq -c"
    assert [ran(tmp_path, text).started for _ in range(5)] == [6] * 5
    assert ran(tmp_path, "echo alone").started == 0


@linux
def test_a_script_gets_no_more_programs_than_that(tmp_path: Path) -> None:
    text = f"i=0; while [ $i -lt {MOST_STARTED + 20} ]; do /bin/true; i=$((i+1)); done"
    found = ran(tmp_path, text)
    assert "programs" in found.failure


@linux
@pytest.mark.parametrize(
    "attempt",
    [
        "cat {secret}",
        "ls {outside}",
        "echo forged > {secret}",
        "rm {secret}",
        "cat /proc/{parent}/environ",
        "kill -0 {parent}",
    ],
)
def test_a_script_reaches_nothing_else(tmp_path: Path, attempt: str) -> None:
    secret = tmp_path / "outside" / "rubric.toml"
    secret.parent.mkdir()
    secret.write_text("the answer")
    text = attempt.format(secret=secret, outside=secret.parent, parent=os.getpid())
    found = ran(tmp_path, f"{text}\necho code $?")
    assert "code 0" not in found.stdout
    assert "answer" not in found.stdout
    assert secret.read_text() == "the answer"


@linux
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX"])
def test_a_script_gets_no_socket(tmp_path: Path, family: str) -> None:
    text = f"import socket\nsocket.socket(socket.{family}, socket.SOCK_DGRAM)\nprint('open')"
    found = ran(tmp_path, text, name="s.py")
    assert found.stdout == ""
    assert "PermissionError" in found.failure


def test_nothing_of_our_environment_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret")
    assert "sk-very-secret" not in ran(tmp_path, "env").stdout


def test_a_script_that_hangs_or_fails_says_so(tmp_path: Path) -> None:
    assert ran(tmp_path, "sleep 60", seconds=0.5).failure == "killed at its limit of 0.5 s"
    assert ran(tmp_path, "echo no such note >&2; exit 3").failure == "exit code 3: no such note"


def test_what_a_script_says_is_bounded(tmp_path: Path) -> None:
    found = ran(tmp_path, "yes | head -c 5000000")
    assert len(found.stdout) <= 1 << 20
