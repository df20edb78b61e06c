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


KINDS = ("long", "short", "pairs", "baskets", "random")
"""Kinds of books that `books_by_kind` makes."""


def standard_books(
    currencies: tuple[Currency, ...],
    coins: tuple[Currency, ...],
    *,
    kinds: tuple[str, ...] = KINDS,
    random: int = 12,
    seed: int = 7,
) -> LinearBooks:
    """Return the books of `kinds` in `coins`.

    Raises
    ------
    InputError
        If a kind is unknown, or nothing is left.

    Examples
    --------
    >>> coins = tuple(Currency(name) for name in ("BTC", "ETH", "SOL", "BNB", "XRP", "LTC"))
    >>> len(standard_books(coins, coins).names)
    38
    """
    found = books_by_kind(coins, random=random, seed=seed)
    for kind in kinds:
        if kind not in found:
            raise InputError(f"books must be of {', '.join(found)}, were of {kind!r}")
    chosen = {name: held for kind, books in found.items() if kind in kinds for name, held in books.items()}
    if not chosen:
        raise InputError(f"books of {', '.join(kinds)} in {', '.join(coins)} must exist, none do")
    return named_books(chosen, currencies)


def books_by_kind(
    coins: tuple[Currency, ...], *, random: int = 12, seed: int = 7
) -> dict[str, dict[str, dict[str, float]]]:
    """Return long and short of each of `coins`, pairs, baskets, and `random` books of six coins drawn by `seed`."""
    dice = np.random.default_rng(seed)
    drawn: dict[str, dict[str, float]] = {}
    for number in range(random):
        places = dice.choice(len(coins), min(6, len(coins)), replace=False)
        sizes = dice.normal(size=places.size)
        drawn[f"random {number + 1}"] = {coins[at]: float(size) for at, size in zip(places, sizes, strict=True)}
    return {
        "long": {f"long {coin}": {coin: 1.0} for coin in coins},
        "short": {f"short {coin}": {coin: -1.0} for coin in coins},
        "pairs": {f"{long}-{short}": {long: 1.0, short: -1.0} for long, short in PAIRS if {long, short} <= set(coins)},
        "baskets": _baskets(coins),
        "random": drawn,
    }


def _baskets(coins: tuple[Currency, ...]) -> dict[str, dict[str, float]]:
    even: dict[str, float] = {coin: 1.0 / len(coins) for coin in coins}
    alts = [coin for coin in coins if coin not in ("BTC", "ETH")]
    found = {"basket": even, "basket short": _reversed(even)}
    if alts:
        found["alts"] = {coin: 1.0 / len(alts) for coin in alts}
        found["alts short"] = _reversed(found["alts"])
    if "BTC" in coins and "ETH" in coins:
        found["60 BTC 40 ETH"] = {"BTC": 0.6, "ETH": 0.4}
        found["alts against BTC"] = {**{coin: 1.0 / (len(coins) - 1) for coin in coins if coin != "BTC"}, "BTC": -1.0}
    return found


def _reversed(held: Mapping[str, float]) -> dict[str, float]:
    return {coin: -weight for coin, weight in held.items()}


def joined(first: LinearBooks, second: LinearBooks) -> LinearBooks:
    """Return the books of both, over the same coins.

    Raises
    ------
    InputError
        If the coins differ or a name occurs twice.
    """
    if first.currencies != second.currencies:
        raise InputError("books must be over the same coins to be put together")
    return LinearBooks(
        names=first.names + second.names,
        currencies=first.currencies,
        weights=np.concatenate([first.weights, second.weights]),
    )
