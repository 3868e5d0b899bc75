"""`openai:` and what all HTTP clients share, against real servers that play scripts."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from llm_server import (
    HASTY,
    KEY,
    SCHEMA,
    Turn,
    ask,
    breaks_off,
    drips,
    floods,
    free_port,
    hangs,
    playing,
    resets,
    says,
)

from optiloop.errors import OptiloopError, ProposerError, ProposerGoneError
from optiloop.proposers.llm.chat import Chat, Reply
from optiloop.proposers.llm.openai import FORMS, OpenAI
from optiloop.proposers.llm.patience import Patience


def answer(text: str = "hi", **more: object) -> dict[str, object]:
    message = {"role": "assistant", "content": text}
    return {
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
        **more,
    }


GOOD = says(answer())


def fault(message: str, **more: object) -> dict[str, object]:
    return {"error": {"message": message, **more}}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPTILOOP_PRICES", raising=False)


def openai(url: str, monkeypatch: pytest.MonkeyPatch, model: str = "gpt-4o", **more: Patience) -> OpenAI:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1/")
    return OpenAI(model, **{"patience": HASTY, **more})


def refused(chat: Chat, kind: type[OptiloopError], **request: object) -> str:
    """What it raises, which must be one line without the key."""
    with pytest.raises(kind) as told:
        chat.complete(ask(**request))
    said = str(told.value)
    assert KEY not in said
    assert "\n" not in said
    return said


def test_an_answer_has_its_text_its_tokens_and_its_price(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(GOOD) as server:
        chat: Chat = openai(server.url, monkeypatch)
        reply = chat.complete(ask(seed=7, temperature=0.5))
    assert reply == Reply("hi", 100, 20, reply.seconds, pytest.approx(0.00045), "stop", "gpt-4o-2024-08-06")
    (asked,) = server.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body == {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "Say hi."},
        ],
        "max_tokens": 16,
        "temperature": 0.5,
        "seed": 7,
    }


@pytest.mark.parametrize(
    ("choice", "text", "finish"),
    [
        ({"message": {"content": "a"}, "finish_reason": "length"}, "a", "length"),
        ({"message": {"content": "a"}, "finish_reason": "content_filter"}, "a", "refusal"),
        ({"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}, "", "refusal"),
        ({"message": {"content": "a"}, "finish_reason": "eos"}, "a", "other"),
        ({"message": {"content": [{"type": "text", "text": "a"}, {"text": "b"}]}}, "ab", "other"),
    ],
)
def test_how_it_ended_is_told(
    monkeypatch: pytest.MonkeyPatch, choice: object, text: str, finish: str
) -> None:
    with playing(says(answer(choices=[choice]))) as server:
        reply = openai(server.url, monkeypatch).complete(ask())
    assert (reply.text, reply.finish) == (text, finish)


def test_without_usage_tokens_are_estimated_and_that_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(says(answer("x" * 41, usage=None))) as server:
        chat = openai(server.url, monkeypatch)
        first, second = chat.complete(ask("y" * 100)), chat.complete(ask())
    assert (first.tokens_in, first.tokens_out) == (29, 11)
    assert "no usage" in first.notes[0]
    assert second.notes == ()


def test_an_unknown_price_is_nothing_and_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(says(answer(model="mystery"))) as server:
        chat = openai(server.url, monkeypatch, "mystery")
        first, second = chat.complete(ask()), chat.complete(ask())
    assert (first.usd, second.usd) == (0.0, 0.0)
    assert "OPTILOOP_PRICES" in first.notes[0]
    assert second.notes == ()


@pytest.mark.parametrize(
    ("cost", "usd"), [(0.25, 0.25), (0, 0.0), (-1, 0.00045), ("1", 0.00045), (True, 0.00045)]
)
def test_a_server_that_states_a_cost_is_believed(
    monkeypatch: pytest.MonkeyPatch, cost: object, usd: float
) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "cost": cost}
    with playing(says(answer(usage=usage))) as server:
        assert openai(server.url, monkeypatch).complete(ask()).usd == pytest.approx(usd)


# --- what may be over at the next attempt ----------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        says(fault("slow down"), 429, retry_after="0"),
        says("oops", 500),
        says("", 503),
        says(fault("overloaded"), 529),
        resets,
        says("not json"),
        says("[]"),
        says({}),
        says({"choices": [{}]}),
        breaks_off('{"choices": [', 500),
        breaks_off(""),
        says("[" * 100_000),
        says("[" * 100_000, 503),
    ],
)
def test_a_passing_failure_is_tried_again(monkeypatch: pytest.MonkeyPatch, failure: Turn) -> None:
    with playing(failure, GOOD) as server:
        assert openai(server.url, monkeypatch).complete(ask()).text == "hi"
    assert len(server.asked) == 2


@pytest.mark.parametrize("failure", [says("oops", 500), resets, says("no json"), breaks_off("{", 9)])
def test_one_that_stays_ends_the_loop(monkeypatch: pytest.MonkeyPatch, failure: Turn) -> None:
    with playing(failure) as server:
        said = refused(openai(server.url, monkeypatch), ProposerGoneError)
    assert len(server.asked) == HASTY.attempts
    assert said.startswith(f"openai:gpt-4o at {server.url}/v1 ")
    assert said.endswith("gave up after 3 attempts")


def test_a_longer_wait_than_there_is_time_is_not_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(says("", 429, retry_after="3600")) as server:
        assert "3600 s" in refused(openai(server.url, monkeypatch), ProposerGoneError)
    assert len(server.asked) == 1


@pytest.mark.parametrize("silent", [hangs, drips])
def test_a_server_that_does_not_end_its_answer_is_left(monkeypatch: pytest.MonkeyPatch, silent: Turn) -> None:
    with playing(silent) as server:
        chat = openai(server.url, monkeypatch, patience=Patience(attempts=2, call=0.3, first_wait=0.01))
        assert "did not answer in time" in refused(chat, ProposerGoneError)
    assert len(server.asked) == 2


def test_an_endless_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(floods()) as server:
        assert "more than 16 MB" in refused(openai(server.url, monkeypatch), ProposerError)
    assert len(server.asked) == 1


def test_a_compressed_answer_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(says("x", content_encoding="gzip")) as server:
        assert "compressed" in refused(openai(server.url, monkeypatch), ProposerError)
    assert server.asked[0].headers["accept-encoding"] == "identity"


def test_a_seed_is_short_enough_for_every_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(GOOD) as server:
        openai(server.url, monkeypatch).complete(ask(seed=2**40 + 5))
    assert server.asked[0].body["seed"] == 5


# --- what will not pass ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (says(fault("bad key", code="invalid_api_key"), 401), "set a valid key in OPENAI_API_KEY"),
        (says(fault("not yours"), 403), "set a valid key in OPENAI_API_KEY"),
        (says(fault("no such model"), 404), "are model and address right?"),
        (says("", 402), "no money left"),
        (says(fault("quota", code="insufficient_quota"), 429), "no money left"),
    ],
)
def test_what_asking_again_does_not_mend_ends_the_loop_at_once(
    monkeypatch: pytest.MonkeyPatch, turn: Turn, said: str
) -> None:
    with playing(turn) as server:
        assert said in refused(openai(server.url, monkeypatch), ProposerGoneError)
    assert len(server.asked) == 1


def test_nobody_there_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = refused(openai(url, monkeypatch), ProposerGoneError)
    assert said.startswith(f"openai:gpt-4o at {url}/v1 cannot be reached")
    assert "gave up" not in said


def test_a_server_that_went_after_an_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(GOOD) as server:
        chat = openai(server.url, monkeypatch)
        chat.complete(ask())
    assert "gave up after 3 attempts" in refused(chat, ProposerGoneError)


@pytest.mark.parametrize("url", ["ftp://a", "what", "http://[", "http://a b"])
def test_an_address_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert "address" in refused(openai(url, monkeypatch), ProposerGoneError)


def test_without_a_key_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ProposerGoneError, match="OPENAI_API_KEY is not set"):
        OpenAI("gpt-4o")
    monkeypatch.setenv("OPENAI_API_KEY", "two words")
    with pytest.raises(ProposerGoneError, match="characters that no key has"):
        OpenAI("gpt-4o")


def test_a_server_of_ones_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with playing(GOOD) as server:
        openai(server.url, monkeypatch).complete(ask())
    assert "authorization" not in server.asked[0].headers


# --- what a server does not take -------------------------------------------------------------------------


def test_a_schema_is_asked_for_in_the_form_that_is_taken_and_that_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    no = says(fault("response_format is not supported"), 400)
    with playing(no, says("", 500), no, GOOD) as server:
        chat = openai(server.url, monkeypatch)
        chat.complete(ask(schema=SCHEMA))
        chat.complete(ask(schema=SCHEMA))
    forms = [asked.body.get("response_format") for asked in server.asked]
    assert forms == [
        {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}},
        {"type": "json_object", "schema": SCHEMA},
        {"type": "json_object"},
        None,
        None,
    ]
    assert len(FORMS) == 4


def test_a_new_models_limits_are_spoken_after_one_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = fault("'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
    with playing(says(limit, 400), says(fault("temperature must be 1"), 400), GOOD) as server:
        chat = openai(server.url, monkeypatch)
        chat.complete(ask())
        chat.complete(ask())
    last = server.asked[-1].body
    assert len(server.asked) == 4
    assert last["max_completion_tokens"] == 16
    assert not {"max_tokens", "temperature"} & set(last)


def test_an_unknown_parameter_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(says({"detail": [{"type": "extra_forbidden", "loc": ["seed"]}]}, 422), GOOD) as server:
        openai(server.url, monkeypatch).complete(ask())
    assert "seed" not in server.asked[-1].body


def test_a_refusal_without_a_way_out_is_this_requests_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(says(fault("prompt is too long: 9000 tokens"), 400)) as server:
        said = refused(openai(server.url, monkeypatch), ProposerError)
    assert "answered 400: prompt is too long: 9000 tokens" in said
    assert len(server.asked) == 1


# --- secrets and interrupts ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_server_that_echoes_the_key_does_not_get_it_into_the_error(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    key = "a-key-of-no-known-shape"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    echo = says(fault(f"bad header: Bearer {key}\x1b[31m\n{key[:9]}\x07{key[9:]}"), status)
    with playing(echo) as server, pytest.raises(OptiloopError) as told:
        openai(server.url, monkeypatch).complete(ask())
    assert "[redacted]" in str(told.value)
    for shown in (str(told.value), repr(told.value), repr(told.value.__context__)):
        assert key not in shown
        assert "\x1b" not in shown


def test_a_key_in_the_address_and_in_an_object_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (
        f"http://me:{KEY}@127.0.0.1:{free_port()}",
        f"http://{KEY}@127.0.0.1:{free_port()}/a?b={KEY}",
    ):
        chat = openai(url, monkeypatch)
        assert KEY not in refused(chat, ProposerGoneError)
        assert KEY not in repr(chat) + repr(chat._to)


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from optiloop.proposers.llm.chat import Message, Request
from optiloop.proposers.llm.openai import OpenAI
try:
    OpenAI("gpt-4o").complete(Request((Message("user", "hi"),), 8))
except KeyboardInterrupt:
    sys.exit(7)
"""


@pytest.mark.parametrize("turn", [hangs, says("", 429, retry_after="600")])
def test_an_interrupt_ends_a_wait_at_once(turn: Turn, tmp_path: Path) -> None:
    with playing(turn) as server:
        environment = {"OPENAI_BASE_URL": server.url, "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], env=environment, cwd=tmp_path)
        assert server.came.wait(60)
        process.send_signal(signal.SIGINT)
        # Waiting to the end of the server's hanging or of the wait that it asked for would take longer.
        assert process.wait(timeout=50) == 7
