"""For authors of plug-ins: a scripted proposer, a toy target, and contracts to subclass in a test suite.

    from optiloop.testing import ProposerContract

    class TestMyProposer(ProposerContract):
        def proposer(self) -> Proposer:
            return MyProposer()

pytest runs the test methods of the subclass. Importing this module touches nothing and needs no pytest.
"""

from __future__ import annotations

import math
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from optiloop.diff import unified
from optiloop.errors import OptiloopError, ProposerError
from optiloop.loop import Engine
from optiloop.memory.fingerprint import change_fingerprint, result_fingerprint
from optiloop.memory.history import History, as_recall
from optiloop.model import (
    Brief,
    Command,
    Experiment,
    Measurement,
    Metric,
    Noise,
    Pair,
    Proposal,
    Proposer,
    Sample,
    Status,
)
from optiloop.parsers import MetricError, Parser
from optiloop.proposers.rewrite import sites_of
from optiloop.proposers.rewrite.rule import Rule
from optiloop.targets import load_target

# --- a scripted proposer -----------------------------------------------------------------------------


class ScriptedProposer:
    """Proposes what it was given, in order: the text of the editable file, a Proposal, or an error to raise.

    It holds no state: the log tells how many of its proposals were taken.
    """

    ORIGIN = "scriptedproposer"

    def __init__(self, *script: str | Proposal | ProposerError) -> None:
        self.script = script

    def propose(self, brief: Brief) -> Proposal | None:
        """The next entry of the script; None after the last. Raises it where it is a ProposerError."""
        number = brief.recall.spent(self.ORIGIN).experiments
        if number >= len(self.script):
            return None
        entry = self.script[number]
        if isinstance(entry, ProposerError):
            raise entry
        if isinstance(entry, Proposal):
            return replace(entry, origin=self.ORIGIN)
        return Proposal({next(iter(brief.source)): entry}, f"script, entry {number + 1}", self.ORIGIN)


# --- a toy target ------------------------------------------------------------------------------------

TOY_EDITABLE = "value.sh"
TOY_GATE = (
    '. ./value.sh || exit\ncase "$VALUE" in "" | *[!0-9.-]*) echo "not a number: $VALUE" >&2; exit 1;; esac\n'
)
TOY_SCORE = '. ./value.sh\necho "METRIC score=$VALUE"\n'


def write_toy_target(
    folder: Path,
    *,
    value: float = 100,
    score: str = TOY_SCORE,
    metric: str = 'noise = "deterministic"\nmin_effect = 0.0\n',
    more: str = "",
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a target whose program is one line of shell, `VALUE=100`, and whose metric is that number.

    The cheapest judge there is: `/bin/sh` sources the program, so a candidate can do anything. `metric`
    holds more lines of [metric], `more` whole tables of target.toml, `files` further files by name.
    """
    toml = (
        f'name = "toy"\neditable = ["{TOY_EDITABLE}"]\n\n'
        '[[gate]]\nname = "digits"\ncommand = ["/bin/sh", "gate.sh"]\ntimeout = "10s"\n\n'
        f'[metric]\nname = "score"\ncommand = ["/bin/sh", "score.sh"]\n{metric}\n{more}'
    )
    texts = {"target.toml": toml, "gate.sh": TOY_GATE, "score.sh": score, TOY_EDITABLE: toy_text(value)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**texts, **(files or {})}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def toy_text(value: float) -> str:
    """A program of the toy target."""
    return f"VALUE={value}\n"


# --- literals ----------------------------------------------------------------------------------------


def brief_of(
    source: Mapping[str, str],
    *,
    history: History | None = None,
    metric: Metric | None = None,
    profile: Mapping[str, float] | None = None,
    seed: int = 0,
    simplify: bool = False,
) -> Brief:
    """A brief on a program, as the loop would give it. The folder does not exist."""
    metric = metric or Metric("score", Command("true"))
    return Brief(
        goal="Make it better.",
        source=dict(source),
        metric=metric,
        recall=as_recall(history or History(metric)),
        seed=seed,
        folder=Path("nowhere"),
        champion=1.0,
        baseline=dict(source),
        profile=profile or {},
        simplify=simplify,
    )


def experiment_of(
    proposal: Proposal,
    source: Mapping[str, str],
    *,
    number: int = 0,
    status: Status = Status.DISCARD,
    metric: str = "score",
    effect: float | None = None,
) -> Experiment:
    """The line that the loop would write for a proposal that ended so; measured where an effect is given."""
    after = {**source, **proposal.edits}
    pair = Pair(
        Sample({metric: 1.0}, 0.1, 0.1),
        Sample({metric: 1.0 / (effect or 1.0)}, 0.1, 0.1),
        candidate_first=False,
        seed=number,
    )
    return Experiment(
        id=f"{number:026d}",
        time="2026-01-01T00:00:00.000Z",
        target="toy",
        parent="0" * 40,
        status=status,
        reason=str(status),
        origin=proposal.origin,
        family=proposal.family,
        hypothesis=proposal.hypothesis,
        tags=proposal.tags,
        cost=proposal.cost,
        result=result_fingerprint(after),
        change=change_fingerprint(source, after),
        diff=unified(source, after),
        gates=(),
        measurement=None if effect is None else Measurement((pair,)),
        effect=effect,
        interval=None,
        evidence=None,
        seconds=1.0,
        seed=number,
        commit=f"{number:040d}" if status is Status.KEEP else None,
    )


# --- contracts ---------------------------------------------------------------------------------------

_PROGRAM = '''\
"""Numbers."""

from dataclasses import dataclass

SIZE: int = 64  # knob: int 1..256


def count_twins(items):
    found = []
    for item in items:
        if item not in found:
            found.append(item)
    total = 0
    for number in range(len(found)):
        total = total + found[number]
    return total
'''


class ProposerContract:
    """What every proposer keeps to. Say in `proposer` what is tested, and in `sources` on which programs."""

    steps = 6
    """How many proposals in a row are looked at, each logged as a discard."""

    def proposer(self) -> Proposer:
        """Make the proposer, anew at each call."""
        raise NotImplementedError("return the proposer under test")

    def sources(self) -> Sequence[Mapping[str, str]]:
        """Programs to propose on, path -> text."""
        return ({"program.py": _PROGRAM}, {"empty.py": ""}, {"words.txt": "no program\n"})

    def test_answers_with_a_proposal_or_none(self) -> None:
        for brief, proposal in self._campaigns():
            assert isinstance(proposal, Proposal), f"proposed {proposal!r}"
            assert proposal.edits, "an edit of nothing; return None where nothing is left to propose"
            assert proposal.origin, "origin is empty: the log must name who proposed"
            assert all(isinstance(text, str) for text in proposal.edits.values())
            assert proposal.cost.usd >= 0
            assert proposal.cost.tokens >= 0
            assert brief.source, "the brief was emptied"

    def test_is_stateless(self) -> None:
        asked = self.proposer()
        first = [(brief, self._asked(asked, brief)) for brief in self._briefs()]
        for brief, answer in reversed(first):
            assert self._asked(asked, brief) == answer, "the same brief gave another proposal later on"
            assert self._asked(self.proposer(), brief) == answer, "a new instance proposes something else"

    def test_edits_only_what_is_editable(self) -> None:
        for brief, proposal in self._campaigns():
            assert set(proposal.edits) <= set(brief.source), f"edits {sorted(proposal.edits)}"

    def test_never_proposes_the_champion(self) -> None:
        for brief, proposal in self._campaigns():
            after = {**brief.source, **proposal.edits}
            assert result_fingerprint(after) != result_fingerprint(brief.source), "proposes the champion"

    def test_never_proposes_what_the_log_knows(self) -> None:
        for brief, proposal in self._campaigns():
            result = result_fingerprint({**brief.source, **proposal.edits})
            assert brief.recall.result(result) is None, f"proposes again: {proposal.hypothesis}"

    def test_its_texts_are_utf8(self) -> None:
        for _, proposal in self._campaigns():
            for text in (*proposal.edits, *proposal.edits.values(), proposal.hypothesis, proposal.family):
                text.encode("utf-8")

    def test_leaves_the_brief_as_it_was(self) -> None:
        for brief in self._briefs():
            before = dict(brief.source), dict(brief.baseline), dict(brief.profile)
            self._asked(self.proposer(), brief)
            assert (brief.source, brief.baseline, brief.profile) == before, "the brief was changed"

    def _asked(self, proposer: Proposer, brief: Brief) -> Proposal | str | None:
        """Its answer; a ProposerError is one too."""
        try:
            return proposer.propose(brief)
        except ProposerError as error:
            return str(error)

    def _briefs(self) -> Iterator[Brief]:
        """Briefs on each program, with nothing known and with ever more known."""
        for source in self.sources():
            yield brief_of(source)
        for brief, _ in self._campaigns():
            yield brief

    def _campaigns(self) -> Iterator[tuple[Brief, Proposal]]:
        """Each program's first proposals, with what was known when they were made."""
        for source in self.sources():
            experiments: list[Experiment] = []
            for number in range(self.steps):
                brief = brief_of(source, history=_history(experiments))
                proposal = self._asked(self.proposer(), brief)
                if not isinstance(proposal, Proposal):
                    break
                yield brief, proposal
                experiments.append(experiment_of(proposal, source, number=number))


def _history(experiments: Sequence[Experiment]) -> History:
    diffs = {experiment.id: experiment.diff for experiment in experiments}
    history = History(Metric("score", Command("true")), diffs=lambda name: diffs.get(name, ""))
    for experiment in experiments:
        history.add(experiment)
    return history


class TargetContract:
    """What every target keeps to. Say in `folder` where it lies; a copy of it is run."""

    def folder(self) -> Path:
        """The folder that holds target.toml or target.py."""
        raise NotImplementedError("return the target's folder")

    def test_its_files_are_inside_and_are_text(self) -> None:
        target = load_target(self.folder())
        for path in (*target.editable, *target.context):
            assert (target.root / path).resolve().is_relative_to(target.root.resolve()), f"{path} is outside"
            (target.root / path).read_bytes().decode("utf-8")

    def test_its_gates_pass_and_change_no_file(self) -> None:
        with self._opened() as engine:
            gates = engine.judge.gates(engine.workspace.trial)
            assert len(gates) == len(engine.target.gates)
            assert all(gate.passed for gate in gates), [gate.reason for gate in gates]
            assert engine.workspace.tampered() == [], "the gates change files of the target"

    def test_its_baseline_passes_the_hold_out(self) -> None:
        with self._opened() as engine:
            held = engine.judge.holdout(engine.workspace.trial)
            assert held is None or held.passed, engine.judge.artifacts

    def test_it_gives_its_metric_twice(self) -> None:
        with self._opened() as engine:
            first, _ = engine.judge.sample(engine.workspace.base, 1)
            again, _ = engine.judge.sample(engine.workspace.trial, 2)
            assert all(math.isfinite(value) for value in (*first.values.values(), *again.values.values()))
            if engine.target.metric.noise is Noise.DETERMINISTIC:
                assert first.values == again.values, "said to be deterministic, and is not"
            assert engine.workspace.tampered() == [], "the metric's command changes files of the target"

    def _opened(self) -> _Copy:
        return _Copy(self.folder())


class _Copy:
    """An engine on a throw-away copy of a target."""

    def __init__(self, folder: Path) -> None:
        self._original = folder

    def __enter__(self) -> Engine:
        self._scratch = tempfile.TemporaryDirectory(prefix="optiloop-contract-")
        copy = Path(self._scratch.name) / self._original.name
        shutil.copytree(self._original, copy, ignore=shutil.ignore_patterns(".optiloop", "__pycache__"))
        self._opened = Engine.opened(load_target(copy), ScriptedProposer())
        return self._opened.__enter__()

    def __exit__(self, *error: object) -> None:
        self._opened.__exit__(None, None, None)
        self._scratch.cleanup()


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


class ParserContract:
    """What every parser keeps to. Say in `parser` what is tested, and give one good output."""

    output = ""
    """An output that holds the metric."""
    options: Mapping[str, str] = {}
    """The options of [metric] that it needs; `name` and `unit` are added where they are missing."""

    def parser(self) -> Parser:
        """The parser under test."""
        raise NotImplementedError("return the parser under test")

    def test_reads_a_good_output(self) -> None:
        numbers = self._parsed(self.output)
        assert numbers is not None, "its own example gives no number"
        assert self._options["name"] in numbers, f"no {self._options['name']!r} among {sorted(numbers)}"

    def test_refuses_an_output_without_a_number(self) -> None:
        for output in ("", "\n", "nothing here\n", "\x00\ufffd\n"):
            assert not self._parsed(output), f"{output!r} gave a number"

    def test_gives_finite_numbers_or_nothing(self) -> None:
        for spoilt in self._spoilt():
            for name, value in (self._parsed(spoilt) or {}).items():
                assert type(name) is str
                assert type(value) is float, f"{name} is a {type(value).__name__}: {value!r} in {spoilt!r}"
                assert math.isfinite(value), f"{name} is {value} in {spoilt!r}"

    def test_forgets_what_it_has_read(self) -> None:
        first = self._parsed(self.output)
        self._parsed("")
        assert self._parsed(self.output) == first, "a second reading gives something else"

    @property
    def _options(self) -> dict[str, str]:
        return {"name": "score", "unit": "", **self.options}

    def _parsed(self, output: str) -> dict[str, float] | None:
        """Its numbers, or None where it says that there are none."""
        try:
            return self.parser()(output, options=self._options)
        except (MetricError, OptiloopError):
            return None

    def _spoilt(self) -> Iterator[str]:
        """The good output with each number in turn made unusable, and cut short."""
        for match in _NUMBER.finditer(self.output):
            for word in ("NaN", "nan", "Infinity", "-inf", "1e999", "true", "null", '""', "9" * 400):
                yield self.output[: match.start()] + word + self.output[match.end() :]
        for end in range(0, len(self.output), max(1, len(self.output) // 40)):
            yield self.output[:end]


class RuleContract:
    """What every rewrite rule keeps to. Say in `rule` what is tested, and give texts on both sides of it."""

    fires: Sequence[str] = ()
    """Texts that it must change, at least one."""
    leaves: Sequence[str] = ()
    """Texts that look alike and that it must leave alone, at least one."""
    said: str = ""
    """What a failed check says, for a rule with `answers`."""

    def rule(self) -> Rule:
        """The rule under test."""
        raise NotImplementedError("return the rule under test")

    def test_it_says_what_it_does(self) -> None:
        rule = self.rule()
        assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", rule.name), f"{rule.name!r}: like-this, please"
        assert rule.gain > 1, "a gain of at most 1 gains nothing"
        said = rule.sites.__doc__ or ""
        assert rule.idea.endswith("."), "its docstring begins with the idea, one sentence"
        assert len(said.strip().splitlines()) > 1, (
            "its docstring says what it does to the cost, and the source"
        )

    def test_it_fires(self) -> None:
        assert self.fires, "no example"
        for text in self.fires:
            assert sites_of(self.rule(), text, self.said), f"does nothing to {text!r}"

    def test_it_leaves_alone_what_only_looks_alike(self) -> None:
        assert self.leaves, "no example of what it must leave alone"
        for text in self.leaves:
            assert not sites_of(self.rule(), text, self.said), f"changes {text!r}"

    def test_it_does_nothing_to_nothing(self) -> None:
        # To a rule for a prompt any words are one.
        for text in ("", "\n", *(() if self.said else ("\0", "no program, (\n"))):
            assert not sites_of(self.rule(), text, self.said)

    def test_each_site_is_one_change_that_reads(self) -> None:
        language = self.rule().language
        for text in self.fires:
            for site in sites_of(self.rule(), text, self.said):
                assert site.text != text, "a site that changes nothing"
                assert site.what, "a site that does not say what it does"
                assert 1 <= site.line <= text.count("\n") + 1, f"line {site.line} is not in the text"
                language.parse(site.text)

    def test_it_is_pure(self) -> None:
        for text in self.fires:
            found = [site.text for site in sites_of(self.rule(), text, self.said)]
            sites_of(self.rule(), "", self.said)
            assert [site.text for site in sites_of(self.rule(), text, self.said)] == found, (
                "says something else later on"
            )

    def test_it_comes_to_an_end(self) -> None:
        for text in self.fires:
            seen = {text}
            for _ in range(20):
                sites = sites_of(self.rule(), text, self.said)
                if not sites:
                    break
                text = sites[0].text
                assert text not in seen, "undoes its own work"
                seen.add(text)
            else:
                raise AssertionError("still fires after twenty times")
