"""The proposer `reverse`: turns a stretch of lines around, as 2-opt does with a tour."""

from collections.abc import Iterator
from itertools import combinations
from random import Random

from optiloop.memory.fingerprint import result_fingerprint
from optiloop.model import Brief, Proposal


class Reverse:
    """Proposes each stretch of each file once, in an order that the brief's seed draws. Holds no state."""

    def propose(self, brief: Brief) -> Proposal | None:
        """The first reversal that the log does not know; None when all are tried."""
        for path, text in brief.source.items():
            for first, last, turned in reversals(text, Random(brief.seed)):
                known = brief.recall.result(result_fingerprint({**brief.source, path: turned}))
                if known is None:
                    said = f"turn lines {first + 1} to {last} of {path} around"
                    return Proposal({path: turned}, said, "reverse", "reverse")
        return None


def reversals(text: str, lot: Random) -> Iterator[tuple[int, int, str]]:
    """Each other text that turning lines first to last around makes, in the order of a lot."""
    lines = text.splitlines(keepends=True)
    stretches = [pair for pair in combinations(range(len(lines) + 1), 2) if pair[1] - pair[0] > 1]
    lot.shuffle(stretches)
    for first, last in stretches:
        turned = "".join(lines[:first] + lines[first:last][::-1] + lines[last:])
        if turned != text:
            yield first, last, turned
