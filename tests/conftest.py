"""How the whole suite runs: in two processes, where pytest-xdist is there and nobody says otherwise."""

from __future__ import annotations

import os

import pytest

PROCESSES = 2
"""No more: each measures, starts processes of its own, or holds a model."""

os.environ.pop("PYTEST_XDIST_WORKER", None)  # in what a test starts, pytest-benchmark would measure nothing


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Have plain `pytest` share its tests out; chosen files start at once, in this process."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not hasattr(config, "workerinput")
    if not whole or not config.pluginmanager.hasplugin("xdist") or config.option.usepdb:
        return
    if config.option.numprocesses is None and config.option.dist == "no":
        config.option.numprocesses = min(PROCESSES, os.cpu_count() or 1)
        config.option.dist = "worksteal"
