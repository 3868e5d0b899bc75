"""How much of the metric each function stands for, by the profile and by who calls whom. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from optiloop.proposers.rewrite.code import Code
from optiloop.proposers.rewrite.facts import names

_UNITS = ("", "_us", "_ms", "_s", "_ns")


def shares_of_functions(code: Code, profile: Mapping[str, float]) -> dict[str, float | None]:
    """Map each outermost function's name, and "" for the module, to its share of the metric.

    A function that the profile does not name has the shares of those that call it; None where the
    profile tells nothing about it. Without a profile of any of the functions all share alike.
    """
    calls = {
        function.name: names(function) - {function.name}
        for function in code.functions
        if code.owner(function) == function.name
    }
    own = {name: weight for name in calls if (weight := _weight(name, profile)) is not None}
    total = sum(own.values())
    if total <= 0:
        return dict.fromkeys([*calls, ""], 1.0)
    shares: dict[str, float | None] = {"": 1.0}
    for name in calls:
        callers = [other for other in own if other == name or name in _reached(other, calls)]
        shares[name] = sum(own[caller] for caller in callers) / total if callers else None
    return shares


def _weight(name: str, profile: Mapping[str, float]) -> float | None:
    return next((profile[name + unit] for unit in _UNITS if name + unit in profile), None)


def _reached(name: str, calls: Mapping[str, set[str]]) -> set[str]:
    """The functions that run when this one does."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for called in calls[waiting.pop()] & calls.keys() - reached:
            reached.add(called)
            waiting.append(called)
    return reached
