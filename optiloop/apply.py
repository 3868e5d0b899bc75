"""`optiloop apply`: bring the champion home, into the checkout, as a branch or as a patch. Effect."""

from __future__ import annotations

from optiloop.errors import UsageError
from optiloop.ledger import write_atomically
from optiloop.model import Target
from optiloop.state import campaign_workspace


def apply_to_checkout(target: Target) -> str:
    """Write the champion's files into the checkout. Returns what was done, in words.

    Raises UsageError where a file there is neither the baseline nor the champion: somebody's work.
    """
    workspace = campaign_workspace(target)
    before, after = workspace.source_at(workspace.root_commit), workspace.source_at(workspace.head())
    changed = [path for path in after if before[path] != after[path]]
    for path in changed:
        here = (target.root / path).read_bytes().decode("utf-8", errors="replace")
        if here not in (before[path], after[path]):
            raise UsageError(
                f"{path} was changed since the campaign began; use --branch NAME or --patch FILE"
            )
    for path in changed:
        write_atomically(target.root / path, after[path])
    return f"wrote {', '.join(changed)}" if changed else "nothing to apply: the champion is the baseline"


def make_branch(target: Target, name: str) -> str:
    """Make a branch at the champion's commit. Raises UsageError where that cannot be."""
    workspace = campaign_workspace(target)
    if workspace.place.private:
        raise UsageError(f"{target.name} is in no git repository of yours; use --patch FILE")
    workspace.make_branch(name)
    return f"branch {name} is at the champion, {workspace.head()[:10]}; look with: git log -p {name}"


def patch_text(target: Target) -> str:
    """The change from baseline to champion, for `git apply` at the root of the repository."""
    workspace = campaign_workspace(target)
    patch = workspace.patch()
    if not patch:
        raise UsageError("nothing to apply: the champion is the baseline")
    return patch
