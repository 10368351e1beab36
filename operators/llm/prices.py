"""What tokens cost, from a small table. A model without a price is counted in tokens only."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from operators.llm.wire import Usage

TABLE = Path(__file__).with_name("prices.toml")
MILLION = 1_000_000
SEARCH = 0.01  # dollars for a web search of the server


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens: read anew, read from the cache, written to the cache, answered."""

    input: float
    cached: float
    written: float
    output: float

    def of(self, usage: Usage) -> float:
        """Dollars of a call."""
        parts = (usage.input * self.input, usage.cached * self.cached, usage.written * self.written)
        return (sum(parts) + usage.output * self.output) / MILLION + usage.searches * SEARCH


class Prices:
    """Prices by the beginning of a model's name; the longest that fits holds."""

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self._prices = dict(prices)

    def find(self, model: str) -> Price | None:
        """The price of a model, None if it is not in the table."""
        fitting = [name for name in self._prices if model == name or model.startswith(f"{name}-")]
        return self._prices[max(fitting, key=len)] if fitting else None


def read_prices(own: Path | None = None) -> Prices:
    """The built-in table, and a user's over it. Raises ValueError for a file that is no such table."""
    prices: dict[str, Price] = {}
    for path in (TABLE, *([own] if own and own.exists() else [])):
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            for name, row in table.items():
                price = Price(**{kind: float(value) for kind, value in row.items()})
                if not all(0 <= value < math.inf for value in vars(price).values()):
                    raise ValueError(f"{name} has a price below 0")
                prices[name] = price
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is no table of prices ({error}): compare {TABLE}") from error
    return Prices(prices)


def unpriced(models: Iterable[str], prices: Prices) -> str:
    """Why a limit in dollars cannot hold for these models, and the cure; "" if all have a price."""
    unknown = sorted({model for model in models if prices.find(model) is None})
    if not unknown:
        return ""
    return (
        f"no price is known for {', '.join(unknown)}, so a limit in dollars would not hold: add a price to prices.toml "
        "beside program.md, or limit tokens (--max-tokens) instead"
    )
