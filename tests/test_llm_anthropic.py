"""`anthropic:` against a real server that speaks what Anthropic documents: there was no key to ask theirs."""

from __future__ import annotations

import pytest
from llm_server import HASTY, KEY, SCHEMA, Turn, ask, playing, says

from optiloop.errors import OptiloopError, ProposerError, ProposerGoneError
from optiloop.proposers.llm.anthropic import Anthropic
from optiloop.proposers.llm.chat import Reply
from optiloop.vault.door import WORD, Door, Question
from optiloop.vault.memory import Memory


def answer(**more: object) -> dict[str, object]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1000, "output_tokens": 100},
        **more,
    }


GOOD = says(answer())


def fault(kind: str, message: str) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message}}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.delenv("OPTILOOP_PRICES", raising=False)


def anthropic(url: str, monkeypatch: pytest.MonkeyPatch) -> Anthropic:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
    return Anthropic("claude-sonnet-4-5", patience=HASTY)


def test_an_answer_has_its_text_its_tokens_and_its_price(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(GOOD) as server:
        reply = anthropic(server.url, monkeypatch).complete(ask(temperature=1.4, seed=3))
    model = "claude-sonnet-4-5-20250929"
    assert reply == Reply("hi", 1000, 100, reply.seconds, pytest.approx(0.0045), "stop", model)
    (asked,) = server.asked
    assert asked.path == "/v1/messages"
    assert asked.headers["x-api-key"] == KEY
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert asked.body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 16,
        "system": "You are terse.",
        "messages": [{"role": "user", "content": "Say hi."}],
        "temperature": 1.0,
    }


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
        ("pause_turn", "other"),
        ("a word of tomorrow", "other"),
    ],
)
def test_how_it_ended_is_told(monkeypatch: pytest.MonkeyPatch, reason: str, finish: str) -> None:
    with playing(says(answer(stop_reason=reason))) as server:
        assert anthropic(server.url, monkeypatch).complete(ask()).finish == finish


def test_thoughts_are_no_part_of_the_text_and_cached_tokens_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = [
        {"type": "thinking", "thinking": "hmm", "signature": "x"},
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]
    usage = {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": None}
    with playing(says(answer(content=content, usage={**usage, "output_tokens": 7}))) as server:
        reply = anthropic(server.url, monkeypatch).complete(ask())
    assert (reply.text, reply.tokens_in, reply.tokens_out) == ("ab", 15, 7)


def test_a_schema_is_sent_and_what_a_model_refuses_is_left_out_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hot = says(fault("invalid_request_error", "temperature: only the default is supported"), 400)
    form = says(fault("invalid_request_error", "output_config: not supported by this model"), 400)
    with playing(hot, form, GOOD) as server:
        chat = anthropic(server.url, monkeypatch)
        chat.complete(ask(schema=SCHEMA))
        chat.complete(ask(schema=SCHEMA))
    first, second, third, fourth = (asked.body for asked in server.asked)
    assert first["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert "temperature" not in second
    assert "output_config" in second
    assert third == fourth
    assert not {"temperature", "output_config"} & set(third)


@pytest.mark.parametrize(
    "failure",
    [
        says(fault("overloaded_error", "Overloaded"), 529),
        says(fault("rate_limit_error", "slow down"), 429, retry_after="0"),
        says(fault("api_error", "oops"), 500),
        says({"content": "no list"}),
    ],
)
def test_a_passing_failure_is_tried_again(monkeypatch: pytest.MonkeyPatch, failure: Turn) -> None:
    with playing(failure, GOOD) as server:
        assert anthropic(server.url, monkeypatch).complete(ask()).text == "hi"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("turn", "kind", "said"),
    [
        (
            says(fault("authentication_error", f"invalid x-api-key {KEY}"), 401),
            ProposerGoneError,
            "ANTHROPIC_API",
        ),
        (says(fault("not_found_error", "model: claude-x"), 404), ProposerGoneError, "model: claude-x"),
        (
            says(fault("invalid_request_error", "prompt is too long"), 400),
            ProposerError,
            "prompt is too long",
        ),
    ],
)
def test_what_will_not_pass_is_said(
    monkeypatch: pytest.MonkeyPatch, turn: Turn, kind: type[OptiloopError], said: str
) -> None:
    with playing(turn) as server, pytest.raises(kind) as told:
        anthropic(server.url, monkeypatch).complete(ask())
    assert said in str(told.value)
    assert KEY not in str(told.value)
    assert len(server.asked) == 1


def test_without_a_key_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    with pytest.raises(ProposerGoneError, match="ANTHROPIC_API_KEY is not set"):
        Anthropic("claude-sonnet-4-5")


def test_a_vault_s_judge_is_heard_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells no probabilities: the word that it says counts as sure, another word as no answer."""
    words = [
        says(answer(content=[{"type": "text", "text": text}])) for text in ("Yes.", "no, it is not", "Hm")
    ]
    with playing(*words, GOOD) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        door, model = Door(Memory(None)), "anthropic:claude-sonnet-4-5"
        prompts = ("Is water wet?", "Is fire wet?", "Is it?")
        assert [door.probability_yes(one, model=model, system="One word.") for one in prompts] == [1, 0, None]
        said = door.ask(Question(model, "Say hi.", num_predict=12))
    assert (said.text, said.finish, said.tokens_in) == ("hi", "stop", 1000)
    bodies = [asked.body for asked in server.asked]
    assert [body["max_tokens"] for body in bodies] == [WORD, WORD, WORD, 12]
    assert {body.get("system") for body in bodies} == {"One word.", None}
