"""The hold-out: text that no measurement uses must be predicted as well as the validation text is.

Train once more, with a seed of this file's own, and compare the bits per byte of both parts with what a plain
table of word pairs needs for them: what knows the validation text does far better there than here.
"""

import numpy as np
from judge import HERE, RUN, VOCABULARY, Budget, Crew, corpus_tokens, evaluate, fail, train
from prepare import SEPARATOR, Tokens, read_corpus, token_bytes

BUDGET = Budget(5.0)
SEED = 20_260_704
ALLOWED = 1.04
"""How many times harder than for the table the held-out text may be; 0.99 to 1.01 for honest models."""


def pairs_bpb(train_tokens: Tokens, tokens: Tokens) -> float:
    """Bits per byte of a text by the counts of neighbouring tokens in another, each plus a little."""
    counts = np.full((VOCABULARY, VOCABULARY), 0.1)
    np.add.at(counts, (train_tokens[:-1], train_tokens[1:]), 1.0)
    chances = counts / counts.sum(axis=1, keepdims=True)
    nats = -np.log(chances[tokens[:-1], tokens[1:]])[tokens[1:] != SEPARATOR].sum()
    return float(nats / (np.log(2) * token_bytes()[tokens[1:]].sum()))


def main() -> None:
    crew = Crew(RUN)
    corpus = read_corpus()
    known, seen, held = (corpus_tokens(corpus, part) for part in ("train", "validation", "holdout"))
    trained = train(crew, HERE / "train.py", known, BUDGET, seed=SEED)
    seen_bpb, held_bpb = evaluate(crew, HERE / "train.py", trained.weights, [seen, held])
    harder = held_bpb / seen_bpb / (pairs_bpb(known, held) / pairs_bpb(known, seen))
    print(f"validation {seen_bpb:.4f}, held out {held_bpb:.4f} bits a byte; against word pairs {harder:.3f}")
    if harder > ALLOWED:
        fail(f"held-out text is {harder:.3f} times harder; {ALLOWED} is allowed")


if __name__ == "__main__":
    main()
