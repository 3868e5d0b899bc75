"""Fingerprints of programs and of changes: equal for the same idea worded differently. Pure.

Merging two different programs would hide an idea for good, so every doubt is resolved towards
"different". `python_form` says what is looked through in Python, `text_form` in everything else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import PurePosixPath

from optiloop.memory.python_form import Statement, statements
from optiloop.memory.text_form import text_form

_LENGTH = 32
_PRIVATE = re.compile(r"^(?:def\s+)?(_(?!_)\w*)\s*[(:=]", re.MULTILINE)


def result_fingerprint(source: Mapping[str, str]) -> str:
    """Fingerprint a whole program, given as path -> text: 32 hex digits."""
    return _digest(
        [[path, _whole(path, text, _known(path, source))] for path, text in sorted(source.items())]
    )


def change_fingerprint(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Fingerprint what differs between two programs, and nothing else of either: 32 hex digits.

    The same change of one function on two bases whose other functions differ has one fingerprint.
    """
    changes: list[object] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            changes += _changes(path, old, new)
    return _digest(changes)


# --- whole files --------------------------------------------------------------------------------------


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:_LENGTH]


def _whole(path: str, text: str, spelled: frozenset[str] = frozenset()) -> object:
    """The normal form of one file, as something JSON can hold."""
    parts = statements(text, spelled) if path.endswith(".py") else None
    if parts is not None:
        return [statement.text for statement in _imports_sorted(parts)]
    return text_form(path, text)


def _known(path: str, source: Mapping[str, str]) -> frozenset[str]:
    """The names of a module that another file of the program may know by their spelling."""
    file = PurePosixPath(path)
    others: set[str] = set()
    for other, text in source.items():
        words = _words(text) if other != path and other.endswith(".py") else frozenset()
        if file.name == "__init__.py" or file.stem in words:
            others |= words
    return frozenset(others & _words(source[path])) if others else frozenset()


@lru_cache(maxsize=64)
def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d]\w*", text))


def _imports_sorted(parts: Sequence[Statement]) -> Iterator[Statement]:
    for is_import, run in groupby(parts, key=lambda statement: statement.is_import):
        block = list(run)
        yield from sorted(block, key=lambda s: s.text) if is_import and _order_is_free(block) else block


def _order_is_free(imports: Iterable[Statement]) -> bool:
    """Not where a name is bound to two things: then the last one wins."""
    bindings = {statement.binds for statement in imports if statement.binds}
    bound = [name for name, _ in bindings]
    return "*" not in bound and len(set(bound)) == len(bound)


# --- changes ------------------------------------------------------------------------------------------


def _changes(path: str, old: str | None, new: str | None) -> list[object]:
    """What differs in one file: definitions by name, imports by line, the rest of the module as one.

    Private names that both texts have keep their spelling: a change of what they stand for is one of that,
    not of everything that uses them.
    """
    kept = _private(old) & _private(new)
    before, after = _parsed(path, old, kept), _parsed(path, new, kept)
    if before is None or after is None:
        return [[path, _whole_or_none(path, old), _whole_or_none(path, new)]]
    changed = [[path, name, *pair] for name, *pair in _differing(_definitions(before), _definitions(after))]
    imports_before, imports_after = _import_lines(before), _import_lines(after)
    if imports_before != imports_after:
        gone, come = imports_before - imports_after, imports_after - imports_before
        changed.append([path, "import", sorted(gone.elements()), sorted(come.elements())])
    if _rest(before) != _rest(after):
        changed.append([path, "", _rest(before), _rest(after)])
    if not changed and before != after:
        changed.append([path, "order", [s.text for s in before], [s.text for s in after]])
    return list(changed)


def _private(text: str | None) -> frozenset[str]:
    return frozenset(_PRIVATE.findall(text or ""))


def _parsed(path: str, text: str | None, spelled: frozenset[str]) -> tuple[Statement, ...] | None:
    return statements(text, spelled) if text is not None and path.endswith(".py") else None


def _whole_or_none(path: str, text: str | None) -> object:
    return None if text is None else _whole(path, text)


def _definitions(parts: Iterable[Statement]) -> dict[str, list[str]]:
    """Top-level definitions by name; a name defined twice has two texts."""
    found: dict[str, list[str]] = {}
    for statement in parts:
        if statement.name:
            found.setdefault(statement.name, []).append(statement.text)
    return found


def _differing(
    before: Mapping[str, list[str]], after: Mapping[str, list[str]]
) -> Iterator[tuple[str, list[str], list[str]]]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, []), after.get(name, [])
        if old != new:
            yield name, old, new


def _import_lines(parts: Iterable[Statement]) -> Counter[str]:
    return Counter(statement.text for statement in parts if statement.is_import)


def _rest(parts: Iterable[Statement]) -> list[str]:
    return [statement.text for statement in parts if not statement.name and not statement.is_import]
