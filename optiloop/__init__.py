"""optiloop: any file + any number -> a better file, with proof. Importing it reads and prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optiloop.callables import Optimized as Optimized
    from optiloop.callables import optimize as optimize
    from optiloop.index.memory import Memory as Memory
    from optiloop.loop import Engine as Engine
    from optiloop.model import Target as Target
    from optiloop.targets import load_target as load_target

__version__ = "0.1.0"
__all__ = ["Engine", "Memory", "Optimized", "Target", "__version__", "load_target", "optimize"]

_HOMES = {
    "Engine": "optiloop.loop",
    "Memory": "optiloop.index.memory",
    "Optimized": "optiloop.callables",
    "Target": "optiloop.model",
    "load_target": "optiloop.targets",
    "optimize": "optiloop.callables",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `optiloop --help` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'optiloop' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
