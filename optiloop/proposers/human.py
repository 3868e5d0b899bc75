"""`human`: a person edits the file in their editor. Effect: needs a terminal."""

from __future__ import annotations

import sys

import click

from optiloop.errors import UsageError
from optiloop.model import Brief, Proposal


class Human:
    """Opens each editable file in $VISUAL or $EDITOR; an unchanged file ends the run."""

    def propose(self, brief: Brief) -> Proposal | None:
        """What the person wrote, and their reason; None when they changed nothing."""
        if not sys.stdin.isatty():
            raise UsageError("the proposer 'human' needs a terminal; in scripts use replay:FILE")
        path = self._chosen(brief)
        text = click.edit(brief.source[path], extension="." + path.rpartition(".")[2])
        if text is None or text == brief.source[path]:
            return None
        hypothesis = click.prompt("What should this improve, and why", err=True)
        return Proposal({path: text}, hypothesis, "human", "human")

    def _chosen(self, brief: Brief) -> str:
        paths = sorted(brief.source)
        if len(paths) == 1:
            return paths[0]
        chosen: str = click.prompt("Which file", type=click.Choice(paths), err=True)
        return chosen
