"""The campaign in one JSON object and in one sentence. Pure."""

from __future__ import annotations

import math

from optiloop.model import Status
from optiloop.report.campaign import Campaign
from optiloop.report.words import count, interval, ratio


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
            "low": _finite(bounds.low) if bounds else None,
            "high": _finite(bounds.high) if bounds else None,
            "verified": campaign.verified,
        },
        "duplicates_avoided": campaign.statuses[Status.DUPLICATE],
        "cost": {"usd": cost.usd, "tokens": cost.tokens},
        "seconds": campaign.seconds,
        "sandbox": campaign.sandbox,
    }


def improvement(campaign: Campaign) -> str:
    """Say how many times better the champion is, and whether a fresh measurement proves it."""
    claim = campaign.fresh_claim
    better = f"{ratio(claim.ratio)} better, " if claim and claim.ratio is not None else ""
    return better + proof(campaign)


def proof(campaign: Campaign) -> str:
    """Say whether a fresh measurement proves the improvement, and how."""
    if campaign.last_keep is None:
        return "none yet: nothing was kept"
    claim = campaign.fresh_claim
    if claim is None:
        return "not verified: the champion was not measured afresh against the baseline"
    if claim.ratio is None or claim.interval is None:
        return "not verified: the fresh measurement gives no ratio with an interval"
    bounds = interval(claim.interval.low, claim.interval.high)
    ends = f"95 % interval {bounds}, {count(claim.pairs, 'fresh pair')}"
    if claim.interval.high < 1:
        return f"not verified: measured to be worse ({ends})"
    return f"{'verified' if campaign.verified else 'not verified'} ({ends})"


def _finite(end: float) -> float | None:
    return end if math.isfinite(end) else None
