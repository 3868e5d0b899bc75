"""Take out of a text what looks like a secret, before it is written anywhere. Pure.

Two kinds: the values of secret-looking variables of an environment, and tokens whose shape says what they
are. It is a net for accidents: who means to leak can encode. A candidate's own text is never passed through
here, for a diff must give its commit byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

REDACTED = "[redacted]"

_SHORTEST = 8
"""Characters of a value from which it is looked for: shorter ones stand in any text by chance."""

_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|AUTH|COOKIE|SESSION_ID|PRIVATE|(^|_)(PAT|PWD|DSN)$",
    re.IGNORECASE,
)
_HARMLESS_NAME = re.compile(r"^(OLD)?PWD$|(_SOCK|_FILE|_PATH|_DIR|_ID|_VERSION)$", re.IGNORECASE)

_SHAPES = re.compile(
    "|".join(
        (
            r"\bsk-[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic, OpenRouter
            r"\bgh[oprsu]_[A-Za-z0-9]{30,}",  # GitHub
            r"\bgithub_pat_[A-Za-z0-9_]{30,}",
            r"\bglpat-[A-Za-z0-9_-]{20,}",  # GitLab
            r"\bhf_[A-Za-z0-9]{30,}",  # Hugging Face
            r"\bnpm_[A-Za-z0-9]{36,}",
            r"\bpypi-[A-Za-z0-9_-]{32,}",
            r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",  # Amazon
            r"\bAIza[A-Za-z0-9_-]{35}",  # Google
            r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",  # a JSON web token
            r"(?<=://)[^\s/:@]{1,256}:[^\s/@]{1,256}(?=@)",  # user and password of an address
            r"(?i:(?<=bearer )[A-Za-z0-9._~+/=-]{16,})",
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]{1,20000}?"
            r"(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
        )
    )
)


def redactor(environment: Mapping[str, str]) -> Callable[[str], str]:
    """A function that redacts texts, made once for an environment."""
    values = {
        part
        for name, value in environment.items()
        if _SECRET_NAME.search(name) and not _HARMLESS_NAME.search(name)
        for part in (value, *value.splitlines())
        if len(part.strip()) >= _SHORTEST
    }
    # The longest first: a value that holds another one goes whole.
    known = re.compile("|".join(re.escape(value.strip()) for value in sorted(values, key=len, reverse=True)))

    def redact(text: str) -> str:
        if values:
            text = known.sub(REDACTED, text)
        return _SHAPES.sub(REDACTED, text)

    return redact
