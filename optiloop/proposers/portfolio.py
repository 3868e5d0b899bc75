"""`portfolio`: shares the cycles among proposers by what each has gained per second, and per dollar. Pure.

Each member's record comes from the log, so a restart changes nothing. Its score is log gain per second,
shrunk towards a hopeful prior: a member that has not run yet gets its turn, one that spends without
gaining falls back; a dollar counts as ten minutes. One cycle in five explores: it goes to the member that has
spent least, so that a large early gain does not keep the others waiting for ever. On a plateau, when one
member has had the last cycles without a keep, it lets the others go first. While the target's diagnosis names
checks that fail, those who read none wait for those who do. A member with nothing left to propose, or that
nobody answers for, is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from optiloop.errors import AllowanceError, ProposerError, ProposerGoneError
from optiloop.model import Brief, Proposal, Proposer, Recall, Status
from optiloop.proposers.evolve import Evolve
from optiloop.proposers.rewrite import Rewrite
from optiloop.proposers.rewrite.diagnosed import ailing
from optiloop.proposers.tune import Tune

PRIOR_GAIN = 0.7
"""A factor of two ..."""
PRIOR_SECONDS = 10.0
"""... in ten seconds: what a member is credited with before it has shown anything."""
SECONDS_PER_USD = 600.0
EXPLORE_EVERY = 5
PLATEAU = 4
"""Cycles in a row that one member may spend without a keep before the others go first."""
BLIND = ("tune", "evolve")
"""Members that read no diagnosis: where one names what fails, they turn what has nothing to do with it."""

EMBEDDED: Mapping[str, Callable[[], Proposer]] = {"rewrite": Rewrite, "tune": Tune, "evolve": Evolve}


class Portfolio:
    """Asks its members in the order of their gain; now and then the neglected ones first.

    `members` are by the origin that their proposals carry; the embedded ones where None.
    """

    def __init__(self, members: Mapping[str, Proposer] | None = None) -> None:
        self._members = (
            {name: make() for name, make in EMBEDDED.items()} if members is None else dict(members)
        )
        self._gone: dict[str, ProposerGoneError] = {}

    def propose(self, brief: Brief) -> Proposal | None:
        """The best member's proposal, or the next one's; None when none has anything left.

        Raises ProposerGoneError or AllowanceError where only such members are left. A model that is gone is
        not asked again by this process.
        """
        dear: AllowanceError | None = None
        here = [name for name in self._members if name not in self._gone]
        for name in order(here, brief.recall, diagnosed=bool(ailing(brief.diagnosis))):
            try:
                proposal = self._members[name].propose(brief)
            except ProposerGoneError as error:
                self._gone[name] = error
            except AllowanceError as error:
                dear = error
            except ProposerError as error:
                error.origin = error.origin or name
                raise
            else:
                if proposal is not None:
                    return proposal
        for left in (dear, *self._gone.values()):
            if left is not None:
                raise left
        return None


def order(members: Sequence[str], recall: Recall, *, diagnosed: bool = False) -> list[str]:
    """The members by gain per second; each fifth time by what they have spent, the least first.

    `diagnosed`: checks are known to fail, so that those who know of none come last.
    """
    done = sum(recall.spent(name).experiments for name in members)
    if done % EXPLORE_EVERY == EXPLORE_EVERY - 1:
        return sorted(members, key=lambda name: recall.spent(name).seconds)
    stuck = _stuck(recall)
    waits = BLIND if diagnosed else ()
    return sorted(members, key=lambda name: (name == stuck, name in waits, -gain_per_second(name, recall)))


def gain_per_second(origin: str, recall: Recall) -> float:
    """Log gain per second of one member's experiments so far, shrunk towards the prior; dollars take time."""
    spent = recall.spent(origin)
    seconds = spent.seconds + SECONDS_PER_USD * spent.usd
    return (spent.gain + PRIOR_GAIN) / (seconds + PRIOR_SECONDS)


def _stuck(recall: Recall) -> str:
    """The member that has had the last cycles without a keep; empty where none has."""
    latest = recall.latest(PLATEAU)
    origins = {lesson.origin for lesson in latest}
    kept = any(lesson.status is Status.KEEP for lesson in latest)
    return latest[0].origin if len(latest) == PLATEAU and len(origins) == 1 and not kept else ""
