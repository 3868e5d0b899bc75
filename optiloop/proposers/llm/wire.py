"""One HTTP call to a model's server, bounded in time and bytes; its failures, told without keys. Effect."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import httpx

from optiloop.errors import ProposerError, ProposerGoneError
from optiloop.proposers.llm.patience import TransientError, retry_after
from optiloop.redact import redactor
from optiloop.untrusted import plain_line

D = TypeVar("D")
T = TypeVar("T")

MOST_BYTES = 16 * 2**20
"""Of one answer: a server that sends more is not answering."""

_PASSING = frozenset({408, 409, 425, 429})


class RefusedError(ProposerError):
    """The server will not answer this request as it is put; `said` is its reason."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


@dataclass(frozen=True)
class Endpoint:
    """Where a model is asked; errors name `who`. `key` may be empty, `variable` is where it came from."""

    who: str
    url: str = field(repr=False)
    key: str = field(default="", repr=False)
    variable: str = ""
    local: bool = False

    @property
    def shown(self) -> str:
        """The address without what may be a secret in it: user, password, query."""
        try:
            parts = urlsplit(self.url if "://" in self.url else f"//{self.url}")
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            return "an address that is none"
        scheme = f"{parts.scheme}://" if parts.scheme else ""
        return spoken(f"{scheme}{parts.hostname or ''}{port}{parts.path}", self.key)


def endpoint(who: str, url: str, variable: str, *, needed: bool) -> Endpoint:
    """An endpoint, its key from an environment variable. Raises ProposerGoneError where that must be set."""
    key = os.environ.get(variable, "").strip()
    found = Endpoint(who, url.rstrip("/"), key, variable)
    if needed and not key:
        raise ProposerGoneError(f"{who}: {variable} is not set; export the key for {found.shown} in it")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ProposerGoneError(f"{who}: {variable} holds characters that no key has; export the key alone")
    return found


def spoken(text: str, key: str = "") -> str:
    """A server's words in one line, without keys and control characters."""
    # Redacted as it is and as a line: a key must not slip through between the two.
    redact = redactor({**os.environ, "ENDPOINT_KEY": key})
    return plain_line(redact(plain_line(redact(text), 2000)), 300)


def post(
    to: Endpoint,
    path: str,
    headers: Mapping[str, str],
    body: object,
    seconds: float,
    *,
    answered: bool,
    refusals: frozenset[int] = frozenset(),
) -> dict[str, Any]:
    """POST a JSON object and return the one that came back.

    Not streamed: the answer then comes with its usage or not at all, and half of one cannot be taken for
    the whole. `answered` says that this server has done so before, `refusals` which statuses mean that it
    will not answer this request. Raises TransientError, RefusedError, ProposerGoneError.
    """
    with failures(to, answered=answered), client(seconds, trust_env=not to.local) as web:
        response = web.post(f"{to.url}{path}", headers=dict(headers), json=body)
    if response.status_code != 200:
        said = words(response.text)
        if response.status_code in refusals:
            raise RefusedError(_told(to, response.status_code, said), spoken(said, to.key))
        refuse(to, response.status_code, said, response.headers)
    try:
        found = response.json()
    except (ValueError, RecursionError):
        raise TransientError(
            f"{to.who} at {to.shown} answered no JSON: {spoken(response.text, to.key)}"
        ) from None
    if not isinstance(found, dict):
        raise TransientError(f"{to.who} at {to.shown} answered no JSON object")
    return found


def settled(dialect: D, ask: Callable[[D], T], without: Callable[[D, str], D | None]) -> tuple[D, T]:
    """Ask in a dialect, and in the lesser one that `without` gives for each refusal: what it took, and said.

    Raises what `ask` raises, a RefusedError too where nothing is left to give in.
    """
    while True:
        try:
            return dialect, ask(dialect)
        except RefusedError as no:
            lesser = without(dialect, no.said)
            if lesser is None:
                raise
            dialect = lesser


def client(seconds: float, *, trust_env: bool) -> httpx.Client:
    """A client for one call: no connection is kept, for one kept for minutes is dead when it is needed."""
    return httpx.Client(trust_env=trust_env, **bounds(seconds))


def bounds(seconds: float) -> dict[str, Any]:
    """What a client of httpx is given to bound a call in time and bytes."""
    deadline = time.monotonic() + seconds

    def bound(response: httpx.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":  # a bound on it bounds nothing
            raise ProposerError("the model's server compressed its answer, though it was asked not to")
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Bounded(response.stream, deadline)

    return {
        "headers": {"accept-encoding": "identity"},
        "timeout": httpx.Timeout(seconds, connect=min(seconds, 10.0)),
        "limits": httpx.Limits(max_keepalive_connections=0),
        "event_hooks": {"response": [bound]},
    }


class _Bounded(httpx.SyncByteStream):
    """A response's bytes up to a number and a time: a server may drip for ever without ever timing out."""

    def __init__(self, inner: httpx.SyncByteStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        taken = 0
        for chunk in self._inner:
            taken += len(chunk)
            if taken > MOST_BYTES:
                raise ProposerError(f"the model's server answered more than {MOST_BYTES >> 20} MB")
            if time.monotonic() > self._deadline:
                raise httpx.ReadTimeout("the answer did not end")
            yield chunk

    def close(self) -> None:
        self._inner.close()


@contextmanager
def failures(to: Endpoint, *, answered: bool) -> Iterator[None]:
    """Turn what httpx raises into TransientError or ProposerGoneError.

    A server that cannot be reached is gone at once, unless it has answered before: then it may be restarting.
    """
    where = f"{to.who} at {to.shown}"
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        said = f"{where} cannot be reached: {spoken(str(error), to.key) or 'no connection'}"
        if answered:
            raise TransientError(said) from None
        raise ProposerGoneError(f"{said}; is it running, and is the address right?") from None
    except httpx.TimeoutException:
        raise TransientError(f"{where} did not answer in time") from None
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL):
        raise ProposerGoneError(f"{where}: no request can be sent there; is the address right?") from None
    except httpx.HTTPError as error:
        raise TransientError(f"{where} broke off: {spoken(str(error), to.key)}") from None


def refuse(to: Endpoint, status: int, said: str, headers: Mapping[str, str]) -> NoReturn:
    """Raise what an HTTP status means."""
    told = _told(to, status, said)
    if status in (401, 403):
        mend = f"set a valid key in {to.variable}" if to.variable else "it wants a key"
        raise ProposerGoneError(f"{told}; {mend}")
    if status == 402 or (status == 429 and "insufficient_quota" in said):
        raise ProposerGoneError(f"{told}; the account has no money left")
    if status == 404:
        raise ProposerGoneError(f"{told}; are model and address right?")
    if status in _PASSING or status >= 500:
        raise TransientError(told, retry_after(headers))
    raise RefusedError(told, spoken(said, to.key))


def _told(to: Endpoint, status: int, said: str) -> str:
    reason = spoken(said, to.key)
    return f"{to.who} at {to.shown} answered {status}" + (f": {reason}" if reason else "")


def words(body: str) -> str:
    """The reason in an error's body: {"error": {"message": ...}}, {"error": ...}, or the text itself."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return body
    error = found.get("error", found) if isinstance(found, dict) else found
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        code = error.get("code") or error.get("type")
        return f"{error['message']} ({code})" if isinstance(code, str) else error["message"]
    return error if isinstance(error, str) else json.dumps(error)
