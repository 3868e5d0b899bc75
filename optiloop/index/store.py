"""The derived index: one SQLite file beside the log, brought up to date when it is opened. Touches files.

The log is the only truth. The index may be deleted at any time, and is made again in silence when the log is
no longer the one it was made of. Where its file is of no use (broken, locked, not to be written) it is made
in memory: nothing is lost but time.
"""

from __future__ import annotations

import gc
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from optiloop.errors import LedgerError, UsageError
from optiloop.memory.runs import Line, Run, line_in, line_of, read_run
from optiloop.memory.words import words_of
from optiloop.record import VERSION, digest

SCHEMA_VERSION = f"4.{VERSION}"
"""Of the tables and of what is read from a line: another one means that all is read again."""

WAIT_SECONDS = 30.0
"""How long another process may write before an index is made in memory instead."""

BATCH = 200
"""Lines between two writes to the tables: more fall out of the processor's cache."""

READ_BYTES = 2**20
"""Of the log at once: where a system call is dear, small reads cost more than the parsing."""

PRAGMAS = ("PRAGMA page_size = 16384", "PRAGMA cache_size = -65536")
"""64 MB of it may be held: a rebuild that spills its pages takes a quarter longer."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE name (
    nid INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
    last TEXT NOT NULL COLLATE NOCASE);
CREATE UNIQUE INDEX name_of ON name (kind, name COLLATE BINARY);
CREATE INDEX name_by_name ON name (name);
CREATE INDEX name_by_last ON name (last);
CREATE TABLE run (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, time TEXT NOT NULL, status TEXT NOT NULL,
    verdict INTEGER, until INTEGER, effect REAL, gain REAL, error REAL, by_ratio INTEGER NOT NULL,
    champion REAL, value REAL, family TEXT NOT NULL, origin TEXT NOT NULL, hypothesis TEXT NOT NULL,
    reason TEXT NOT NULL, gist TEXT NOT NULL, isolated INTEGER NOT NULL);
CREATE INDEX run_status ON run (status, seq);
CREATE TABLE fact (
    name INTEGER NOT NULL, seq INTEGER NOT NULL, way TEXT NOT NULL, before TEXT, after TEXT,
    verdict INTEGER, kept INTEGER NOT NULL, family INTEGER NOT NULL, PRIMARY KEY (name, seq)) WITHOUT ROWID;
CREATE INDEX fact_kept ON fact (name, seq) WHERE kept;
CREATE TABLE setting (
    name INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER, value TEXT NOT NULL, known INTEGER NOT NULL,
    PRIMARY KEY (name, first)) WITHOUT ROWID;
CREATE INDEX setting_open ON setting (name) WHERE last IS NULL;
CREATE TABLE vector (first INTEGER PRIMARY KEY, codes BLOB NOT NULL);
CREATE VIRTUAL TABLE words USING fts5 (
    text, content='', tokenize = "unicode61 remove_diacritics 0 tokenchars '_.'");
CREATE VIRTUAL TABLE terms USING fts5vocab (words, 'row');
CREATE TABLE insight (
    basis TEXT NOT NULL, focus TEXT NOT NULL, told TEXT NOT NULL, PRIMARY KEY (basis, focus));
"""
"""`fact`: what a run was about: knobs, entities, places, family; `verdict`, `kept`, `family`: its run's.
`setting`: which value a knob had, from run `first` to run `last` (NULL: still), and the run that told it.
`run.until`: the run that took a keep back; `run.at`: where its line begins.
`vector`: what `embed` makes of hypotheses, from run `first` on; it stays empty without that extra.
`insight`: what `learning` holds: for a digest of all that it is made of, the insights of a focus as JSON.
"""

_TABLES = ("insight", "terms", "words", "vector", "setting", "fact", "run", "name", "meta")
_ROWS = {
    "name": "nid, kind, name",
    "run": "*",
    "fact": "*",
    "setting": "*",
    "terms": "term, doc, cnt",
}
_INSERT = {
    "run": f"INSERT INTO run VALUES ({', '.join('?' * 19)})",
    "fact": "INSERT OR IGNORE INTO fact VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "words": "INSERT INTO words (rowid, text) VALUES (?, ?)",
}


def file_of(log: Path) -> Path:
    """Where a log's index lies: `memory.db` beside an `experiments.jsonl`, named after any other log."""
    return log.with_name("memory.db" if log.name == "experiments.jsonl" else f"{log.stem}.memory.db")


def opened(log: Path, *, wait: float = WAIT_SECONDS) -> Index:
    """The index of a log, up to date. Raises UsageError where there is no log, LedgerError at a bad line."""
    if not log.is_file():
        raise UsageError(f"{log}: no experiments yet; `optiloop run` begins")
    connection = None
    try:
        connection = sqlite3.connect(file_of(log), timeout=wait, isolation_level=None)
        for pragma in PRAGMAS:
            connection.execute(pragma)
        index = Index(log, connection)
        index.refresh()
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        return in_memory(log, str(error))
    return index


def in_memory(log: Path, fault: str) -> Index:
    """An index that no file holds, and why."""
    index = Index(log, sqlite3.connect(":memory:", isolation_level=None), fault)
    index.refresh()
    return index


def rebuilt(log: Path) -> Index:
    """The index, made again from the log's first line."""
    file = file_of(log)
    for leftover in (file, file.with_name(f"{file.name}-journal")):
        with suppress(OSError):
            leftover.unlink(missing_ok=True)
    return opened(log)


class _Position(NamedTuple):
    """How far the log was read: lines, bytes, where the last line began, and its digest."""

    lines: int = 0
    offset: int = 0
    start: int = 0
    digest: str = ""


@dataclass
class Index:
    """A log's tables. `fault` says why they are in memory; empty where a file holds them."""

    log: Path
    connection: sqlite3.Connection
    fault: str = ""
    _names: dict[tuple[str, str], int] = field(default_factory=dict)
    _settings: dict[int, tuple[str, int]] = field(default_factory=dict)
    _pending: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a question. A file that turns out to be broken is left for tables in memory."""
        try:
            return self.connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            if self.fault or isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
                raise
            self.close()
            self.connection = sqlite3.connect(":memory:", isolation_level=None)
            self.fault = str(error)
            self.refresh()
            return self.connection.execute(sql, values).fetchall()

    def close(self) -> None:
        self.connection.close()

    def line(self, seq: int) -> dict[str, Any]:
        """The whole log line of a run, as plain JSON. Raises LedgerError where it is no longer there."""
        ((at, known),) = self.rows("SELECT at, id FROM run WHERE seq = ?", seq)
        return self._line_at(seq, at, known)

    def digest(self, seq: int) -> str:
        """The hash of a run's line, which holds that of the line before; empty of run 0."""
        found = self.rows("SELECT at FROM run WHERE seq = ?", seq)
        if not found:
            return ""
        with self.log.open("rb") as file:
            file.seek(found[0][0])
            return digest(file.readline().removesuffix(b"\n"))

    def _line_at(self, seq: int, at: int, known: str) -> dict[str, Any]:
        try:
            with self.log.open("rb") as file:
                file.seek(at)
                found = json.loads(file.readline())
        except (OSError, ValueError) as error:
            raise LedgerError(f"{self.log}:{seq}: cannot be read again: {error}") from None
        if not isinstance(found, dict) or found.get("id") != known:
            raise LedgerError(f"{self.log}:{seq}: changed while it was read; ask again")
        return found

    def content_hash(self) -> str:
        """SHA-256 of all that the tables say: equal for the same log, however it was read."""
        whole = hashlib.sha256()
        for table, columns in _ROWS.items():
            order = "1" if table in ("name", "run", "terms") else "1, 2"
            for row in self.connection.execute(f"SELECT {columns} FROM {table} ORDER BY {order}"):
                whole.update(repr(row).encode("utf-8", "backslashreplace"))
        return whole.hexdigest()

    def refresh(self) -> None:
        """Read what was appended since; all of it where the log is not the one that was read."""
        with self.log.open("rb", buffering=READ_BYTES) as file:
            if self._read_to(file) == file.seek(0, 2):
                return
            self.connection.execute("BEGIN IMMEDIATE")
            with self.connection, uncollected():  # commits, or takes all back
                start = self._read_to(file)
                if start is None:
                    self._clear()
                self._ingest(file)

    def _read_to(self, file: BinaryIO) -> int | None:
        """The offset up to which this very log was read; None where it was another, or none."""
        known = self._position()
        if known is None:
            return None
        file.seek(known.start)
        last = file.read(known.offset - known.start)
        whole = not known.lines or (last.endswith(b"\n") and digest(last[:-1]) == known.digest)
        return known.offset if whole else None

    def _position(self) -> _Position | None:
        if not self.connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            return None
        meta = dict(self.connection.execute("SELECT key, value FROM meta"))
        if meta.pop("version", None) != SCHEMA_VERSION:
            return None
        return _Position(**meta)

    def _clear(self) -> None:
        self._names.clear()
        for table in _TABLES:
            self.connection.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in SCHEMA.split(";\n"):
            self.connection.execute(statement)
        self._remember(_Position())

    def _remember(self, position: _Position) -> None:
        values = {"version": SCHEMA_VERSION, **position._asdict()}
        self.connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    def _ingest(self, file: BinaryIO) -> None:
        position = self._position() or _Position()
        open_settings = "SELECT name, value, first FROM setting WHERE last IS NULL"
        self._settings = {
            name: (value, first) for name, value, first in self.connection.execute(open_settings)
        }
        self._pending = {table: [] for table in _INSERT}
        for start, line in _lines(file, position.offset):
            run = self._checked(line, position)
            self._take(run, start)
            position = _Position(run.seq, start + len(line) + 1, start, digest(line))
            if run.seq % BATCH == 0:
                self._flush()
        self._flush()
        self._remember(position)

    def _checked(self, line: bytes, before: _Position) -> Run:
        try:
            found = _read(line)
        except (ValueError, RecursionError) as error:
            raise self._broken(before, str(error)) from None
        if found.previous != before.digest:
            raise self._broken(before, "the hash chain breaks here: this line or the one before was changed")
        return read_run(found, before.lines + 1)

    def _broken(self, before: _Position, reason: str) -> LedgerError:
        return LedgerError(f"{self.log}:{before.lines + 1}: {reason}; restore the line from a backup")

    def _flush(self) -> None:
        self._pending["fact"].sort(key=itemgetter(0, 1))  # as the table is: a third faster
        for table, rows in self._pending.items():
            self.connection.executemany(_INSERT[table], rows)
            rows.clear()

    def _name(self, kind: str, name: str) -> int:
        known = self._names.get((kind, name))
        if known is None:
            found = self.connection.execute(
                "SELECT nid FROM name WHERE kind = ? AND name = ? COLLATE BINARY", (kind, name)
            ).fetchone()
            known = found[0] if found else self._new_name(kind, name)
            self._names[kind, name] = known
        return known

    def _new_name(self, kind: str, name: str) -> int:
        last = name.rpartition("::")[2]
        made = self.connection.execute(
            "INSERT INTO name (kind, name, last) VALUES (?, ?, ?)", (kind, name, last)
        ).lastrowid
        assert made is not None
        return made

    def _take(self, run: Run, at: int) -> None:
        """Put one run into the tables, and what it kept in force."""
        facts, fact, family = run.facts, self._pending["fact"], self._name("family", run.family or run.origin)
        told = (run.verdict, run.kept, family)
        fact.append((family, run.seq, "change", None, None, *told))
        for place in facts.places:
            fact.append((self._name("place", place), run.seq, "change", None, None, *told))
        for entity, way in facts.entities:
            fact.append((self._name("entity", entity), run.seq, str(way), None, None, *told))
        for knob in facts.knobs:
            nid = self._name("knob", knob.name)
            fact.append((nid, run.seq, str(knob.way), knob.before, knob.after, *told))
            self._observe(nid, knob.before, run.seq)
        self._pending["run"].append(_run_row(run, at))
        spoken = [run.hypothesis, run.reason, run.family, *[name for name, _ in facts.entities]]
        spoken += [knob.name for knob in facts.knobs]
        spoken += [place.rpartition("::")[2] for place in facts.places]
        self._pending["words"].append((run.seq, words_of(" ".join(spoken))))
        if run.kept:
            self._keep(run)

    # --- what is in force ------------------------------------------------------------------------------

    def _observe(self, knob: int, value: str | None, seq: int) -> None:
        """A run's diff shows the value in force then: from the beginning, where it was not known before."""
        known = self._settings.get(knob)
        if value is None or (known is not None and known[0] == value):
            return
        self._set(knob, value, first=1 if known is None else seq, known=seq)

    def _keep(self, run: Run) -> None:
        """From the next run on, what a keep set is in force, and what it took back is not."""
        for knob in run.facts.knobs:
            self._set(self._name("knob", knob.name), knob.after, first=run.seq + 1, known=run.seq)
        if run.taken:
            self._flush()  # the keep may be among what is pending
        for keep in run.taken:
            known = "SELECT seq, at, id FROM run WHERE status = 'keep' AND id = ?"
            for seq, *place in self.connection.execute(known, (keep,)).fetchall():
                self.connection.execute("UPDATE run SET until = ? WHERE seq = ?", (run.seq, seq))
                for knob in read_run(line_in(self._line_at(seq, *place)), seq).facts.knobs:
                    nid = self._name("knob", knob.name)
                    if knob.after is not None and self._settings.get(nid, ("", 0))[0] == knob.after:
                        self._set(nid, knob.before, first=run.seq + 1, known=run.seq)

    def _set(self, knob: int, value: str | None, *, first: int, known: int) -> None:
        """End the value in force, and begin another; None ends it only."""
        before = self._settings.pop(knob, None)
        if before is not None and before[1] < first:
            self.connection.execute(
                "UPDATE setting SET last = ? WHERE name = ? AND first = ?", (first - 1, knob, before[1])
            )
        if before is not None and before[1] >= first:
            self.connection.execute("DELETE FROM setting WHERE name = ? AND first = ?", (knob, before[1]))
        if value is not None:
            self.connection.execute(
                "INSERT OR REPLACE INTO setting VALUES (?, ?, NULL, ?, ?)", (knob, first, value, known)
            )
            self._settings[knob] = (value, first)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the collector of cycles: there are none here, and it walks all of it again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _lines(file: BinaryIO, offset: int) -> Iterator[tuple[int, bytes]]:
    """The whole lines from an offset on, each with its place and without its newline."""
    file.seek(offset)
    for raw in file:
        if not raw.endswith(b"\n"):
            return
        yield offset, raw[:-1]
        offset += len(raw)


def _read(line: bytes) -> Line:
    """What a line says. Raises ValueError where it is no experiment of this schema."""
    try:
        found = _decoded(line)
    except ValueError as error:
        raise ValueError(_other_schema(line) or str(error)) from None
    if found.v != VERSION:
        raise ValueError(_other_schema(line))
    return found


def _decoded(line: bytes) -> Line:
    try:
        return line_of(line)
    except ValueError:
        if b"\\ud" not in line:
            raise
    # Half of a pair of surrogates is JSON, and no text to SQLite.
    return line_of(json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8", "replace"))


def _other_schema(line: bytes) -> str:
    """What is to say of a line that another version of the program wrote; empty of this one's."""
    found = json.loads(line)
    version = found.get("v", VERSION) if isinstance(found, dict) else VERSION
    return "" if version == VERSION else f"schema version {version!r}; this optiloop reads {VERSION}"


def _run_row(run: Run, at: int) -> tuple[Any, ...]:
    return (
        run.seq, run.id, at, run.time, str(run.status), run.verdict, None, run.effect, run.gain, run.error,
        run.by_ratio, run.champion, run.value, run.family, run.origin, run.hypothesis, run.reason, run.gist,
        run.facts.isolated,
    )  # fmt: skip


def size_of(log: Path) -> int:
    """Bytes of a log's index file; 0 where there is none."""
    with suppress(OSError):
        return file_of(log).stat().st_size
    return 0
