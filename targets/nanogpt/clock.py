"""The clock that a training loops over: virtual time, the judge's time, or steps. Protected.

Virtual time is what a step costs, counted in operations and not read from a clock. Load moves wall-clock time
on shared cores, and with it how many steps fit, by more than most ideas are worth. So a step costs what its
operations cost on one core of a known machine: the same number everywhere and each time, and a faster model
still earns more steps. `judge.py` bounds the CPU time that may hide behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

CALL_S = 4e-6
FLOP_S = 1 / 92e9
ELEMENT_S = 0.18e-9
DEAR_S = 0.5e-9
"""Seconds of one core for an operation, for one of its floating-point operations in matrix products, for one
element that it reads or writes, and what more an element of a function like exp takes: fitted to measured
steps (docs/nanogpt.md)."""

DEAR = ("exp", "log", "tanh", "sigmoid", "softmax", "silu", "gelu", "erf", "sin", "cos")
FREE = (
    "view",
    "t.",
    "transpose",
    "permute",
    "expand",
    "slice",
    "select",
    "unsqueeze",
    "squeeze",
    "detach",
    "alias",
)
LOOKUPS = ("index", "embedding", "gather")
"""Operations that read only some of what they are given."""

COUNTED_EVERY = 16
REPORTS = 20
"""How often a run tells its loss."""
TOO_MUCH = 100.0
"""A loss that has left all hope behind, in nats a token."""


class Diverged(Exception):  # noqa: N818 - a finding of a run, not an error of the program
    """The loss is no number any more."""


class Cost(TorchDispatchMode):
    """Adds up the seconds, and the floating-point operations, of all operations while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.__name__
        if name.startswith(FREE):
            return out
        flops = _attention_flops(name, args)
        if (formula := flop_registry.get(func.overloadpacket)) is not None:
            flops = formula(*args, **(kwargs or {}), out_val=out)
        elements = _elements(out) + (0 if name.startswith(LOOKUPS) else _elements(args))
        self.flops += flops
        self.seconds += CALL_S + flops * FLOP_S + elements * ELEMENT_S
        if name.lstrip("_").startswith(DEAR):
            self.seconds += elements * DEAR_S
        return out


def _attention_flops(name: str, args: tuple[Any, ...]) -> int:
    """What the fused attention of CPUs computes, which the registry lacks: all pairs of places."""
    if not name.startswith("_scaled_dot_product_flash_attention_for_cpu"):
        return 0
    products, first = (5, 1) if "backward" in name else (2, 0)
    batch, heads, queries, size = args[first].shape
    return int(2 * products * batch * heads * queries * args[first + 1].shape[2] * size)


def _elements(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel()
    return sum(map(_elements, value)) if isinstance(value, tuple | list) else 0


class Clock:
    """What `train` loops over: yields the share of the budget that is spent, until all of it is.

    `budget` is in virtual or wall seconds or in steps, by `kind`. Of wall seconds `ask` says how many are
    spent: the judge counts them. `report` is told (share, mean loss since) now and then. Most steps cost
    what the last counted one did: counting slows a step down.
    """

    def __init__(
        self,
        budget: float,
        kind: str,
        *,
        report: Callable[[float, float], None],
        ask: Callable[[int], float] = float,
    ) -> None:
        self.budget, self.kind, self.report, self.ask = budget, kind, report, ask
        self.steps, self.spent, self.flops = 0, 0.0, 0
        self._cost = Cost()
        self._losses: list[torch.Tensor] = []
        self._reported = 0

    def __iter__(self) -> Iterator[float]:
        while self.spent < self.budget:
            counts = self.kind == "virtual" and (self.steps < 2 or self.steps % COUNTED_EVERY == 0)
            if not counts:
                yield self.spent / self.budget
            else:
                self._cost = Cost()
                with self._cost:
                    yield self.spent / self.budget
            self._tick()

    def record(self, loss: torch.Tensor) -> None:
        """Take one step's loss: mean nats a token. Waits for no device."""
        self._losses.append(loss.detach())

    def _tick(self) -> None:
        self.flops += self._cost.flops
        self.steps += 1
        if self.kind == "wall":
            self.spent = self.ask(self.steps)
        else:
            self.spent += 1 if self.kind == "steps" else self._cost.seconds
        share = min(1.0, self.spent / self.budget)
        if share * REPORTS >= self._reported + 1 and self._losses:
            self._reported = int(share * REPORTS)
            loss = float(torch.stack(self._losses).float().mean())
            self._losses = []
            if not (math.isfinite(loss) and loss < TOO_MUCH):
                raise Diverged(f"diverged: the loss is {loss:g} at step {self.steps}")
            self.report(share, loss)


FREE_STEPS = 10
"""The first steps compile: what they take is free, up to a limit."""


def charged(ticks: Sequence[float], compile_s: float) -> float:
    """The wall seconds that a training is charged, by the times of its start and of each step's end."""
    if len(ticks) < 2:
        return 0.0
    first = ticks[min(FREE_STEPS, len(ticks) - 1)] - ticks[0]
    return max(0.0, first - compile_s) + ticks[-1] - ticks[0] - first
