"""The morning report: each rule of the decision queue with a case beside it, and what the forms show.

After a wanted change of a form: `python tests/test_morning.py` writes the golden files anew.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from optiloop.decide import OUT_OF_TIME
from optiloop.model import (
    DEMOTION,
    TAKES_BACK,
    Baseline,
    Claim,
    Command,
    Cost,
    Experiment,
    Interval,
    Metric,
    Proposal,
    Recheck,
    Status,
)
from optiloop.report import (
    Campaign,
    Morning,
    morning,
    morning_html,
    morning_json,
    morning_markdown,
    morning_terminal,
)
from optiloop.report.board import Action
from optiloop.report.failures import mute, signature
from optiloop.report.packets import MOST_OF_A_KIND, Commands, Packet
from optiloop.report.tries import moment, said, tries_of
from optiloop.testing import experiment_of

GOLDEN = Path(__file__).parent / "golden"
START = datetime(2026, 3, 1, 18, tzinfo=UTC)
FUNCTIONS = ("alpha", "beta", "gamma", "delta")
PROGRAM = "import os\n\nSIZE = 64\n\n\n" + "\n\n\n".join(
    f"def {name}(x):\n    y = x\n    return y" for name in FUNCTIONS
)
PROGRAM += "\n"
METRIC = Metric("score", Command("true"), unit="us", min_effect=0.01)
UNDECIDED = "undecided; gains under 1 % do not show in this noise"


def tried(number: int, status: Status = Status.DISCARD, where: str = "alpha", **facts: object) -> Experiment:
    """The experiment of this number, ten minutes after the one before; `where` names what it changes."""
    effect = facts.pop("effect", None)
    assert effect is None or isinstance(effect, float)
    proposal = Proposal(
        {"program.py": changed(where, number)},
        str(facts.pop("hypothesis", f"{where}: idea {number}")),
        "test",
        str(facts.pop("family", f"family {number}")),
    )
    known = {"time": (START + timedelta(minutes=10 * number)).isoformat(), **facts}
    plain = experiment_of(proposal, {"program.py": PROGRAM}, number=number, status=status, effect=effect)
    return replace(plain, **known)  # type: ignore[arg-type]


def changed(where: str, number: int) -> str:
    """The program with one function's body, a constant, or an import and a function, changed."""
    if where == "SIZE":
        return PROGRAM.replace("SIZE = 64", f"SIZE = {64 + number}")
    if where.startswith("import "):
        where, text = where.removeprefix("import "), PROGRAM.replace("import os", "import os\nimport re")
    else:
        text = PROGRAM
    head = f"def {where}(x):\n    y = x"
    assert head in text
    return text.replace(head, f"{head} + {number}")


def keep(number: int, where: str = "alpha", effect: float = 1.2, **facts: object) -> Experiment:
    return tried(number, Status.KEEP, where, effect=effect, **facts)


def campaign(*experiments: Experiment, **facts: object) -> Campaign:
    plain = Campaign(
        target="toy",
        goal="Make it better.",
        metric=METRIC,
        experiments=experiments,
        baseline=Baseline("0" * 40, 1.0, (), 0.01, 1.0),
        editable=("program.py",),
    )
    return replace(plain, **facts)  # type: ignore[arg-type]


def proven(*experiments: Experiment, low: float = 1.1, **facts: object) -> Campaign:
    """A campaign whose keeps were measured again and whose champion has a claim."""
    keeps = [one for one in experiments if one.commit]
    claim = Claim(keeps[-1].commit or "", "", 20, 1.0, 0.8, 1.25, Interval(low, 1.4))
    found = {"claim": claim, "rechecks": {one.id: again(one) for one in keeps}, **facts}
    return campaign(*experiments, **found)


def again(one: Experiment, *, holds: bool = True, effect: float | None = None) -> Recheck:
    return Recheck(one.id, "", 4, holds, effect or one.effect, Interval(0.0, float("inf")))


def actions(one: Campaign, *, since: datetime | None = None) -> dict[Action, list[list[int]]]:
    """The numbers of the experiments that each action is proposed for."""
    found: dict[Action, list[list[int]]] = {}
    for packet in morning(one, since).packets:
        found.setdefault(packet.action, []).append([it.number for it in packet.tries])
    return found


def the(action: Action, one: Campaign) -> Packet:
    (found,) = (packet for packet in morning(one).packets if packet.action is action)
    return found


# --- the period --------------------------------------------------------------------------------------


def test_the_period_begins_at_its_moment() -> None:
    one = campaign(*(tried(number) for number in range(6)))
    found = morning(one, START + timedelta(minutes=30))
    assert [it.number for it in found.period] == [4, 5, 6]
    assert [it.number for it in found.recent] == [6, 5, 4]
    assert len(morning(one).period) == 6


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T18:00Z", START),
        ("2026-03-01T20:00+02:00", START),
        ("16h", None),
        ("", None),
    ],
)
def test_a_moment_is_utc_where_it_does_not_say(text: str, at: datetime | None) -> None:
    assert moment(text) == at


def test_what_has_no_time_lies_in_no_period() -> None:
    one = campaign(tried(0, time=""), tried(1, time="then"))
    assert morning(one, START).period == ()
    assert morning(one, START).headline.startswith("No experiment in this period")


# --- the headline ------------------------------------------------------------------------------------


def test_the_headline_says_what_was_kept_and_what_it_is_worth() -> None:
    one = proven(keep(0, effect=2.0), keep(1, effect=1.25, cost=Cost(usd=1.5)), tried(2, effect=0.9))
    found = morning(one, START + timedelta(minutes=5)).headline
    assert found == (
        "1 of 2 experiments kept (2 s and 1.50 USD): score from 0.5 us to 0.8 us; against the baseline "
        "1.250× better, verified (95 % interval 1.100 to 1.400, 20 fresh pairs)."
    )
    assert "score from 1 us to 0.8 us" in morning(one).headline


def test_the_headline_says_why_nothing_was_kept() -> None:
    one = campaign(
        tried(0, effect=0.9),
        tried(1, effect=1.004),
        tried(2, Status.GATE_FAILED),
        tried(3, Status.DUPLICATE),
        exhausted="portfolio",
    )
    assert morning(one).headline == (
        "Nothing was kept in 4 experiments (4 s and 0 USD): 2 not better, 1 failed a gate, 1 known already; "
        "the best was #2, 1.004×; nothing is left to try by portfolio."
    )


def test_a_keep_that_was_taken_back_is_told_in_the_headline() -> None:
    one = campaign(keep(0), demotion(1, of=keep(0)))
    assert morning(one).headline.startswith("1 of 2 experiments kept, 1 of them taken back")


def demotion(number: int, of: Experiment) -> Experiment:
    return keep(number, tags=(DEMOTION, f"{TAKES_BACK}{of.id}"))


def test_a_period_without_experiments_says_so() -> None:
    one = campaign(keep(0))
    assert morning(one, START + timedelta(days=1)).headline == (
        "No experiment in this period; the newest of 1 is of 2026-03-01T18:00:00+00:00."
    )
    assert morning(campaign(), START).headline == "No experiment in this period; there is none at all."


# --- promote -----------------------------------------------------------------------------------------


def test_a_verified_champion_of_rechecked_keeps_is_promoted() -> None:
    one = proven(keep(0), tried(1), keep(2, "beta"))
    packet = the(Action.PROMOTE, one)
    assert [it.number for it in packet.tries] == [1, 3]
    assert packet.command == "optiloop apply toy"
    assert Action.REPLICATE not in actions(one)


def test_an_unproven_champion_is_not_promoted_but_measured_again() -> None:
    keeps = keep(0), keep(1, "beta")
    good = proven(*keeps)
    one_due = replace(good, rechecks={keeps[0].id: again(keeps[0])})
    stale = replace(good, claim=replace(good.claim, commit="f" * 40) if good.claim else None)
    for unproven, about in ((one_due, [2]), (stale, [1, 2])):
        assert Action.PROMOTE not in actions(unproven)
        assert actions(unproven)[Action.REPLICATE] == [about]
        assert the(Action.REPLICATE, unproven).command == "optiloop run toy --cycles 0"


def test_a_claim_that_does_not_say_better_is_verified_again() -> None:
    one = proven(keep(0), low=0.9)
    assert Action.PROMOTE not in actions(one)
    assert the(Action.REPLICATE, one).command == "optiloop verify toy"


# --- replicate ---------------------------------------------------------------------------------------


def test_a_keep_that_did_not_hold_is_looked_at_again() -> None:
    first, second = keep(0), keep(1, "beta")
    for shaky in (again(second, holds=False), again(second, effect=0.99)):
        one = replace(proven(first, second), rechecks={first.id: again(first), second.id: shaky})
        packet = the(Action.REPLICATE, one)
        assert ([it.number for it in packet.tries], packet.command) == ([2], "optiloop ablate toy")
    assert Action.REPLICATE not in actions(proven(first, second))


def test_weak_evidence_that_looks_better_is_replicated() -> None:
    packet = the(Action.REPLICATE, campaign(tried(0, effect=1.03, reason=UNDECIDED)))
    assert packet.why == '"alpha: idea 0" looked 1.030×, undecided after 1 pair'
    assert packet.command == (
        "optiloop show toy 1 --replay | optiloop run toy --mode replicate --proposer replay:/dev/stdin"
    )


@pytest.mark.parametrize(
    "weak",
    [
        [tried(0, effect=0.97, reason=UNDECIDED)],
        [tried(0, effect=1.001, reason=UNDECIDED)],
        [tried(0, effect=1.03, reason="not better: 1.03x")],
        [tried(0, Status.GATE_FAILED, effect=1.03, reason="hold-out: failed")],
        [tried(n, effect=1.03, reason=UNDECIDED, change="same") for n in range(3)],
        [tried(0, effect=1.03, reason=UNDECIDED, change="same"), tried(1, effect=0.9, change="same")],
    ],
    ids=["worse", "too small", "decided", "wrong", "three times", "decided since"],
)
def test_what_is_no_weak_evidence_is_not_replicated(weak: list[Experiment]) -> None:
    assert Action.REPLICATE not in actions(campaign(*weak))


def test_what_looked_the_same_did_not_look_better() -> None:
    one = campaign(tried(0, effect=1.0, reason=UNDECIDED), metric=replace(METRIC, min_effect=0.0))
    assert morning(one).challengers == ()


def test_what_a_keep_has_changed_since_is_no_challenger() -> None:
    weak = tried(0, effect=1.03, reason=UNDECIDED)
    assert morning(campaign(weak, keep(1, "beta"))).challengers != ()
    assert morning(campaign(weak, keep(1, "alpha"))).challengers == ()


def test_the_board_has_the_most_evidence_first_and_an_action_for_each() -> None:
    one = campaign(
        tried(0, effect=1.03, reason=UNDECIDED, evidence=3.0),
        tried(1, effect=1.004, reason="better, but by less than 1.00%: 1.004x", evidence=200.0),
        tried(2, effect=1.05, reason=OUT_OF_TIME, evidence=5.0),
    )
    found = [(it.newest.number, it.action) for it in morning(one).challengers]
    assert found == [(2, Action.BRANCH_FOLLOWUP), (3, Action.RETRY), (1, Action.REPLICATE)]


# --- failures ----------------------------------------------------------------------------------------


def crash(number: int, reason: str, **facts: object) -> Experiment:
    return tried(number, Status.CRASH, reason=reason, **facts)


def gate(number: int, reason: str, where: str = "alpha", **facts: object) -> Experiment:
    return tried(number, Status.GATE_FAILED, where, reason=reason, **facts)


def test_a_cluster_of_crashes_is_investigated_and_told_once() -> None:
    one = campaign(crash(0, "NameError: 3 at 0x7f00"), tried(1), crash(2, "NameError: 44 at 0x7fab"))
    assert actions(one) == {Action.INVESTIGATE_CRASH: [[1, 3]]}
    assert the(Action.INVESTIGATE_CRASH, one).command == "optiloop show toy 3"


def test_one_crash_and_two_unlike_ones_are_no_cluster() -> None:
    assert actions(campaign(crash(0, "MemoryError"))) == {}
    assert actions(campaign(crash(0, "MemoryError"), crash(1, "RecursionError"))) == {}


@pytest.mark.parametrize(
    "reason", ["tests: exit 2: 1 error in 0.39s", "build: SyntaxError: invalid syntax", "x is not defined"]
)
def test_a_slip_is_mended(reason: str) -> None:
    one = campaign(gate(0, reason))
    assert actions(one) == {Action.FIX_AND_RETRY: [[1]]}
    assert "alpha: idea 0" in the(Action.FIX_AND_RETRY, one).why


def test_failing_tests_are_no_slip_however_often() -> None:
    assert (
        actions(campaign(*(gate(n, f"tests: exit 1: {n} failed, 50 passed in 0.2s") for n in range(3)))) == {}
    )


def test_a_slip_is_not_mended_where_the_idea_was_kept_since_or_before_the_period() -> None:
    slip = gate(0, "SyntaxError", family="heap")
    assert Action.FIX_AND_RETRY not in actions(campaign(slip, keep(1, "alpha", family="heap")))
    assert Action.FIX_AND_RETRY in actions(campaign(slip, keep(1, "beta", family="heap")))
    assert Action.FIX_AND_RETRY in actions(campaign(slip, keep(1, "alpha", family="other")))
    assert actions(campaign(slip), since=START + timedelta(minutes=1)) == {}


def test_a_gate_that_says_one_thing_again_and_again_is_mended() -> None:
    one = campaign(gate(0, "lint: line 4 is too long"), gate(1, "lint: line 71 is too long", "beta"))
    assert actions(one) == {Action.FIX_AND_RETRY: [[1, 2]]}


@pytest.mark.parametrize(
    ("status", "reason", "mode"),
    [
        (Status.DISCARD, OUT_OF_TIME, ""),
        (Status.GATE_FAILED, "tests: killed at its limit of 60 s", "--mode replicate "),
        (Status.CRASH, "python benchmark.py: exit 1: no answer within 30 s", "--mode replicate "),
    ],
)
def test_what_ran_out_of_time_is_tried_again_once(status: Status, reason: str, mode: str) -> None:
    first = tried(0, status, reason=reason, change="same")
    assert the(Action.RETRY, campaign(first)).command == (
        f"optiloop show toy 1 --replay | optiloop run toy {mode}--proposer replay:/dev/stdin"
    )
    twice = campaign(first, tried(1, effect=0.9, change="same"))
    assert Action.RETRY not in actions(twice)
    assert actions(campaign(first), since=START + timedelta(minutes=1)) == {}


def test_a_discard_is_not_tried_again() -> None:
    assert actions(campaign(tried(0, effect=0.9, reason="not better: within the noise"))) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("exit 1: 3 failed in 0.21s", "exit 1: 14 failed in 1.9s"),
        ("no file /a/b_1/c.py", "no file /tmp/x9/d/e.py"),
        ("commit 0123abc is gone", "commit 99ffee1 is gone"),
        ("at 0x7f0012", "at 0x7fffff12"),
        ("01K9ZV3A5B6C7D8E9FGHJKMNPQ twice", "01K9ZV3A5B6C7D8E9FGHJKMNPR twice"),
        ("table of 1,024 and 1e-4", "table of 7 and 2.5"),
    ],
)
def test_numbers_ids_and_paths_are_no_part_of_a_signature(one: str, other: str) -> None:
    assert signature(one) == signature(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("NameError: a", "NameError: b"),
        ("defaced", "deface"),
        ("MemoryError", "OSError"),
        ("f1 fails", "f2 fails"),
    ],
)
def test_words_are_part_of_a_signature(one: str, other: str) -> None:
    assert signature(one) != signature(other)


def test_summaries_of_tests_are_told_apart_by_place() -> None:
    failed = "tests: exit 1: 2 failed, 49 passed in 0.2s"
    assert mute(signature(failed))
    assert not mute(signature("tests: exit 1: AssertionError: 3 is not 4"))
    clusters = morning(campaign(gate(0, failed), gate(1, failed, "beta"), gate(2, failed))).clusters
    assert [[it.number for it in cluster.tries] for cluster in clusters] == [[1, 3]]
    assert clusters[0].places == {"program.py::alpha": 2}


def test_a_cluster_shows_its_commonest_line_and_is_of_the_period() -> None:
    one = campaign(*(crash(n, f"exit 1: error: table of {size}") for n, size in enumerate((7, 7, 9))))
    (cluster,) = morning(one).clusters
    assert cluster.line == "table of 7"
    assert morning(one, START + timedelta(minutes=15)).clusters == ()


def test_a_reason_is_told_without_what_every_crash_says() -> None:
    crashed = crash(0, "python benchmark.py: exit 1: error: alpha: no (OPTILOOP_SEED=12)")
    assert said(crashed) == "alpha: no"
    assert said(gate(0, "tests: exit 1: 1 failed")) == "tests: 1 failed"


# --- lineages ----------------------------------------------------------------------------------------


def chains(one: Campaign) -> list[list[int]]:
    return [[it.number for it in lineage.keeps] for lineage in morning(one).lineages]


def test_keeps_of_one_function_or_setting_are_a_lineage() -> None:
    one = campaign(
        keep(1, "alpha", 1.5), keep(2, "beta"), keep(3, "SIZE"), keep(4, "alpha"), keep(5, "SIZE", 1.01)
    )
    assert chains(one) == [[1, 4], [3, 5], [2]]


def test_an_import_above_them_makes_no_lineage_of_two_functions() -> None:
    assert chains(campaign(keep(1, "import alpha"), keep(2, "import beta"))) == [[1], [2]]


def test_what_was_taken_back_is_in_no_lineage() -> None:
    assert chains(campaign(keep(1), keep(2), demotion(3, of=keep(2)))) == [[1]]


def test_a_keep_of_no_known_place_is_in_no_lineage() -> None:
    assert chains(campaign(keep(1, diff="", hypothesis="baseline"), keep(2))) == [[2]]


def test_a_lineage_gained_what_was_measured_again() -> None:
    first, second = keep(1, effect=1.5), keep(2, effect=2.0)
    one = campaign(first, second, rechecks={second.id: again(second, effect=1.1)})
    (lineage,) = morning(one).lineages
    assert (lineage.total, lineage.last) == (pytest.approx(1.65), pytest.approx(1.1))


def test_a_lineage_that_pays_is_followed_up() -> None:
    one = proven(
        keep(0), keep(1, effect=1.05), tried(2, effect=0.9), tried(3, effect=0.9), tried(4, where="beta")
    )
    assert actions(one)[Action.BRANCH_FOLLOWUP] == [[1, 2]]
    assert the(Action.BRANCH_FOLLOWUP, one).command == "optiloop run toy --plateau 20"
    nothing_left = replace(one, exhausted="portfolio")
    assert the(Action.BRANCH_FOLLOWUP, nothing_left).command == "optiloop run toy --proposer human"


def test_a_lineage_that_no_longer_pays_is_not() -> None:
    tired = proven(keep(0), *(tried(number, effect=0.9) for number in (1, 2, 3)))
    small = proven(keep(0), keep(1, effect=1.015))
    for one in (tired, small):
        assert Action.BRANCH_FOLLOWUP not in actions(one)
        assert not morning(one).lineages[0].paying


# --- what did not work -------------------------------------------------------------------------------


def losses(count: int, first: int = 10, **facts: object) -> list[Experiment]:
    return [tried(first + n, where="beta", effect=0.9, **facts) for n in range(count)]


def test_many_tries_without_a_keep_are_given_up() -> None:
    one = proven(keep(0), keep(1), *losses(12, family="unroll"))
    assert [len(about) for about in actions(one)[Action.ABANDON]] == [12]
    assert the(Action.ABANDON, one).why.startswith("unroll at beta: 12 tries, no keep")


def test_a_few_tries_are_not_given_up_and_neither_is_what_was_kept_once() -> None:
    assert Action.ABANDON not in actions(proven(keep(0), keep(1), *losses(4, family="unroll")))
    kept = proven(keep(0), keep(1), *losses(12, family="unroll"), keep(30, "beta", family="unroll"))
    assert Action.ABANDON not in actions(kept)


def test_where_nothing_was_ever_kept_little_is_given_up() -> None:
    assert Action.ABANDON not in actions(campaign(*losses(58, family="unroll")))
    assert Action.ABANDON in actions(campaign(*losses(59, family="unroll")))


def test_what_did_not_work_is_told_once_and_only_of_the_period() -> None:
    one = campaign(
        *losses(2, family="unroll"), *losses(2, first=20, family="inline"), tried(30, family="inline")
    )
    found = [(it.family, it.place, len(it.tries)) for it in morning(one).barren]
    assert found == [("", "program.py::beta", 4), ("inline", "", 3)]
    later = morning(one, START + timedelta(minutes=300)).barren
    assert [(it.family, it.place, len(it.tries)) for it in later] == [("inline", "", 3)]


def test_what_says_nothing_of_its_idea_is_no_try_of_it() -> None:
    silent = (
        tried(0, effect=1.03, reason=UNDECIDED),
        gate(1, "tests: exit 2: 1 error in 0.39s"),
        crash(2, "killed at its limit of 60 s"),
        tried(3, reason=OUT_OF_TIME),
    )
    assert morning(campaign(*silent, tried(4, effect=0.9))).barren == ()
    assert len(morning(campaign(*silent, tried(4, effect=0.9), tried(5, effect=0.9))).barren[0].tries) == 2


def test_duplicates_are_no_tries() -> None:
    doubles = [tried(number, Status.DUPLICATE, family="unroll") for number in range(4)]
    assert morning(campaign(*doubles)).barren == ()


# --- the queue ---------------------------------------------------------------------------------------


def test_the_queue_is_in_the_order_of_urgency_and_short() -> None:
    found = morning(BUSY).packets
    order = [packet.action for packet in found]
    assert order == sorted(order, key=list(Action).index)
    assert set(order) == set(Action)
    assert max(order.count(action) for action in Action) <= MOST_OF_A_KIND


def test_of_one_action_the_newest_two_are_told() -> None:
    slips = (gate(number, f"SyntaxError {word}") for number, word in enumerate(("a", "b", "c")))
    assert actions(campaign(*slips)) == {Action.FIX_AND_RETRY: [[3], [2]]}


def test_of_a_log_that_lies_alone_nothing_is_run() -> None:
    found = morning(BUSY, None, Commands("log.jsonl", alone=True)).packets
    assert found
    assert all(packet.command.startswith("optiloop show log.jsonl ") for packet in found)


def busy() -> Campaign:
    """Something for every section, and for every action."""
    first, second = keep(0, effect=2.0, family="table"), keep(1, effect=1.3, family="table")
    experiments: Sequence[Experiment] = (
        first,
        second,
        keep(2, "SIZE", 1.05, family="knob"),
        tried(3, where="gamma", effect=1.03, reason=UNDECIDED, evidence=4.0, interval=Interval(0.98, 1.08)),
        gate(4, "tests: exit 2: 1 error in 0.39s", "gamma", hypothesis="gamma: a heap | no *sort*"),
        crash(5, "python b.py: exit 1: error: delta: MemoryError: table of 7", where="delta", family="table"),
        crash(6, "python b.py: exit 1: error: delta: MemoryError: table of 9", where="delta", family="table"),
        crash(7, "python b.py: exit 1: error: delta: no answer within 30 s", where="delta", family="loop"),
        tried(8, Status.VIOLATION, reason="'judge.py' is not editable", family="cheat"),
        tried(9, Status.DUPLICATE, reason="the same program as #1"),
        *losses(20, family="unroll", reason="not better: 0.9x in 4 pairs"),
    )
    rechecks = {one.id: again(one) for one in experiments if one.commit}
    rechecks[second.id] = again(second, holds=False, effect=0.995)
    return proven(*experiments, rechecks=rechecks)


BUSY = busy()


# --- forms -------------------------------------------------------------------------------------------


def plain(found: Morning, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(morning_terminal(found))
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n"))


FORMS = {"morning.md": morning_markdown, "morning.txt": plain}


@pytest.mark.parametrize("name", list(FORMS))
def test_golden(name: str) -> None:
    assert FORMS[name](morning(BUSY, START)) == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_form_is_two_screens_and_cuts_no_number(width: int) -> None:
    shown = plain(morning(BUSY, START), width)
    assert len(shown.split("\n")) <= 90
    assert max(map(len, shown.split("\n"))) <= width
    assert all(f"\n#{number} " in shown for number in range(21, 31))


def test_json_has_all_of_it_by_id() -> None:
    found = json.loads(json.dumps(morning_json(morning(BUSY, START)), allow_nan=False))
    assert [packet["action"] for packet in found["packets"]] == [it.action for it in morning(BUSY).packets]
    assert found["challengers"][0]["experiment"] == tries_of(BUSY)[3].id
    assert found["lineages"][0]["experiments"] == [BUSY.experiments[0].id, BUSY.experiments[1].id]
    assert found["failure_clusters"][0]["signature"].endswith("MemoryError: table of N")
    assert (found["experiments"], found["kept"], len(found["recent"])) == (30, 3, 10)


def test_hostile_words_stay_words() -> None:
    hostile = "</td><script>alert(1)</script>\x1b[31m\n# `x` | **b**"
    facts = {"hypothesis": hostile, "family": hostile}
    one = campaign(
        crash(0, hostile, **facts), crash(1, hostile, **facts), gate(2, f"SyntaxError {hostile}", **facts)
    )
    found = morning(one, START)
    assert "<script" not in morning_html(found)
    assert "<script" not in morning_markdown(found)
    assert "\x1b" not in plain(found) + morning_html(found) + morning_markdown(found)
    rows = [line for line in morning_markdown(found).split("\n") if line.startswith("|")]
    assert "\n# `x`" not in morning_markdown(found)
    assert all(row.count("|") - row.count("\\|") in range(5, 8) for row in rows)


def test_an_empty_campaign_has_a_report() -> None:
    found = morning(campaign(baseline=None), START)
    for form in (morning_markdown, morning_html, plain):
        assert "No experiment in this period" in form(found)


if __name__ == "__main__":
    for name, render in FORMS.items():
        (GOLDEN / name).write_text(render(morning(BUSY, START)), encoding="utf-8")
