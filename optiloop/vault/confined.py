"""Shuts itself in and becomes a vault's script: `python -I -S confined.py JSON`. Effect.

It may read what the order names, write to the script's own folder, and reach no network and no other process
(Landlock and seccomp, Linux). What starts programs from then on asks the parent, who counts and says yes.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import socket
import struct
import sys

_NO_NEW_PRIVS = 38  # prctl(2)
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8 | 32  # seccomp(2); without the 32 of Linux 5.19 a signal asks twice
_ALLOW, _NOTIFY, _REFUSE = 0x7FFF0000, 0x7FC00000, 0x00050000
_CALLS = {
    "x86_64": (0xC000003E, 317, (59, 322), (41, 53, 425)),
    "aarch64": (0xC00000B7, 277, (221, 281), (198, 199, 425)),
}
"""Architecture; by number: seccomp, what starts a program (execve, execveat), and what reaches out (socket,
socketpair, io_uring_setup). Above 2**30 are those of x32. A fork is no good to count: it begins again, and
asks again, whenever a signal arrives."""


def main() -> None:
    order = json.loads(sys.argv[1])
    sys.path.insert(0, order["worker"])
    from worker import confine  # type: ignore[import-not-found]

    for name, most in order["limits"].items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (most, most))
    confine(order["readable"], tuple(order["writable"]))
    announce(order["channel"])
    os.execv(order["line"][0], order["line"])


def announce(channel: int) -> None:
    """Have the kernel refuse sockets and tell of each new program on a descriptor that the parent gets."""
    with socket.socket(fileno=channel) as parent:
        listener = filtered(_NOTIFY)
        if listener is None:  # no notice to be had: count nothing
            filtered(_ALLOW)
            parent.send(b"-")
            return
        socket.send_fds(parent, [b"+"], [listener])
        os.close(listener)


def filtered(starting: int) -> int | None:
    """Install the filter; the listener where starting programs are to be told of, None where none is."""
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _CALLS:
        return None
    architecture, seccomp, starts, reaches = _CALLS[machine]
    refuse = 2  # instructions from the end: allow, notify, refuse
    program = [
        (0x20, 0, 0, 4),
        (0x15, 0, len(starts) + len(reaches) + 2 + refuse, architecture),
        (0x20, 0, 0, 0),
    ]
    checks = [
        (0x35, 1 << 30, 2),
        *((0x15, call, 1) for call in starts),
        *((0x15, call, 2) for call in reaches),
    ]
    for at, (code, value, to) in enumerate(checks):
        program.append((code, len(checks) - 1 - at + to, 0, value))
    program += [(0x06, 0, 0, value) for value in (_ALLOW, starting, _REFUSE | errno.EPERM)]
    steps = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    filter_ = struct.pack("@HP", len(program), ctypes.addressof(steps))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    flags = _NEW_LISTENER if starting == _NOTIFY else 0
    found: int = libc.syscall(seccomp, _SET_MODE_FILTER, flags, filter_)
    return found if found >= 0 and flags else None


if __name__ == "__main__":
    main()
