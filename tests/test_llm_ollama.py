"""`ollama:` through the official client, against servers that play scripts; test_llm_serve has a real one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_server import (
    HASTY,
    KEY,
    SCHEMA,
    Turn,
    ask,
    breaks_off,
    floods,
    free_port,
    hangs,
    playing,
    resets,
    says,
)

from optiloop.errors import OptiloopError, ProposerError, ProposerGoneError
from optiloop.proposers.llm.chat import Reply
from optiloop.proposers.llm.ollama import STEP, Ollama, contexts, was_cut
from optiloop.proposers.llm.patience import Patience

DIGEST = "abcdef0123456789" * 4


def shown(context: int | None = 8192, *, thinks: bool = False) -> Turn:
    info = {"general.architecture": "qwen2", "qwen2.context_length": context}
    capabilities = ["completion", *(["thinking"] if thinks else [])]
    return says({"model_info": info, "capabilities": capabilities, "details": {}})


TAGS = says({"models": [{"model": "m:latest", "digest": DIGEST}, {"model": "other:1b", "digest": "0"}]})


def part(text: str, **more: object) -> str:
    return json.dumps({"model": "m", "message": {"role": "assistant", "content": text}, **more}) + "\n"


def end(prompt: int | None = 40, **more: object) -> str:
    counts = {"done": True, "done_reason": "stop", "prompt_eval_count": prompt, "eval_count": 5}
    return part("", **{**counts, **more})


def stream(*parts: str) -> Turn:
    return breaks_off("".join(parts))


GOOD = stream(part("h"), part("i"), end())


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OLLAMA_API_KEY", raising=False)


def told(context: int | None = 8192, *, thinks: bool = False) -> dict[str, Turn]:
    return {"/api/show": shown(context, thinks=thinks), "/api/tags": TAGS}


def ollama(url: str, monkeypatch: pytest.MonkeyPatch, patience: Patience = HASTY) -> Ollama:
    monkeypatch.setenv("OLLAMA_HOST", url)
    return Ollama("m", patience=patience)


def refused(chat: Ollama, kind: type[OptiloopError], text: str = "Say hi.") -> str:
    with pytest.raises(kind) as error:
        chat.complete(ask(text))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_answer_has_its_text_its_tokens_and_the_models_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(GOOD, first=told()) as server:
        chat = ollama(server.url, monkeypatch)
        reply = chat.complete(ask(seed=3, temperature=0.2, schema=SCHEMA))
        chat.complete(ask())
    assert reply == Reply("hi", 40, 5, reply.seconds, 0.0, "stop", "m@abcdef012345")
    asked = [it for it in server.asked if it.path == "/api/chat"]
    assert len(asked) == 2
    assert len(server.asked) == 4, "a model's card is read once"
    body = asked[0].body
    assert body["format"] == SCHEMA
    assert body["stream"] is True
    assert body["keep_alive"] == "30m"
    assert body["options"] == {"num_ctx": STEP, "num_predict": 16, "seed": 3, "temperature": 0.2}
    assert "think" not in body


def test_a_model_that_thinks_is_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(GOOD, first=told(thinks=True)) as server:
        ollama(server.url, monkeypatch).complete(ask())
    assert server.asked[-1].body["think"] is False


# --- nothing is cut in silence ---------------------------------------------------------------------------


@given(st.integers(0, 200_000), st.integers(1, 4000), st.none() | st.integers(512, 150_000))
def test_contexts_grow_to_what_is_surely_enough(size: int, most_out: int, most: int | None) -> None:
    request = ask("x" * size, max_tokens=most_out)
    try:
        found = list(contexts(request, most))
    except ProposerError:
        assert most is not None
        assert request.size / 8 + most_out > most - 1000
        return
    assert found == sorted(set(found))
    enough = request.size + most_out
    assert found[-1] >= (enough if most is None else min(enough, most))
    assert all(most is None or one <= most for one in found)
    assert all(one % STEP == 0 or one == most for one in found)


@pytest.mark.parametrize(
    ("prompt", "answer", "cut"),
    [(4000, 16, False), (8176, 16, True), (8191, 3, True), (900, 16, True), (None, 16, False)],
)
def test_a_cut_shows_in_the_counts(prompt: int | None, answer: int, cut: bool) -> None:
    assert was_cut(ask("x" * 10_000), 8192, prompt, answer) is cut


def test_a_prompt_that_was_cut_is_asked_again_with_room_for_every_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with playing(stream(end(5120)), stream(part("hi"), end(9000)), first=told(32768)) as server:
        reply = ollama(server.url, monkeypatch).complete(ask("ß" * 5000))
    assert reply.text == "hi"
    assert reply.tokens_in == 14120, "what the cut answer took is paid for too"
    rooms = [it.body["options"]["num_ctx"] for it in server.asked if it.path == "/api/chat"]
    assert rooms == [5120, 10240]


def test_one_that_does_not_fit_is_this_requests_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(stream(end(2048)), first=told(2048)) as server:
        chat = ollama(server.url, monkeypatch)
        with pytest.raises(ProposerError, match="does not fit") as error:
            chat.complete(ask("x" * 8000))
        assert error.value.cost is not None
        assert error.value.cost.tokens == 2053
        asked = len(server.asked)
        assert "do not fit" in refused(chat, ProposerError, "x" * 80_000)
    assert len(server.asked) == asked, "what cannot fit is not even sent"


# --- failures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        says({"error": "server busy"}, 503, retry_after="0"),
        says({"error": "oops"}, 500),
        resets,
        breaks_off(part("h")),
        breaks_off(""),
        stream(part("h"), '{"error": "the runner died"}\n'),
        says("no json\n"),
        says("[]\n"),
        says("{}\n"),
        says('"x"\n'),
        says("[" * 100_000),
    ],
)
def test_a_passing_failure_is_tried_again(monkeypatch: pytest.MonkeyPatch, failure: Turn) -> None:
    with playing(failure, GOOD, first=told()) as server:
        assert ollama(server.url, monkeypatch).complete(ask()).text == "hi"
    assert [it.path for it in server.asked].count("/api/chat") == 2


def test_what_the_server_asks_to_wait_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(says({"error": "busy"}, 503, retry_after="9999"), first=told()) as server:
        assert "9999 s" in refused(ollama(server.url, monkeypatch), ProposerGoneError)


def test_a_server_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(hangs, first=told()) as server:
        chat = ollama(server.url, monkeypatch, Patience(attempts=2, call=0.3, first_wait=0.01))
        assert "did not answer in time" in refused(chat, ProposerGoneError)


def test_an_endless_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(floods(), first=told()) as server:
        assert "more than 16 MB" in refused(ollama(server.url, monkeypatch), ProposerError)


def test_a_missing_model_is_named_with_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = says({"error": "model 'm' not found"}, 404)
    with playing(GOOD, first={"/api/show": gone, "/api/tags": TAGS}) as server:
        said = refused(ollama(server.url, monkeypatch), ProposerGoneError)
    assert "run: ollama pull m; there are m:latest, other:1b" in said
    with playing(gone, first=told()) as server:
        assert "run: ollama pull m" in refused(ollama(server.url, monkeypatch), ProposerGoneError)


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_nobody_there_is_said_at_once(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    url = f"{scheme}127.0.0.1:{free_port()}"
    said = refused(ollama(url, monkeypatch), ProposerGoneError)
    assert said.startswith(f"ollama:m at {url} cannot be reached")
    assert "is it running" in said


@pytest.mark.parametrize("host", ["http://a:b:c", "127.0.0.1:99999999"])
def test_an_address_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with pytest.raises(ProposerGoneError, match="OLLAMA_HOST"):
        ollama(host, monkeypatch)


def test_a_key_that_is_echoed_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    with playing(says({"error": f"who is {KEY}?"}, 401), first=told()) as server:
        said = refused(ollama(server.url, monkeypatch), ProposerGoneError)
    assert server.asked[-1].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in said
    assert "OLLAMA_API_KEY" in said
