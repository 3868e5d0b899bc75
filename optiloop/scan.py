"""Smells: where rules would change a program, with what that was worth where it was measured. Reads files.

Nothing is run. A rule only proposes: whether a change keeps behaviour, and what it gains here, is for a
target's gates and measurement to say.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optiloop import __version__
from optiloop.errors import UsageError
from optiloop.proposers.rewrite import ORIGIN, languages_of, parsed, sites_in
from optiloop.proposers.rewrite.rule import Rule
from optiloop.proposers.rewrite.table import rules
from optiloop.records import Record
from optiloop.report.words import one_line, ratio

if TYPE_CHECKING:
    from rich.console import RenderableType

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
DISCLAIMER = "rules only propose: gates and measurement decide"


@dataclass(frozen=True)
class Smell:
    """One site; `gain` is how many times faster such a site became where it was `measured`, or a guess."""

    path: str
    line: int
    function: str
    rule: str
    what: str
    gain: float
    measured: bool = True


@dataclass(frozen=True)
class Unread:
    """A file that does not parse, and why."""

    path: str
    line: int
    why: str


@dataclass(frozen=True)
class Scanned:
    """One file: its lines, its smells in the order of the text, and why it was not parsed."""

    path: str
    lines: int
    smells: tuple[Smell, ...]
    unread: Unread | None = None


def files_under(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named, and those in the folders named; hidden folders and virtual environments are left out.

    Raises UsageError where a path does not exist.
    """
    for path in paths:
        if path.is_file():
            yield path
        elif not path.is_dir():
            raise UsageError(f"{path}: no such file or folder")
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith((".", "__pycache__", "node_modules"))
                and not (Path(folder) / name / "pyvenv.cfg").exists()
            )
            yield from (Path(folder) / name for name in sorted(names))


def scan_file(path: Path) -> Scanned | None:
    """The smells of one file; None where no rule speaks its language."""
    shown = path.as_posix()
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except OSError as error:
        return Scanned(shown, 0, (), Unread(shown, 1, error.strerror or str(error)))
    except UnicodeDecodeError:
        speaks = languages_of(shown, "")
        return Scanned(shown, 0, (), Unread(shown, 1, "not UTF-8")) if speaks else None
    languages = languages_of(shown, text)
    if not languages:
        return None
    lines = text.count("\n")
    for language in languages:
        if parsed(language, text) is None:
            try:
                language.parse(text)
            except (SyntaxError, ValueError, RecursionError) as error:
                line = error.lineno or 1 if isinstance(error, SyntaxError) else 1
                why = error.msg if isinstance(error, SyntaxError) else str(error)
                return Scanned(shown, lines, (), Unread(shown, line, f"not {language.name}: {one_line(why)}"))
    smells = [
        Smell(shown, site.line, site.function, rule.name, one_line(site.what), rule.gain, rule.measured)
        for rule, site in sites_in(shown, text)
    ]
    return Scanned(shown, lines, tuple(sorted(smells, key=lambda smell: (smell.line, -smell.gain))))


def expected(of: Rule | Smell) -> str:
    """A rule's gain in words."""
    return f"{of.gain:.3g}x where it was measured" if of.measured else f"{of.gain:.3g}x at a guess"


def told(scanned: Scanned) -> Iterator[str]:
    """A file's smells for people, one line each."""
    for smell in scanned.smells:
        where = f" in {smell.function}" if smell.function else ""
        yield f"{smell.path}:{smell.line}: {smell.rule}{where}: {smell.what} ({expected(smell)})"


def summary(found: Iterable[Scanned]) -> str:
    """What a scan came to, in one line."""
    files = list(found)
    smells, lines = sum(len(file.smells) for file in files), sum(file.lines for file in files)
    unread = sum(file.unread is not None for file in files)
    skipped = f"; {unread} not parsed, skipped" if unread else ""
    return f"{smells} smells in {lines:,} lines of {len(files) - unread} files{skipped}; {DISCLAIMER}"


def as_json(found: Iterable[Scanned]) -> dict[str, Any]:
    """A scan as one object."""
    files = list(found)
    return {
        "files": sum(file.unread is None for file in files),
        "lines": sum(file.lines for file in files),
        "smells": [asdict(smell) for file in files for smell in file.smells],
        "unread": [asdict(file.unread) for file in files if file.unread is not None],
        "note": DISCLAIMER,
    }


# --- rules --------------------------------------------------------------------------------------------


def rules_as_json(records: Mapping[tuple[str, str], Record]) -> list[dict[str, Any]]:
    """Every rule with its record; `median_gain` is None where none was kept."""
    found = []
    for rule in rules():
        record = records.get((ORIGIN, rule.name), Record())
        found.append(
            {
                "rule": rule.name,
                "language": rule.language.name,
                "idea": rule.idea,
                "package": rule.package or "optiloop",
                "expected_gain": rule.gain,
                "measured": rule.measured,
                "tries": record.tries,
                "keeps": record.keeps,
                "median_gain": record.median,
            }
        )
    return found


def rules_told(records: Mapping[tuple[str, str], Record]) -> RenderableType:
    """The same as a table for rich to print."""
    from rich.table import Table
    from rich.text import Text

    found = rules_as_json(records)
    tried = any(rule["tries"] for rule in found)
    table = Table(box=None, pad_edge=False)
    for column in ("rule", "language"):
        table.add_column(column, no_wrap=True)
    for column in ("expected", *(("kept", "median") if tried else ())):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("what it does", overflow="fold")
    for rule in found:
        counts = f"{rule['keeps']} of {rule['tries']}" if rule["tries"] else "–"
        own = (counts, ratio(rule["median_gain"])) if tried else ()
        idea = rule["idea"] if rule["package"] == "optiloop" else f"{rule['idea']} ({rule['package']})"
        gain = f"{rule['expected_gain']:.3g}{'×' if rule['measured'] else '×?'}"
        table.add_row(*map(Text, (rule["rule"], rule["language"], gain, *own, idea)))
    return table


# --- SARIF --------------------------------------------------------------------------------------------


def as_sarif(found: Iterable[Scanned]) -> dict[str, Any]:
    """A scan in the Static Analysis Results Interchange Format 2.1.0 (OASIS Standard, 2020).

    A smell is a result of level `note`; a file that does not parse is a notification of the invocation.
    """
    files = list(found)
    known = rules()
    index = {rule.name: number for number, rule in enumerate(known)}
    results = [_result(smell, index[smell.rule]) for file in files for smell in file.smells]
    notes = [_notification(file.unread) for file in files if file.unread is not None]
    driver = {
        "name": "optiloop",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_reporting_descriptor(rule) for rule in known],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
        "results": results,
    }
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _reporting_descriptor(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.idea},
        "help": {"text": f"{rule.idea} {expected(rule)}; {DISCLAIMER}."},
        "defaultConfiguration": {"level": "note"},
        "properties": {"language": rule.language.name, "gain": rule.gain},
    }


def _result(smell: Smell, index: int) -> dict[str, Any]:
    where = f"{smell.function}: " if smell.function else ""
    return {
        "ruleId": smell.rule,
        "ruleIndex": index,
        "level": "note",
        "message": {"text": f"{where}{smell.what} ({expected(smell)})"},
        "locations": [_location(smell.path, smell.line)],
    }


def _notification(unread: Unread) -> dict[str, Any]:
    return {
        "level": "warning",
        "message": {"text": unread.why},
        "locations": [_location(unread.path, unread.line)],
    }


def _location(path: str, line: int) -> dict[str, Any]:
    uri = Path(path).absolute().as_uri() if Path(path).is_absolute() else path
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": max(line, 1)}}}
