"""What looks like a secret goes; what does not stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiloop.redact import REDACTED, redactor

NOTHING = redactor({})


@pytest.mark.parametrize(
    "token",
    [
        "sk-" + "a1" * 20,
        "sk-ant-api03-" + "x_-9" * 10,
        "ghp_" + "A" * 36,
        "github_pat_" + "1a" * 20,
        "glpat-" + "a" * 20,
        "hf_" + "b" * 34,
        "AKIA" + "ABCD1234" * 2,
        "AIza" + "c" * 35,
        "xoxb-123456789012-abc",
        "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\ncut off",
    ],
)
def test_a_token_is_known_by_its_shape(token: str) -> None:
    assert NOTHING(f"before {token}") == f"before {REDACTED}"


def test_the_words_around_a_secret_stay() -> None:
    assert NOTHING("clone https://me:pass@host/x failed") == f"clone https://{REDACTED}@host/x failed"
    assert NOTHING("Authorization: Bearer abcdefghijklmnop") == f"Authorization: Bearer {REDACTED}"


@pytest.mark.parametrize(
    "text",
    [
        "killed by SIGSEGV",
        "exit 1: AssertionError: 3 != 4 in task-force at sk-learn 1.4",
        "https://example.org:8080/a@b",
        "0123456789abcdef0123456789abcdef01234567",
        "bearer of bad news",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert NOTHING(text) == text


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "npm_token", "DB_PASSWORD", "GH_PAT", "SENTRY_DSN"])
def test_the_value_of_a_secret_looking_variable_goes(name: str) -> None:
    assert redactor({name: "correct-horse"})("a correct-horse!") == f"a {REDACTED}!"


@pytest.mark.parametrize(
    ("name", "value"),
    [("HOME", "/a/folder"), ("SSH_AUTH_SOCK", "/a/socket.1"), ("API_KEY", "short"), ("PWD", "/a/place")],
)
def test_other_values_stay(name: str, value: str) -> None:
    assert redactor({name: value})(f"in {value}") == f"in {value}"


def test_a_secret_of_many_lines_goes_line_by_line() -> None:
    redact = redactor({"DEPLOY_KEY": "first line\nsecond line\n"})
    assert redact("first line; second line") == f"{REDACTED}; {REDACTED}"


def test_a_secret_that_holds_another_goes_whole() -> None:
    assert redactor({"A_KEY": "12345678", "B_KEY": "1234567890"})("1234567890") == REDACTED


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()))
def test_redacting_twice_is_redacting_once(text: str, environment: dict[str, str]) -> None:
    redact = redactor({**environment, "KEY": "correct-horse"})
    once = redact(f"{text} correct-horse")
    assert "correct-horse" not in once
    if REDACTED not in "".join(environment.values()) and not any(v in REDACTED for v in environment.values()):
        assert redact(once) == once
