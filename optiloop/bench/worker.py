"""The process that runs a candidate: answers calls over a socket and never says how long they took.

Run by `optiloop.bench` as a script, alone in its process, so it imports nothing of optiloop. Its only
channel is the socket it finds as fd 0. A message either way is a 4-byte big-endian length and that many
bytes; the driver sends JSON, the worker answers `+` and JSON, or `-` and one line of what went wrong.
"""

from __future__ import annotations

import errno
import json
import marshal
import os
import struct
import sys
import types


def serve(channel: int) -> None:
    """Answer until the driver leaves: what may be read, then the path of the file to import, then calls."""
    confine(json.loads(receive(channel) or b"[]"))
    stay_alone()
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


def confine(readable: list[str], writable: tuple[str, ...] = ()) -> None:
    """Let this process write to `writable` only, connect to nothing, signal nobody, read these paths only.

    By Landlock (Linux 5.13; landlock(7)), which also forbids to look into other processes, as root too. An
    older kernel allows all of it still: then it is the sandbox's task alone.
    """
    if sys.platform != "linux":
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return
    handled = (1 << min(12 + version, 15)) - 1  # one more with each of the versions 2 and 3
    network, scope = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    attributes = struct.pack("QQQ", handled, network, scope)[
        : 8 if version < 4 else 16 if version < 6 else 24
    ]
    ruleset = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    for path in (*readable, *writable):
        try:
            descriptor = os.open(path, os.O_PATH)
        except OSError:
            continue
        allowed = _READ_FOLDER if os.path.isdir(path) else _READ_FILE
        if path in writable:
            allowed = (_WRITE_FOLDER if os.path.isdir(path) else _WRITE_FILE) & handled
        libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", allowed, descriptor), 0)
        os.close(descriptor)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.syscall(_RESTRICT_SELF, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_NO_NEW_PRIVS = 38  # prctl(2)
_READ_FILE, _READ_FOLDER = 0b101, 0b1101
"""Execute and read a file; and list a folder."""
_WRITE_FILE, _WRITE_FOLDER = 0b100_0000_0000_0110, 0b111_0101_1011_1111
"""Read, write and truncate a file; in a folder all but sockets and devices."""


def stay_alone() -> None:
    """Let this process start no other, and no thread: the kernel answers EAGAIN, to root too.

    By a seccomp filter (Linux, on x86-64 and ARM64). Looking for children afterwards misses one that has
    ended while its parent ignored SIGCHLD; and what it did is in nobody's CPU time.
    """
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _STARTING:
        return
    import ctypes

    architecture, calls = _STARTING[machine]
    refused = 3 + len(calls)  # jumps count the instructions that they leave out
    program = [
        (0x20, 0, 0, 4),
        (0x15, 0, refused, architecture),
        (0x20, 0, 0, 0),
        (0x35, len(calls) + 1, 0, 1 << 30),
    ]
    program += [(0x15, len(calls) - at, 0, call) for at, call in enumerate(calls)]
    program += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | errno.EAGAIN)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    filter_ = struct.pack("@HP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(_SET_SECCOMP, 2, filter_, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


_SET_SECCOMP = 22  # prctl(2)
_STARTING = {
    "x86_64": (0xC000003E, (56, 57, 58, 59, 322, 435)),
    "aarch64": (0xC00000B7, (220, 221, 281, 435)),
}
"""clone, fork, vfork, execve, execveat, clone3 by their numbers; above 2**30 are those of x32."""


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
    answer = getattr(candidate, function)(*arguments)
    text = json.dumps(answer, allow_nan=False)
    marshal.dumps(answer)  # refuses what is only derived from list, dict, str: it may answer later, or lie
    return text.encode()


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
        chunk = os.read(channel, min(size, 1 << 20))
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
