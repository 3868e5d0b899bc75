"""The process that runs a candidate's code: it trains, or answers logits, and sees no text that is judged.

Forked by `judge.py`, which talks to it over a socket (its fd 0). Before it loads the candidate it shuts
itself in: it can read no file but the candidate and torch's, write none, and reach no other process (Linux;
elsewhere the sandbox alone confines it). On a GPU it may read the system and write to devices and to its own
folder for temporary files, because compiling a model needs both.
"""

from __future__ import annotations

import dataclasses  # noqa: F401  here, so that a candidate that imports it needs no file
import io
import json
import struct
import sys
import tempfile
import time
import traceback
import types
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from clock import Clock, Cost, Diverged
from torch import nn

from optiloop.bench.worker import confine, load, receive, send, take_channel


class Text:
    """The training text: batches of windows from random places, the same for the same seed.

    Documents lie packed, one after the other. For a GPU the next batch is on its way while one is used.
    """

    def __init__(self, tokens: npt.NDArray[np.uint16], seed: int, device: torch.device) -> None:
        self.tokens, self.device = tokens, device
        self.drawn = 0
        self._draw = np.random.default_rng(seed)
        self._next: tuple[tuple[int, int], torch.Tensor] | None = None

    def batch(self, count: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets, (count, length) each: a target is the token that follows its input."""
        if self._next is None or self._next[0] != (count, length):
            self._next = (count, length), self._windows(count, length)
        windows = self._next[1]
        self._next = None
        if self.device.type == "cuda":
            self._next = (count, length), self._windows(count, length)
        self.drawn += count * length
        return windows[:, :-1], windows[:, 1:]

    def _windows(self, count: int, length: int) -> torch.Tensor:
        starts = self._draw.integers(len(self.tokens) - length, size=(count, 1))
        windows = torch.from_numpy(self.tokens[starts + np.arange(length + 1)].astype(np.int64))
        if self.device.type == "cuda":
            windows = windows.pin_memory()
        return windows.to(self.device, non_blocking=True)


def train(candidate: types.ModuleType, channel: int, order: dict[str, Any], text: bytes) -> None:
    """Train a model as the order says; send losses on the way, then what it took, then the weights."""
    tokens = np.frombuffer(text, dtype=np.uint16)
    device = torch.device(order["device"])
    torch.manual_seed(order["seed"])
    model = candidate.build_model(order["vocabulary"])
    counted = order["kind"] == "virtual"  # as it goes on; a GPU's kernels are not to be counted
    flops = 0.0 if counted else token_flops(model, int(getattr(candidate, "SEQUENCE", 0)))
    model, data = model.to(device), Text(tokens, order["seed"], device)

    def ask(steps: int) -> float:
        say(channel, step=steps)
        return float(struct.unpack("d", receive(channel) or b"")[0])

    clock = Clock(
        order["amount"],
        order["kind"],
        report=lambda share, loss: say(channel, at=share, loss=loss),
        ask=ask,
    )
    begun = time.monotonic()
    say(channel, step=0)
    candidate.train(model, data, clock)
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()
    say(
        channel,
        steps=clock.steps,
        spent=clock.spent,
        flops=clock.flops or flops * data.drawn,
        seconds=time.monotonic() - begun,
        parameters=sum(weights.numel() for weights in model.parameters()),
        depth=getattr(candidate, "DEPTH", 0),
        tokens=data.drawn,
        vram_mb=torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else 0.0,
    )
    weights = io.BytesIO()
    torch.save({name: value.cpu() for name, value in model.state_dict().items()}, weights)
    send(channel, b"+" + weights.getvalue())


@torch.no_grad()
def token_flops(model: nn.Module, length: int) -> float:
    """Operations of products for a token of training: a pass forward as the CPU counts it, three times.

    Attention is counted whole, also what a window leaves out.
    """
    cost = Cost()
    with cost:
        model(torch.zeros(1, length, dtype=torch.int64))
    return 3 * cost.flops / length


@torch.inference_mode()
def answer(candidate: types.ModuleType, channel: int, order: dict[str, Any], weights: bytes) -> None:
    """Load the weights, then answer each batch of windows with its logits, until the judge leaves."""
    device = torch.device(order["device"])
    model = candidate.build_model(order["vocabulary"])
    model.load_state_dict(torch.load(io.BytesIO(weights), weights_only=True))
    model.to(device).eval()
    length = int(getattr(candidate, "SEQUENCE", 0))
    say(channel, length=length)
    while message := receive(channel):
        tokens = torch.from_numpy(np.frombuffer(message, dtype=np.uint16).astype(np.int64))
        logits = model(tokens.view(-1, min(length, len(tokens))).to(device))
        send(channel, b"+" + logits.float().contiguous().cpu().numpy().tobytes())


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


def shut_in(candidate: str, device: str) -> None:
    """Give up all rights to files that the candidate does not need on this device."""
    readable = [candidate, *(str(Path(str(module.__file__)).parent) for module in (torch, np))]
    if device == "cpu":
        confine(readable)
        return
    torch.zeros(1, device=device)  # the driver opens its files
    system = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/proc", "/sys", "/opt"]
    python = [sys.prefix, sys.base_prefix]  # compilers include its headers and start it anew
    packages = str(Path(readable[1]).parent)
    confine([candidate, packages, *python, *system], writable=("/dev", tempfile.gettempdir()))


def main() -> None:
    channel = take_channel()
    order = json.loads(receive(channel) or b"{}")
    if not order:
        return
    if order["device"] != "cpu":
        warm()
    if order.get("kind") == "virtual":
        say(channel, reference_s=reference_step())
    payload = receive(channel) or b""  # before the candidate, which may never return
    shut_in(order["candidate"], order["device"])
    try:
        candidate = load(order["candidate"])
        {"train": train, "answer": answer}[order["task"]](candidate, channel, order, payload)
    except Diverged as error:
        send(channel, f"-{error}".encode())
    except BaseException:  # noqa: BLE001  sys.exit too: whatever a candidate raises is its answer
        send(channel, b"-" + traceback.format_exc(limit=-3).encode("utf-8", "backslashreplace")[-2000:])


if __name__ == "__main__":
    main()
