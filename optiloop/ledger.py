"""The experiment log on disk: append one line, read the new ones. Touches files.

Append-only JSON Lines, each line fsync'd and holding the SHA-256 of the line before. A torn last line (no
newline: the process died while writing) is an experiment that never ended: readers ignore it, the next
append cuts it. Any other bad line is an error with file and line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.json import Decoder

from optiloop.errors import LedgerError
from optiloop.model import Experiment
from optiloop.record import RecordError, decode, digest, encode


class _Diff(Struct):
    diff: str


_diff_of = Decoder(_Diff).decode
"""Of a line its diff alone, in a thirtieth of the time: the guard reads fifty for one proposal."""


class Ledger:
    """One campaign's log. `new()` yields what was appended since the last call, by anyone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._line = 0
        self._previous = ""
        self._places: dict[str, int] = {}
        """Where each experiment's line begins, by its id: all that is held of it."""

    def new(self) -> Iterator[Experiment]:
        """Yield the experiments not yet yielded, checking the chain. Raises LedgerError at a bad line."""
        file = self._opened()
        if file is None:
            return
        with file:
            self._recognise(os.fstat(file.fileno()))
            file.seek(self._offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                experiment = self._checked(raw[:-1])
                self._places[experiment.id] = self._offset
                self._offset += len(raw)
                yield experiment

    def diff(self, experiment: str) -> str:
        """The diff of an experiment that was read or written, by its id, read again from the file.

        Empty where there is none. Raises LedgerError where the line is no longer what it was.
        """
        place = self._places.get(experiment)
        if place is None:
            return ""
        try:
            with self.path.open("rb") as file:
                file.seek(place)
                line = file.readline().rstrip(b"\n")
            try:
                return _diff_of(line).diff
            except ValueError:  # half of a pair of surrogates is JSON, and no UTF-8
                return decode(line).diff
        except (OSError, RecordError) as error:
            raise LedgerError(f"{self.path}: cannot read {experiment} again: {error}") from None

    def rewritten(self) -> bool:
        """Whether the file is no longer the one read so far: another file, or shorter than it was."""
        if self._identity is None:
            return False
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return True
        return (now.st_dev, now.st_ino) != self._identity or now.st_size < self._offset

    def cut(self) -> None:
        """Take off what somebody else has appended to what is known."""
        if self.path.exists() and self.path.stat().st_size > self._offset:
            os.truncate(self.path, self._offset)

    def append(self, experiment: Experiment) -> Experiment:
        """Write one experiment to the end and to the disk; return it as readers find it, chained.

        Call it when `new()` is exhausted, and only under the workspace's lock. When the disk is full
        nothing of the line remains.
        """
        chained = replace(experiment, previous=self._previous)
        line = encode(chained)
        try:
            self._write(line + b"\n")
        except OSError as error:
            reason = error.strerror or str(error)
            raise LedgerError(f"{self.path}: cannot append: {reason}; free space, then run again") from None
        self._places[experiment.id] = self._offset
        self._offset += len(line) + 1
        self._line += 1
        self._previous = digest(line)
        return decode(line)

    def _write(self, data: bytes) -> None:
        created = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            write_whole(descriptor, data, end=self._offset)
            status = os.fstat(descriptor)
            self._identity = (status.st_dev, status.st_ino)
        finally:
            os.close(descriptor)
        if created:
            sync_folder(self.path.parent)

    def _opened(self) -> BinaryIO | None:
        try:
            return self.path.open("rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerError(
                f"{self.path}: cannot read: {error.strerror}; mend it, then run again"
            ) from None

    def _recognise(self, status: os.stat_result) -> None:
        identity = (status.st_dev, status.st_ino)
        if self._identity not in (None, identity):
            raise LedgerError(f"{self.path}: another file took its place while it was read; run again")
        self._identity = identity

    def _checked(self, line: bytes) -> Experiment:
        try:
            experiment = decode(line)
        except RecordError as error:
            raise self._broken(str(error)) from None
        if experiment.previous != self._previous:
            raise self._broken("the hash chain breaks here: this line or the one before was changed")
        self._previous = digest(line)
        self._line += 1
        return experiment

    def _broken(self, reason: str) -> LedgerError:
        return LedgerError(
            f"{self.path}:{self._line + 1}: {reason}; restore the line from a backup, or `--fresh`"
        )


def write_whole(descriptor: int, data: bytes, *, end: int) -> None:
    """Write whole lines to the end of a log and to the disk, after cutting a torn tail off at `end`.

    Where that fails nothing of them remains.
    """
    os.ftruncate(descriptor, end)
    try:
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, data[written:])
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def sync_folder(folder: Path) -> None:
    """Make a created or renamed entry of this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, text: str) -> None:
    """Replace a small file so that a reader, or a crash, sees either the old or the new whole text."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)
