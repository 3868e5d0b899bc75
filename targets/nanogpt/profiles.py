"""Profiles: what is trained and for how long, by the machine that trains it. Protected.

`cpu` counts virtual time (`clock.py`). The others count time by the judge's clock, and begin with `modern.py`
and its constants set as here: a campaign begins from that (`[start]` in target.toml), and so does
`python judge.py --start` by hand. A train.py that is not the one that ships any more is left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

VARIABLE = "NANOGPT_PROFILE"
"""The environment variable that names a profile; `--profile` does so, too."""


@dataclass(frozen=True)
class Budget:
    """How long to train: so many virtual seconds, wall seconds, or steps."""

    amount: float
    kind: str


@dataclass(frozen=True)
class Profile:
    """One size of the problem.

    `compile_s`: so many seconds of its first steps are not charged, because they compile. `patience_s`: for
    so long a worker may be silent.
    """

    name: str
    start: str
    budget: Budget
    train_tokens: int
    judged_tokens: int
    vocabulary: int
    compile_s: float = 0.0
    patience_s: float = 120.0
    constants: Mapping[str, int | float | bool] = field(default_factory=dict)


SHIPPED = "4b0134abd87ce6afd735eb26b357427f23e732aea8c160e2ea2674c92e803a05"
"""SHA-256 of the train.py that ships, by which it is known that nobody has changed it."""

_CONSUMER = {
    "WINDOWS": True,
    "SEQUENCE": 1024,
    "BATCH": 16,
    "ACCUMULATE": 4,
    "DEPTH": 4,
    "HEADS": 4,
    "HEAD_SIZE": 64,
}
_H100 = {
    "WINDOWS": True,
    "SEQUENCE": 2048,
    "BATCH": 128,
    "ACCUMULATE": 2,
    "DEPTH": 8,
    "HEADS": 4,
    "HEAD_SIZE": 128,
}
_5_MINUTES = Budget(300.0, "wall")

PROFILES = {
    profile.name: profile
    for profile in (
        Profile("cpu", "train.py", Budget(10.0, "virtual"), 4_000_000, 65_536, 1024),
        Profile("consumer", "modern.py", _5_MINUTES, 400_000_000, 131_072, 4096, 120, 300, _CONSUMER),
        Profile("h100", "modern.py", _5_MINUTES, 2_000_000_000, 262_144, 8192, 180, 400, _H100),
    )
}
"""`h100` has the size of karpathy/autoresearch: 8 layers of 512, 2**19 tokens a step, 8192 words."""

LARGE_GB = 40.0
"""Memory of a GPU from which on `h100` fits."""

PEAK_TFLOPS = {
    "H200": 989.5,
    "H100 PCIe": 756.0,
    "H100": 989.5,
    "A100": 312.0,
    "RTX 5090": 209.5,
    "RTX 4090": 165.2,
    "RTX 3090": 71.0,
}
"""10**12 dense bf16 operations a second of known GPUs, from their data sheets; the first that fits counts."""


@dataclass(frozen=True)
class Machine:
    """What trains: its device as torch names it, and a GPU's own name and memory."""

    device: str = "cpu"
    name: str = ""
    memory_gb: float = 0.0

    @property
    def peak_flops(self) -> float | None:
        """What its products could reach; None where that is not known."""
        return next((1e12 * peak for known, peak in PEAK_TFLOPS.items() if known in self.name), None)


_DESCRIBE = """
import json, torch
found = torch.cuda.get_device_properties(0)
print(json.dumps([found.name, found.total_memory / 2**30]))
"""


def machine_here() -> Machine:
    """CUDA, else Apple's MPS, else the CPU. Leaves a GPU untouched in this process, which is to be forked."""
    import torch

    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    if torch.cuda.is_available():
        said = subprocess.run([sys.executable, "-c", _DESCRIBE], capture_output=True, text=True, check=True)
        name, memory_gb = json.loads(said.stdout)
        return Machine("cuda", name, memory_gb)
    return Machine("mps" if torch.backends.mps.is_available() else "cpu")


def profile_for(machine: Machine) -> Profile:
    """The largest profile that the machine holds."""
    if machine.device == "cpu":
        return PROFILES["cpu"]
    return PROFILES["h100" if machine.memory_gb >= LARGE_GB else "consumer"]


def read_profile(name: str) -> Profile:
    """A profile by its name. Raises ArgumentTypeError."""
    if name not in PROFILES:
        raise argparse.ArgumentTypeError(f"{name!r} is no profile; there are {', '.join(PROFILES)}")
    return PROFILES[name]


def read_budget(text: str) -> Budget:
    """Read "10s" (virtual seconds), "wall=300s" or "steps=300". Raises ArgumentTypeError."""
    kind, _, count = text.rpartition("=")
    kind = kind or "virtual"
    try:
        budget = Budget(float(count if kind == "steps" else count.removesuffix("s")), kind)
    except ValueError:
        budget = Budget(0.0, "")
    if kind not in ("virtual", "wall", "steps") or not budget.amount > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no budget; write 10s, wall=300s or steps=300")
    return budget
