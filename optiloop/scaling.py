"""`optiloop scaling`: how the time of each function grows, in the baseline and in the champion. Effect."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from optiloop.bench import RIVALS
from optiloop.errors import TargetError
from optiloop.loop import Engine
from optiloop.measure import NoSample

SUFFIX = "_exponent"
ANOTHER_CLASS = 0.5
"""Exponents that differ by less are those of one class, measured twice."""


@dataclass(frozen=True)
class Scaling:
    """One function's exponents; None where they could not be told."""

    function: str
    baseline: float | None
    champion: float | None

    @property
    def changed(self) -> bool:
        """Whether the champion is of another complexity class."""
        known = self.baseline is not None and self.champion is not None
        return known and abs((self.baseline or 0.0) - (self.champion or 0.0)) >= ANOTHER_CLASS

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        return asdict(self) | {"changed": self.changed}

    def as_text(self) -> str:
        """The same for people."""
        before, after = ("?" if one is None else f"{one:.1f}" for one in (self.baseline, self.champion))
        mark = "  another class" if self.changed else ""
        return f"{self.function:<24} exponent {before} -> {after}{mark}"


def scalings(engine: Engine) -> list[Scaling]:
    """Run the benchmark's `--scaling` on baseline and champion. Raises TargetError where it has none."""
    workspace = engine.workspace
    workspace.restore()
    workspace.stage(workspace.source_at(workspace.root_commit))
    try:
        numbers = engine.judge.scaling(workspace.base, workspace.trial)
    except NoSample as no:
        raise TargetError(
            f"{engine.target.name}: its metric's command does not answer to --scaling ({no.reason}); "
            "optiloop.bench does where a Case has `scaled`"
        ) from None
    finally:
        workspace.restore()
    names = {
        name.removeprefix(RIVALS).removesuffix(SUFFIX): None for name in numbers if name.endswith(SUFFIX)
    }
    return [
        Scaling(name, numbers.get(f"{RIVALS}{name}{SUFFIX}"), numbers.get(f"{name}{SUFFIX}"))
        for name in names
    ]
