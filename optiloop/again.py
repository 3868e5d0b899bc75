"""`optiloop show --replay`: an earlier change, made once more in the champion of now. Effect: reads git."""

from __future__ import annotations

import json
from collections.abc import Mapping

from optiloop.diff import DiffError, moved, patched
from optiloop.errors import UsageError
from optiloop.model import Experiment, Proposal, Target
from optiloop.state import campaign_workspace


def replay_line(target: Target, experiment: Experiment) -> str:
    """A line for `--proposer replay:FILE` that proposes an experiment's change on the present champion.

    Raises UsageError where it has no change, or where the lines it changed no longer stand there.
    """
    workspace = campaign_workspace(target)
    source = workspace.source_at(workspace.head())
    make = patched if experiment.parent == workspace.head() else moved
    try:
        after = make(source, experiment.diff)
    except DiffError as error:
        raise UsageError(f"{experiment.id} cannot be made in the champion of now: {error}") from None
    edits = {path: text for path, text in after.items() if text != source[path]}
    if not edits:
        raise UsageError(f"{experiment.id} has no change: it was {experiment.status}")
    return _line(edits, experiment.hypothesis, experiment.family)


def candidate_line(proposal: Proposal) -> str:
    """A line for `--proposer replay:FILE` that proposes what another proposer did."""
    return _line(proposal.edits, proposal.hypothesis, proposal.family)


def _line(edits: Mapping[str, str], hypothesis: str, family: str) -> str:
    return json.dumps({"edits": dict(edits), "hypothesis": hypothesis, "family": family})
