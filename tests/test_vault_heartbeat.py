"""A heartbeat: order, what is handed on, what is remembered, what a pool and a broken task come to.

Scripts are real; a scripted server speaks where no model is needed to tell, and one test asks a real model.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_server import smollm2

from optiloop.errors import TargetError
from optiloop.vault import door as doors
from optiloop.vault import judge
from optiloop.vault.door import Door, NoAnswerError, Question, Raw, yes_share
from optiloop.vault.heartbeat import Heart, Output, Vault, filled
from optiloop.vault.memory import CALLS, FOLDER, Memory
from optiloop.vault.task import load_tasks
from optiloop.vault.trace import shown, traced

SHIPPED = Path(__file__).parents[1] / "targets" / "vault"


@dataclass
class Scripted:
    """A server of one model whose answers a function gives; counts what it was asked."""

    name: str
    say: Callable[[Question], str]
    asked: list[Question] = field(default_factory=list)

    def identity(self) -> str:
        return f"{self.name}@0"

    def put(self, question: Question, *, likely: bool) -> Raw:
        self.asked.append(question)
        return Raw(self.say(question), "stop", len(question.prompt.split()), 3)

    def close(self) -> None:
        pass


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """The model `scripted:x`; any other name is not there."""
    server = Scripted("scripted:x", lambda question: f"Heard {len(question.prompt)} characters.")

    def server_of(name: str, memory: Memory) -> Scripted:
        if name != server.name:
            raise TargetError(f"{name}: not there")
        return server

    monkeypatch.setattr(doors, "server_of", server_of)
    return server


def write_vault(root: Path, **tasks: dict[str, str]) -> Path:
    """A target's folder; each task's files by name, its rubric under "rubric"."""
    (root / "vault" / "notes").mkdir(parents=True)
    (root / "vault" / "notes" / "one.md").write_text("one\n")
    (root / "vault" / "expected.toml").write_text('today = "2026-07-03"\n')
    (root / "models.toml").write_text('worker = ["scripted:gone", "scripted:x"]\n')
    (root / "rubrics").mkdir()
    for name, files in tasks.items():
        folder = root / "tasks" / name
        folder.mkdir(parents=True)
        for file, text in files.items():
            (root / "rubrics" / f"{name}.toml" if file == "rubric" else folder / file).write_text(text)
    return root


POOLED = 'pool = ["worker"]\n'
FIRST = {"task.toml": 'collect = "c.sh"\n', "c.sh": "cat notes/*.md", "rubric": 'inputs = ["notes/*.md"]'}
SECOND = {"task.toml": POOLED, "prompt.md": "Say it: {{first}} on {{today}}", "rubric": 'after = ["first"]'}


def beat(root: Path, memory: Memory | None = None) -> dict[str, Output]:
    door = judge.open_door(root, memory or Memory(None))
    return Heart(load_tasks(root), Vault.at(root / "vault"), door).beat()


def test_a_task_reads_what_the_one_before_it_hands_on(tmp_path: Path, model: Scripted) -> None:
    found = beat(write_vault(tmp_path, second=SECOND, first=FIRST))
    assert found["first"].text == "one\n"
    assert [question.prompt for question in model.asked] == ["Say it: one on 2026-07-03"]
    assert found["second"].score.value == 5


def test_a_script_is_handed_outputs_as_files_and_the_vault_stays_as_it_is(
    tmp_path: Path, model: Scripted
) -> None:
    spoils = "cat first.txt; echo spoilt > notes/one.md; rm -f notes/one.md; ls"
    third = {
        "task.toml": 'collect = "c.sh"\n',
        "c.sh": spoils,
        "rubric": 'after = ["first"]\ninputs = ["notes/*.md"]',
    }
    root = write_vault(tmp_path, first=FIRST, third=third)
    assert beat(root)["third"].text == "one\nfirst.txt\nnotes\n"
    assert (root / "vault" / "notes" / "one.md").read_text() == "one\n"


def test_what_the_judge_knows_of_the_vault_is_no_scripts_input(tmp_path: Path, model: Scripted) -> None:
    nosy = {"task.toml": 'collect = "c.sh"\n', "c.sh": "find . -type f | sort", "rubric": 'inputs = ["**/*"]'}
    assert beat(write_vault(tmp_path, nosy=nosy))["nosy"].text == "./notes/one.md\n"


def test_only_what_changed_and_what_reads_it_is_asked_again(tmp_path: Path, model: Scripted) -> None:
    other = {"task.toml": POOLED, "prompt.md": "Something else.", "rubric": ""}
    root = write_vault(tmp_path / "v", first=FIRST, second=SECOND, other=other)
    memory = Memory(tmp_path / "cache")
    for _ in range(2):  # what is asked for the first time is asked again to be believed
        beat(root, memory)
    assert len(model.asked) == 4
    beat(root, memory)
    assert len(model.asked) == 4
    (root / "tasks" / "first" / "c.sh").write_text("echo two")
    beat(root, memory)
    assert [question.prompt for question in model.asked[4:]] == ["Say it: two on 2026-07-03"]
    counted = [json.loads(line)["model"] for line in (tmp_path / "cache" / CALLS).read_text().splitlines()]
    assert counted == ["scripted:x@0"] * 5


def test_an_answer_that_differs_the_second_time_is_never_served(tmp_path: Path, model: Scripted) -> None:
    answers = iter("abcdef")
    model.say = lambda question: next(answers)
    root = write_vault(tmp_path / "v", first=FIRST, second=SECOND)
    memory = Memory(tmp_path / "cache")
    assert [beat(root, memory)["second"].text for _ in range(4)] == ["a", "b", "c", "d"]
    assert memory.unsteady == 3


def test_a_pool_is_as_good_as_its_worst_and_hands_on_the_first_that_answers(
    tmp_path: Path, model: Scripted
) -> None:
    pooled = SECOND | {"task.toml": 'pool = ["scripted:gone", "worker"]\n'}
    found = beat(write_vault(tmp_path, first=FIRST, second=pooled))["second"]
    assert found.text.startswith("Heard")
    assert found.score.value == 1
    assert "'scripted:gone' of the pool gave no answer" in found.score.failure


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"task.toml": "pool = 3\n"}, "pool must be a list"),
        ({"task.toml": "numpredict = 3\n"}, "unknown key 'numpredict'"),
        ({"task.toml": "pool = [\n"}, "not TOML"),
        ({"task.toml": 'collect = "gone.sh"\n'}, "no such script"),
        ({"task.toml": 'collect = "../other/c.sh"\n'}, "no such script"),
        ({"task.toml": 'pool = ["worker"]\nnum_predict = 9999999\n'}, "num_predict must be"),
        ({"task.toml": POOLED}, "prompt.md"),
        ({"task.toml": ""}, "neither pool nor collect"),
        ({"task.toml": 'collect = "c.sh"\n', "c.sh": "exit 4"}, "c.sh: exit code 4"),
        ({"task.toml": 'collect = "c.sh"\n', "c.sh": "true"}, "output is empty"),
        (
            {"task.toml": 'pool = ["worker"]\nnum_predict = 250\nnum_ctx = 256\n', "prompt.md": "w " * 20},
            "context overflow",
        ),
    ],
)
def test_what_a_candidate_breaks_is_its_own_lowest_score(
    tmp_path: Path, model: Scripted, files: dict[str, str], says: str
) -> None:
    found = beat(write_vault(tmp_path, first=FIRST, broken={**files, "rubric": ""}))
    assert found["broken"].score.value == 1
    assert says in found["broken"].score.failure
    assert found["first"].score.value == 5


def test_what_the_judge_has_wrong_is_an_error(tmp_path: Path, model: Scripted) -> None:
    with pytest.raises(TargetError, match="after names 'gone'"):
        beat(write_vault(tmp_path / "a", first=FIRST | {"rubric": 'after = ["gone"]'}))
    ring = {"one": FIRST | {"rubric": 'after = ["two"]'}, "two": FIRST | {"rubric": 'after = ["one"]'}}
    with pytest.raises(TargetError, match="ring"):
        beat(write_vault(tmp_path / "b", **ring))
    root = write_vault(tmp_path / "c", first=FIRST)
    (root / "models.toml").write_text('worker = ["scripted:gone"]\n')
    with pytest.raises(NoAnswerError, match="scripted:gone: not there"):
        beat(root)


def test_the_metric_says_each_tasks_score_and_the_diagnosis_the_lowest_first(
    tmp_path: Path, model: Scripted, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "cache"))
    low = SECOND | {"rubric": 'after = ["first"]\n[[check]]\nkind = "words"\nleast = 9\ncap = 2.5\n'}
    root = write_vault(tmp_path / "v", first=FIRST, second=low)
    judge.main(root, [])
    said = dict(line.removeprefix("METRIC ").split("=") for line in capsys.readouterr().out.splitlines())
    assert (said["task_first"], said["model_calls"], said["unsteady"]) == ("5.0", "1", "0")
    assert float(said["vault_score"]) == pytest.approx((5 + float(said["min_task"])) / 2)
    judge.main(root, ["--explain"])
    assert capsys.readouterr().out.splitlines() == [
        "task second score 2.33 reads first",
        "  check words: needs at least 9 words, has 3",
        "task first score 5.00",
    ]


def test_a_trace_tells_one_task_from_its_inputs_to_its_readers(tmp_path: Path, model: Scripted) -> None:
    root = write_vault(tmp_path, first=FIRST, second=SECOND)
    tasks, outputs = load_tasks(root), beat(root)
    one, two = traced(tasks, outputs, "first"), traced(tasks, outputs, "second")
    assert (one["inputs"], one["read_by"], two["read_by"]) == (["notes/one.md"], ["second"], [])
    assert two["reads"] == [{"task": "first", "score": 5.0, "text": "one\n"}]
    assert two["replies"][0]["model"] == "scripted:x@0"
    assert json.loads(json.dumps(two)) is not None
    assert "Say it: one on 2026-07-03" in shown(two)


def test_the_hold_out_refuses_an_answer_that_fits_one_vault_only(tmp_path: Path, model: Scripted) -> None:
    rubric = 'inputs = ["notes/*.md"]\n[[check]]\nkind = "lines"\nexpected = "lines"\ncap = 1.5\n'
    root = write_vault(tmp_path, first=FIRST | {"rubric": rubric})
    (root / "vault" / "expected.toml").write_text('lines = ["one"]\n')
    other = root / "held"
    shutil.copytree(root / "vault", other)
    (other / "notes" / "one.md").write_text("two\n")
    (other / "expected.toml").write_text('lines = ["two"]\n')
    judge.hold_out(root, other)
    (root / "tasks" / "first" / "c.sh").write_text("echo one")
    with pytest.raises(SystemExit, match="first: worse by more than 1"):
        judge.hold_out(root, other)


@given(
    st.dictionaries(st.sampled_from(["facts", "today", "x"]), st.text("a{} ", max_size=9)), st.text("{}xa \n")
)
def test_what_a_value_holds_is_never_filled_in_itself(values: dict[str, str], text: str) -> None:
    held = dict.fromkeys(values, "{{x}}")
    assert filled("{{facts}}|" + text.replace("{", "("), held).count("{{x}}") == ("facts" in values)


@pytest.mark.parametrize(
    ("likely", "share"),
    [
        ([("Yes", -0.1), (" no", -2.3)], 0.9002),
        ([("**Yes**", 0.0)], 1.0),
        ([("No.", 0.0), ("maybe", 0.0)], 0.0),
        ([("perhaps", 0.0)], None),
        ([], None),
    ],
)
def test_the_share_of_yes(likely: list[tuple[str, float]], share: float | None) -> None:
    assert yes_share(likely) == (None if share is None else pytest.approx(share, abs=1e-4))


# --- the shipped vault -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Door]]:
    """The shipped target with two of its tasks that a real model does, and its door."""
    model = smollm2()
    root = tmp_path_factory.mktemp("vault") / "vault"
    shutil.copytree(SHIPPED, root)
    for file in (root / "rubrics").glob("*.toml"):
        if file.stem not in ("morning-briefing", "fashion-signals"):
            file.unlink()
    (root / "models.toml").write_text(f'worker = ["local:{model}"]\n')
    door = judge.open_door(root, Memory(root.parent / "cache"))
    yield root, door
    door.close()


def test_a_real_model_copies_the_example_and_mended_it_does_not(shipped: tuple[Path, Door]) -> None:
    root, door = shipped
    with judge.heart(root, root / "vault", door=door) as heart:
        before = heart.beat()["morning-briefing"]
    assert before.score.failures[0][0] == "fresh"
    prompt = root / "tasks" / "morning-briefing" / "prompt.md"
    prompt.write_text(prompt.read_text().partition("Example:")[0])
    calls = door.calls
    with judge.heart(root, root / "vault", door=door) as heart:
        after = heart.beat()["morning-briefing"]
        again = heart.beat()["morning-briefing"]
    assert after.score.value > before.score.value
    assert (after.text, after.score) == (again.text, again.score)
    assert door.calls - calls >= 2  # asked afresh both times: a gain is confirmed, not remembered


def test_every_shipped_task_is_editable_whole_and_has_a_guard() -> None:
    from optiloop.targets import load_target

    target, tasks = load_target(SHIPPED), load_tasks(SHIPPED)
    assert len(tasks) >= 10
    files = {
        file.relative_to(SHIPPED).as_posix() for file in (SHIPPED / "tasks").rglob("*") if file.is_file()
    }
    assert files == set(target.editable)
    names = {f"task_{name.replace('-', '_')}" for name in tasks}
    assert {guard.metric for guard in target.guards} == names
    assert not any(task.broken for task in tasks.values())
