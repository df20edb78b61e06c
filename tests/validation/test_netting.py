"""Savings of pairs against their legs."""

import numpy as np
import pytest

from crossmargin.units import Currency
from crossmargin.validation.books import named_books
from crossmargin.validation.netting import pair_savings


def test_a_pair_is_set_against_the_legs_that_it_holds() -> None:
    coins = tuple(Currency(name) for name in ("BTC", "ETH", "SOL"))
    books = named_books(
        {
            "long BTC": {"BTC": 1.0},
            "short BTC": {"BTC": -1.0},
            "long ETH": {"ETH": 2.0},
            "short ETH": {"ETH": -1.0},
            "BTC-ETH": {"BTC": 1.0, "ETH": -1.0},
            "uneven": {"ETH": 4.0, "BTC": -1.0},
            "both long": {"BTC": 1.0, "ETH": 1.0},
            "no leg": {"BTC": 1.0, "SOL": -1.0},
        },
        coins,
    )
    margins = np.array([[0.1], [0.2], [0.3], [0.4], [0.25], [0.4], [0.5], [0.5]]) * np.ones((1, 4))
    margins[4, 0] = np.nan
    profits = np.full((8, 4), -0.3)
    profits[4, 3] = -0.2
    found = {each.pair: each for each in pair_savings(books, margins, profits)}
    size = {name: np.abs(row).sum() for name, row in zip(books.names, books.weights, strict=True)}
    alone = (0.1 / size["long BTC"] + 0.4 / size["short ETH"]) * np.abs(books.weights[4]).max()
    assert set(found) == {"BTC-ETH", "uneven"}
    assert found["BTC-ETH"].saving == pytest.approx(1.0 - 0.25 / alone)
    assert found["BTC-ETH"].coverage == pytest.approx(1.0 / 3.0)
