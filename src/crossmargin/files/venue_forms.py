"""Which fields of a venue's answer say what: positions, balances, open orders and the venue's own margin.

Read from the venues' public API references and recorded answers, 2021 to 2025.
"""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["contracts", "venue"]
"""Sizes in contracts, or in what the venue counts: dollars of an inverse contract, coins of any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionForm:
    """The fields of a position; without a side the quantity carries the sign.

    `known_by` are fields that nothing else of the venue has which looks like a position, such as a fill. `cross` is
    false where the position is isolated.
    """

    name: str
    quantity: str
    entry: tuple[str, ...]
    side: str | None = None
    isolated: tuple[str, ...] | None = None
    cross: str | None = None
    known_by: tuple[str, ...] = ()
    unit: Unit = "contracts"

    @property
    def needs(self) -> set[str]:
        """Fields by which the form is known."""
        return {self.name, self.quantity, *([self.side] if self.side else []), *self.known_by}

    @property
    def reads(self) -> set[str]:
        """Fields that are read."""
        read = {self.name, self.quantity, *self.entry, *(self.isolated or ()), "instType", "contractSize"}
        return read | {field for field in (self.side, self.cross) if field}


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceForm:
    """The fields of a balance: the sum of some less the sum of others; a short `side` is owed."""

    currency: str
    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()
    side: str | None = None

    @property
    def needs(self) -> set[str]:
        """Fields by which the form is known."""
        return {self.currency, *self.plus, *([self.side] if self.side else [])}

    @property
    def reads(self) -> set[str]:
        """Fields that are read."""
        return {*self.needs, *self.minus}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderForm:
    """The fields of an open order; `filled` is taken off `quantity`.

    An order whose `status` is stated is read only in one of the states `open`; one with a `trigger` waits for it, and is
    named among the unread.
    """

    name: str
    side: str
    quantity: str
    price: tuple[str, ...]
    filled: str | None = None
    reduce_only: str | None = None
    status: str | None = None
    open: tuple[str, ...] = ()
    trigger: str | None = None
    unit: Unit = "contracts"

    @property
    def needs(self) -> set[str]:
        """Fields by which the form is known."""
        return {self.name, self.side, self.quantity, *self.price, *([self.filled] if self.filled else [])}

    @property
    def reads(self) -> set[str]:
        """Fields that are read."""
        return self.needs | {field for field in (self.reduce_only, self.status, self.trigger) if field}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginForm:
    """The fields of the venue's own margin; `net` where it states what is left over the requirement."""

    currency: str
    initial: str | None
    maintenance: str | None
    equity: str
    net: bool = False

    @property
    def needs(self) -> set[str]:
        """Fields by which the form is known."""
        return {field for field in (self.maintenance, self.equity, self.initial) if field}

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
        # an open order has a name, an amount and an average price too
        PositionForm(
            name="instrument_name", quantity="amount", entry=("average_price",), known_by=("cumulative_funding",)
        ),
        OrderForm(
            name="instrument_name",
            side="direction",
            quantity="amount",
            filled="filled_amount",
            price=("limit_price",),
            reduce_only="reduce_only",
            status="order_status",
            open=("open",),
            trigger="trigger_price",
        ),
        BalanceForm(currency="asset_name", plus=("amount",)),
        MarginForm(
            currency="USD",
            initial="initial_margin",
            maintenance="maintenance_margin",
            equity="subaccount_value",
            net=True,
        ),
    ),
    "hyperliquid": (
        PositionForm(name="coin", quantity="szi", entry=("entryPx",), isolated=("leverage",)),
        OrderForm(
            name="coin", side="side", quantity="sz", price=("limitPx",), reduce_only="reduceOnly", trigger="isTrigger"
        ),
    ),
    "bitmex": (
        PositionForm(name="symbol", quantity="currentQty", entry=("avgEntryPrice",), cross="crossMargin"),
        BalanceForm(currency="currency", plus=("amount",)),
        MarginForm(currency="currency", initial=None, maintenance="maintMargin", equity="marginBalance"),
        OrderForm(
            name="symbol",
            side="side",
            quantity="leavesQty",
            price=("price",),
            status="ordStatus",
            open=("New", "PartiallyFilled"),
            trigger="stopPx",
        ),
    ),
    "kraken": (
        PositionForm(name="symbol", quantity="size", side="side", entry=("price",), known_by=("fillTime",)),
        OrderForm(
            name="symbol",
            side="side",
            quantity="unfilledSize",
            price=("limitPrice",),
            reduce_only="reduceOnly",
            trigger="stopPrice",
        ),
        # of the whole spot account, in USD: equity, and the margin of its loans
        MarginForm(currency="USD", initial="m", maintenance=None, equity="e"),
    ),
    "dydx": (
        PositionForm(
            name="market", quantity="size", side="side", entry=("entryPrice",), known_by=("entryPrice", "sumOpen")
        ),
        BalanceForm(currency="symbol", plus=("size",), side="side"),
        OrderForm(
            name="ticker",
            side="side",
            quantity="size",
            filled="totalFilled",
            price=("price",),
            reduce_only="reduceOnly",
            status="status",
            open=("OPEN", "BEST_EFFORT_OPENED"),
            trigger="triggerPrice",
        ),
        MarginForm(currency="USD", initial="freeCollateral", maintenance=None, equity="equity", net=True),
    ),
    "lighter": (
        PositionForm(
            name="symbol", quantity="position", side="sign", entry=("avg_entry_price",), isolated=("margin_mode",)
        ),
        # what secures the perpetuals; the spot `balance` beside it does not
        BalanceForm(currency="symbol", plus=("margin_balance",)),
        OrderForm(
            name="symbol",
            side="side",
            quantity="remaining_base_amount",
            price=("price",),
            reduce_only="reduce_only",
            status="status",
            open=("open",),
            trigger="trigger_price",
        ),
        MarginForm(
            currency="USD",
            initial="cross_initial_margin_requirement",
            maintenance="cross_maintenance_margin_requirement",
            equity="cross_asset_value",
        ),
    ),
}

NUMBERED_MARKETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "dydx": ("ticker", ("clobPairId",)),
    "lighter": ("symbol", ("market_id", "market_index")),
}
"""Venues whose orders may name their market by a number: the field of the name, and those of the number."""

SMALLEST_UNITS: dict[str, dict[str, tuple[str, float]]] = {
    "bitmex": {"XBt": ("BTC", 1e-8), "USDt": ("USDT", 1e-6), "XBT": ("BTC", 1.0)},
}
"""Currency codes that count in a smallest unit: the currency, and how much of it one is."""

SUCCESS_CODES = {"lighter": "200"}
"""The code of an answer that is no error, where it is not 0."""

KRAKEN_CURRENCIES = {
    **{f"X{coin}": coin for coin in ("ETC", "ETH", "LTC", "MLN", "REP", "XLM", "XMR", "XRP", "ZEC")},
    **{f"Z{coin}": coin for coin in ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")},
    "XXBT": "BTC",
    "XBT": "BTC",
    "XXDG": "DOGE",
    "XDG": "DOGE",
}
"""Kraken's older currency codes: X before a coin, Z before a state's money."""
