"""What a real small model gains alone on the main job, behind a real server.

    python benchmarks/fetch_models.py FOLDER                                   the models
    python benchmarks/models.py FOLDER/qwen...gguf                              30 cycles, OpenAI's protocol
    python benchmarks/models.py FOLDER/qwen...gguf --protocol ollama            by the official Ollama client
    python benchmarks/models.py smollm2 --cycles 2                              a short form

Prints the share of answers that are read, that can be applied, that are new changes, that pass the gate and
that are kept; the tokens of the first, the 10th and the last prompt; and what a fresh measurement of baseline
against champion shows. Exits with 1 where a prompt grew by more than a quarter.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from optiloop.loop import Engine
from optiloop.model import Status
from optiloop.proposers.llm.chat import Chat, Reply, Request
from optiloop.proposers.llm.clients import find_chat
from optiloop.proposers.llm.local import ModelServer, find_weights
from optiloop.proposers.llm.model import Model
from optiloop.proposers.llm.serve import Front
from optiloop.targets import builtins_folder, lay_out, load_target

UNREAD = ("the answer", "the code does not parse", "the JSON")
"""How refusals of answers begin that no change could be read from."""
KNOWN = ("changes nothing", "that was tried before")
GROWTH = 1.25


class Counting:
    """A client whose answers are counted. `first` holds the tokens of each conversation's first prompt."""

    def __init__(self, inner: Chat) -> None:
        self.name, self._inner = inner.name, inner
        self.answers, self.first = 0, list[int]()

    def complete(self, request: Request) -> Reply:
        reply = self._inner.complete(request)
        self.answers += 1
        if len(request.messages) == 2:
            self.first.append(reply.tokens_in)
        return reply


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("model", help="a GGUF file, or smollm2")
    options.add_argument("--cycles", type=int, default=30)
    options.add_argument("--protocol", choices=("openai", "ollama"), default="openai")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, served(chosen.model, chosen.protocol) as chat:
        folder = Path(scratch) / "text_processor"
        lay_out(builtins_folder() / "text_processor", folder)
        counting, refused = Counting(chat), Counter[str]()
        model = Model(counting, kind="function")
        prompts: list[int] = []
        with Engine.opened(load_target(folder), model, seed=chosen.seed) as engine:
            engine.prepare()
            for number in range(1, chosen.cycles + 1):
                asked, model.refused = len(counting.first), []
                experiment = engine.cycle()
                assert experiment is not None
                prompts.append(counting.first[asked])
                refused.update(kind(why) for why in model.refused)
                print(
                    f"#{number} {experiment.status}: {experiment.hypothesis or experiment.reason}", flush=True
                )
            statuses = engine.history().statuses
            spent = [lesson.cost for lesson in engine.history().latest(chosen.cycles)]
            claim = engine.claim() if statuses[Status.KEEP] else None
    report(counting.answers, refused, statuses)
    count = len(spent)
    print(
        f"tokens a cycle: {sum(cost.tokens for cost in spent) / count:,.0f} read and written, "
        f"{sum(cost.tokens_out for cost in spent) / count:,.0f} of them written"
    )
    tenth = prompts[min(9, count - 1)]
    print(f"prompt, tokens: {prompts[0]:,} at 1, {tenth:,} at {min(10, count)}, {prompts[-1]:,} at {count}")
    if claim is not None and claim.interval is not None:
        low, high = claim.interval.low, claim.interval.high
        print(f"improvement.ratio {claim.ratio:.2f}, 95 % interval {low:.2f} .. {high:.2f}")
    print(f"time {(time.monotonic() - started) / 60:.1f} minutes")
    return 0 if max(prompts) <= GROWTH * max(prompts[: max(1, count // 3)]) else 1


def kind(why: str) -> str:
    """Of which kind a refusal is."""
    return "unread" if why.startswith(UNREAD) else "known" if why.startswith(KNOWN) else "unapplied"


def report(answers: int, refused: Counter[str], statuses: Counter[Status]) -> None:
    """One line for each step that an answer can take."""
    read = answers - refused["unread"]
    applied = read - refused["unapplied"]
    new = applied - refused["known"]
    failed = sum(statuses[status] for status in (Status.GATE_FAILED, Status.CRASH, Status.VIOLATION))
    for step, number in (
        ("answers", answers),
        ("read", read),
        ("applied", applied),
        ("new changes", new),
        ("pass the gate", new - failed),
        ("kept", statuses[Status.KEEP]),
    ):
        print(f"{step:<14}{number:>5}{number / answers:>7.0%}")


@contextmanager
def served(model: str, protocol: str) -> Iterator[Chat]:
    """A client of a real engine's HTTP server, by the protocol."""
    weights = find_weights(model)
    with closing(ModelServer(weights)) as server:
        if protocol == "openai":
            os.environ.update(OPENAI_BASE_URL=f"{server.address}/v1", OPENAI_API_KEY=server.key)
            yield find_chat(f"openai:{weights.name}")
            return
        with Front(server, "127.0.0.1", 0) as front:
            threading.Thread(target=front.serve_forever, daemon=True).start()
            os.environ["OLLAMA_HOST"] = front.url
            yield find_chat(f"ollama:{weights.name}")


if __name__ == "__main__":
    sys.exit(main())
