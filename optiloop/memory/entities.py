"""What a name stands for: "n_layer", "add layers" and "stack blocks" are all depth. Pure.

A table of the words that people use for one thing, and rules for the names of a project. Nothing here needs a
model; one may add aliases (`alias:NAME=ENTITY` among a proposal's tags), and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

ALIAS = "alias:"
"""The beginning of a tag that gives a name another meaning: `alias:N_BLOCKS=depth`."""

ENTITIES: Mapping[str, str] = {
    "depth": "depth layer layers block blocks n_layer n_layers num_layers num_blocks deeper shallower",
    "width": "width n_embd d_model dim model_dim hidden_size hidden_dim embedding_dim wider narrower",
    "heads": "head heads n_head n_heads num_heads n_kv_head attention_heads",
    "learning rate": "lr learning_rate learningrate max_lr base_lr peak_lr",
    "batch size": "batch batch_size total_batch_size device_batch_size",
    "warmup": "warmup warm_up warmup_ratio warmup_steps warmup_iters",
    "warmdown": "warmdown warm_down cooldown warmdown_ratio decay_iters",
    "weight decay": "weight_decay wd",
    "dropout": "dropout drop_rate p_drop",
    "context length": "seq_len sequence_length block_size context_length max_seq_len n_ctx num_ctx",
    "momentum": "momentum beta1 adam_beta1",
    "gradient clipping": "grad_clip clip_grad max_grad_norm",
    "optimizer": "optimizer optimiser adam adamw muon sgd lion adafactor",
    "activation": "activation relu gelu silu swish swiglu geglu",
    "normalisation": "norm rmsnorm layernorm layer_norm batchnorm qk_norm",
    "attention window": "window window_size sliding_window window_pattern attention_window",
    "temperature": "temperature temp",
    "answer length": "num_predict max_tokens max_new_tokens max_output_tokens",
    "caching": "cache caching cached memoise memoize memoisation memoization lru_cache",
    "vectorisation": "vectorise vectorize vectorisation vectorization numpy",
    "parallelism": "parallel parallelism threads workers num_workers n_jobs processes",
    "compilation": "compile compiled jit torch_compile",
    "data type": "dtype bf16 bfloat16 fp16 float16 fp32 float32 fp8",
    "seed": "seed random_state",
    "timeout": "timeout time_limit deadline",
}
"""Entity -> the words for it, in text and as names. What is not here stands for itself."""

_WORDS: Mapping[str, str] = {
    _word: entity
    for entity, words in ENTITIES.items()
    for _word in (*words.split(), entity.replace(" ", "_"))
}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[_-][A-Za-z0-9]+)*")
_PHRASES = re.compile(
    "|".join(sorted((re.escape(entity) for entity in ENTITIES if " " in entity), key=len, reverse=True))
)


@lru_cache(maxsize=4096)
def entity_of(name: str) -> str:
    """What a name of code or of a setting stands for: of `train.MATRIX_LR` "learning rate"; else itself.

    The whole name is looked up first, then its parts from the last to the first, as what is named comes last.
    """
    bare = name.rpartition("::")[2].rpartition(".")[2].strip("-").lower().replace("-", "_")
    if bare in _WORDS:
        return _WORDS[bare]
    parts = bare.split("_")
    for size in (2, 1):
        for start in range(len(parts) - size, -1, -1):
            word = "_".join(parts[start : start + size])
            if len(word) > 1 and word in _WORDS and word not in _LOOSE:
                return _WORDS[word]
    return bare


_LOOSE = frozenset(
    {"block", "blocks", "head", "heads", "window", "norm", "seed", "batch", "dim", "cache", "temp"}
)
"""Words that mean their entity alone, and something else within a longer name."""


def entities_in(text: str) -> Iterator[tuple[str, int]]:
    """The entities that a sentence speaks of, each with the place of its word, in the order of the text."""
    lowered = text.lower()
    taken = [(match.group(), match.start(), match.end()) for match in _PHRASES.finditer(lowered)]
    spoken = [(name, start) for name, start, _ in taken]
    for match in _NAME.finditer(text):
        if any(start <= match.start() < end for _, start, end in taken):
            continue
        word = match.group()
        known = _WORDS.get(word.lower().replace("-", "_"))
        if known is None and "_" in word:
            known = entity_of(word)
        if known is not None:
            spoken.append((known, match.start()))
    yield from sorted(spoken, key=lambda it: it[1])


def aliases_of(tags: Iterable[str]) -> Mapping[str, str]:
    """The aliases that a proposal's tags add: lower-case name -> entity."""
    found = {}
    for tag in tags:
        if tag.startswith(ALIAS):
            name, _, entity = tag.removeprefix(ALIAS).partition("=")
            if name and entity:
                found[name.strip().lower()] = entity.strip().lower()
    return found
