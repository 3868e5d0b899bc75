"""What a GGUF file says of itself, read from its first bytes. Reads a file.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from optiloop.errors import ProposerGoneError

Scalar = int | float | bool | str

_FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST = 1 << 20
"""Bytes of a string and members of an array before the tokenizer's: more is damage."""


@dataclass(frozen=True)
class Header:
    """A model's metadata up to its tokenizer: the scalars, by their names in the file."""

    values: dict[str, Scalar]

    @property
    def architecture(self) -> str:
        return str(self.values.get("general.architecture", ""))

    def number(self, name: str) -> int | None:
        """An integer under the architecture's name, like `context_length`; None where the file has none."""
        value = self.values.get(f"{self.architecture}.{name}")
        return value if isinstance(value, int) else None

    def cache_bytes(self, context: int) -> int:
        """What so many tokens' keys and values take in memory, at 16 bits; 0 where the file does not tell."""
        layers, heads, width = (
            self.number(name) for name in ("block_count", "attention.head_count", "embedding_length")
        )
        if not layers or not heads or not width:
            return 0
        shared = self.number("attention.head_count_kv") or heads
        return 2 * 2 * layers * shared * (width // heads) * context


def read_header(file: Path) -> Header:
    """Raises ProposerGoneError where there is no such file, or it is no GGUF file or damaged."""
    try:
        with file.open("rb") as opened:
            return Header(_values(opened))
    except OSError as error:
        raise ProposerGoneError(f"{file}: cannot read the model: {error.strerror}") from None
    except (struct.error, ValueError) as error:
        raise ProposerGoneError(f"{file} is no GGUF model, or damaged: {error}; fetch it again") from None


def _values(file: BinaryIO) -> dict[str, Scalar]:
    if file.read(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version, _, count = struct.unpack("<IQQ", file.read(20))
    if version not in (2, 3):
        raise ValueError(f"version {version} of the format")
    values: dict[str, Scalar] = {}
    for _ in range(count):
        name = _text(file)
        if name.startswith("tokenizer."):
            break
        value = _value(file, *struct.unpack("<I", file.read(4)))
        if value is not None:
            values[name] = value
    return values


def _value(file: BinaryIO, kind: int) -> Scalar | None:
    """The value that comes next; of an array nothing."""
    if kind == _STRING:
        return _text(file)
    if kind == _ARRAY:
        inner, count = struct.unpack("<IQ", file.read(12))
        if count > _LONGEST or inner == _ARRAY:
            raise ValueError("an array without end")
        for _ in range(count):
            _value(file, inner)
        return None
    if kind not in _FIXED:
        raise ValueError(f"a value of unknown kind {kind}")
    form = f"<{_FIXED[kind]}"
    value: Scalar = struct.unpack(form, file.read(struct.calcsize(form)))[0]
    return value


def _text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _LONGEST:
        raise ValueError("a text without end")
    return file.read(length).decode("utf-8", "replace")
