"""What tokens cost: the table that ships, and the user's own before it. Reads files and the environment."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from optiloop.errors import UsageError

VARIABLE = "OPTILOOP_PRICES"
"""Names the user's file."""

SHIPPED = Path(__file__).with_name("prices.toml")
_KEYS = {"models", "usd_in", "usd_out", "date", "source"}


@dataclass(frozen=True)
class Price:
    """USD per million tokens in and out of the models whose names match one of the patterns (`*`, `?`)."""

    models: tuple[str, ...]
    usd_in: float
    usd_out: float
    date: date | None = None
    source: str = ""

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        """What so many tokens cost."""
        return (self.usd_in * tokens_in + self.usd_out * tokens_out) / 1e6


def price_of(model: str, prices: tuple[Price, ...]) -> Price | None:
    """The first row that names this model, with or without its maker (`openai/gpt-4o`)."""
    names = (model, model.rpartition("/")[2])
    return next(
        (
            price
            for price in prices
            if any(fnmatchcase(name, pattern) for name in names for pattern in price.models)
        ),
        None,
    )


def load_prices(environment: Mapping[str, str] = os.environ) -> tuple[Price, ...]:
    """The user's rows, then the shipped ones. Raises UsageError that names file and row."""
    own = environment.get(VARIABLE, "")
    return (*(read_prices(Path(own)) if own else ()), *read_prices(SHIPPED))


def read_prices(file: Path) -> tuple[Price, ...]:
    """The rows of a file. Raises UsageError that names file and row."""
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} ({VARIABLE}): cannot read the prices: {error}") from None
    rows = found.get("price", [])
    if not isinstance(rows, list) or set(found) - {"price"}:
        raise UsageError(f"{file}: prices are rows [[price]] and nothing else")
    return tuple(_price(row, f"{file}: price {number}") for number, row in enumerate(rows, 1))


def _price(row: object, where: str) -> Price:
    if not isinstance(row, dict) or set(row) - _KEYS:
        raise UsageError(f"{where}: a row has models, usd_in, usd_out, and may have date and source")
    models = row.get("models")
    if not isinstance(models, list) or not models or not all(isinstance(name, str) for name in models):
        raise UsageError(f"{where}: models must be a list of names")
    day = row.get("date")
    return Price(
        tuple(models),
        _usd(row.get("usd_in"), where),
        _usd(row.get("usd_out"), where),
        day if isinstance(day, date) else None,
        str(row.get("source", "")),
    )


def _usd(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise UsageError(f"{where}: usd_in and usd_out must be USD per million tokens")
    return float(value)
