"""How often a real model that has the same idea again writes the same program: what a guard can recognise.

    python benchmarks/remembering/draws.py qwen2.5-coder-1.5b-instruct-q4_k_m.gguf       about ten minutes

Asks for one function of text_processor with one idea, again and again, each time with another seed and as warm
as the loop asks after some tries, and compares what comes back: pairs of the same question. Two answers need not
hold one idea, so this is a lower bound.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from optiloop.diff import unified
from optiloop.memory.facts import alike, of_diff
from optiloop.memory.fingerprint import result_fingerprint
from optiloop.memory.history import ALIKE
from optiloop.proposers.llm.answers import AnswerError, edits_of
from optiloop.proposers.llm.chat import Message, Request
from optiloop.proposers.llm.clients import find_chat
from optiloop.proposers.llm.focus import Ask
from optiloop.proposers.llm.prompt import rendered
from optiloop.targets import builtins_folder
from optiloop.testing import brief_of

QUESTIONS = (("sort_words", "algorithm"), ("edit_distance", "caching"), ("count_words", "data-structure"))
FILE, TEMPERATURE = "text_processor.py", 0.8


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("model")
    options.add_argument("--draws", type=int, default=12)
    chosen = options.parse_args()
    source = {FILE: (builtins_folder() / "text_processor" / FILE).read_text(encoding="utf-8")}
    chat = find_chat(f"local:{chosen.model}")
    for function, idea in QUESTIONS:
        ask = Ask("function", FILE, function, idea)
        prompt = rendered(brief_of(source), ask)
        talk = (Message("system", prompt.system), Message("user", prompt.user))
        changes = []
        for seed in range(chosen.draws):
            reply = chat.complete(Request(talk, 900, seed=seed, temperature=TEMPERATURE, seconds=600.0))
            try:
                changes.append(edits_of(reply.text, source, ask, files_per_change=1).edits)
            except AnswerError as error:
                print(f"  {function}: {error}", file=sys.stderr)
        print(f"{function}, {idea}: {_said(source, changes)}", flush=True)
    return 0


def _said(source: Mapping[str, str], changes: Sequence[Mapping[str, str]]) -> str:
    programs = [result_fingerprint({**source, **edits}) for edits in changes]
    facts = [of_diff(unified(source, {**source, **edits})) for edits in changes]
    pairs = list(combinations(range(len(changes)), 2))
    same = sum(programs[a] == programs[b] for a, b in pairs)
    near = sum(programs[a] != programs[b] and alike(facts[a], facts[b]) >= ALIKE for a, b in pairs)
    usable = f"{len(changes)} usable answers, {len(set(programs))} programs"
    return f"{usable}; of {len(pairs)} pairs {same} are one program, {near} more are alike"


if __name__ == "__main__":
    sys.exit(main())
