"""`replay:FILE`: proposes the lines of a JSON Lines file, in order. Touches that file.

A line holds `path`, `text` (the whole new file) and `hypothesis`, or `edits` (path -> text) for several
files. An experiment log works too: its proposals are taken again. Which lines were taken is read from the
log by tag, so a killed replay goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optiloop.diff import DiffError, patched
from optiloop.errors import UsageError
from optiloop.model import Brief, Experiment, Proposal, Status
from optiloop.record import RecordError, decode


@dataclass(frozen=True)
class _Line:
    """One proposal of the file. `number` counts from 1, for messages."""

    number: int
    edits: Mapping[str, str]
    hypothesis: str
    family: str = ""


class Replay:
    """Proposes a file's lines in order. Raises UsageError that names file and line where one is broken."""

    def __init__(self, file: str) -> None:
        self._file = file
        try:
            content = Path(file).read_bytes()
        except OSError as error:
            raise UsageError(f"{file}: cannot read it: {error.strerror}") from None
        self._digest = hashlib.sha256(content).hexdigest()[:12]
        self._ends_whole = content.endswith(b"\n")  # a log's torn last line never ended
        self._raw = [(n, line) for n, line in enumerate(content.split(b"\n"), 1) if line.strip()]
        self._baseline: Mapping[str, str] | None = None
        self._lines: list[_Line] = []

    def propose(self, brief: Brief) -> Proposal | None:
        """The first line that the log has not seen taken from this file; None after the last."""
        if self._baseline != brief.baseline:
            self._lines, self._baseline = self._read(brief.baseline), dict(brief.baseline)
        # Lines are taken in order, so those taken are the first ones: found by bisection, without state.
        at = bisect_left(self._lines, True, key=lambda line: brief.recall.tagged(self._tag(line)) is None)
        if at == len(self._lines):
            return None
        line = self._lines[at]
        return Proposal(line.edits, line.hypothesis, "replay", line.family, (self._tag(line),))

    def _tag(self, line: _Line) -> str:
        return f"replay:{self._digest}:{line.number}"

    def _read(self, baseline: Mapping[str, str]) -> list[_Line]:
        if not self._raw:
            return []
        first = self._object(*self._raw[0])
        if "v" in first and "diff" in first:
            return self._from_log(baseline)
        return [self._proposal(number, self._object(number, line)) for number, line in self._raw]

    def _object(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except ValueError as error:
            raise self._broken(number, f"not JSON: {error}") from None
        if not isinstance(found, dict):
            raise self._broken(number, "not a JSON object")
        return found

    def _proposal(self, number: int, found: dict[str, Any]) -> _Line:
        edits = found.get("edits", {found.get("path"): found.get("text")})
        texts = isinstance(edits, dict) and all(isinstance(x, str) for item in edits.items() for x in item)
        if not texts or not edits:
            raise self._broken(number, "needs path and text (or edits: path -> text), all strings")
        hypothesis, family = found.get("hypothesis", ""), found.get("family", "")
        if not isinstance(hypothesis, str) or not isinstance(family, str):
            raise self._broken(number, "hypothesis and family must be strings")
        return _Line(number, edits, hypothesis, family)

    def _from_log(self, baseline: Mapping[str, str]) -> list[_Line]:
        """Take a log's proposals again: each diff applied to the champion it was made for."""
        champion, lines = dict(baseline), []
        for number, raw in self._raw if self._ends_whole else self._raw[:-1]:
            experiment = self._experiment(number, raw)
            if experiment.status is Status.DUPLICATE and not experiment.diff:
                unchanged = dict([min(champion.items())])
                lines.append(_Line(number, unchanged, experiment.hypothesis, experiment.family))
            if not experiment.diff:
                continue
            try:
                after = patched(champion, experiment.diff)
            except DiffError as error:
                raise self._broken(number, f"{error}; this log is of another target or baseline") from None
            edits = {path: text for path, text in after.items() if champion.get(path) != text}
            lines.append(_Line(number, edits, experiment.hypothesis, experiment.family))
            if experiment.status is Status.KEEP:
                champion = after
        return lines

    def _experiment(self, number: int, raw: bytes) -> Experiment:
        try:
            return decode(raw)
        except RecordError as error:
            raise self._broken(number, str(error)) from None

    def _broken(self, number: int, reason: str) -> UsageError:
        return UsageError(f"{self._file}:{number}: {reason}")
