"""All rules: those of this folder's modules, and those that other packages bring. Pure but for loading them.

A module of this folder with a tuple `RULES` brings its rules by lying here. Other packages name a `Rule`, or
a sequence of them, as an entry point of the group `optiloop.rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import iter_modules

from optiloop.errors import UsageError
from optiloop.proposers.rewrite.rule import Rule

GROUP = "optiloop.rules"


def _own() -> Iterator[Rule]:
    for module in iter_modules([str(Path(__file__).parent)], f"{__package__}."):
        if module.name != __name__:
            yield from getattr(import_module(module.name), "RULES", ())


def _ordered(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The largest expected gain first: of two rules that fire at one place it takes the larger step."""
    return tuple(sorted(rules, key=lambda rule: (-rule.gain, rule.name)))


RULES = _ordered(_own())
"""Our own rules."""


@cache
def rules() -> tuple[Rule, ...]:
    """Our own rules and those of installed packages. Raises UsageError that names a faulty plug-in."""
    found = {rule.name: rule for rule in RULES}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        for rule in _loaded(entry):
            if rule.name in found:
                raise UsageError(
                    f"rule plug-in {entry.name!r} of {rule.package}: there is a rule {rule.name!r} already"
                )
            found[rule.name] = rule
    return _ordered(found.values())


def _loaded(entry: EntryPoint) -> list[Rule]:
    package = entry.dist.name if entry.dist is not None else entry.value
    try:
        brought = entry.load()
    except Exception as error:  # a plug-in may raise anything; it must end in one line that names it
        said = f"{type(error).__name__}: {error}"
        raise UsageError(f"rule plug-in {entry.name!r} of {package} does not load: {said}") from error
    found = [brought] if isinstance(brought, Rule) else brought
    if not isinstance(found, list | tuple) or not all(isinstance(rule, Rule) for rule in found):
        raise UsageError(f"rule plug-in {entry.name!r} of {package} is no Rule and no sequence of them")
    return [replace(rule, package=package) for rule in found]
