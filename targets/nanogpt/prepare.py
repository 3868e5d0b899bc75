"""The data: a corpus that every machine has, cut into tokens, in three parts. Protected; reads files only.

    python prepare.py             say what the corpus holds
    python prepare.py --ranks     train the tokenizer anew and print its ranks, as ranks.txt holds them

The corpus is the source of the Python that runs this: no download, the same bytes for the same version. A
number is therefore comparable only where the `corpus` digest is the same. Which part a file belongs to is
drawn by its own content, so copies of a file are in one part, and neither order nor machine matters.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import sysconfig
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tiktoken

Tokens = npt.NDArray[np.uint16]

VOCABULARY = 1024
"""Tokens, the last of which separates documents."""
SEPARATOR = VOCABULARY - 1
PATTERN = r" ?[A-Za-z_]+| ?[0-9]{1,2}| ?[^\sA-Za-z0-9_]+|\s+(?!\S)|\s+"
"""How text is cut into words before they are merged: read alike by `re` and by tiktoken."""

PARTS = {"validation": range(5), "holdout": range(5, 10), "train": range(10, 100)}
"""Per cent of the files, by digest."""
LEFT_OUT = re.compile(
    r"(^|/)(tests?|idle_test|site-packages|dist-packages|encodings|__pycache__)/|^_sysconfig"
)
"""Folders that many installations lack, tables of characters, and what names this machine."""


@dataclass(frozen=True)
class Corpus:
    """Documents by part, each part in the order of its documents' digests."""

    parts: dict[str, list[bytes]]

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that name the corpus, its parts and the tokenizer."""
        whole = hashlib.sha256(RANKS.read_bytes())
        for name in sorted(self.parts):
            whole.update(name.encode())
            for text in self.parts[name]:
                whole.update(hashlib.sha256(text).digest())
        return whole.hexdigest()[:16]


def read_corpus(folder: Path | None = None) -> Corpus:
    """Read and divide all Python sources of a folder, the standard library where none is named."""
    root = folder or Path(sysconfig.get_path("stdlib"))
    paths = (path for path in root.rglob("*.py") if not LEFT_OUT.search(path.relative_to(root).as_posix()))
    documents = {hashlib.sha256(text).hexdigest(): text for text in map(Path.read_bytes, paths) if text}
    parts: dict[str, list[bytes]] = {name: [] for name in PARTS}
    for digest in sorted(documents):
        share = int(digest[-8:], 16) % 100
        parts[next(name for name, shares in PARTS.items() if share in shares)].append(documents[digest])
    return Corpus(parts)


# --- the tokenizer ------------------------------------------------------------------------------------------

RANKS = Path(__file__).with_name("ranks.txt")
"""The tokenizer: one token a line, base64 and rank, as tiktoken's own files are."""


def tokenizer() -> tiktoken.Encoding:
    """The tokenizer that ships with the target: byte pairs, trained once on the standard library."""
    ranks = {}
    for line in RANKS.read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    return tiktoken.Encoding("nanogpt", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


def encode(documents: list[bytes], *, most: int | None = None) -> Tokens:
    """The documents' tokens, a separator before each; no more documents than give `most` tokens."""
    encoding, found, count = tokenizer(), [], 0
    for document in documents:
        # "utf-8" with replacement: a few sources are written in other encodings.
        words = encoding.encode_ordinary(document.decode("utf-8", "replace"))
        found.append(np.array([SEPARATOR, *words], dtype=np.uint16))
        count += len(found[-1])
        if most is not None and count >= most:
            break
    return np.concatenate(found)[:most]


def token_bytes() -> npt.NDArray[np.int64]:
    """How many bytes of text each token stands for, by its number; 0 for the separator."""
    encoding = tokenizer()
    sizes = [len(encoding.decode_single_token_bytes(token)) for token in range(encoding.n_vocab)]
    return np.array(sizes + [0] * (VOCABULARY - len(sizes)), dtype=np.int64)


def train_ranks(documents: list[bytes], size: int = SEPARATOR) -> dict[bytes, int]:
    """Train byte pairs: all bytes, then the most frequent neighbours, joined one pair at a time.

    Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units" (2016).
    Of equally frequent pairs the smaller one is joined first, so that the result is one and the same.
    """
    counts = Counter(
        word for text in documents for word in re.findall(PATTERN, text.decode("utf-8", "replace"))
    )
    words = [[bytes([byte]) for byte in word.encode()] for word in counts]
    times = list(counts.values())
    pairs: Counter[tuple[bytes, bytes]] = Counter()
    places: defaultdict[tuple[bytes, bytes], set[int]] = defaultdict(set)
    for at, word in enumerate(words):
        for pair in pairwise(word):
            pairs[pair] += times[at]
            places[pair].add(at)
    ranks = {bytes([byte]): byte for byte in range(256)}
    while len(ranks) < size and pairs:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        ranks.setdefault(best[0] + best[1], len(ranks))
        for at in places.pop(best):
            for pair in pairwise(words[at]):
                pairs[pair] -= times[at]
            words[at] = _joined(words[at], best)
            for pair in pairwise(words[at]):
                pairs[pair] += times[at]
                places[pair].add(at)
        del pairs[best]
    return ranks


def _joined(word: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at < len(word):
        both = tuple(word[at : at + 2]) == pair
        found.append(word[at] + word[at + 1] if both else word[at])
        at += 2 if both else 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", action="store_true")
    corpus = read_corpus()
    if parser.parse_args().ranks:
        for token, rank in train_ranks(corpus.parts["train"]).items():
            print(base64.b64encode(token).decode(), rank)
        return
    print(f"corpus      {corpus.digest}")
    for name, documents in corpus.parts.items():
        size = sum(map(len, documents))
        print(
            f"{name:<11} {len(documents):>4} files {size / 1e6:>6.2f} MB {len(encode(documents)):>9} tokens"
        )


if __name__ == "__main__":
    main()
