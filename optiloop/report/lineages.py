"""Which keep builds on which: chains of keeps at one place or setting. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from optiloop.decide import effect_of, gain_of
from optiloop.report.campaign import Campaign
from optiloop.report.tries import Try

PATIENCE = 3
"""Tries at its places without a keep after which a lineage no longer pays."""
WORTH = 2.0
"""How many times `min_effect` the last keep of a lineage must have gained for it to pay."""


@dataclass(frozen=True)
class Lineage:
    """Keeps that stand in the champion and build on each other, oldest first.

    `total` is what they gained together and `last` the newest alone, as effects: as measured again where that
    was done, else as kept. `since` is how many tries at its places were run after the newest, none kept.
    """

    place: str
    keeps: tuple[Try, ...]
    total: float
    last: float
    since: int
    paying: bool


def lineages_of(campaign: Campaign, tries: Sequence[Try]) -> tuple[Lineage, ...]:
    """The lineages of the champion, the largest gain first; a keep of no known place is in none.

    A keep builds on the newest earlier one that changed one of its places.
    """
    chains = _chains(campaign, tries)
    found = [_lineage(campaign, chain, tries) for chain in chains]
    return tuple(sorted(found, key=lambda it: (-gain_of(it.total, campaign.metric), it.keeps[0].number)))


def shown_gain(campaign: Campaign, one: Try) -> float:
    """A keep's gain (see `decide.gain_of`): as measured again where it was, for that is not biased."""
    again = campaign.rechecks.get(one.id)
    effect = again.effect if again is not None else one.experiment.effect
    return 0.0 if effect is None else gain_of(effect, campaign.metric)


def _chains(campaign: Campaign, tries: Sequence[Try]) -> list[list[Try]]:
    standing = {keep.id for keep in campaign.standing}
    chains: list[list[Try]] = []
    newest_at: dict[str, tuple[int, list[Try]]] = {}
    for one in tries:
        if one.id not in standing or not one.places:
            continue
        earlier = [newest_at[place] for place in one.places if place in newest_at]
        chain = max(earlier, key=lambda it: it[0])[1] if earlier else []
        if not chain:
            chains.append(chain)
        chain.append(one)
        newest_at.update(dict.fromkeys(one.places, (one.number, chain)))
    return chains


def _lineage(campaign: Campaign, chain: list[Try], tries: Sequence[Try]) -> Lineage:
    metric, newest = campaign.metric, chain[-1]
    places = Counter(place for keep in chain for place in keep.places)
    gains = [shown_gain(campaign, keep) for keep in chain]
    after = (one for one in tries[newest.number :] if one.ran and not one.kept)
    since = sum(not places.keys().isdisjoint(one.places) for one in after)
    worth = WORTH * gain_of(metric.min_effect + effect_of(0.0, metric), metric)
    return Lineage(
        place=places.most_common(1)[0][0],
        keeps=tuple(chain),
        total=effect_of(math.fsum(gains), metric),
        last=effect_of(gains[-1], metric),
        since=since,
        paying=gains[-1] >= worth and since < PATIENCE,
    )
