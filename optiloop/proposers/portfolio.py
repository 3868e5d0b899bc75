"""`portfolio`: shares the cycles among the embedded proposers by what each has gained per second. Pure.

Each member's record comes from the log, so a restart changes nothing. Its score is log gain per second,
shrunk towards a hopeful prior: a member that has not run yet gets its turn, one that spends without
gaining falls back. One cycle in five explores: it goes to the member that has spent least, so that a large
early gain does not keep the others waiting for ever. A member with nothing left to propose is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optiloop.model import Brief, Proposal, Proposer, Recall
from optiloop.proposers.evolve import Evolve
from optiloop.proposers.rewrite import Rewrite
from optiloop.proposers.tune import Tune

PRIOR_GAIN = 0.7
"""A factor of two ..."""
PRIOR_SECONDS = 10.0
"""... in ten seconds: what a member is credited with before it has shown anything."""
EXPLORE_EVERY = 5


class Portfolio:
    """Asks its members in the order of their gain per second; now and then the neglected ones first."""

    def __init__(self, members: Mapping[str, Proposer] | None = None) -> None:
        embedded: dict[str, Proposer] = {"rewrite": Rewrite(), "tune": Tune(), "evolve": Evolve()}
        self._members = embedded if members is None else dict(members)

    def propose(self, brief: Brief) -> Proposal | None:
        """The best member's proposal, or the next one's; None when none has anything left."""
        for name in order(list(self._members), brief.recall):
            proposal = self._members[name].propose(brief)
            if proposal is not None:
                return proposal
        return None


def order(members: Sequence[str], recall: Recall) -> list[str]:
    """The members by gain per second; each fifth time by what they have spent, the least first."""
    done = sum(recall.spent(name).experiments for name in members)
    if done % EXPLORE_EVERY == EXPLORE_EVERY - 1:
        return sorted(members, key=lambda name: recall.spent(name).seconds)
    return sorted(members, key=lambda name: -gain_per_second(name, recall))


def gain_per_second(origin: str, recall: Recall) -> float:
    """Log gain per second of one member's experiments so far, shrunk towards the prior."""
    spent = recall.spent(origin)
    return (spent.gain + PRIOR_GAIN) / (spent.seconds + PRIOR_SECONDS)
