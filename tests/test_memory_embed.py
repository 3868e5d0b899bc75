"""With the extra `embed` a text finds an idea in other words; without it, or where it is broken, words do."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from optiloop import Memory
from optiloop.errors import UsageError
from optiloop.index import store
from optiloop.index.memory import Answer, embeds, fused
from optiloop.ledger import Ledger
from optiloop.model import Proposal
from optiloop.testing import experiment_of

SAID = (
    "raise DEPTH from 8 to 10",
    "Memoise the recursive calls",
    "Sort the rows only once, before the loop",
    "Read the file in larger blocks",
    "lower DEPTH from 8 to 6",
)

needs_model = pytest.mark.skipif(not embeds(), reason="needs the extra: pip install 'optiloop[embed]'")


def write(log: Path, said: tuple[str, ...]) -> Path:
    """Append one experiment without a diff for each sentence."""
    ledger = Ledger(log)
    known = len(list(ledger.new()))
    for number, words in enumerate(said, known + 1):
        made = experiment_of(Proposal({"a.py": "x"}, words, "test"), {"a.py": "y"}, number=number)
        ledger.append(replace(made, diff=""))
    return log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "experiments.jsonl", SAID)


@pytest.fixture(autouse=True)
def fresh_model() -> None:
    if embeds():
        from optiloop.index import embed

        embed._model.cache_clear()


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optiloop.index.memory.embeds", lambda: False)


def asked(log: Path, text: str) -> Answer:
    memory = Memory.of(log)
    try:
        return memory.recall(text)
    finally:
        memory.index.close()


def numbers(answer: Answer) -> list[int]:
    return [row["run"] for row in answer.rows]


def vectors(log: Path) -> list[tuple[int, bytes]]:
    index = store.opened(log)
    try:
        return [(first, codes) for first, codes in index.rows("SELECT * FROM vector ORDER BY first")]
    finally:
        index.close()


def test_what_two_rankings_have_comes_before_what_one_has() -> None:
    scores = fused([1, 2, 3], [4, 2])
    assert sorted(scores, key=lambda seq: -scores[seq]) == [2, 1, 4, 3]
    assert fused([], []) == {}


@pytest.mark.usefixtures("plain")
def test_without_the_extra_words_alone_are_asked(log: Path) -> None:
    with pytest.raises(UsageError, match="avoid recursion"):
        asked(log, "avoid recursion")
    assert numbers(asked(log, "recursive calls")) == [2]
    assert vectors(log) == []
    assert "numpy" not in subprocess.check_output(
        [sys.executable, "-c", "import sys; from optiloop import Memory; print(*sys.modules)"], text=True
    )


@needs_model
def test_an_idea_in_other_words_is_found(log: Path) -> None:
    answer = asked(log, "avoid recursion")
    assert numbers(answer)[0] == 2
    assert answer.said.startswith("no experiment has a word of 'avoid recursion'")


@needs_model
def test_what_is_unlike_all_is_still_an_error(log: Path) -> None:
    with pytest.raises(UsageError, match="zebra"):
        asked(log, "zebra")


@needs_model
def test_meaning_cannot_hide_the_other_way(log: Path) -> None:
    rows = {row["run"]: row["label"] for row in asked(log, "increase the DEPTH").rows}
    assert next(iter(rows)) == 1
    assert (rows[1], rows[5]) == ("", "opposite")


@needs_model
def test_the_index_says_the_same_with_vectors_and_without(log: Path) -> None:
    index = store.rebuilt(log)
    before = index.content_hash()
    index.close()
    assert vectors(log) == []
    asked(log, "blocks")
    index = store.opened(log)
    assert index.content_hash() == before
    index.close()
    assert len(vectors(log)) == 1


@needs_model
def test_vectors_are_made_once_and_are_the_same_in_parts(tmp_path: Path, log: Path) -> None:
    parts = write(tmp_path / "parts.jsonl", SAID[:2])
    asked(parts, "recursive")
    first = vectors(parts)
    write(parts, SAID[2:])
    answer = asked(parts, "read blocks")
    assert vectors(parts)[:1] == first
    assert answer == asked(log, "read blocks") == asked(log, "read blocks")
    assert b"".join(codes for _, codes in vectors(parts)) == b"".join(codes for _, codes in vectors(log))


@needs_model
def test_another_log_in_its_place_has_vectors_of_its_own(log: Path) -> None:
    asked(log, "avoid recursion")
    log.unlink()
    write(log, SAID[::-1])
    assert numbers(asked(log, "avoid recursion"))[0] == 4


@needs_model
def test_the_past_does_not_know_what_came_later(log: Path) -> None:
    asked(log, "blocks")
    with pytest.raises(UsageError, match="avoid recursion"):
        Memory.of(log).as_of(1).recall("avoid recursion")


@needs_model
def test_where_nothing_can_be_kept_it_is_found_all_the_same(log: Path) -> None:
    memory = Memory.of(log)
    memory.index.connection.execute("PRAGMA query_only = 1")
    assert numbers(memory.recall("avoid recursion"))[0] == 2
    assert memory.index.rows("SELECT * FROM vector") == []


@needs_model
def test_one_that_was_slower_adds_nothing(log: Path) -> None:
    from optiloop.index import embed

    asked(log, "recursive")
    kept, index = vectors(log), store.opened(log)
    embed._keep(index.connection, 2, [bytes(embed.SIZE)])
    index.close()
    assert vectors(log) == kept


@needs_model
@pytest.mark.parametrize("rubbish", [b"", b"no model", None])
def test_a_broken_model_is_one_line_and_words(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rubbish: bytes | None
) -> None:
    from optiloop.index import embed

    package = tmp_path / "other" / "wordllama"
    for name in (embed.WEIGHTS, embed.TOKENS):
        (package / name).parent.mkdir(parents=True)
        if rubbish is not None:
            (package / name).write_bytes(rubbish)
    (package / "__init__.py").write_text("raise SystemExit('it is never imported')\n")
    monkeypatch.syspath_prepend(tmp_path / "other")
    answer = asked(log, "recursive calls")
    assert numbers(answer) == [2]
    assert embed.MODEL in answer.found["fault"]
    assert "\n" not in answer.found["fault"]
    words = [sys.executable, "-m", "optiloop", "ask", log, "recursive calls"]
    env = {"PYTHONPATH": f"{tmp_path / 'other'}:{':'.join(sys.path)}"}
    said = subprocess.run(words, capture_output=True, text=True, check=True, env=env)
    assert said.stderr.count("\n") == 1
    assert "found by words alone" in said.stderr


@needs_model
def test_the_model_is_read_without_its_package_and_without_a_network(log: Path) -> None:
    program = (
        "import sys\n"
        "def refused(event, _):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'): raise SystemExit(event)\n"
        "sys.addaudithook(refused)\n"
        "from optiloop import Memory\n"
        "found = Memory.of(sys.argv[1]).recall('avoid recursion').rows\n"
        "print(found[0]['run'], 'wordllama' in sys.modules)"
    )
    said = subprocess.check_output([sys.executable, "-c", program, str(log)], text=True)
    assert said.split() == ["2", "False"]
