"""`optiloop run --notify COMMAND`: tell somebody what became of a run. Effect.

The command is the user's own, run by `sh -c` with their environment. It learns the event and one line from
variables, and gets the campaign's status as JSON on stdin. That it fails is said, and ends no run.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

TIMEOUT_SECONDS = 60


class Event(StrEnum):
    """What is told of a run."""

    KEPT = "kept"
    """The first keep."""
    TROUBLE = "trouble"
    """The proposer gave up, or an error ended it."""
    ENDED = "ended"


@dataclass(frozen=True)
class Notice:
    """Tells by a command what happens; an empty one tells nothing. `warn` hears why it failed."""

    command: str
    target: str
    status: Callable[[], Mapping[str, object]]
    warn: Callable[[str], None]

    def tell(self, event: Event, message: str) -> None:
        """Run the command to its end, or for a minute."""
        if not self.command:
            return
        said = {"OPTILOOP_EVENT": event, "OPTILOOP_TARGET": self.target, "OPTILOOP_MESSAGE": message}
        try:
            done = subprocess.run(
                ["sh", "-c", self.command],
                input=json.dumps(self.status()),
                env={**os.environ, **said},
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.warn(f"--notify: not done after {TIMEOUT_SECONDS} s: {self.command}")
            return
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
            self.warn(f"--notify: exit {done.returncode}: {last or self.command}")
