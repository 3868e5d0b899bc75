"""The process that runs a candidate's code: it trains, or answers logits, and sees no text that is judged.

Started by `judge.py`, which talks to it over a socket (its fd 0). Before it loads the candidate it shuts
itself in: it can read no file but the candidate and torch's, write none, and reach no other process (Linux;
elsewhere the sandbox alone confines it).
"""

from __future__ import annotations

import dataclasses  # noqa: F401  here, so that a candidate that imports it needs no file
import io
import json
import time
import traceback
import types
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from clock import Clock, Diverged
from torch import nn

from optiloop.bench.worker import confine, load, receive, send, take_channel


class Data:
    """The training text: batches of windows from random places, the same for the same seed."""

    def __init__(self, tokens: npt.NDArray[np.uint16], seed: int) -> None:
        self.tokens = tokens
        self.drawn = 0
        self._draw = np.random.default_rng(seed)

    def batch(self, count: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets, (count, length) each: a target is the token that follows its input."""
        starts = self._draw.integers(len(self.tokens) - length, size=(count, 1))
        windows = self.tokens[starts + np.arange(length + 1)].astype(np.int64)
        self.drawn += count * length
        return torch.from_numpy(windows[:, :-1]), torch.from_numpy(windows[:, 1:])


def train(candidate: types.ModuleType, channel: int, order: dict[str, Any]) -> None:
    """Train a model as the order says; send losses on the way, then what it took, then the weights."""
    tokens = np.frombuffer(receive(channel) or b"", dtype=np.uint16)
    torch.manual_seed(order["seed"])
    model, data = candidate.build_model(order["vocabulary"]), Data(tokens, order["seed"])
    clock = Clock(
        order["budget"],
        by_steps=order["by_steps"],
        report=lambda share, loss: say(channel, at=share, loss=loss),
    )
    begun, cpu = time.monotonic(), time.process_time()
    candidate.train(model, data, clock)
    say(
        channel,
        steps=clock.steps,
        spent=clock.spent,
        flops=clock.flops,
        seconds=time.monotonic() - begun,
        cpu_seconds=time.process_time() - cpu,
        parameters=sum(weights.numel() for weights in model.parameters()),
        depth=getattr(candidate, "DEPTH", 0),
        tokens=data.drawn,
    )
    weights = io.BytesIO()
    torch.save(model.state_dict(), weights)
    send(channel, b"+" + weights.getvalue())


@torch.inference_mode()
def answer(candidate: types.ModuleType, channel: int, order: dict[str, Any]) -> None:
    """Load the weights, then answer each batch of windows with its logits, until the judge leaves."""
    model = candidate.build_model(order["vocabulary"])
    weights = torch.load(io.BytesIO(receive(channel) or b""), weights_only=True)
    model.load_state_dict(weights)
    model.eval()
    length = int(getattr(candidate, "SEQUENCE", 0))
    say(channel, length=length)
    while message := receive(channel):
        tokens = np.frombuffer(message, dtype=np.uint16).astype(np.int64)
        logits = model(torch.from_numpy(tokens).view(-1, min(length, len(tokens))))
        send(channel, b"+" + logits.float().contiguous().numpy().tobytes())


def warm() -> None:
    """Have torch load what it loads at first use, while it still may: optimizers alone take seconds."""
    torch.set_num_threads(1)
    reference_step()


REFERENCE_STEPS = 10


def reference_step() -> float:
    """CPU seconds of one step of a small model that never changes, the best of some."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(1024, 64), nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 1024))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    tokens = torch.randint(1024, (1024,))
    best = float("inf")
    for _ in range(REFERENCE_STEPS):
        begun = time.process_time()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(tokens), tokens).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        best = min(best, time.process_time() - begun)
    torch.load(io.BytesIO(_saved(model)), weights_only=True)
    return best


def _saved(model: nn.Module) -> bytes:
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.getvalue()


def say(channel: int, **numbers: float) -> None:
    send(channel, b"+" + json.dumps(numbers).encode())


def main() -> None:
    channel = take_channel()
    say(channel, reference_s=reference_step())
    order = json.loads(receive(channel) or b"{}")
    confine([order["candidate"], *(str(Path(str(module.__file__)).parent) for module in (torch, np))])
    try:
        candidate = load(order["candidate"])
        {"train": train, "answer": answer}[order["task"]](candidate, channel, order)
    except Diverged as error:
        send(channel, f"-{error}".encode())
    except BaseException:  # noqa: BLE001  sys.exit too: whatever a candidate raises is its answer
        send(channel, b"-" + traceback.format_exc(limit=-3).encode("utf-8", "backslashreplace")[-2000:])


if __name__ == "__main__":
    main()
