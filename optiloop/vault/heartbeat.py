"""One heartbeat: every task once, in the order in which they read each other, side by side. Effect.

Scripts run in fresh folders that hold copies of what they may read: the vault is never written. What a script
or a model said to the same question twice is remembered, so only what changed, and what reads it, costs time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from optiloop.errors import TargetError
from optiloop.vault.checks import Said
from optiloop.vault.door import Answer, Door, NoAnswerError, Question
from optiloop.vault.memory import key_of
from optiloop.vault.score import Score, score
from optiloop.vault.scripts import Ran, run_script
from optiloop.vault.task import Task, read_table

SIDE_BY_SIDE = 4
SCRIPT_SECONDS = 10.0
EXPECTED = "expected.toml"
"""What the judge knows of a vault; no script sees it."""


@dataclass(frozen=True)
class Vault:
    """A folder of notes and what is known of it. `seed` is for what is drawn at random: temperature."""

    folder: Path
    expected: Mapping[str, object]
    seed: int = 0

    @classmethod
    def at(cls, folder: Path, seed: int = 0) -> Vault:
        """Raises TargetError where the folder or its expected.toml is not there."""
        return cls(folder, read_table(folder / EXPECTED), seed)

    @property
    def today(self) -> str:
        return str(self.expected.get("today", ""))


@dataclass(frozen=True)
class Reply:
    """What one model of a pool made of a task; `model` is empty where a script did it alone.

    `text` is what the post-processor made of the answer.
    """

    model: str
    text: str
    answer: Answer
    score: Score


@dataclass(frozen=True)
class Output:
    """What a task did: what it read, what was asked, what came back. Its score is that of its worst reply.

    `text` is handed on to the tasks that read it: the first reply of the pool that there is.
    """

    task: Task
    inputs: tuple[str, ...]
    facts: str
    prompt: str
    replies: tuple[Reply, ...]
    started: int | None
    seconds: float

    @property
    def text(self) -> str:
        return next((reply.text for reply in self.replies if reply.text), "")

    @property
    def worst(self) -> Reply:
        return min(self.replies, key=lambda reply: reply.score.value)

    @property
    def score(self) -> Score:
        return self.worst.score


Opinion = Callable[[Task, Said], float | None]
"""A calibrated judge's word on an output, 0 to 1; None where it abstains."""


@dataclass(frozen=True)
class Heart:
    """Beats: runs the tasks of one vault."""

    tasks: Mapping[str, Task]
    vault: Vault
    door: Door
    opinion: Opinion = lambda task, said: None

    def beat(self, wanted: Collection[str] | None = None) -> dict[str, Output]:
        """The output of each task, or of `wanted` and what they read. Raises TargetError for a ring."""
        needed = set(self.tasks) if wanted is None else upstream(self.tasks, wanted)
        order = TopologicalSorter({name: self.tasks[name].rubric.after for name in needed})
        try:
            order.prepare()
        except CycleError as error:
            raise TargetError(
                f"rubrics: tasks read each other in a ring: {' -> '.join(error.args[1])}"
            ) from None
        done: dict[str, Output] = {}
        running: dict[Future[Output], str] = {}
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            while order.is_active():
                for name in order.get_ready():
                    running[pool.submit(self._run, self.tasks[name], dict(done))] = name
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    name = running.pop(future)
                    done[name] = future.result()
                    order.done(name)
        return {name: done[name] for name in sorted(done)}

    def _run(self, task: Task, done: Mapping[str, Output]) -> Output:
        began = time.monotonic()
        inputs = _inputs(task, self.vault.folder)
        handed = {name: done[name].text for name in task.rubric.after}
        if task.broken:
            return self._failed(task, inputs, task.broken, began)
        collected = Ran("", "", 0, 0.0)
        if task.settings.collect:
            collected = self._script(task, task.settings.collect, inputs, handed, stdin="")
            if collected.failure:
                return self._failed(task, inputs, f"{task.settings.collect}: {collected.failure}", began)
        facts = collected.stdout
        prompt = filled(task.prompt, {"facts": facts, "today": self.vault.today, **handed})
        replies = tuple(
            self._reply(task, model, prompt, collected, inputs, handed)
            for model in task.settings.pool or ("",)
        )
        return Output(
            task, tuple(inputs), facts, prompt, replies, collected.started, time.monotonic() - began
        )

    def _reply(
        self,
        task: Task,
        model: str,
        prompt: str,
        collected: Ran,
        inputs: Mapping[str, str],
        handed: Mapping[str, str],
    ) -> Reply:
        answer, failure = self._answer(task, model, prompt) if model else (alone(collected.stdout), "")
        text = answer.text
        if task.settings.post and not failure:
            ran = self._script(task, task.settings.post, inputs, handed, stdin=text)
            failure, text = ran.failure and f"{task.settings.post}: {ran.failure}", ran.stdout
        facts = "\n".join((collected.stdout, *handed.values()))
        said = Said(text, facts, task.prompt, answer.finish, collected.started, self.vault.expected)
        opinion = None if failure else self.opinion(task, said)
        found = score(task.name, said, task.rubric, failure=failure, opinion=opinion)
        return Reply(model, text, answer, found)

    def _answer(self, task: Task, model: str, prompt: str) -> tuple[Answer, str]:
        """What a model answers, and why that is no answer; empty where it is one."""
        try:
            answer = self.door.ask(self._question(task, model, prompt))
        except NoAnswerError as error:
            return alone(""), f"model {model!r} of the pool gave no answer: {error}"
        return answer, _unfit(task, answer, len(prompt))

    def _question(self, task: Task, model: str, prompt: str) -> Question:
        settings = task.settings
        return Question(
            model,
            prompt,
            num_predict=settings.num_predict,
            num_ctx=settings.num_ctx,
            temperature=settings.temperature,
            seed=self.vault.seed,
            think=settings.think,
        )

    def _script(
        self, task: Task, name: str, inputs: Mapping[str, str], handed: Mapping[str, str], *, stdin: str
    ) -> Ran:
        """Run a script, or remember what it did with the same files and the same input."""
        script = task.folder / name
        key = key_of(
            "script",
            script.name,
            script.read_text("utf-8"),
            dict(inputs),
            dict(handed),
            stdin,
            self.vault.today,
        )

        def run() -> dict[str, object]:
            with tempfile.TemporaryDirectory() as folder:
                lay_out(Path(folder), inputs, handed)
                seconds = min(SCRIPT_SECONDS, task.rubric.seconds)
                ran = run_script(
                    script, Path(folder), stdin=stdin, seconds=seconds, env={"TODAY": self.vault.today}
                )
            return {"stdout": ran.stdout, "started": ran.started, "failure": ran.failure}

        value, _ = self.door.memory.settled(key, run)
        return Ran(value["stdout"], "", value["started"], 0.0, value["failure"])

    def _failed(self, task: Task, inputs: Mapping[str, str], failure: str, began: float) -> Output:
        found = score(task.name, Said(""), task.rubric, failure=failure)
        reply = Reply("", "", alone(""), found)
        return Output(task, tuple(inputs), "", "", (reply,), None, time.monotonic() - began)


def upstream(tasks: Mapping[str, Task], wanted: Collection[str]) -> set[str]:
    """These tasks, and all that they read, directly or not."""
    needed: set[str] = set()
    pending = list(wanted)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending += tasks[name].rubric.after
    return needed


def readers(tasks: Mapping[str, Task], name: str) -> list[str]:
    """The tasks that read a task's output."""
    return sorted(other for other, task in tasks.items() if name in task.rubric.after)


def filled(prompt: str, values: Mapping[str, str]) -> str:
    """The prompt with each {{name}} replaced by its value, once: what a value holds is text."""
    pieces = prompt.split("{{")
    found = [pieces[0]]
    for piece in pieces[1:]:
        name, closed, rest = piece.partition("}}")
        known = closed and name.strip() in values
        found.append(values[name.strip()].strip() + rest if known else "{{" + piece)
    return "".join(found)


def lay_out(folder: Path, inputs: Mapping[str, str], handed: Mapping[str, str]) -> None:
    """Write what a script may read into its folder: the vault's files by their paths, outputs as NAME.txt."""
    for path, text in inputs.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for name, text in handed.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def _inputs(task: Task, vault: Path) -> dict[str, str]:
    """The vault's files that a task may read, by their paths in it."""
    files = {file for pattern in task.rubric.inputs for file in vault.glob(pattern) if file.is_file()}
    return {
        file.relative_to(vault).as_posix(): file.read_text("utf-8")
        for file in sorted(files)
        if file.name != EXPECTED
    }


def alone(text: str) -> Answer:
    """What a script says where no model is asked."""
    return Answer(text, "stop", "", 0, 0)


def _unfit(task: Task, answer: Answer, characters: int) -> str:
    """Why an answer is none; empty where it is one."""
    if answer.finish == "overflow":
        return (
            f"context overflow: too many lines: prompt of {characters} characters and num_predict ="
            f" {task.settings.num_predict} do not fit num_ctx = {task.settings.num_ctx}"
        )
    if answer.seconds > task.rubric.seconds:
        return f"took {answer.seconds:.0f} s, and {task.rubric.seconds:g} s are its budget"
    return ""
