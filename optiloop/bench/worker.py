"""The process that runs a candidate: answers calls over a socket and never says how long they took.

Run by `optiloop.bench` as a script, alone in its process, so it imports nothing of optiloop. Its only
channel is the socket it finds as fd 0. A message either way is a 4-byte big-endian length and that many
bytes; the driver sends JSON, the worker answers `+` and JSON, or `-` and one line of what went wrong.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import types


def serve(channel: int) -> None:
    """Answer until the driver leaves: a greeting, then the path of the file to import, then calls."""
    receive(channel)
    send(channel, b"+")
    candidate: types.ModuleType | None = None
    while (message := receive(channel)) is not None:
        try:
            if candidate is None:
                candidate, answer = load(message.decode()), b""
            else:
                answer = call(candidate, message)
        except BaseException as error:  # noqa: BLE001  sys.exit too: whatever a candidate raises is its answer
            reason = f"{type(error).__name__}: {error}"
            send(channel, b"-" + reason.encode("utf-8", "backslashreplace")[:1000])
        else:
            send(channel, b"+" + answer)


def load(path: str) -> types.ModuleType:
    """Import one file from its source, never from a cached .pyc that something else may have written."""
    name = os.path.splitext(os.path.basename(path))[0]
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    exec(code, module.__dict__)
    return module


def call(candidate: types.ModuleType, message: bytes) -> bytes:
    function, arguments = json.loads(message)
    return json.dumps(getattr(candidate, function)(*arguments), allow_nan=False).encode()


def send(channel: int, body: bytes) -> None:
    rest = memoryview(struct.pack(">I", len(body)) + body)
    while rest:
        rest = rest[os.write(channel, rest) :]


def receive(channel: int) -> bytes | None:
    """The next message, or None when the driver has left."""
    header = read(channel, 4)
    return header and read(channel, struct.unpack(">I", header)[0])


def read(channel: int, size: int) -> bytes | None:
    chunks = []
    while size:
        chunk = os.read(channel, size)
        if not chunk:
            return None
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def take_channel() -> int:
    """Move the socket away from fd 0, so that the candidate finds only the null device on 0, 1 and 2."""
    channel = os.dup(0)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    return channel


if __name__ == "__main__":
    serve(take_channel())
