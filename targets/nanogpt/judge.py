"""Train the candidate for a fixed budget and say how well it predicts text that it has not seen. Protected.

    python judge.py [--profile NAME] [--budget 10s | wall=300s | steps=300] [--dataset FOLDER] [--seed N]
                    [--train FILE] [--check | --start]

The number is `val_bpb`: the bits that the trained model needs for a byte of the validation text; smaller is
better. The candidate's code runs in workers, and the one that trains holds the training text only. On a CPU
the clock is virtual (`clock.py`); wall seconds are counted here. Probabilities are computed here, from the
logits that a fresh worker answers. Another worker is asked again with other words after a place, which must
change nothing before it. `--check` is a run of a few steps; `--start` lays the profile's starting point over
the train.py that ships.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import re
import resource
import select
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
NEEDS = ("torch", "numpy", "tiktoken")

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
START_CPU_S = 3.0
OVERRUN, OVERRUN_S = 0.1, 2.0
"""By how much, as a share and besides, a training may be late: its last step, and what follows it."""
MEMORY_STEP_MB = 256.0


@dataclass(frozen=True)
class Trained:
    """What a training run left: the weights as bytes, its numbers as the worker said them, and its seconds.

    Wall seconds are those charged; both are the judge's own.
    """

    weights: bytes
    numbers: dict[str, float]
    seconds: float
    cpu_seconds: float


def fail(reason: str) -> NoReturn:
    raise SystemExit(f"error: {reason}")


if missing := [name for name in NEEDS if find_spec(name) is None]:
    fail(f"{', '.join(missing)} not installed; the target nanogpt needs: pip install 'optiloop[nanogpt]'")
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # no thread survives a fork
os.environ.update(
    TORCHINDUCTOR_COMPILE_THREADS="1", TRITON_CACHE_DIR=tempfile.gettempdir()
)  # torch reads these once

import numpy as np  # noqa: E402  these come with the extra
import numpy.typing as npt  # noqa: E402
import worker as workers  # noqa: E402
from clock import FLOP_S, charged  # noqa: E402
from prepare import Data, DataError, Tokens, read_data  # noqa: E402
from profiles import (  # noqa: E402
    PROFILES,
    SHIPPED,
    VARIABLE,
    Budget,
    Machine,
    Profile,
    machine_here,
    profile_for,
    read_budget,
    read_profile,
)

from optiloop import knobs  # noqa: E402
from optiloop.bench.worker import receive, send  # noqa: E402


class Worker:
    """A process that runs the candidate. What it answers is the candidate's word, and checked as such."""

    def __init__(self, process: int, line: socket.socket) -> None:
        self.process, self.patience_s = process, math.inf
        self.cpu_seconds = 0.0
        self._line = line
        self._code: int | None = None

    def tell(self, message: bytes) -> None:
        try:
            send(self._line.fileno(), message)
        except OSError:
            self.hear()  # it may have said why before it ended
            raise

    def hear(self) -> bytes:
        """The next answer. Ends the program, saying why, where the candidate failed."""
        if not select.select([self._line], [], [], self.patience_s)[0]:
            fail(f"train.py: silent for {self.patience_s:g} s: it hangs, or compiling does")
        try:
            answer = receive(self._line.fileno())
        except OSError:
            answer = None
        if answer is None:
            fail(f"train.py: {_said(self.end(kill=False))}")
        if answer[:1] == b"-":
            story = answer[1:].decode("utf-8", "replace").strip()
            print(story, file=sys.stderr)
            last = story.splitlines()[-1] if story else "failed"
            fail(f"train.py: {'out of memory: ' if OUT_OF_MEMORY.search(last) else ''}{last}")
        return answer[1:]

    def hear_numbers(self) -> dict[str, float]:
        try:
            return {str(name): float(value) for name, value in json.loads(self.hear()).items()}
        except (ValueError, TypeError, AttributeError):
            fail("train.py: answered something that is no number")

    def end(self, *, kill: bool = True) -> int:
        """End the process, where it has not; its exit code, negative where a signal ended it."""
        if self._code is None:
            if kill:
                os.kill(self.process, signal.SIGKILL)
            _, status, used = os.wait4(self.process, 0)
            self._code, self.cpu_seconds = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
            self._line.close()
        return self._code


OUT_OF_MEMORY = re.compile("out of memory|can't allocate memory|MemoryError", re.IGNORECASE)


def _said(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "took more CPU time than its virtual time allows: work is hidden from the clock"
    if code == -signal.SIGKILL:
        return "its process was killed: out of memory, or by hand"
    return f"its process ended with {code}"


RUN = 3
"""Workers for one candidate: one trains, one answers, one is asked again."""


class Crew:
    """Workers in waiting, forked from this process before it has read anything that they must not know.

    Forked and not started anew, because torch takes seconds of CPU to load: once here, not in each.
    """

    def __init__(self, count: int, device: str, patience_s: float) -> None:
        self.device, self.patience_s = device, patience_s
        if device == "cpu":  # with a GPU, torch starts threads at its first step: none survives a fork
            workers.warm()
        self._waiting = [self._forked() for _ in range(count)]

    def _forked(self) -> Worker:
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

    @contextmanager
    def worker(self, order: dict[str, Any]) -> Iterator[Worker]:
        """Give the next worker its order, its CPU time bounded by what its virtual seconds may take."""
        started = self._waiting.pop(0)
        started.patience_s = self.patience_s
        try:
            started.tell(json.dumps({**order, "device": self.device}).encode())
            if order.get("kind") == "virtual":
                speed = started.hear_numbers()["reference_s"] / REFERENCE_VIRTUAL_S
                most = int(START_CPU_S + SLACK * speed * order["amount"])
                if hasattr(resource, "prlimit"):
                    resource.prlimit(started.process, resource.RLIMIT_CPU, (most, most + 5))
            yield started
        finally:
            started.end()

    def dismiss(self) -> None:
        """End those that were not needed."""
        while self._waiting:
            self._waiting.pop().end()


def train(
    crew: Crew,
    candidate: Path,
    data: Data,
    tokens: Tokens,
    budget: Budget,
    *,
    seed: int,
    compile_s: float = 0.0,
    on_the_way: Callable[[float, float], None] = lambda share, loss: None,
) -> Trained:
    """Train the candidate on these tokens. `on_the_way` is told (share of the budget, nats a token).

    Wall seconds are counted here, from step to step, and the worker is told them: but for `compile_s` of the
    first steps. Raises SystemExit where it goes on after its time.
    """
    order = {"task": "train", "candidate": str(candidate), "vocabulary": data.vocabulary, "seed": seed}
    with crew.worker({**order, "amount": budget.amount, "kind": budget.kind}) as running:
        running.tell(np.ascontiguousarray(tokens).tobytes())
        ticks: list[float] = []
        while "steps" not in (numbers := running.hear_numbers()):
            if "loss" in numbers:
                on_the_way(numbers["at"], numbers["loss"])
                continue
            ticks.append(time.monotonic())
            if len(ticks) > 1:
                running.tell(struct.pack("d", charged(ticks, compile_s)))
        seconds = charged([*ticks, time.monotonic()], compile_s)
        if budget.kind == "wall" and seconds > budget.amount * (1 + OVERRUN) + OVERRUN_S:
            fail(f"train.py: trained for {seconds:.1f} s of {budget.amount:g}: it goes on after its time")
        weights = running.hear()
        running.end()
        return Trained(weights, numbers, seconds, running.cpu_seconds)


# --- evaluation -----------------------------------------------------------------------------------------

Logits = npt.NDArray[np.float32]


def evaluate(crew: Crew, candidate: Path, data: Data, weights: bytes, parts: Sequence[Tokens]) -> list[float]:
    """Bits per byte of each text, by a trained model. Raises SystemExit where it looks ahead."""
    found: list[float] = []
    first: tuple[Tokens, Logits] | None = None
    with answering(crew, candidate, data, weights) as (running, length):
        for tokens in parts:
            nats = 0.0
            for inputs, targets in batches(tokens, length):
                logits = ask(running, inputs, data.vocabulary)
                nats += float(surprise(logits, targets)[targets != data.separator].sum())
                first = first or (inputs, logits)
            found.append(float(nats / (np.log(2) * data.sizes[tokens[1:]].sum())))
    if first is not None:
        look_again(crew, candidate, data, weights, *first)
    return found


@contextmanager
def answering(crew: Crew, candidate: Path, data: Data, weights: bytes) -> Iterator[tuple[Worker, int]]:
    """A worker that answers logits, and how many tokens its model reads at once."""
    order = {"task": "answer", "candidate": str(candidate), "vocabulary": data.vocabulary}
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


def ask(running: Worker, inputs: Tokens, vocabulary: int) -> Logits:
    """The model's logits for a batch of windows: (windows, length, vocabulary)."""
    running.tell(inputs.tobytes())
    logits = np.frombuffer(running.hear(), dtype=np.float32)
    if logits.size != inputs.size * vocabulary:
        fail(f"train.py: answered {logits.size} logits where {inputs.size} x {vocabulary} were asked for")
    if not np.isfinite(logits).all():
        fail("train.py: the trained model answers logits that are not finite")
    return logits.reshape(*inputs.shape, vocabulary)


def surprise(logits: Logits, targets: Tokens) -> npt.NDArray[np.float64]:
    """Nats for each target, from probabilities that sum to one because they are made here."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    total = np.log(np.exp(shifted).sum(axis=-1, dtype=np.float64))
    chosen = np.take_along_axis(shifted, targets[..., None].astype(np.int64), axis=-1)[..., 0]
    return total - chosen


def look_again(
    crew: Crew, candidate: Path, data: Data, weights: bytes, inputs: Tokens, logits: Logits
) -> None:
    """Ask a worker that has seen nothing for the same windows with other words after a place in each.

    Up to that place the logits must be the same: a model that reads its targets, mixes windows, or learns
    from what it is asked gives others. Raises SystemExit where they are not.
    """
    inputs, logits = inputs[:WINDOWS_ASKED_AGAIN], logits[:WINDOWS_ASKED_AGAIN]
    draw = np.random.default_rng(len(weights))
    changed, length = inputs.copy(), inputs.shape[1]
    cuts = draw.integers(0, max(1, length - 1), len(inputs))
    for window, cut in zip(changed, cuts, strict=True):
        others = draw.integers(1, data.separator, length - cut - 1)
        window[cut + 1 :] = (window[cut + 1 :] + others) % data.separator
    with answering(crew, candidate, data, weights) as (running, _):
        again = ask(running, changed, data.vocabulary)
    for number, cut in enumerate(cuts):
        moved = float(np.abs(again[number, : cut + 1] - logits[number, : cut + 1]).max())
        if moved > TOLERANCE:
            fail(f"train.py: the model uses what comes later: other words there moved a logit by {moved:.3g}")


# --- the command ----------------------------------------------------------------------------------------


def check(crew: Crew, candidate: Path, data: Data) -> None:
    """A few steps on a little text: the file loads, learns a finite loss, and does not look ahead."""
    tokens = data.part("train", CHECKED_TOKENS)
    trained = train(crew, candidate, data, tokens, Budget(2, "steps"), seed=0)
    evaluate(crew, candidate, data, trained.weights, [tokens])
    print("ok: finite loss, and what comes later changes nothing")


def measure(found: Bench, candidate: Path, *, seed: int, part: str = "validation") -> None:
    """Train, and evaluate on a part; print the course, the number, and the rest of autoresearch's summary."""
    crew, data, profile, budget = found.crew, found.data, found.profile, found.budget
    begun = time.monotonic()
    tokens = data.part("train", profile.train_tokens)
    bits = 1 / (np.log(2) * data.sizes[tokens[:BITS_FROM]].mean())  # bits per byte for a nat per token

    def say(share: float, loss: float) -> None:
        print(f"PARTIAL at={share:.3f} val_bpb={loss * bits:.6f}", flush=True)

    compile_s = profile.compile_s if budget.kind == "wall" else 0.0
    trained = train(crew, candidate, data, tokens, budget, seed=seed, compile_s=compile_s, on_the_way=say)
    judged = data.part(part, profile.judged_tokens)
    (val_bpb,) = evaluate(crew, candidate, data, trained.weights, [judged])
    summary = {
        "val_bpb": val_bpb,
        "training_seconds": trained.seconds,
        "total_seconds": time.monotonic() - begun,
        **secondary(trained, found.machine),
    }
    print("---")
    for name, value in summary.items():
        print(f"{name + ':':<17} {value:.{0 if name in WHOLE else 6}f}")
    print(
        f"profile:          {profile.name}, {budget.amount:g} {budget.kind}, "
        f"{found.machine.name or found.machine.device}"
    )
    print(f"corpus:           {data.digest}")
    for name in METRICS:
        print(f"METRIC {name}={summary[name]!r}")


METRICS = (
    *("val_bpb", "peak_mb", "num_params_M", "num_steps", "cpu_seconds", "training_seconds"),
    *("tokens_per_second", "mfu_percent", "peak_vram_mb", "total_tokens_M"),
)
WHOLE = ("num_steps", "depth")
"""What the summary prints without decimals, as autoresearch does."""
BITS_FROM = 4_000_000
"""Training tokens from which the bytes of a token are taken for the course of a run."""


def secondary(trained: Trained, machine: Machine) -> dict[str, float]:
    """What else a training was. The share of the device's peak is 0 where that is not known.

    On a CPU seconds are those of the CPU, and the peak is that of the core that virtual seconds are of.
    """
    numbers = trained.numbers
    seconds = trained.seconds if machine.device != "cpu" else trained.cpu_seconds
    peak = 1 / FLOP_S if machine.device == "cpu" else machine.peak_flops
    return {
        "peak_vram_mb": numbers["vram_mb"],
        "mfu_percent": 100 * numbers["flops"] / seconds / peak if peak else 0.0,
        "total_tokens_M": numbers["tokens"] / 1e6,
        "num_steps": numbers["steps"],
        "num_params_M": numbers["parameters"] / 1e6,
        "depth": numbers["depth"],
        "peak_mb": max(peak_mb(), numbers["vram_mb"]),
        "tokens_per_second": numbers["tokens"] / seconds,
        "cpu_seconds": trained.cpu_seconds,
    }


def peak_mb() -> float:
    """The most memory that a worker had, in steps: within one it is noise, which a guard would sample."""
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return math.ceil(most / (2**20 if sys.platform == "darwin" else 1024) / MEMORY_STEP_MB) * MEMORY_STEP_MB


def start_of(profile: Profile) -> str:
    """The profile's starting point: the file that it names, with its constants."""
    source = (HERE / profile.start).read_text(encoding="utf-8")
    found = {knob.name: knob for knob in knobs.find("train.py", source)}
    return knobs.replace_all(source, {found[name]: value for name, value in profile.constants.items()})


def lay_start(file: Path, profile: Profile) -> None:
    """Write the profile's starting point over the one that ships, and say so. What is the user's stays."""
    if profile.start == file.name:
        return
    if hashlib.sha256(file.read_bytes()).hexdigest() != SHIPPED:
        print(f"begins from your own {file.name}, not from {profile.start} (profile {profile.name})")
        return
    file.write_text(start_of(profile), encoding="utf-8")
    print(f"begins from {profile.start} (profile {profile.name})")


def options() -> argparse.ArgumentParser:
    """What the judge and the hold-out may be told."""
    parser = argparse.ArgumentParser()
    asked = os.environ.get(VARIABLE)
    parser.add_argument("--profile", type=read_profile, default=asked, help=f"{', '.join(PROFILES)}")
    parser.add_argument("--budget", type=read_budget)
    parser.add_argument("--dataset", type=Path, help="a folder that prepare.py has made")
    return parser


@contextmanager
def bench(count: int, chosen: argparse.Namespace) -> Iterator[Bench]:
    """All that a judgement needs: so many workers, then the data. Ends the program where it is not whole."""
    machine = machine_here()
    profile = chosen.profile or profile_for(machine)
    budget = chosen.budget or profile.budget
    if budget.kind == "virtual" and machine.device != "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # virtual seconds are those of a CPU
        machine = Machine()
    crew = Crew(count, machine.device, profile.patience_s)  # before the corpus is read
    try:
        yield Bench(crew, read_data(chosen.dataset), profile, budget, machine)
    except DataError as error:
        fail(str(error))
    finally:
        crew.dismiss()


@dataclass(frozen=True)
class Bench:
    """Workers, data, and for whom and how long."""

    crew: Crew
    data: Data
    profile: Profile
    budget: Budget
    machine: Machine


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options()
    parser.add_argument("--seed", type=int, default=int(os.environ.get("OPTILOOP_SEED", "0")))
    parser.add_argument("--train", type=Path, default=HERE / "train.py")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--start", action="store_true")
    chosen = parser.parse_args(arguments)
    candidate = chosen.train.resolve()
    if chosen.start:
        lay_start(candidate, chosen.profile or profile_for(machine_here()))
        return
    with bench(RUN, chosen) as found:
        if chosen.check:
            check(found.crew, candidate, found.data)
        else:
            measure(found, candidate, seed=chosen.seed)


if __name__ == "__main__":
    main()
