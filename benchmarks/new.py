"""How long a first target takes: from an empty folder to the first measured experiment, typed on a terminal.

    python benchmarks/new.py                     every template, and the C program of examples/c_make
    python benchmarks/new.py --only command,size

A shell on a pseudo-terminal gets what a person types: `optiloop new mine`, the template's number at the
question (or Enter at each guess about a project), `optiloop step mine`. Keystrokes are what was typed, Enter
included; seconds are the machine's, nobody's thinking among them. A template whose program or model is not
here gets no figures but the reason that optiloop gives.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from optiloop.scaffold import VAULT, templates

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "c_make"
EDITOR = "sed -i 's/d < n;/d * d <= n;/'"
"""Stands in for the person who changes the C program. What they would type in there is not counted."""
PROMPT = "ready> "
LONGEST = 900.0
"""Seconds after which a step counts as stuck."""


@dataclass
class Terminal:
    """A shell on a pseudo-terminal, and what was typed there."""

    here: Path
    keys: int = 0
    said: str = ""
    _ends: list[int] = field(default_factory=list)

    def __enter__(self) -> Terminal:
        master, terminal = pty.openpty()
        beside = Path(sys.executable).parent
        path = f"{beside}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PS1": PROMPT, "PATH": path, "TERM": "dumb", "ENV": "", "VISUAL": EDITOR}
        self._shell = subprocess.Popen(
            ["/bin/sh", "-i"], cwd=self.here, env=env, stdin=terminal, stdout=terminal, stderr=terminal
        )
        os.close(terminal)
        self._ends = [master]
        self.wait_for(PROMPT)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ends[0])
        self._shell.kill()
        self._shell.wait()

    def type(self, line: str, *answers: tuple[str, str]) -> float:
        """Type a line, then each answer at its question. Returns the seconds until the shell is ready."""
        started = time.monotonic()
        self._write(line)
        for question, answer in answers:
            if not self.wait_for(question, PROMPT).endswith(PROMPT):
                self._write(answer)
        self.wait_for(PROMPT)
        return time.monotonic() - started

    def _write(self, line: str) -> None:
        os.write(self._ends[0], f"{line}\n".encode())
        self.keys += len(line) + 1

    def wait_for(self, *ends: str) -> str:
        """Read until one of these is said; returns what was said. Raises TimeoutError."""
        said, until = "", time.monotonic() + LONGEST
        while not any(end in said for end in ends):
            ready, _, _ = select.select([self._ends[0]], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError(f"waited {LONGEST:.0f} s for {ends}; said so far: {said[-300:]}")
            said += os.read(self._ends[0], 4096).decode("utf-8", "replace")
        self.said += said
        return said


def from_template(template: str, here: Path) -> tuple[str, str]:
    """The row of a template: keystrokes and seconds, or why there are none."""
    number = templates().index(template) + 1
    with Terminal(here) as terminal:
        new = terminal.type("optiloop new mine", ("Number or name", str(number)))
        step = terminal.type("optiloop step mine")
        return template, row(terminal, here / "mine", new, step)


def from_project(here: Path) -> tuple[str, str]:
    """The row of the C program: in place, with Enter at each guess; EDITOR has the idea."""
    shutil.copytree(EXAMPLE, here / "mine")
    questions = ("File to improve", "Gate, - for none", "Command to measure")
    with Terminal(here) as terminal:
        new = terminal.type("optiloop new mine", *((question, "") for question in questions))
        step = terminal.type("optiloop step mine --proposer human", ("What should this improve", "roots"))
        return "a C project", row(terminal, here / "mine", new, step)


def row(terminal: Terminal, target: Path, new: float, step: float) -> str:
    """Keystrokes and seconds where an experiment was measured, else the error's line."""
    logs = list(target.glob(".optiloop/*/experiments.jsonl"))
    lines = logs[0].read_text().splitlines() if logs else []
    if any("measurement" in json.loads(line) for line in lines):
        return f"{terminal.keys} | {new:.1f} | {step:.1f} | {new + step:.1f}"
    errors = re.findall(r"optiloop: ([^\r\n]*)", terminal.said)
    return f"{terminal.keys} | {new:.1f} | {errors[-1] if errors else 'no experiment was measured'} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="templates with commas between; c for the C project")
    chosen = parser.parse_args().only.split(",")
    print(
        "| from | keystrokes | s to new and check | s to the first cycle | s in all |\n|---|---|---|---|---|"
    )
    for template in (*(name for name in templates() if name != VAULT), "c"):
        if chosen != [""] and template not in chosen:
            continue
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            name, said = from_project(here) if template == "c" else from_template(template, here)
            print(f"| {name} | {said} |", flush=True)


if __name__ == "__main__":
    main()
