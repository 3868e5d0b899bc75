"""The campaign in one JSON object and in one sentence. Pure."""

from __future__ import annotations

import math

from optiloop.model import Compare, Experiment
from optiloop.report.campaign import Campaign
from optiloop.report.words import bounds, count, duration, effect, ratio

MOST_SHARES = 3


def status(campaign: Campaign) -> dict[str, object]:
    """Return the campaign as one JSON object; null is "not known", and so is an interval's open end."""
    last, claim, cost = campaign.last_keep, campaign.fresh_claim, campaign.cost
    bounds = claim.interval if claim else None
    return {
        "target": campaign.target,
        "metric": campaign.metric.name,
        "unit": campaign.metric.unit,
        "direction": campaign.metric.direction.value,
        "experiments": len(campaign.experiments),
        "statuses": {word.value: count for word, count in campaign.statuses.items()},
        "champion": {
            "value": campaign.champion_value,
            "commit": campaign.champion_commit,
            "experiment": last.id if last else None,
        },
        "baseline": {"value": campaign.baseline_value},
        "improvement": {
            "ratio": claim.ratio if claim else None,
            "low": finite(bounds.low) if bounds else None,
            "high": finite(bounds.high) if bounds else None,
            "verified": campaign.verified,
            "difference": claim.difference if claim else None,
        },
        "keeps": {
            "standing": len(campaign.standing),
            "measured_again": sum(keep.id in campaign.rechecks for keep in campaign.standing),
            "taken_back": len(campaign.taken_back),
        },
        "duplicates_avoided": campaign.duplicates_avoided,
        "ended_early": {"runs": len(campaign.hopeless), "saved_s": campaign.saved_seconds},
        "cost": {"usd": cost.usd, "tokens": cost.tokens},
        "seconds": campaign.seconds,
        "exhausted": {
            "proposer": campaign.exhausted,
            "tried": {name: {"experiments": n, "kept": k} for name, (n, k) in campaign.tried.items()},
            "shares": {name: round(share, 4) for name, share in campaign.shares.items()},
        }
        if campaign.exhausted
        else None,
        "sandbox": campaign.sandbox,
        "holdout": None if campaign.peeks is None else {"asked": campaign.asked, "peeks": campaign.peeks},
    }


def improvement(campaign: Campaign) -> str:
    """Say how many times better the champion is, and whether a fresh measurement proves it."""
    return "".join((better(campaign), ", " if better(campaign) else "", proof(campaign)))


def better(campaign: Campaign) -> str:
    """How much better the champion is by its fresh measurement; empty where none says so."""
    claim, metric = campaign.fresh_claim, campaign.metric
    if claim is None:
        return ""
    if claim.ratio is not None and metric.compare is Compare.RATIO:
        return f"{ratio(claim.ratio)} better"
    if claim.difference is None:
        return ""
    return f"{effect(claim.difference, Compare.DIFFERENCE)} {metric.unit}".rstrip() + " better"


def proof(campaign: Campaign) -> str:
    """Say whether a fresh measurement proves the improvement, and how."""
    if campaign.last_keep is None:
        return "none yet: nothing was kept"
    claim = campaign.fresh_claim
    if claim is None:
        return "not verified: the champion was not measured afresh against the baseline"
    by_ratio = campaign.metric.compare is Compare.RATIO and claim.interval is not None
    ends = claim.interval if by_ratio else claim.difference_interval
    if ends is None:
        return "not verified: the fresh measurement gives no interval"
    compare = Compare.RATIO if by_ratio else Compare.DIFFERENCE
    where = " on what is held out" if claim.held_out else ""
    said = f"95 % interval {bounds(ends, compare)}, {count(claim.pairs, 'fresh pair')}{where}"
    if ends.high < (1 if by_ratio else 0):
        return f"not verified: measured to be worse ({said})"
    return f"{'verified' if campaign.verified else 'not verified'} ({said})"


def rechecked(campaign: Campaign) -> str:
    """Say how many keeps were measured again, and what came of it; empty where there is none."""
    if not campaign.keeps:
        return ""
    known = [campaign.rechecks[keep.id] for keep in campaign.standing if keep.id in campaign.rechecks]
    said = [f"{len(known)} of {count(len(campaign.standing), 'keep')} measured again"]
    if shaky := sum(not recheck.holds for recheck in known):
        said.append(f"{shaky} not shown to be better, but built upon")
    if campaign.taken_back:
        said.append(f"{len(campaign.taken_back)} taken back")
    return ", ".join(said)


def ended_early(campaign: Campaign) -> str:
    """Say how many runs were ended because they were hopeless, and what that saved; empty for none."""
    if not campaign.hopeless:
        return ""
    return f"{count(len(campaign.hopeless), 'hopeless run')}, about {duration(campaign.saved_seconds)} saved"


def left_to_try(campaign: Campaign) -> str:
    """Say that its proposer has nothing left, what was tried, and where more could be found; else empty."""
    if not campaign.exhausted:
        return ""
    tried = ", ".join(f"{name} {number} ({kept} kept)" for name, (number, kept) in campaign.tried.items())
    most = [f"{name} {share:.0%}" for name, share in list(campaign.shares.items())[:MOST_SHARES]]
    where = f"; the time goes to {', '.join(most)}" if most else ""
    return f"nothing by {campaign.exhausted}: {tried or 'no idea'}. A model, or you, may know more{where}"


def asked(campaign: Campaign) -> str:
    """Say how often the hold-out was asked, and how often it may be; empty where there is none."""
    return "" if campaign.peeks is None else f"asked {campaign.asked} of {count(campaign.peeks, 'time')}"


def again(campaign: Campaign, keep: Experiment) -> str:
    """What a keep showed when it was measured again: its effect, or that it was taken back."""
    if keep.id in campaign.taken_back:
        return "taken back"
    recheck = campaign.rechecks.get(keep.id)
    return effect(recheck.effect, campaign.metric.compare) if recheck else "–"


def finite(end: float) -> float | None:
    """An interval's end; None where it is open."""
    return end if math.isfinite(end) else None
