"""Where rules come from: modules of the folder, and other packages; and what is said where one is broken."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from optiloop.errors import ProposerError, UsageError
from optiloop.proposers.rewrite import Rewrite, rule, sites_of, table
from optiloop.testing import brief_of

PLUGIN = """
from optiloop.proposers.rewrite.rule import Edit, Language, Rule, Site

WORDS = Language("words", lambda path, text: path.endswith(".words"), str)

def less(text):
    if "more" in text:
        at = text.index("more")
        yield Site("", 1, "more -> less", text, (Edit(at, at + 4, "less"),))

def fails(text):
    raise KeyError("nothing here")

LESS = Rule("less", WORDS, 2.0, less)
BOTH = (LESS, Rule("fails", WORDS, 3.0, fails))
TAKEN = Rule("memoise", WORDS, 2.0, less)
"""


class Dist:
    name = "rules-of-mine"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A package with rules on the path; the caches that remember all rules are emptied around the test."""
    (tmp_path / "rules_of_mine.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield monkeypatch
    monkeypatch.undo()
    sys.modules.pop("rules_of_mine", None)
    forget()


def forget() -> None:
    table.rules.cache_clear()
    sites_of.cache_clear()


def installed(patch: pytest.MonkeyPatch, *values: str) -> None:
    entries = [EntryPoint(f"mine-{at}", value, table.GROUP) for at, value in enumerate(values)]
    for entry in entries:
        vars(entry)["dist"] = Dist()
    patch.setattr(table, "entry_points", lambda group: entries)


def test_another_package_brings_a_rule_and_a_language(plugin: pytest.MonkeyPatch) -> None:
    installed(plugin, "rules_of_mine:LESS")
    assert {known.name for known in table.rules()} == {known.name for known in table.RULES} | {"less"}
    proposal = Rewrite().propose(brief_of({"a.words": "say more\n"}))
    assert proposal is not None
    assert (proposal.edits, proposal.family) == ({"a.words": "say less\n"}, "less")


def test_a_rule_that_fails_is_named_with_its_package(plugin: pytest.MonkeyPatch) -> None:
    installed(plugin, "rules_of_mine:BOTH")
    with pytest.raises(
        ProposerError, match=r"rule 'fails' of rules-of-mine failed: KeyError: 'nothing here'"
    ):
        Rewrite().propose(brief_of({"a.words": "say more\n"}))


BROKEN = {
    "rules_of_nobody:LESS": r"'mine-0' of rules-of-mine does not load: ModuleNotFoundError",
    "rules_of_mine:NOTHING": r"'mine-0' of rules-of-mine does not load: AttributeError",
    "rules_of_mine:less": r"'mine-0' of rules-of-mine is no Rule and no sequence of them",
    "rules_of_mine:TAKEN": r"'mine-0' of rules-of-mine: there is a rule 'memoise' already",
}


@pytest.mark.parametrize("value", BROKEN)
def test_a_plugin_that_does_not_load_is_named(plugin: pytest.MonkeyPatch, value: str) -> None:
    installed(plugin, value)
    with pytest.raises(UsageError, match=BROKEN[value]):
        table.rules()


def test_two_packages_cannot_bring_one_name(plugin: pytest.MonkeyPatch) -> None:
    installed(plugin, "rules_of_mine:LESS", "rules_of_mine:LESS")
    with pytest.raises(UsageError, match=r"'mine-1'.*there is a rule 'less' already"):
        table.rules()


def test_a_module_brings_its_rules_by_lying_there() -> None:
    folder = Path(table.__file__).parent
    written = {known for path in folder.glob("*.py") for known in _named_in(path)}
    assert written == {known.name for known in table.RULES}


def _named_in(path: Path) -> list[str]:
    module = sys.modules[f"{rule.__package__}.{path.stem}"] if path.stem != "__init__" else None
    return [known.name for known in getattr(module, "RULES", ())] if path.stem != "table" else []


def test_the_larger_step_comes_first() -> None:
    gains = [known.gain for known in table.RULES]
    assert gains == sorted(gains, reverse=True)
    assert all(gain > 1 for gain in gains)
