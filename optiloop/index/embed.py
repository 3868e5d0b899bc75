"""What texts mean, as a small static model has it: finds an idea in other words. Reads the model's files.

Of the extra `optiloop[embed]`; imported only where that is installed. A vector is the mean of 256 numbers per
token: it cannot tell a change from its opposite, so it ranks texts and decides nothing.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy
from numpy.typing import NDArray
from tokenizers import Tokenizer

from optiloop.errors import UsageError
from optiloop.index.store import Index

MODEL = "wordllama==0.4.0.post1"
WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENS = "tokenizers/l2_supercat_tokenizer_config.json"
SHA256 = {
    WEIGHTS: "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
    TOKENS: "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
}
"""The only files that are taken: the index holds what they made. Others need another SCHEMA_VERSION."""

SIZE, LARGEST = 256, 127
"""Numbers of a vector, and of what length it is, as whole numbers of one byte."""

LEAST = 0.25
"""The cosine under which texts have nothing in common: 19 of 20 pairs of unlike ideas are below it."""

BATCH = 2000
"""Texts of one row of the index."""

Codes = NDArray[numpy.int8]


def nearest(index: Index, text: str, *, now: int, most: int) -> list[int]:
    """The numbers of up to so many of the first `now` experiments that speak of alike things, nearest first.

    Raises UsageError where the model's files are not those that are known.
    """
    asked = vectors([text])[0].astype(numpy.float32)
    # Whole numbers below 2**24: the product is exact, so the order is the same on any machine.
    likeness = (_known(index)[:now].astype(numpy.float32) @ asked).astype(numpy.int64)
    seqs = numpy.arange(1, len(likeness) + 1)
    keys = ((likeness << 32) + seqs)[likeness >= LEAST * LARGEST**2]
    return [int(key) & 0xFFFFFFFF for key in numpy.sort(keys)[::-1][:most]]


def vectors(texts: Sequence[str]) -> Codes:
    """One row of SIZE numbers for each text; all zeros for one without words."""
    tokens, weights = _model()
    made = numpy.zeros((len(texts), SIZE), numpy.int8)
    for row, found in zip(made, tokens.encode_batch(texts, add_special_tokens=False), strict=True):
        mean = weights[found.ids].astype(numpy.float32).sum(axis=0)
        row[:] = numpy.rint(mean * (LARGEST / max(float(numpy.linalg.norm(mean)), 1e-9)))
    return made


def _known(index: Index) -> Codes:
    """The vectors of all experiments; what is lacking is made, and kept where it can be."""
    kept = [codes for (codes,) in index.rows("SELECT codes FROM vector ORDER BY first")]
    count = sum(map(len, kept)) // SIZE
    texts = [text for (text,) in index.rows("SELECT hypothesis FROM run WHERE seq > ? ORDER BY seq", count)]
    fresh = [vectors(texts[at : at + BATCH]).tobytes() for at in range(0, len(texts), BATCH)]
    if fresh:
        _keep(index.connection, count, fresh)
    return numpy.frombuffer(b"".join([*kept, *fresh]), numpy.int8).reshape(-1, SIZE)


def _keep(connection: sqlite3.Connection, count: int, fresh: Sequence[bytes]) -> None:
    """Add rows after the first `count` vectors, unless another process was faster, or the file refuses."""
    rows = [(count + at * BATCH + 1, codes) for at, codes in enumerate(fresh)]
    try:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            ((held,),) = connection.execute("SELECT coalesce(sum(length(codes)), 0) FROM vector")
            if held == count * SIZE:
                connection.executemany("INSERT INTO vector VALUES (?, ?)", rows)
    except sqlite3.OperationalError:
        return  # they are made again the next time


@cache
def _model() -> tuple[Tokenizer, NDArray[numpy.float16]]:
    """The tokens of texts, and a row of SIZE numbers for each token."""
    raw = _file(WEIGHTS)
    start = 8 + int.from_bytes(
        raw[:8], "little"
    )  # safetensors: the header's length, a header in JSON, numbers
    (table,) = (about for name, about in json.loads(raw[8:start]).items() if name != "__metadata__")
    numbers = numpy.frombuffer(raw, numpy.float16, offset=start + table["data_offsets"][0])
    tokens = Tokenizer.from_str(_file(TOKENS).decode())
    tokens.no_padding()
    tokens.no_truncation()
    return tokens, numbers.reshape(table["shape"])


def _file(name: str) -> bytes:
    """One file of the model, from the package's folder: its own loader looks elsewhere, and downloads."""
    package = find_spec("wordllama")
    folder = Path((package and package.origin) or "").parent
    try:
        found = (folder / name).read_bytes()
    except OSError:
        found = b""
    if hashlib.sha256(found).hexdigest() != SHA256[name]:
        raise UsageError(f"{folder / name} is not that of {MODEL}: install optiloop[embed] again")
    return found
