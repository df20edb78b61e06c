"""Which fields of a venue's answer say what: positions, balances, open orders and the venue's own margin.

Read from the venues' public API references and recorded answers, 2021 to 2025.
"""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["contracts", "venue"]
"""Sizes in contracts, or in what the venue counts: dollars of an inverse contract, coins of any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionForm:
    """The fields of a position; without a side the quantity carries the sign."""

    name: str
    quantity: str
    entry: tuple[str, ...]
    side: str | None = None
    isolated: tuple[str, ...] | None = None
    unit: Unit = "contracts"

    @property
    def needs(self) -> set[str]:
        """Fields by which the form is known."""
        return {self.name, self.quantity, *([self.side] if self.side else [])}

    @property
    def reads(self) -> set[str]:
        """Fields that are read."""
        return {*self.needs, *self.entry, *(self.isolated or ()), "instType", "contractSize"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceForm:
    """The fields of a balance: the sum of some less the sum of others."""

    currency: str
    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()

    @property
    def needs(self) -> set[str]:
        """Fields by which the form is known."""
        return {self.currency, *self.plus}

    @property
    def reads(self) -> set[str]:
        """Fields that are read."""
        return {*self.needs, *self.minus}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderForm:
    """The fields of an open order; `filled` is taken off `quantity`."""

    name: str
    side: str
    quantity: str
    price: tuple[str, ...]
    filled: str | None = None
    reduce_only: str | None = None
    unit: Unit = "contracts"

    @property
    def needs(self) -> set[str]:
        """Fields by which the form is known."""
        return {self.name, self.side, self.quantity, *self.price, *([self.filled] if self.filled else [])}

    @property
    def reads(self) -> set[str]:
        """Fields that are read."""
        return self.needs | ({self.reduce_only} if self.reduce_only else set())


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginForm:
    """The fields of the venue's own margin; `net` where it states what is left over the requirement."""

    currency: str
    initial: str | None
    maintenance: str
    equity: str
    net: bool = False

    @property
    def needs(self) -> set[str]:
        """Fields by which the form is known."""
        return {self.maintenance, self.equity, *([self.initial] if self.initial else [])}

    @property
    def reads(self) -> set[str]:
        """Fields that are read."""
        return self.needs


Form = PositionForm | BalanceForm | OrderForm | MarginForm

FORMS: dict[str, tuple[Form, ...]] = {
    # ccxt writes sizes in contracts, unsigned by its manual and negative for shorts in its deribit; the side decides.
    "ccxt": (
        PositionForm(name="symbol", quantity="contracts", side="side", entry=("entryPrice",), isolated=("marginMode",)),
        OrderForm(name="symbol", side="side", quantity="remaining", price=("price",), reduce_only="reduceOnly"),
    ),
    "deribit": (
        PositionForm(name="instrument_name", quantity="size", side="direction", entry=("average_price",), unit="venue"),
        BalanceForm(currency="currency", plus=("balance",)),
        OrderForm(
            name="instrument_name",
            side="direction",
            quantity="amount",
            filled="filled_amount",
            price=("price",),
            reduce_only="reduce_only",
            unit="venue",
        ),
        MarginForm(
            currency="currency", initial="initial_margin", maintenance="maintenance_margin", equity="margin_balance"
        ),
    ),
    "okx": (
        PositionForm(name="instId", quantity="pos", side="posSide", entry=("avgPx",), isolated=("mgnMode",)),
        BalanceForm(currency="ccy", plus=("cashBal",)),
        OrderForm(
            name="instId", side="side", quantity="sz", filled="accFillSz", price=("px",), reduce_only="reduceOnly"
        ),
        MarginForm(currency="USD", initial="imr", maintenance="mmr", equity="adjEq"),
    ),
    "binance": (
        PositionForm(
            name="symbol",
            quantity="positionAmt",
            side="positionSide",
            entry=("entryPrice",),
            isolated=("isolated", "marginType"),
        ),
        BalanceForm(currency="asset", plus=("walletBalance",)),
        BalanceForm(currency="asset", plus=("balance",)),
        BalanceForm(currency="asset", plus=("free", "locked")),
        OrderForm(
            name="symbol",
            side="side",
            quantity="origQty",
            filled="executedQty",
            price=("price",),
            reduce_only="reduceOnly",
        ),
        MarginForm(
            currency="USD",
            initial="totalInitialMargin",
            maintenance="totalMaintMargin",
            equity="totalMarginBalance",
        ),
    ),
    "bybit": (
        PositionForm(name="symbol", quantity="size", side="side", entry=("avgPrice", "entryPrice")),
        # equity is the wallet less what spot margin has borrowed
        BalanceForm(currency="coin", plus=("walletBalance",), minus=("spotBorrow",)),
        OrderForm(name="symbol", side="side", quantity="leavesQty", price=("price",), reduce_only="reduceOnly"),
        MarginForm(
            currency="USD",
            initial="totalInitialMargin",
            maintenance="totalMaintenanceMargin",
            equity="totalMarginBalance",
        ),
    ),
    "derive": (
        PositionForm(name="instrument_name", quantity="amount", entry=("average_price",)),
        BalanceForm(currency="asset_name", plus=("amount",)),
        MarginForm(
            currency="USD",
            initial="initial_margin",
            maintenance="maintenance_margin",
            equity="subaccount_value",
            net=True,
        ),
    ),
    "hyperliquid": (PositionForm(name="coin", quantity="szi", entry=("entryPx",), isolated=("leverage",)),),
}
