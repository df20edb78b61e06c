"""Books to test margin on: dollars held of each coin, rebalanced daily."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import BoolArray, Currency, FloatArray

PAIRS = (
    ("BTC", "ETH"), ("ETH", "BTC"), ("SOL", "ETH"), ("ETH", "SOL"),
    ("BNB", "BTC"), ("BTC", "BNB"), ("LTC", "BTC"), ("XRP", "ETH"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearBooks:
    """Weights of shape (n_books, n_coins): USD of each coin per USD of size, negative short."""

    names: tuple[str, ...]
    currencies: tuple[Currency, ...]
    weights: FloatArray

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.currencies))
        if self.weights.shape != shape or not np.isfinite(self.weights).all():
            raise InputError(f"weights must be finite and of shape {shape}, had shape {self.weights.shape}")
        if len(set(self.names)) != len(self.names):
            raise InputError("books must have names of their own")
        if not self.held.any(axis=1).all():
            raise InputError("every book must hold something")

    @property
    def held(self) -> BoolArray:
        """Which coins each book holds, shape (n_books, n_coins)."""
        return np.asarray(self.weights != 0.0)

    def profits(self, returns: FloatArray) -> FloatArray:
        """Return each book's profit per USD for log returns of shape (n_coins, n_days), NaN where a coin has none."""
        simple = np.expm1(returns)
        found = self.weights @ np.where(np.isfinite(simple), simple, 0.0)
        unknown = self.held.astype(np.float64) @ ~np.isfinite(simple) > 0.0
        return np.where(unknown, np.nan, found)


def named_books(books: Mapping[str, Mapping[str, float]], currencies: tuple[Currency, ...]) -> LinearBooks:
    """Return books from weights by coin.

    Raises
    ------
    InputError
        If a coin is not among `currencies`.
    """
    weights = np.zeros((len(books), len(currencies)))
    for row, (name, held) in enumerate(books.items()):
        for coin, weight in held.items():
            if coin not in currencies:
                raise InputError(f"a book may hold {', '.join(currencies)}, {name} holds {coin}")
            weights[row, currencies.index(Currency(coin))] = weight
    return LinearBooks(names=tuple(books), currencies=currencies, weights=weights)


def standard_books(
    currencies: tuple[Currency, ...], coins: tuple[Currency, ...], *, random: int = 12, seed: int = 7
) -> LinearBooks:
    """Return long and short of each of `coins`, pairs, baskets, and `random` books of six coins drawn by `seed`.

    Examples
    --------
    >>> coins = tuple(Currency(name) for name in ("BTC", "ETH", "SOL", "BNB", "XRP", "LTC"))
    >>> len(standard_books(coins, coins).names)
    36
    """
    books: dict[str, dict[str, float]] = {}
    for coin in coins:
        books[f"long {coin}"], books[f"short {coin}"] = {coin: 1.0}, {coin: -1.0}
    for first, second in PAIRS:
        if first in coins and second in coins:
            books[f"{first}-{second}"] = {first: 1.0, second: -1.0}
    even: dict[str, float] = {coin: 1.0 / len(coins) for coin in coins}
    books["basket"] = even
    books["basket short"] = {coin: -weight for coin, weight in even.items()}
    if "BTC" in coins and "ETH" in coins:
        books["60 BTC 40 ETH"] = {"BTC": 0.6, "ETH": 0.4}
        books["alts against BTC"] = {**{coin: 1.0 / (len(coins) - 1) for coin in coins if coin != "BTC"}, "BTC": -1.0}
    dice = np.random.default_rng(seed)
    for number in range(random):
        drawn = dice.choice(len(coins), min(6, len(coins)), replace=False)
        books[f"random {number + 1}"] = {
            coins[place]: float(weight) for place, weight in zip(drawn, dice.normal(size=drawn.size), strict=True)
        }
    return named_books(books, currencies)
