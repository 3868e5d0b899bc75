"""The model proposer: what it makes of answers, what it pays, and that a kill does not pay twice."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from llm_server import KEY, _Handler, playing, says, smollm2

from optiloop.errors import AllowanceError, ProposerError, ProposerGoneError
from optiloop.loop import Engine
from optiloop.memory.fingerprint import result_fingerprint
from optiloop.memory.history import History, as_recall
from optiloop.model import Allowance, Brief, Command, Cost, Metric, Proposal, Status
from optiloop.proposers import find_proposer
from optiloop.proposers.llm.chat import Finish, Reply, Request
from optiloop.proposers.llm.model import TRIES, Model, kind_for
from optiloop.proposers.portfolio import Portfolio
from optiloop.targets import load_target
from optiloop.testing import ScriptedProposer, brief_of, experiment_of, toy_text, write_toy_target

SOURCE = {"a.py": "def f(x):\n    return [y for y in x]\n\n\ndef g(x):\n    return x\n"}
FASTER = "hypothesis: list() copies in C\nfamily: built-in\n```python\ndef f(x):\n    return list(x)\n```"
AFTER = {"a.py": SOURCE["a.py"].replace("[y for y in x]", "list(x)")}


class ScriptedChat:
    """Answers from a list, the last for ever; remembers what it was asked."""

    def __init__(
        self, *answers: str | Exception, finish: Finish = "stop", name: str = "openai:tiny-1b"
    ) -> None:
        self.name, self.asked = name, list[Request]()
        self._answers, self._finish = list(answers), finish

    def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Reply(answer, 100, 20, 0.5, 0.01, self._finish, self.name)


def brief(**more: object) -> Brief:
    found = brief_of(SOURCE, profile={"f_us": 9.0, "g_us": 0.001})
    return replace(found, **more)  # type: ignore[arg-type]


def test_an_answer_becomes_a_proposal() -> None:
    found = Model(ScriptedChat(FASTER)).propose(brief())
    assert found is not None
    assert (found.edits, found.hypothesis, found.family) == (AFTER, "list() copies in C", "built-in")
    assert (found.origin, found.cost) == ("openai:tiny-1b", Cost(0.01, 120, 20, 0.5))


def test_an_answer_that_cannot_be_used_is_handed_back_once() -> None:
    chat = ScriptedChat("I would rather not.", "No.", FASTER)
    found = Model(chat).propose(brief())
    assert found is not None
    assert found.cost.tokens == 360
    first, repair, anew = (request.messages for request in chat.asked)
    assert [message.role for message in repair] == ["system", "user", "assistant", "user"]
    assert repair[2].content == "I would rather not."
    assert repair[3].content.startswith("That cannot be used: ")
    assert anew == first
    assert len({request.seed for request in chat.asked}) == 3


def test_a_cut_answer_is_not_handed_back() -> None:
    chat = ScriptedChat("```python\ndef f(x):\n", finish="length")
    with pytest.raises(ProposerError) as told:
        Model(chat).propose(brief())
    assert [len(request.messages) for request in chat.asked] == [2] * TRIES
    assert told.value.tags == ("at:a.py::f",)
    assert told.value.cost == Cost(0.01 * TRIES, 120 * TRIES, 20 * TRIES, 0.5 * TRIES)


def test_a_place_where_no_answer_could_be_used_counts_as_tried() -> None:
    metric = Metric("score", Command("true"))
    known = History(metric)
    nothing = experiment_of(Proposal({}, "", "x", tags=("at:a.py::f",)), SOURCE, status=Status.NO_PROPOSAL)
    known.add(nothing)
    assert known.spent_at("a.py::f").experiments == known.spent_at("a.py").experiments == 1


def test_what_was_tried_before_is_not_proposed_again() -> None:
    metric = Metric("score", Command("true"))
    known = History(metric)
    tried = experiment_of(Proposal(AFTER, "", "x"), SOURCE, status=Status.DISCARD)
    known.add(replace(tried, result=result_fingerprint(AFTER)))
    chat = ScriptedChat(FASTER)
    with pytest.raises(ProposerError, match=r"that was tried before: the same program as \w+: discard"):
        Model(chat).propose(brief_of(SOURCE, history=known, metric=metric, profile={"f_us": 9.0}))
    assert "make another change" in chat.asked[1].messages[3].content


def test_no_change_is_never_proposed() -> None:
    same = "```python\ndef f(x):\n    return [y for y in x]  # as it was\n```"
    with pytest.raises(ProposerError, match="changes nothing"):
        Model(ScriptedChat(same)).propose(brief())


# --- what may be spent ---------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [Allowance(tokens=50), Allowance(seconds=0), Allowance(usd=1e-9)])
def test_nothing_is_asked_that_may_cost_more_than_is_left(left: Allowance) -> None:
    chat = ScriptedChat(FASTER, name="openai:gpt-4o")
    with pytest.raises(AllowanceError, match="pays for no more questions to openai:gpt-4o"):
        Model(chat).propose(brief(allowance=left))
    assert chat.asked == []


def test_an_answer_is_no_longer_than_what_is_left_pays_for() -> None:
    free, tokens, dollars = (
        ScriptedChat(FASTER, name="openai:gpt-4o"),
        ScriptedChat(FASTER, name="openai:gpt-4o"),
        ScriptedChat(FASTER, name="openai:gpt-4o"),
    )
    Model(free).propose(brief())
    Model(tokens).propose(brief(allowance=Allowance(tokens=1500)))
    Model(dollars).propose(brief(allowance=Allowance(usd=0.01, seconds=30)))
    assert tokens.asked[0].max_tokens < free.asked[0].max_tokens
    assert dollars.asked[0].max_tokens < free.asked[0].max_tokens
    assert dollars.asked[0].seconds == 30
    assert math.isinf(free.asked[0].seconds)


def test_dollars_cannot_be_kept_where_nobody_knows_the_price() -> None:
    with pytest.raises(ProposerGoneError, match="price is unknown, so --usd cannot be kept"):
        Model(ScriptedChat(FASTER, name="openai:nobody-knows")).propose(brief(allowance=Allowance(usd=5)))
    free = Model(ScriptedChat(FASTER, name="local:nobody-knows"))
    assert free.propose(brief(allowance=Allowance(usd=5))) is not None


def test_a_server_that_dies_after_a_paid_answer_does_not_hide_its_cost() -> None:
    with pytest.raises(ProposerError, match="then: dead") as told:
        Model(ScriptedChat("no", ProposerGoneError("dead"))).propose(brief())
    assert told.value.cost is not None
    assert told.value.cost.usd == 0.01
    with pytest.raises(ProposerGoneError):
        Model(ScriptedChat(ProposerGoneError("dead"))).propose(brief())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("local:qwen2.5-coder-1.5b-instruct-q4_k_m", "function"),
        ("local:smollm2-135m-instruct", "function"),
        ("local:mystery", "function"),
        ("ollama:qwen2.5-coder:32b", "edits"),
        ("ollama:qwen2.5-coder:7b", "function"),
        ("openai:gpt-4o", "edits"),
        ("anthropic:claude-sonnet-4-5", "edits"),
    ],
)
def test_small_models_are_asked_for_one_function(name: str, kind: str) -> None:
    assert kind_for(name) == kind


# --- paid once -----------------------------------------------------------------------------------------


def test_the_same_brief_is_paid_for_once(tmp_path: Path) -> None:
    chat = ScriptedChat(FASTER)
    first = Model(chat).propose(brief(answers=tmp_path / "answers"))
    again = Model(chat).propose(brief(answers=tmp_path / "answers"))
    assert first == again
    assert len(chat.asked) == 1
    Model(chat).propose(brief(answers=tmp_path / "answers", seed=1))
    assert len(chat.asked) == 2


def test_a_torn_answer_is_asked_for_again(tmp_path: Path) -> None:
    chat = ScriptedChat(FASTER)
    Model(chat).propose(brief(answers=tmp_path))
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:50])
    Model(chat).propose(brief(answers=tmp_path))
    assert len(chat.asked) == 2


def answer(text: str) -> dict[str, object]:
    message = {"role": "assistant", "content": text}
    return {
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    }


def waited(until: Callable[[], bool]) -> None:
    for _ in range(600):
        if until():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to pass")


def test_a_kill_between_a_paid_answer_and_its_evaluation_does_not_pay_twice(tmp_path: Path) -> None:
    folder = write_toy_target(
        tmp_path / "toy", files={"gate.sh": f"[ ! -e '{tmp_path}/hold' ] || sleep 60\n. ./value.sh\nexit 0\n"}
    )
    hold, better = tmp_path / "hold", says(answer(f"```sh\n{toy_text(90)}```"))

    def holding(handler: _Handler) -> None:
        hold.touch()  # the baseline has passed its gate; the candidate will wait in it
        better(handler)

    with playing(holding) as server:
        environment = {**os.environ, "OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY}
        command = (sys.executable, "-m", "optiloop", "run", str(folder), "--proposer", "openai:gpt-4o")
        command = (*command, "--cycles", "1", "--sandbox", "process", "--json")
        first = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        answers = folder / ".optiloop" / "toy" / "answers"
        waited(lambda: any(answers.glob("*.json")))
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        hold.unlink()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        asked = len(server.asked)
    log = (folder / ".optiloop" / "toy" / "experiments.jsonl").read_text().splitlines()
    assert asked == 1, done.stderr
    assert len(log) == 1
    found = json.loads(log[0])
    assert (found["status"], found["cost"]["tokens"]) == ("keep", 120)
    artifacts = folder / ".optiloop" / "toy" / "artifacts" / found["id"]
    assert json.loads((artifacts / "answer-1.json").read_text())["reply"]["tokens_out"] == 20
    assert not any(answers.glob("*.json"))
    assert KEY not in "".join(path.read_text() for path in artifacts.iterdir()) + log[0]


# --- side by side ----------------------------------------------------------------------------------------


def history_of(*origins: str, status: Status = Status.DISCARD) -> History:
    known = History(Metric("score", Command("true")))
    for number, origin in enumerate(origins):
        proposal = Proposal({"a.py": f"x = {number}\n"}, "", origin)
        known.add(experiment_of(proposal, SOURCE, number=number, status=status))
    return known


def test_a_model_that_is_gone_leaves_the_others_to_go_on() -> None:
    gone = Model(ScriptedChat(ProposerGoneError("no server"), name="ollama:x"))
    both = Portfolio({"ollama:x": gone, "scripted": ScriptedProposer("x = 1\n")})
    found = both.propose(brief_of({"a.py": "x = 0\n"}))
    assert found is not None
    assert found.origin == "scriptedproposer"
    with pytest.raises(ProposerGoneError, match="no server"):
        Portfolio({"ollama:x": gone}).propose(brief_of({"a.py": "x = 0\n"}))


def test_a_member_s_failure_is_billed_to_it() -> None:
    failing = Portfolio({"openai:tiny-1b": Model(ScriptedChat("no"))})
    with pytest.raises(ProposerError) as told:
        failing.propose(brief())
    assert told.value.origin == "openai:tiny-1b"


def test_on_a_plateau_the_others_go_first() -> None:
    from optiloop.proposers.portfolio import PLATEAU, order

    assert order(["a", "b"], history_of(*"a" * PLATEAU))[0] == "b"
    assert order(["b", "a"], history_of(*"ab" * (PLATEAU // 2)))[0] == "b"


def test_a_dollar_weighs_as_time() -> None:
    from optiloop.proposers.portfolio import gain_per_second

    cheap, dear = history_of("a"), History(Metric("score", Command("true")))
    proposal = Proposal({"a.py": "x = 1\n"}, "", "a", cost=Cost(usd=1.0))
    dear.add(experiment_of(proposal, SOURCE))
    assert gain_per_second("a", dear) < gain_per_second("a", cheap)


def test_a_list_of_names_is_a_portfolio_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = find_proposer("rewrite,openai:gpt-4o,tune")
    assert isinstance(found.inner, Portfolio)
    assert list(found.inner._members) == ["rewrite", "openai:gpt-4o", "tune"]
    everything = find_proposer("portfolio,openai:gpt-4o").inner
    assert isinstance(everything, Portfolio)
    assert list(everything._members) == ["rewrite", "tune", "evolve", "openai:gpt-4o"]


# --- for real ----------------------------------------------------------------------------------------------

ONE_ANSWER = 700
"""Tokens that pay for one question about the toy and its answer, and for no second."""


def test_a_real_model_goes_through_the_loop(tmp_path: Path) -> None:
    """What a tiny model answers is its own affair; the loop goes on and writes down the cost."""
    target = load_target(write_toy_target(tmp_path / "toy"))
    proposer = find_proposer(f"local:{smollm2()}")
    with Engine.opened(target, proposer) as engine:
        engine.prepare()
        engine.allowance = Allowance(tokens=ONE_ANSWER)
        found: Sequence[object] = [engine.cycle()]
        costs = [lesson.cost for lesson in engine.history().latest(1)]
    assert None not in found
    assert all(cost.tokens > 0 and cost.tokens_out > 0 and cost.seconds > 0 for cost in costs)


def test_refused_repeats_are_counted_with_what_came_of_them() -> None:
    metric = Metric("score", Command("true"))
    known = History(metric)
    tried = experiment_of(Proposal(AFTER, "", "x"), SOURCE, status=Status.DISCARD)
    known.add(replace(tried, result=result_fingerprint(AFTER)))
    proposal = Model(ScriptedChat(FASTER, FASTER.replace("list(x)", "[*x]"))).propose(
        brief(recall=as_recall(known), metric=metric)
    )
    assert proposal is not None
    assert f"repeats:{tried.id}" in proposal.tags


def test_what_is_much_like_a_failure_is_handed_back_once_and_then_believed() -> None:
    metric = Metric("score", Command("true"))
    tried = experiment_of(Proposal(AFTER, "", "x"), SOURCE, status=Status.DISCARD)
    known = History(metric, diffs={tried.id: tried.diff}.get)  # type: ignore[arg-type]
    known.add(tried)
    nearly = FASTER.replace("list(x)", "list(x) or x")
    chat = ScriptedChat(nearly)
    proposal = Model(chat).propose(brief(recall=as_recall(known), metric=metric))
    assert proposal is not None
    assert len(chat.asked) == 2
    assert f"much like {tried.id}" in chat.asked[1].messages[-1].content
    assert not any(tag.startswith("repeats:") for tag in proposal.tags)
