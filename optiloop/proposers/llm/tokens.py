"""How many tokens a text has: by tiktoken where its vocabulary lies here, else a careful guess. Effect.

Nothing here reaches for the network. tiktoken downloads a vocabulary that it does not find, and one whose
digest is wrong; so it is only asked once the file was seen, and its digest, where TIKTOKEN_CACHE_DIR says.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

Count = Callable[[str], int]

ENCODING = "cl100k_base"
_FILE = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
"""The vocabulary's name in tiktoken's cache (the SHA-1 of its address), and its digest."""

_PIECES = re.compile(
    r"(?P<blob>[A-Za-z0-9+/=]{40,})|(?P<word>[A-Z]?[a-z]+|[A-Z]+(?![a-z]))|(?P<space>\s+)|(?P<other>.)"
)


def count_tokens(text: str) -> int:
    """Count with tiktoken where it can, else `guess`."""
    count = _tiktoken(os.environ.get("TIKTOKEN_CACHE_DIR", ""))
    return guess(text) if count is None else count(text)


def guess(text: str) -> int:
    """More tokens than the text has, for code: four letters of a word to a token, else each byte one.

    Four characters to a token undercount code by up to 40 %, for signs are tokens of their own. This was
    never below tiktoken's count on files and functions of the standard library; docs/models.md has figures.
    """
    return sum(_tokens_of(piece) for piece in _PIECES.finditer(text))


def _tokens_of(piece: re.Match[str]) -> int:
    said = piece[0]
    if piece.lastgroup == "word":
        return -(-len(said) // 4)
    if piece.lastgroup == "space":
        return 0 if said == " " else 1 + len(said) // 16
    return len(said.encode("utf-8", "replace"))


@lru_cache(maxsize=4)
def _tiktoken(folder: str) -> Count | None:
    """tiktoken's count with a vocabulary that lies in a folder whole; None where there is none."""
    try:
        vocabulary = Path(folder, _FILE).read_bytes() if folder else b""
    except OSError:
        return None
    if hashlib.sha256(vocabulary).hexdigest() != _SHA256:
        return None
    try:
        import tiktoken
    except ImportError:
        return None
    encoding = tiktoken.get_encoding(ENCODING)
    return lambda text: len(encoding.encode_ordinary(text))
