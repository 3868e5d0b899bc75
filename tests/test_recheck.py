"""Keeps measured again: false wins are taken back by a line of their own, and what matters is known.

The benchmark of these targets lies on demand: while the file `luck` lies outside the target, it reports a
gain that is not there.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from optiloop.decide import CONFIRM_PAIRS
from optiloop.loop import Engine
from optiloop.model import DEMOTION, TAKES_BACK, Experiment, Status
from optiloop.recheck import Ablation, ablations, due, recheck_seconds, rechecks
from optiloop.report.redecide import redecided
from optiloop.targets import load_target
from optiloop.testing import ScriptedProposer, write_toy_target
from optiloop.verify import verified

LINES = "A={}\n\n# between\n# two\n# changes\n\nB={}\n"
NOISE = "$(( $(od -An -N2 -tu2 /dev/urandom) % 100 ))"
TIMED = 'noise = "timing"\n'


class Lucky:
    """A target whose number is A + B, in a thousandth of noise; with `luck`, any A but 1000 counts as 900."""

    def __init__(self, folder: Path, *, metric: str = TIMED, more: str = "", noise: str = NOISE) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder / "toy"
        self.luck = folder / "seen" / "luck"
        self.luck.parent.mkdir()
        more += f"[sandbox]\nread_only = ['{self.luck.parent}']\n"
        score = (
            f". ./value.sh\nif [ -e '{self.luck}' ]; then [ $A = 1000 ] || A=900; fi\n"
            f'echo "METRIC score=$(( ($A + $B) * 100 + {noise} ))"\n'
        )
        write_toy_target(self.folder, score=score, metric=metric, more=more)
        (self.folder / "gate.sh").write_text("grep -q A= value.sh\n", encoding="utf-8")
        (self.folder / "value.sh").write_text(program(1000, 1000), encoding="utf-8")
        self.luck.touch()

    def run(self, *script: str) -> list[Experiment]:
        with Engine.opened(load_target(self.folder), ScriptedProposer(*script)) as engine:
            engine.prepare()
            return list(engine.cycles())

    def recheck(self) -> list[Experiment]:
        """Measure what is due again, without luck."""
        self.luck.unlink(missing_ok=True)
        with self.engine() as engine:
            return list(rechecks(engine))

    def engine(self):
        return Engine.opened(load_target(self.folder), ScriptedProposer())

    def champion(self) -> str:
        with self.engine() as engine:
            return engine.workspace.source()["value.sh"]

    def standing(self) -> list[str]:
        with self.engine() as engine:
            return [keep.hypothesis for keep in engine.history().standing]

    def rechecked(self) -> dict[str, bool]:
        with self.engine() as engine:
            return {name: found.holds for name, found in engine.state.rechecks().items()}


def program(a: int, b: int) -> str:
    return LINES.format(a, b)


@pytest.fixture
def lucky(tmp_path: Path) -> Lucky:
    return Lucky(tmp_path)


def test_a_false_win_is_taken_back_by_a_line_of_its_own(lucky: Lucky) -> None:
    (kept,) = lucky.run(program(1001, 1000))
    assert kept.status is Status.KEEP
    (taken,) = lucky.recheck()
    assert (taken.status, taken.origin, taken.family) == (Status.KEEP, "recheck", DEMOTION)
    assert set(taken.tags) == {DEMOTION, f"{TAKES_BACK}{kept.id}"}
    assert taken.parent == kept.commit
    assert "not shown to be better when measured again" in taken.reason
    assert taken.effect == pytest.approx(1.0, abs=0.005)
    assert lucky.champion() == program(1000, 1000)
    assert lucky.standing() == []
    assert lucky.rechecked() == {kept.id: False}


def test_a_true_win_holds_and_is_not_measured_a_third_time(lucky: Lucky) -> None:
    lucky.luck.unlink()
    (kept,) = lucky.run(program(1000, 500))
    assert lucky.recheck() == []
    assert lucky.rechecked() == {kept.id: True}
    with lucky.engine() as engine:
        assert due(engine) == []


def test_a_false_win_below_true_ones_is_taken_out_alone(lucky: Lucky) -> None:
    false, true = lucky.run(program(1001, 1000), program(1001, 500))
    assert [false.status, true.status] == [Status.KEEP, Status.KEEP]
    (taken,) = lucky.recheck()
    assert f"{TAKES_BACK}{false.id}" in taken.tags
    assert [gate.name for gate in taken.gates] == ["digits"]
    assert lucky.champion() == program(1000, 500)
    with lucky.engine() as engine:
        assert [keep.id for keep in engine.history().standing] == [true.id]
        found = verified(engine)
        assert found.fault is None, found.fault


def test_a_false_win_that_later_changes_build_on_stays_and_is_named(lucky: Lucky) -> None:
    false, true = lucky.run(program(1001, 1000), LINES.format("1001 # later", 500))
    assert true.status is Status.KEEP
    assert lucky.recheck() == []
    assert lucky.rechecked() == {false.id: False, true.id: True}
    with lucky.engine() as engine:
        found = list(ablations(engine))
    assert [one.finding for one in found] == ["built upon", "matters"]


def test_a_false_win_without_which_a_gate_fails_stays(lucky: Lucky) -> None:
    (lucky.folder / "gate.sh").write_text(
        f"grep -q A=1001 value.sh || [ -e '{lucky.luck}' ]\n", encoding="utf-8"
    )
    false, true = lucky.run(program(1001, 1000), program(1001, 500))
    assert lucky.recheck() == []
    assert lucky.rechecked() == {false.id: False, true.id: True}
    with lucky.engine() as engine:
        needed, matters = ablations(engine)
    assert (needed.finding, matters.finding) == ("needed", "matters")
    assert needed.said.startswith("without it digits: exit 1")


def test_ablation_says_what_still_matters_and_changes_nothing(lucky: Lucky) -> None:
    first, second = lucky.run(program(1001, 1000), program(1001, 500))
    lucky.luck.unlink()
    before = lucky.champion()
    with lucky.engine() as engine:
        log = engine.ledger.path.read_bytes()
        found: list[Ablation] = list(ablations(engine))
        assert engine.ledger.path.read_bytes() == log
    assert [(one.experiment, one.finding) for one in found] == [
        (first.id, "no longer matters"),
        (second.id, "matters"),
    ]
    assert found[1].effect == pytest.approx(1.33, abs=0.02)
    assert json.loads(json.dumps(found[1].as_json()))["pairs"] >= 2
    assert lucky.champion() == before


def test_a_kill_between_commit_and_line_loses_no_taking_back(lucky: Lucky) -> None:
    (kept,) = lucky.run(program(1001, 1000))
    (taken,) = lucky.recheck()
    log = lucky.folder / ".optiloop" / "toy" / "experiments.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    (log.parent / "rechecks.json").unlink()
    with lucky.engine() as engine:
        assert engine.history().last_id == taken.id
        assert engine.history().standing == []
        assert due(engine) == []
    assert kept.id != taken.id


def test_a_change_that_was_taken_back_is_not_tried_again(lucky: Lucky) -> None:
    lucky.run(program(1001, 1000))
    lucky.recheck()
    (again,) = lucky.run(program(1001, 1000), program(1001, 1000))
    assert again.status is Status.DUPLICATE


def test_an_exact_keep_is_measured_once_more(tmp_path: Path) -> None:
    exact = Lucky(tmp_path, metric='noise = "deterministic"\nmin_effect = 0.0\n', noise="0")
    false, true = exact.run(program(1001, 1000), program(1001, 500))
    (taken,) = exact.recheck()
    assert taken.effect == pytest.approx(1501 / 1500)
    assert exact.rechecked() == {false.id: False, true.id: True}


def test_a_deadline_ends_it_and_nothing_is_decided(lucky: Lucky) -> None:
    lucky.run(program(1001, 1000))
    with lucky.engine() as engine:
        engine.judge.deadline = 0.0
        assert list(rechecks(engine)) == []
        assert len(due(engine)) == 1


def test_the_log_s_samples_give_the_log_s_verdicts(lucky: Lucky) -> None:
    lucky.run(program(1001, 1000), program(1001, 1000), program(1000, 1500), program(1001, 500))
    lucky.recheck()
    with lucky.engine() as engine:
        log = list(type(engine.ledger)(engine.ledger.path).new())
        results = list(redecided(log, engine.target))
    assert [result.number for result in results] == [1, 3, 4, 5]
    assert all(result.same for result in results)


def test_another_policy_gives_other_verdicts_or_says_what_it_lacks(lucky: Lucky) -> None:
    lucky.run(program(1001, 1000), program(1001, 2000))
    target = load_target(lucky.folder)
    with lucky.engine() as engine:
        log = list(type(engine.ledger)(engine.ledger.path).new())
        rule = log[0].measurement.rule
    high = replace(rule, min_effect=0.5)
    assert [one.verdict and one.verdict.status for one in redecided(log, target, high)] == [
        Status.DISCARD,
        Status.DISCARD,
    ]
    strict = replace(rule, policy=replace(rule.policy, alpha=1e-6))
    assert [one.verdict and one.verdict.status for one in redecided(log, target, strict)] == [
        None,
        Status.DISCARD,
    ]


# --- kinds of metric --------------------------------------------------------------------------------------

COSTLY = 'noise = "costly"\n'


def test_a_costly_candidate_is_run_once_unless_it_looks_better(tmp_path: Path) -> None:
    costly = Lucky(tmp_path, metric=COSTLY)
    costly.luck.unlink()
    worse, better = costly.run(program(1000, 1500), program(1000, 500))
    assert (worse.status, better.status) == (Status.DISCARD, Status.KEEP)
    assert worse.measurement is not None
    assert (len(worse.measurement.pairs), worse.measurement.screen is None) == (0, False)
    assert "not better in one run" in worse.reason
    assert better.measurement is not None
    assert 1 <= len(better.measurement.pairs) <= 3
    assert better.effect == pytest.approx(1.33, abs=0.01)
    assert costly.recheck() == []
    assert costly.rechecked() == {better.id: True}
    with costly.engine() as engine:
        log = list(type(engine.ledger)(engine.ledger.path).new())
        assert all(result.same for result in redecided(log, engine.target))
        level = engine.history().yardstick.level
    assert level is not None
    assert level.runs == len(better.measurement.pairs)


def test_the_time_kept_for_a_costly_recheck_is_that_of_its_most_pairs(tmp_path: Path) -> None:
    costly = Lucky(tmp_path, metric=COSTLY)
    costly.luck.unlink()
    costly.run(program(1000, 500))
    with costly.engine() as engine:
        known = engine.state.calibration()
        assert known is not None
        assert recheck_seconds(engine) == pytest.approx(2 * CONFIRM_PAIRS * known.baseline.seconds)


def test_a_costly_run_whose_course_is_hopeless_is_ended_early(tmp_path: Path) -> None:
    score = (
        ". ./value.sh\nfor step in 1 2 3 4 5 6 7 8 9 10; do\n"
        '  echo "PARTIAL at=$(echo "scale=1; $step / 10" | bc 2>/dev/null || awk "BEGIN{print $step/10}") '
        'score=$(( VALUE * (20 - step) ))"\n  sleep 0.03\ndone\n'
        f'echo "METRIC score=$(( VALUE * 1000 + {NOISE} ))"\n'
    )
    folder = write_toy_target(tmp_path / "toy", score=score, metric=COSTLY)
    with Engine.opened(load_target(folder), ScriptedProposer("VALUE=400\n", "VALUE=90\n")) as engine:
        engine.prepare()
        hopeless, better = list(engine.cycles())
    assert (hopeless.status, better.status) == (Status.DISCARD, Status.KEEP)
    assert hopeless.reason.startswith("hopeless: score 6")
    assert hopeless.measurement is not None
    screen = hopeless.measurement.screen
    assert screen is not None
    assert screen.values == {}
    assert screen.curve[-1][0] < 0.8, "ended before its end"


def test_a_noisy_score_below_zero_is_compared_by_its_difference(tmp_path: Path) -> None:
    reward = 'noise = "timing"\ndirection = "maximize"\ncompare = "difference"\nmin_effect = 50.0\n'
    target = Lucky(tmp_path, metric=reward)
    (target.folder / "value.sh").write_text(program(-3, 1), encoding="utf-8")
    target.luck.unlink()
    worse, better = target.run(program(-9, 1), program(-3, 9))
    assert (worse.status, better.status) == (Status.DISCARD, Status.KEEP)
    assert better.effect == pytest.approx(800, abs=100)
    assert "better: +" in better.reason
    with target.engine() as engine:
        claim = engine.claim()
    assert claim.ratio is None
    assert claim.difference_interval is not None
    assert 700 < claim.difference_interval.low <= claim.difference_interval.high < 900


def test_simpler_is_kept_where_the_policy_says_so(tmp_path: Path) -> None:
    said = "[policy]\nsimplify = true\nmargin = 0.02\n"
    plain = Lucky(tmp_path / "plain")
    wanted = Lucky(tmp_path / "wanted", more=said)
    shorter, longer = program(1000, 1000), program(1000, 1000) + "C=0\nD=0\nE=0\n"
    for lucky, statuses in ((plain, ["discard"] * 3), (wanted, ["keep", "discard", "discard"])):
        lucky.luck.unlink()
        (lucky.folder / "value.sh").write_text(program(1000, 1000) + "C=0\nD=0\n", encoding="utf-8")
        found = lucky.run(shorter, longer, program(1500, 1000))
        assert [str(one.status) for one in found] == statuses
    with wanted.engine() as engine:
        (keep,) = engine.history().standing
        assert keep.simpler
        assert list(rechecks(engine)) == []
