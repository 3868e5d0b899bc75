"""The data: documents cut into tokens, in three parts. Protected.

    python prepare.py                          say what the embedded corpus holds
    python prepare.py --dataset PATH           make tokens of other documents, once, for `judge.py --dataset`
    python prepare.py --ranks                  train the embedded corpus' tokenizer anew and print it

The embedded corpus is the source of the Python that runs this: no download, the same bytes for the same
version. A number is comparable only where the `corpus` digest is the same. Which part a document belongs to
is drawn by its own content, so copies are in one part, and neither order nor machine matters.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import heapq
import json
import os
import re
import sysconfig
import tempfile
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tiktoken

Tokens = npt.NDArray[np.uint16]

VOCABULARY = 1024
"""Tokens of the embedded corpus; the last separates documents."""
PATTERN = r" ?[A-Za-z_]+| ?[0-9]{1,2}| ?[^\sA-Za-z0-9_]+|\s+(?!\S)|\s+"
"""How text is cut into words before they are merged: read alike by `re` and by tiktoken."""

PARTS = {"validation": range(5), "holdout": range(5, 10), "train": range(10, 100)}
"""Per cent of the documents, by digest."""
LEFT_OUT = re.compile(
    r"(^|/)(tests?|idle_test|site-packages|dist-packages|encodings|__pycache__)/|^_sysconfig"
)
"""Folders that many installations lack, tables of characters, and what names this machine."""


@dataclass(frozen=True)
class Data:
    """Tokens by part, and what they are. `part` gives a part's, no more than so many where a number is given.

    `sizes` are the bytes of text that each token stands for, by its number; 0 for the separator, the last.
    """

    digest: str
    sizes: npt.NDArray[np.int64]
    part: Callable[[str, int | None], Tokens]

    @property
    def vocabulary(self) -> int:
        return len(self.sizes)

    @property
    def separator(self) -> int:
        return len(self.sizes) - 1


class DataError(Exception):
    """Data that cannot be used: what, and what to do."""


def read_data(folder: Path | None = None) -> Data:
    """The embedded corpus, or one that `prepare` has made. Raises DataError where that is not whole."""
    if folder is not None:
        return _read_prepared(folder)
    corpus, encoding = read_corpus(), tokenizer()
    separator = encoding.n_vocab
    return Data(
        corpus.digest,
        token_bytes(encoding),
        lambda part, most: encode(corpus.parts[part], encoding, separator=separator, most=most),
    )


@dataclass(frozen=True)
class Corpus:
    """Documents by part, each part in the order of its documents' digests."""

    parts: dict[str, list[bytes]]

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that name the corpus, its parts and the embedded tokenizer."""
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
    return divided(map(Path.read_bytes, paths))


def divided(texts: Iterable[bytes]) -> Corpus:
    """Draw each document's part by its digest; of equal ones there is one."""
    documents = {hashlib.sha256(text).hexdigest(): text for text in texts if text}
    parts: dict[str, list[bytes]] = {name: [] for name in PARTS}
    for digest in sorted(documents):
        share = int(digest[-8:], 16) % 100
        parts[next(name for name, shares in PARTS.items() if share in shares)].append(documents[digest])
    return Corpus(parts)


# --- the tokenizer ------------------------------------------------------------------------------------------

RANKS = Path(__file__).with_name("ranks.txt")
"""The embedded tokenizer: one token a line, base64 and rank, as tiktoken's own files are."""


def tokenizer(file: Path = RANKS) -> tiktoken.Encoding:
    """A tokenizer of byte pairs; the embedded one was trained once on the standard library."""
    ranks = {}
    for line in file.read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    return tiktoken.Encoding("nanogpt", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


def encode(
    documents: Iterable[bytes], encoding: tiktoken.Encoding, *, separator: int, most: int | None = None
) -> Tokens:
    """The documents' tokens, a separator before each; no more documents than give `most` tokens."""
    found, count = [], 0
    for document in documents:
        # "utf-8" with replacement: a few sources are written in other encodings.
        words = encoding.encode_ordinary(document.decode("utf-8", "replace"))
        found.append(np.array([separator, *words], dtype=np.uint16))
        count += len(found[-1])
        if most is not None and count >= most:
            break
    return np.concatenate(found)[:most]


def token_bytes(encoding: tiktoken.Encoding) -> npt.NDArray[np.int64]:
    """How many bytes of text each token stands for, by its number; 0 for the separator after the last."""
    sizes = [len(encoding.decode_single_token_bytes(token)) for token in range(encoding.n_vocab)]
    return np.array([*sizes, 0], dtype=np.int64)


def train_ranks(documents: Iterable[bytes], size: int = VOCABULARY - 1) -> dict[bytes, int]:
    """Train byte pairs: all bytes, then the most frequent neighbours, joined one pair at a time.

    Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units" (2016).
    Of equally frequent pairs the greater one is joined first, so that the result is one and the same.
    """
    counts = Counter(
        word for text in documents for word in re.findall(PATTERN, text.decode("utf-8", "replace"))
    )
    words = [[bytes([byte]) for byte in word.encode()] for word in counts]
    times = list(counts.values())
    pairs: Counter[_Pair] = Counter()
    places: defaultdict[_Pair, set[int]] = defaultdict(set)
    for at, word in enumerate(words):
        for pair in pairwise(word):
            pairs[pair] += times[at]
            places[pair].add(at)
    heap = [_entry(pair, count) for pair, count in pairs.items()]
    heapq.heapify(heap)
    ranks = {bytes([byte]): byte for byte in range(256)}
    while len(ranks) < size and heap:
        count, _, best = heapq.heappop(heap)
        if -count != pairs[best]:  # it has another count by now, and an entry of its own for that
            continue
        ranks.setdefault(best[0] + best[1], len(ranks))
        touched = set()
        for at in places.pop(best):
            for pair in pairwise(words[at]):
                pairs[pair] -= times[at]
                touched.add(pair)
            words[at] = _joined(words[at], best)
            for pair in pairwise(words[at]):
                pairs[pair] += times[at]
                places[pair].add(at)
                touched.add(pair)
        for pair in touched - {best}:
            if pairs[pair] > 0:
                heapq.heappush(heap, _entry(pair, pairs[pair]))
        del pairs[best]
    return ranks


_Pair = tuple[bytes, bytes]


def _entry(pair: _Pair, count: int) -> tuple[int, tuple[tuple[int, ...], ...], _Pair]:
    """A pair as a heap orders it: most frequent first, then the greatest; the longer is greater: hence 1."""
    return -count, tuple((*(-byte for byte in token), 1) for token in pair), pair


def _joined(word: list[bytes], pair: _Pair) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at < len(word):
        both = tuple(word[at : at + 2]) == pair
        found.append(word[at] + word[at + 1] if both else word[at])
        at += 2 if both else 1
    return found


# --- other documents ----------------------------------------------------------------------------------------

END = b"<|endoftext|>"
"""Divides the documents of one text file, as in TinyStories."""
BLOCK = 65_536
"""Longer documents are cut at line ends into blocks of about so many bytes: one book must be in all parts."""
TRAINED_ON = 20_000_000
"""Bytes of documents that a tokenizer is trained on, the first of the training part."""
FILES = ("ranks.txt", *(f"{part}.npy" for part in PARTS))


def documents(source: Path) -> Iterator[bytes]:
    """The documents of a file, or of a folder's files: parquet, JSON Lines, else text. Raises DataError."""
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    if not source.exists():
        raise DataError(f"{source}: no such file or folder; name one, or a URL with --fetch")
    for file in files:
        for text in _texts(file):
            start = 0
            while end := text.find(b"\n", start + BLOCK) + 1:
                yield text[start:end]
                start = end
            yield text[start:]


def _texts(file: Path) -> Iterator[bytes]:
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        yield from _rows(file)
    elif suffix in (".jsonl", ".ndjson"):
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            try:
                yield str(json.loads(line)["text"]).encode()
            except (ValueError, KeyError, TypeError):
                raise DataError(f'{file}, line {number}: no JSON object with "text"') from None
    elif b"\0" not in (read := file.read_bytes()):  # what is no text is left out
        yield from read.split(END)


def _rows(file: Path) -> Iterator[bytes]:
    """The column `text` of a parquet file, as in the shards of climbmix."""
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(f"{file}: parquet needs pyarrow: pip install pyarrow") from None
    shard = parquet.ParquetFile(file)
    if "text" not in shard.schema_arrow.names:
        raise DataError(f"{file}: no column 'text', only {', '.join(shard.schema_arrow.names)}")
    for batch in shard.iter_batches(columns=["text"]):
        yield from (str(text).encode() for text in batch.column(0).to_pylist())


def prepare(source: Path, cache: Path, *, vocabulary: int) -> Path:
    """Train a tokenizer on documents, and write it and their tokens below `cache`. Returns the folder.

    Its name is the digest of what it holds, and `read_data` holds it to that. Raises DataError.
    """
    corpus = divided(documents(source))
    if empty := next((name for name, texts in corpus.parts.items() if not texts), None):
        raise DataError(f"{source}: too few documents, none for {empty}; take more text")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        total = 0
        sample = [text for text in corpus.parts["train"] if (total := total + len(text)) <= TRAINED_ON]
        ranks = train_ranks(sample or islice(corpus.parts["train"], 1), vocabulary - 1)
        (made / "ranks.txt").write_text(_written(ranks))
        encoding = tokenizer(made / "ranks.txt")
        for part, texts in corpus.parts.items():
            np.save(made / f"{part}.npy", encode(texts, encoding, separator=encoding.n_vocab))
        folder = cache / _digest(made)
        if not folder.exists():
            made.rename(folder)
    return folder


def _read_prepared(folder: Path) -> Data:
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise DataError(f"{folder}: no {missing[0]}; make it with python prepare.py --dataset PATH")
    if _digest(folder) != folder.name:
        raise DataError(f"{folder}: its files are not those that its name says; make it anew")
    encoding = tokenizer(folder / "ranks.txt")
    return Data(
        folder.name,
        token_bytes(encoding),
        lambda part, most: np.load(folder / f"{part}.npy", mmap_mode="r")[:most],
    )


def _digest(folder: Path) -> str:
    whole = hashlib.sha256()
    for name in FILES:
        with (folder / name).open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]


def _written(ranks: dict[bytes, int]) -> str:
    return "".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items())


def fetched(url: str, cache: Path) -> Path:
    """What a URL holds, from the cache where it was fetched before. Raises DataError."""
    name = f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{url.rpartition('/')[2]}"
    file = cache / "fetched" / name
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{name}.part")
        try:
            urllib.request.urlretrieve(url, part)
        except OSError as error:
            raise DataError(f"{url}: {error}") from None
        part.rename(file)
    with file.open("rb") as opened:
        print(f"{url}: sha256 {hashlib.file_digest(opened, 'sha256').hexdigest()}")
    return file


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "optiloop" / "nanogpt"


# --- the command --------------------------------------------------------------------------------------------


def tell(data: Data) -> None:
    """Say what there is of each part."""
    print(f"corpus      {data.digest}, {data.vocabulary} tokens to know")
    for name in PARTS:
        tokens = data.part(name, None)
        print(f"{name:<11} {data.sizes[tokens].sum() / 1e6:>8.2f} MB {len(tokens):>10} tokens")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", action="store_true")
    parser.add_argument("--dataset", help="a file or folder of documents, or a URL")
    parser.add_argument("--fetch", action="store_true", help="download a --dataset that is a URL")
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--cache", type=Path, default=default_cache())
    chosen = parser.parse_args()
    try:
        if chosen.ranks:
            print(_written(train_ranks(read_corpus().parts["train"])), end="")
        elif chosen.dataset is None:
            tell(read_data())
        else:
            remote = "://" in chosen.dataset
            if remote and not chosen.fetch:
                raise DataError(f"{chosen.dataset}: nothing is downloaded unasked; add --fetch")
            source = fetched(chosen.dataset, chosen.cache) if remote else Path(chosen.dataset)
            folder = prepare(source, chosen.cache, vocabulary=chosen.vocabulary)
            tell(read_data(folder))
            print(
                f"in target.toml, at the end of the commands of gate, metric and hold-out: --dataset {folder}"
            )
            print(f'and under [sandbox]: read_only = ["{folder}"]')
    except DataError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
