"""`portfolio`: shares the cycles among the embedded proposers by what each has gained per second. Pure.

Each member's record comes from the log, so a restart changes nothing. Its score is log gain per second,
shrunk towards a hopeful prior: a member that has not run yet gets its turn, one that spends without
gaining falls back. A member with nothing left to propose is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping

from optiloop.model import Brief, Proposal, Proposer, Recall
from optiloop.proposers.evolve import Evolve
from optiloop.proposers.rewrite import Rewrite
from optiloop.proposers.tune import Tune

PRIOR_GAIN = 0.7
"""A factor of two ..."""
PRIOR_SECONDS = 10.0
"""... in ten seconds: what a member is credited with before it has shown anything."""


class Portfolio:
    """Asks its members in the order of their gain per second."""

    def __init__(self, members: Mapping[str, Proposer] | None = None) -> None:
        embedded: dict[str, Proposer] = {"rewrite": Rewrite(), "tune": Tune(), "evolve": Evolve()}
        self._members = embedded if members is None else dict(members)

    def propose(self, brief: Brief) -> Proposal | None:
        """The best member's proposal, or the next one's; None when none has anything left."""
        for name in sorted(self._members, key=lambda name: -gain_per_second(name, brief.recall)):
            proposal = self._members[name].propose(brief)
            if proposal is not None:
                return proposal
        return None


def gain_per_second(origin: str, recall: Recall) -> float:
    """Log gain per second of one member's experiments so far, shrunk towards the prior."""
    spent = recall.spent(origin)
    return (spent.gain + PRIOR_GAIN) / (spent.seconds + PRIOR_SECONDS)
