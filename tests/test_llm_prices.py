"""Prices: the shipped table, and the user's in front of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from optiloop.errors import UsageError
from optiloop.proposers.llm.prices import SHIPPED, Price, load_prices, price_of, read_prices


def test_every_shipped_row_has_a_date_and_a_source() -> None:
    rows = read_prices(SHIPPED)
    assert rows
    for row in rows:
        assert row.date is not None, row
        assert row.source, row
        assert 0 < row.usd_in < row.usd_out, row


@pytest.mark.parametrize(
    ("model", "usd_in"),
    [
        ("gpt-4o", 2.5),
        ("gpt-4o-2024-08-06", 2.5),
        ("gpt-4o-mini", 0.15),
        ("openai/gpt-4o-mini-2024-07-18", 0.15),
        ("claude-opus-4-1-20250805", 15.0),
        ("claude-opus-4-5-20251101", 5.0),
        ("claude-opus-5-5", 4.0),
    ],
)
def test_a_model_is_known_by_its_name_and_its_dated_names(model: str, usd_in: float) -> None:
    price = price_of(model, load_prices({}))
    assert price is not None
    assert price.usd_in == usd_in


@pytest.mark.parametrize(
    "model", ["gpt-5.9", "gpt-4o-audio-preview", "claude-opus-6", "qwen2.5-coder:1.5b", ""]
)
def test_a_name_that_only_begins_alike_is_not_known(model: str) -> None:
    assert price_of(model, load_prices({})) is None


def test_the_users_rows_come_first(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text('[[price]]\nmodels = ["gpt-4o", "mine*"]\nusd_in = 1\nusd_out = 2.5\n')
    prices = load_prices({"OPTILOOP_PRICES": str(own)})
    for model, usd_in in (("gpt-4o", 1.0), ("mine-7b", 1.0), ("gpt-4.1", 2.0)):
        price = price_of(model, prices)
        assert price is not None
        assert price.usd_in == usd_in


def test_tokens_are_priced_per_million() -> None:
    assert Price(("m",), 3.0, 15.0).usd(1_000_000, 200_000) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[price]]\nmodels = []\nusd_in = 1\nusd_out = 1", "price 1: models"),
        ('[[price]]\nmodels = ["a"]\nusd_in = -1\nusd_out = 1', "price 1: usd_in"),
        ('[[price]]\nmodels = ["a"]\nusd_in = true\nusd_out = 1', "price 1: usd_in"),
        ('[[price]]\nmodels = ["a"]\nusd_in = 1', "price 1: usd_in"),
        ('[[price]]\nmodels = ["a"]\nusd_in = 1\nusd_out = 1\nusd = 1', "price 1: a row has"),
        ("[price]\nmodels = 1", "rows"),
        ("[[prices]]", "rows"),
        ("what", "cannot read"),
    ],
)
def test_a_faulty_file_is_named_with_its_row(tmp_path: Path, text: str, said: str) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(text)
    with pytest.raises(UsageError, match=said) as told:
        load_prices({"OPTILOOP_PRICES": str(own)})
    assert str(own) in str(told.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.toml"):
        load_prices({"OPTILOOP_PRICES": str(tmp_path / "gone.toml")})
