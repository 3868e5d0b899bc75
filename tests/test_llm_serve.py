"""`optiloop serve-model` with a real model, asked by Ollama's official client and by ours."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import ollama
import pytest
from llm_server import HASTY, SCHEMA, ask, smollm2

from optiloop.errors import ProposerError, ProposerGoneError
from optiloop.proposers.llm.local import ModelServer, find_weights
from optiloop.proposers.llm.ollama import Ollama
from optiloop.proposers.llm.serve import Front
from optiloop.sandbox import processes
from optiloop.vault.door import Door, Question
from optiloop.vault.memory import Memory

POEM = [{"role": "user", "content": "Write a short poem about the sea."}]
SHORT = {"num_predict": 12, "seed": 3}


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    model = ModelServer(find_weights(str(smollm2())))
    with Front(model, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    model.close()


@pytest.fixture
def client(front: Front) -> Iterator[ollama.Client]:
    with ollama.Client(front.url) as found:
        yield found


@pytest.fixture
def name(front: Front) -> str:
    return front.model.weights.name


# --- the official client ---------------------------------------------------------------------------------


def test_the_model_is_listed_shown_and_loaded(client: ollama.Client, front: Front, name: str) -> None:
    (listed,) = client.list().models
    assert listed.model == f"{name}:latest"
    assert listed.digest == front.model.digest()
    assert listed.size == front.model.weights.file.stat().st_size
    shown = client.show(name)
    assert shown.modelinfo is not None
    assert shown.modelinfo["llama.context_length"] == 8192
    assert shown.capabilities == ["completion"]
    assert shown.details is not None
    assert (shown.details.family, shown.details.quantization_level) == ("llama", "Q4_1")
    assert "messages" in (shown.template or "")
    (loaded,) = client.ps().models
    assert (loaded.model, loaded.context_length) == (f"{name}:latest", 8192)


def test_chat_whole_and_streamed_are_the_same(client: ollama.Client, name: str) -> None:
    whole = client.chat(name, POEM, options=SHORT)
    parts = list(client.chat(f"{name}:latest", POEM, options=SHORT, stream=True, keep_alive="5m"))
    assert whole.message.content
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    for last in (whole, parts[-1]):
        assert (last.done_reason, last.eval_count) == ("length", 12)
        assert 20 < (last.prompt_eval_count or 0) < 60
        assert (last.total_duration or 0) >= (last.eval_duration or 0) > 0


def test_generate_and_its_system_prompt(client: ollama.Client, name: str) -> None:
    said = client.generate(name, POEM[0]["content"], options=SHORT)
    assert said.response == client.chat(name, POEM, options=SHORT).message.content
    other = client.generate(name, POEM[0]["content"], system="You are a pirate.", options=SHORT, stream=True)
    assert list(other)[-1].done


def test_formats_stops_and_limits(client: ollama.Client, name: str) -> None:
    asked = [{"role": "user", "content": "Give me a number."}]
    form = client.chat(name, asked, format=SCHEMA, options={"num_predict": 64, "seed": 1})
    assert isinstance(json.loads(form.message.content or "")["a"], int)
    anything = client.chat(name, asked, format="json", options={"num_predict": 200, "seed": 1})
    assert anything.done_reason == "length" or json.loads(anything.message.content or "") is not None
    text = client.chat(name, POEM, options=SHORT).message.content or ""
    stopped = client.chat(name, POEM, options={**SHORT, "stop": [text[5:9]]})
    assert stopped.message.content == text[: text.index(text[5:9])]
    assert stopped.done_reason == "stop"


def test_log_probabilities_whole_and_streamed(client: ollama.Client, name: str) -> None:
    options = {"num_predict": 3, "temperature": 0}
    asked: list[dict[str, str]] = [{"role": "user", "content": "Is water wet? Answer yes or no."}]
    whole = client.chat(name, asked, options=options, logprobs=True, top_logprobs=20)
    assert whole.logprobs is not None
    assert "".join(each.token for each in whole.logprobs) == whole.message.content
    likely = whole.logprobs[0].top_logprobs or []
    assert len(likely) == 20
    assert likely[0].token == whole.logprobs[0].token
    assert all((one.logprob or 0) >= (other.logprob or 0) for one, other in pairwise(likely))
    parts = list(client.chat(name, asked, options=options, stream=True, logprobs=True, top_logprobs=2))
    streamed = [each.token for part in parts for each in part.logprobs or ()]
    assert streamed == [each.token for each in whole.logprobs]
    assert client.chat(name, asked, options=options).logprobs is None
    with pytest.raises(ollama.ResponseError, match="from 0 to 20"):
        client.chat(name, asked, options=options, logprobs=True, top_logprobs=21)


def test_a_vault_s_judge_hears_the_same_through_this_protocol(
    front: Front, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", front.url)
    doors = [Door(Memory(None)), Door(Memory(None))]
    models = [f"ollama:{name}", f"local:{smollm2()}"]
    try:
        heard = [
            door.probability_yes("Is water wet? Answer yes or no.", model=model)
            for door, model in zip(doors, models, strict=True)
        ]
        said = [
            door.ask(Question(model, "Name a sea.", num_predict=12)).text
            for door, model in zip(doors, models, strict=True)
        ]
    finally:
        for door in doors:
            door.close()
    assert heard[0] is not None
    assert heard[0] == pytest.approx(heard[1], rel=1e-6)
    assert said[0] == said[1] != ""


def test_nothing_asked_is_a_model_loaded(client: ollama.Client, name: str) -> None:
    assert client.generate(name).done_reason == "load"
    assert client.chat(name, []).done_reason == "load"


def test_the_asynchronous_client_whole_streamed_and_several_at_once(front: Front, name: str) -> None:
    async def talk() -> tuple[str, str, list[str]]:
        client = ollama.AsyncClient(front.url)
        whole = (await client.chat(name, POEM, options=SHORT)).message.content or ""
        stream = await client.chat(name, POEM, options=SHORT, stream=True)
        streamed = "".join([part.message.content or "" async for part in stream])
        three = await asyncio.gather(*[client.chat(name, POEM, options=SHORT) for _ in range(3)])
        return whole, streamed, [one.message.content or "" for one in three]

    whole, streamed, three = asyncio.run(talk())
    assert [streamed, *three] == [whole] * 4


def test_a_client_that_goes_away_does_not_keep_the_engine(
    client: ollama.Client, front: Front, name: str
) -> None:
    with ollama.Client(front.url) as hasty:
        next(hasty.chat(name, POEM, options={"num_predict": 7000, "seed": 1}, stream=True))
    assert client.chat(name, POEM, options=SHORT).done


# --- what is refused -------------------------------------------------------------------------------------


def test_another_model_is_not_found(client: ollama.Client) -> None:
    for call in (lambda: client.chat("llama9", POEM), lambda: client.show("llama9")):
        with pytest.raises(ollama.ResponseError, match="model 'llama9' not found") as error:
            call()
        assert error.value.status_code == 404


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"think": True}, "think"),
        ({"format": {"type": "objekt"}}, "objekt"),
        ({"options": {"num_ctx": 10}}, "num_ctx is 10"),
        ({"messages": [{"role": "user", "content": "word " * 9000}]}, "context size"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_not_done_is_said(
    client: ollama.Client, name: str, more: dict[str, object], said: str, stream: bool
) -> None:
    with pytest.raises(ollama.ResponseError, match=said) as error:
        list(client.chat(**{"model": name, "messages": POEM, "stream": stream, **more}))  # type: ignore[call-overload]
    assert error.value.status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/api/chat", b"{", {}, 400),
        ("/api/chat", b"[]", {}, 400),
        ("/api/chat", b"{}", {}, 400),
        ("/api/chat", b'{"model": "NAME", "messages": 1}', {}, 400),
        ("/api/chat", b'{"model": "NAME", "messages": [1]}', {}, 400),
        ("/api/chat", b'{"model": "NAME", "messages": [{"role": 1}], "options": 1}', {}, 400),
        ("/api/chat", b'{"model": "NAME", "messages": [{"content": "a"}], "format": "xml"}', {}, 400),
        ("/api/generate", b'{"model": "NAME", "prompt": 1}', {}, 400),
        ("/api/generate", b'{"model": "NAME", "prompt": "a", "raw": true}', {}, 400),
        ("/api/embed", b'{"model": "NAME", "input": "a"}', {}, 404),
        ("/api/pull", b'{"model": "NAME"}', {}, 404),
        ("/api/chat", b"", {"content-length": "999999999"}, 413),
        ("/api/chat", b"", {"content-length": "many"}, 411),
        ("/api/show", b'{"model": "NAME"}', {"host": "evil.example"}, 403),
        ("/api/show", b'{"model": "NAME"}', {"host": "localhost:1"}, 200),
        ("/api/show", b'{"name": "NAME"}', {"host": "[::1]:1"}, 200),
    ],
)
def test_calls_of_other_shapes(
    front: Front, name: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front.server_address[1], timeout=60)
    connection.request("POST", path, body.replace(b"NAME", name.encode()), headers)
    response = connection.getresponse()
    said = json.loads(response.read())
    assert response.status == status
    assert ("error" in said) is (status != 200)
    connection.close()


def test_it_says_that_it_is_there(front: Front) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front.server_address[1], timeout=60)
    for method, path, text in (("HEAD", "/", b""), ("GET", "/", b"Ollama is running")):
        connection.request(method, path)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, text)
    connection.request("GET", "/api/version")
    assert "optiloop" in json.loads(connection.getresponse().read())["version"]
    connection.close()


# --- our own client --------------------------------------------------------------------------------------


def test_our_client_asks_it(front: Front, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", front.url)
    chat = Ollama(name, patience=HASTY)
    first, second = (chat.complete(ask(POEM[0]["content"], seed=3)) for _ in range(2))
    assert first.text == second.text != ""
    assert first.model == f"{name}@{front.model.digest()[:12]}"
    assert (first.tokens_out, first.finish) == (16, "length")
    assert isinstance(json.loads(chat.complete(ask(schema=SCHEMA, max_tokens=64)).text)["a"], int)
    with pytest.raises(ProposerError, match="num_ctx is 8192"):
        chat.complete(ask("word " * 9000))
    with pytest.raises(ProposerGoneError, match=f"ollama pull other; there are {name}:latest"):
        Ollama("other", patience=HASTY).complete(ask())


# --- the command -----------------------------------------------------------------------------------------


@contextmanager
def serving(*words: str, here: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "optiloop", "serve-model", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=here, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_command_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    with serving(str(smollm2()), "--port", "0", "--context", "1024", here=tmp_path) as process:
        assert process.stdout is not None
        name, _, url = process.stdout.readline().split()
        with ollama.Client(url) as client:
            assert client.ps().models[0].context_length == 1024
            assert client.chat(name, POEM, options=SHORT).message.content
        (engine,) = processes.children(process.pid)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in said
    assert "POST /api/chat:" in said
    assert not processes.alive([engine])


def test_the_command_ends_with_its_engine(tmp_path: Path) -> None:
    with serving(str(smollm2()), "--port", "0", here=tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (engine,) = processes.children(process.pid)
        os.kill(engine, signal.SIGKILL)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "ended with exit code -9" in said


def test_a_port_that_is_taken_and_a_model_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with serving(str(smollm2()), "--port", port, here=tmp_path) as process:
            _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "take another with --port" in said
    with serving("gone.gguf", here=tmp_path) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 4
    assert said.splitlines() == [
        "optiloop: local:gone.gguf: there is no such GGUF file; give a path, or one of smollm2"
    ]
