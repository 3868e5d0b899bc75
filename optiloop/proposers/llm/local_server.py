"""The process that holds a local model: `python -m optiloop.proposers.llm.local_server`. Effect.

Its settings are one JSON line on stdin; it says one JSON line on stdout, an address or an error, and lives
until stdin closes, which the end of its parent does, however that ends. Loading holds the interpreter for
seconds; so long Linux is asked to kill it with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

GENERATION_THREADS, BATCH_THREADS = 1, 2
"""Measured: with passive waiting one thread writes three times as fast as two, and two read fastest."""

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Load the model, say where it listens, and wait for the end."""
    settings = json.loads(sys.stdin.readline())
    _die_with_parent(signal.SIGKILL)
    if os.getppid() != settings["parent"]:
        return
    try:
        import xllamacpp as engine
    except ImportError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    params = engine.CommonParams()
    params.model.path = settings["path"]
    params.model_alias = [settings["name"]]
    params.n_ctx = settings["context"]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [settings["key"]]
    params.cpuparams.n_threads = GENERATION_THREADS
    params.cpuparams_batch.n_threads = BATCH_THREADS
    # One slot and no cache of prompts: both change answers (the same seed must give the same text).
    params.n_parallel, params.cache_prompt, params.cache_ram_mib = 1, False, 0
    params.enable_reasoning = 0
    params.fit_params = params.warmup = params.ui = False
    params.verbosity = 1
    try:
        server = engine.Server(params)
    except (RuntimeError, MemoryError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    # It is the thread that started us whose end Linux tells; from here on stdin is the better witness.
    _die_with_parent(0)
    print(json.dumps({"address": server.listening_address}), flush=True)
    sys.stdin.read()
    os._exit(0)  # the engine's own end waits for answers that nobody will read


def _die_with_parent(number: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


if __name__ == "__main__":
    main()
