"""Train the candidate for a fixed budget and say how well it predicts text that it has not seen. Protected.

    python judge.py [--budget 10s | --budget steps=300] [--seed N] [--train FILE] [--check]

The number is `val_bpb`: the bits that the trained model needs for a byte of the validation text; smaller is
better. The candidate's code runs in workers, and the one that trains holds the training text only. The clock
is virtual (`clock.py`). Probabilities are computed here, from the logits that a fresh worker answers. Another
worker is asked again with other words after a place, which must change nothing before it. `--check` is a run
of a few steps.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
NEEDS = ("torch", "numpy", "tiktoken")

TRAIN_TOKENS = 4_000_000
JUDGED_TOKENS = 65_536
"""Of each part, the first so many; all of it where it is smaller."""
CHECKED_TOKENS = 4_096
EVALUATED_AT_ONCE = 4_096
"""Tokens in one batch of windows."""
WINDOWS_ASKED_AGAIN = 32
TOLERANCE = 1e-3
"""How far a logit may move by rounding when other words come later."""

REFERENCE_VIRTUAL_S = 0.024
"""What the worker's reference step takes of the core that virtual seconds are those of."""
SLACK = 3.0
"""CPU seconds a virtual second may take, on a core as fast as that: more is work hidden from the clock."""
START_CPU_S = 10.0
MEMORY_STEP_MB = 256.0


@dataclass(frozen=True)
class Budget:
    """How long to train: virtual seconds, or steps."""

    amount: float
    by_steps: bool = False


@dataclass(frozen=True)
class Trained:
    """What a training run left: the weights as bytes, and its numbers as the worker said them."""

    weights: bytes
    numbers: dict[str, float]


def fail(reason: str) -> NoReturn:
    raise SystemExit(f"error: {reason}")


if missing := [name for name in NEEDS if find_spec(name) is None]:
    fail(f"{', '.join(missing)} not installed; the target nanogpt needs: pip install 'optiloop[nanogpt]'")
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # no thread survives a fork

import numpy as np  # noqa: E402  these come with the extra
import numpy.typing as npt  # noqa: E402
import worker as workers  # noqa: E402
from prepare import SEPARATOR, VOCABULARY, Corpus, Tokens, encode, read_corpus, token_bytes  # noqa: E402

from optiloop.bench.worker import receive, send  # noqa: E402


class Worker:
    """A process that runs the candidate. What it answers is the candidate's word, and checked as such."""

    def __init__(self, process: int, line: socket.socket) -> None:
        self.process, self._line = process, line
        self._code: int | None = None

    def tell(self, message: bytes) -> None:
        try:
            send(self._line.fileno(), message)
        except OSError:
            self.hear()  # it may have said why before it ended
            raise

    def hear(self) -> bytes:
        """The next answer. Ends the program, saying why, where the candidate failed."""
        try:
            answer = receive(self._line.fileno())
        except OSError:
            answer = None
        if answer is None:
            fail(f"train.py: {self._end()}")
        if answer[:1] == b"-":
            story = answer[1:].decode("utf-8", "replace").strip()
            print(story, file=sys.stderr)
            fail(f"train.py: {story.splitlines()[-1] if story else 'failed'}")
        return answer[1:]

    def hear_numbers(self) -> dict[str, float]:
        try:
            return {str(name): float(value) for name, value in json.loads(self.hear()).items()}
        except (ValueError, TypeError, AttributeError):
            fail("train.py: answered something that is no number")

    def end(self) -> int:
        """End the process, where it has not; its exit code, negative where a signal ended it."""
        if self._code is None:
            os.kill(self.process, signal.SIGKILL)
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
            self._line.close()
        return self._code

    def _end(self) -> str:
        self._code = code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        self._line.close()
        if code == -signal.SIGXCPU:
            return "took more CPU time than its virtual time allows: work is hidden from the clock"
        return f"its process ended with {code}"


RUN = 3
"""Workers for one candidate: one trains, one answers, one is asked again."""


class Crew:
    """Workers in waiting, forked from this process before it has read anything that they must not know.

    Forked and not started anew, because torch takes seconds of CPU to load: once here, not in each.
    """

    def __init__(self, count: int) -> None:
        workers.warm()
        self._waiting = [_forked() for _ in range(count)]

    @contextmanager
    def worker(self, order: dict[str, Any]) -> Iterator[Worker]:
        """Give the next worker its order, its CPU time bounded by what its virtual seconds may take."""
        started = self._waiting.pop(0)
        try:
            speed = started.hear_numbers()["reference_s"] / REFERENCE_VIRTUAL_S
            if "seconds" in order and hasattr(resource, "prlimit"):
                most = int(START_CPU_S + SLACK * speed * order["seconds"])
                resource.prlimit(started.process, resource.RLIMIT_CPU, (most, most + 5))
            started.tell(json.dumps(order).encode())
            yield started
        finally:
            started.end()

    def dismiss(self) -> None:
        """End those that were not needed."""
        while self._waiting:
            self._waiting.pop().end()


def _forked() -> Worker:
    mine, theirs = socket.socketpair()
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        try:
            os.dup2(theirs.fileno(), 0)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # its siblings' lines are none of its business
            workers.main()
        finally:
            os._exit(0)
    theirs.close()
    return Worker(process, mine)


def train(
    crew: Crew,
    candidate: Path,
    tokens: Tokens,
    budget: Budget,
    *,
    seed: int,
    on_the_way: Callable[[float, float], None] = lambda share, loss: None,
) -> Trained:
    """Train the candidate on these tokens. `on_the_way` is told (share of the budget, nats a token)."""
    order = {
        "task": "train",
        "candidate": str(candidate),
        "vocabulary": VOCABULARY,
        "seed": seed,
        "budget": budget.amount,
        "by_steps": budget.by_steps,
    }
    with crew.worker(order if budget.by_steps else {**order, "seconds": budget.amount}) as running:
        running.tell(tokens.tobytes())
        while "loss" in (numbers := running.hear_numbers()):
            on_the_way(numbers["at"], numbers["loss"])
        return Trained(running.hear(), numbers)


# --- evaluation -----------------------------------------------------------------------------------------

Logits = npt.NDArray[np.float32]


def evaluate(crew: Crew, candidate: Path, weights: bytes, parts: Sequence[Tokens]) -> list[float]:
    """Bits per byte of each text, by a trained model. Raises SystemExit where it looks ahead."""
    sizes = token_bytes()
    found: list[float] = []
    first: tuple[Tokens, Logits] | None = None
    with answering(crew, candidate, weights) as (running, length):
        for tokens in parts:
            nats = 0.0
            for inputs, targets in batches(tokens, length):
                logits = ask(running, inputs)
                nats += float(surprise(logits, targets)[targets != SEPARATOR].sum())
                first = first or (inputs, logits)
            found.append(float(nats / (np.log(2) * sizes[tokens[1:]].sum())))
    if first is not None:
        look_again(crew, candidate, weights, *first)
    return found


@contextmanager
def answering(crew: Crew, candidate: Path, weights: bytes) -> Iterator[tuple[Worker, int]]:
    """A worker that answers logits, and how many tokens its model reads at once."""
    order = {"task": "answer", "candidate": str(candidate), "vocabulary": VOCABULARY}
    with crew.worker(order) as running:
        running.tell(weights)
        length = int(running.hear_numbers()["length"])
        if not 1 <= length <= EVALUATED_AT_ONCE:
            fail(f"train.py: SEQUENCE is {length}; the judge can ask for 1 to {EVALUATED_AT_ONCE} tokens")
        yield running, length


def batches(tokens: Tokens, length: int) -> Iterator[tuple[Tokens, Tokens]]:
    """Inputs and targets, (windows, length) each: every token but the first is a target exactly once."""
    whole = (len(tokens) - 1) // length * length
    inputs, targets = tokens[:whole].reshape(-1, length), tokens[1 : whole + 1].reshape(-1, length)
    many = max(1, EVALUATED_AT_ONCE // length)
    for at in range(0, len(inputs), many):
        yield inputs[at : at + many], targets[at : at + many]
    if whole < len(tokens) - 1:
        yield tokens[None, whole:-1], tokens[None, whole + 1 :]


def ask(running: Worker, inputs: Tokens) -> Logits:
    """The model's logits for a batch of windows: (windows, length, vocabulary)."""
    running.tell(inputs.tobytes())
    logits = np.frombuffer(running.hear(), dtype=np.float32)
    if logits.size != inputs.size * VOCABULARY:
        fail(f"train.py: answered {logits.size} logits where {inputs.size} x {VOCABULARY} were asked for")
    if not np.isfinite(logits).all():
        fail("train.py: the trained model answers logits that are not finite")
    return logits.reshape(*inputs.shape, VOCABULARY)


def surprise(logits: Logits, targets: Tokens) -> npt.NDArray[np.float64]:
    """Nats for each target, from probabilities that sum to one because they are made here."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    total = np.log(np.exp(shifted).sum(axis=-1, dtype=np.float64))
    chosen = np.take_along_axis(shifted, targets[..., None].astype(np.int64), axis=-1)[..., 0]
    return total - chosen


def look_again(crew: Crew, candidate: Path, weights: bytes, inputs: Tokens, logits: Logits) -> None:
    """Ask a worker that has seen nothing for the same windows with other words after a place in each.

    Up to that place the logits must be the same: a model that reads its targets, mixes windows, or learns
    from what it is asked gives others. Raises SystemExit where they are not.
    """
    inputs, logits = inputs[:WINDOWS_ASKED_AGAIN], logits[:WINDOWS_ASKED_AGAIN]
    draw = np.random.default_rng(len(weights))
    changed, length = inputs.copy(), inputs.shape[1]
    cuts = draw.integers(0, max(1, length - 1), len(inputs))
    for window, cut in zip(changed, cuts, strict=True):
        window[cut + 1 :] = (window[cut + 1 :] + draw.integers(1, SEPARATOR, length - cut - 1)) % SEPARATOR
    with answering(crew, candidate, weights) as (running, _):
        again = ask(running, changed)
    for number, cut in enumerate(cuts):
        moved = float(np.abs(again[number, : cut + 1] - logits[number, : cut + 1]).max())
        if moved > TOLERANCE:
            fail(f"train.py: the model uses what comes later: other words there moved a logit by {moved:.3g}")


# --- the command ----------------------------------------------------------------------------------------


def corpus_tokens(corpus: Corpus, part: str) -> Tokens:
    return encode(corpus.parts[part], most=TRAIN_TOKENS if part == "train" else JUDGED_TOKENS)


def read_budget(text: str) -> Budget:
    """Read "10s" or "steps=300". Raises ArgumentTypeError."""
    kind, _, count = text.rpartition("=")
    try:
        budget = Budget(float(count), by_steps=True) if kind == "steps" else Budget(float(text.rstrip("s")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no budget; write 10s or steps=300") from None
    if not budget.amount > 0:
        raise argparse.ArgumentTypeError("a budget must be more than 0")
    return budget


def check(crew: Crew, candidate: Path, corpus: Corpus) -> None:
    """A few steps on a little text: the file loads, learns a finite loss, and does not look ahead."""
    tokens = encode(corpus.parts["train"], most=CHECKED_TOKENS)
    trained = train(crew, candidate, tokens, Budget(2, by_steps=True), seed=0)
    evaluate(crew, candidate, trained.weights, [tokens])
    print("ok: finite loss, and what comes later changes nothing")


def measure(crew: Crew, candidate: Path, corpus: Corpus, budget: Budget, seed: int) -> None:
    """Train and evaluate; print the course, the number, and the rest as autoresearch's summary has it."""
    begun = time.monotonic()
    tokens, sizes = corpus_tokens(corpus, "train"), token_bytes()
    bits = 1 / (np.log(2) * sizes[tokens].mean())  # bits per byte for a nat per token

    def say(share: float, loss: float) -> None:
        print(f"PARTIAL at={share:.3f} val_bpb={loss * bits:.6f}", flush=True)

    trained = train(crew, candidate, tokens, budget, seed=seed, on_the_way=say)
    (val_bpb,) = evaluate(crew, candidate, trained.weights, [corpus_tokens(corpus, "validation")])
    numbers = trained.numbers
    summary = {
        "val_bpb": val_bpb,
        "training_seconds": numbers["seconds"],
        "total_seconds": time.monotonic() - begun,
        "peak_vram_mb": 0.0,
        "mfu_percent": 0.0,
        "total_tokens_M": numbers["tokens"] / 1e6,
        "num_steps": numbers["steps"],
        "num_params_M": numbers["parameters"] / 1e6,
        "depth": numbers["depth"],
        "peak_mb": peak_mb(),
        "virtual_seconds": 0.0 if budget.by_steps else numbers["spent"],
        "cpu_seconds": numbers["cpu_seconds"],
        "gflops_a_second": numbers["flops"] / numbers["cpu_seconds"] / 1e9,
    }
    print("---")
    for name, value in summary.items():
        print(f"{name + ':':<18}{value:.6f}")
    print(f"corpus:           {corpus.digest}")
    for name in ("val_bpb", "peak_mb", "num_params_M", "num_steps", "cpu_seconds", "training_seconds"):
        print(f"METRIC {name}={summary[name]!r}")


def peak_mb() -> float:
    """The most memory that a worker had, in steps: within one it is noise, which a guard would sample."""
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return math.ceil(most / (2**20 if sys.platform == "darwin" else 1024) / MEMORY_STEP_MB) * MEMORY_STEP_MB


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", type=read_budget, default=Budget(10.0))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("OPTILOOP_SEED", "0")))
    parser.add_argument("--train", type=Path, default=HERE / "train.py")
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args(arguments)
    candidate = chosen.train.resolve()
    crew = Crew(RUN)  # before the corpus is read
    try:
        if chosen.check:
            check(crew, candidate, read_corpus())
        else:
            measure(crew, candidate, read_corpus(), chosen.budget, chosen.seed)
    finally:
        crew.dismiss()


if __name__ == "__main__":
    main()
