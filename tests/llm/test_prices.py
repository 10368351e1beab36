"""What tokens cost: the table, a user's own over it, and what is no table."""

from __future__ import annotations

from pathlib import Path

import pytest

from operators.llm.prices import TABLE, Price, Prices, read_prices, unpriced
from operators.llm.wire import Usage


def test_dollars_of_a_call() -> None:
    price = Price(input=3.0, cached=0.3, written=3.75, output=15.0)
    usage = Usage(input=1_000_000, cached=2_000_000, written=4_000_000, output=100_000, searches=2)
    assert price.of(usage) == pytest.approx(3.0 + 0.6 + 15.0 + 1.5 + 0.02)
    assert price.of(Usage()) == 0


def test_the_longest_beginning_of_a_name_that_fits_holds() -> None:
    short, long = Price(1, 1, 1, 1), Price(2, 2, 2, 2)
    prices = Prices({"claude-opus": short, "claude-opus-5": long})
    assert prices.find("claude-opus-5-20261101") == prices.find("claude-opus-5") == long
    assert prices.find("claude-opus-4") == prices.find("claude-opus") == short
    assert prices.find("claude-opus-51") == short, "another number is another model"
    assert prices.find("claude") is None and prices.find("my-claude-opus") is None and prices.find("") is None


def test_a_limit_in_dollars_needs_a_price_for_each_model() -> None:
    prices = Prices({"known": Price(1, 1, 1, 1)})
    assert unpriced(["known", "known-2"], prices) == unpriced([], prices) == ""
    reason = unpriced(["own", "known", "mine", "own"], prices)
    assert "no price is known for mine, own," in reason and "prices.toml" in reason and "--max-tokens" in reason


def test_the_built_in_table_makes_sense() -> None:
    prices = read_prices()
    for name in ("claude-opus-5", "claude-sonnet-5-20260901", "claude-haiku-4-5", "claude-sonnet-4-20250514"):
        price = prices.find(name)
        assert price and 0 < price.cached < price.input < price.written < price.output
    assert prices.find("local") is None


def test_an_own_table_adds_and_overrules(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(
        "[mine]\ninput = 1\ncached = 0\nwritten = 0\noutput = 2\n"
        "[claude-opus-5]\ninput = 9.0\ncached = 9\nwritten = 9\noutput = 9\n"
    )
    prices = read_prices(own)
    assert prices.find("mine-large") == Price(1, 0, 0, 2) and prices.find("claude-opus-5") == Price(9, 9, 9, 9)
    assert prices.find("claude-sonnet-5") == read_prices().find("claude-sonnet-5")
    assert read_prices(tmp_path / "missing.toml").find("mine") is None


@pytest.mark.parametrize(
    "text",
    [
        "no table",
        "mine = 3",
        "[mine]\ninput = 1",
        "[mine]\ninput = 1\ncached = 0\nwritten = 0\noutput = 2\nsearch = 1",
        "[mine]\ninput = -1\ncached = 0\nwritten = 0\noutput = 2",
        "[mine]\ninput = inf\ncached = 0\nwritten = 0\noutput = 2",
        "[mine]\ninput = nan\ncached = 0\nwritten = 0\noutput = 2",
        '[mine]\ninput = "cheap"\ncached = 0\nwritten = 0\noutput = 2',
    ],
)
def test_what_is_no_table_of_prices_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(text)
    with pytest.raises(ValueError, match="is no table of prices") as error:
        read_prices(own)
    assert str(own) in str(error.value) and str(TABLE) in str(error.value)


def test_bytes_that_are_no_text_are_no_table(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is no table of prices"):
        read_prices(own)
