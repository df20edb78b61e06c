"""Contract terms that a symbol does not tell: size, tick and lot per venue and kind, with source and date.

Facts published by the venues. Terms change; instrument records read from the venue (`files.instrument_records`) go
before these. A contract whose size cannot be known is refused, never taken as one coin.
"""

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Payoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Size, tick and lot of a family of contracts; a tick or lot of None is not on record."""

    contract_size: Decimal = Decimal(1)
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None


def published_terms(venue: str, kind: str, payoff: Payoff, base: str) -> Terms:
    """Return the published terms of a contract, or one coin per contract where the venue counts in coins.

    `kind` is ``spot``, ``perpetual``, ``future`` or ``option``.

    Raises
    ------
    InputError
        If the venue's contracts are not coins and the size of this one is not on record.

    Examples
    --------
    >>> published_terms("deribit", "perpetual", Payoff.INVERSE, "BTC").contract_size
    Decimal('10')
    >>> published_terms("okx", "perpetual", Payoff.LINEAR, "BTC").contract_size
    Decimal('0.01')
    >>> published_terms("binance", "perpetual", Payoff.LINEAR, "BTC").contract_size
    Decimal('1')
    """
    for key in ((venue, kind, payoff, base), (venue, kind, payoff, "*")):
        if key in _TERMS:
            return _TERMS[key]
    if payoff is Payoff.QUANTO or (venue, kind, payoff) in _NOT_COINS:
        raise InputError(
            f"a contract size must be known where a venue's contracts are not coins, "
            f"none is on record for the {payoff.value} {kind} on {base} of {venue}: read the venue's instrument records"
        )
    return Terms()


_D = Decimal
_DATED = ("perpetual", "future")
_NOT_COINS = {
    ("okx", "perpetual", Payoff.LINEAR),
    ("okx", "future", Payoff.LINEAR),
    ("okx", "option", Payoff.LINEAR),
    ("okx", "option", Payoff.INVERSE),
    ("deribit", "perpetual", Payoff.LINEAR),
    ("deribit", "future", Payoff.LINEAR),
    ("deribit", "perpetual", Payoff.INVERSE),
    ("deribit", "future", Payoff.INVERSE),
    # options settled in USDC have sizes of their own beside BTC and ETH
    ("deribit", "option", Payoff.LINEAR),
}

# Coins per USDT contract of OKX: `ctVal` of /api/v5/public/instruments, 13 May 2022; BTC and ETH unchanged in its
# answers of December 2024.
_OKX_LINEAR_COINS = {
    "0.0001": "YFI",
    "0.001": "YFII",
    "0.01": "BTC ICP MKR TORN XCH",
    "0.1": "AAVE APE AXS BADGER BAL BCH BZZ COMP DASH DORA EGLD ENS ETH FIL KSM LPT TRB UMA WNXM XMR ZEC",
    "1": "1INCH AGLD ALPHA ANT API3 ATOM AVAX BAND BICO BSV CELO CQT CRV CSPR DOT DYDX EFI ENJ GMT GODS IMX KNC LINK "
    "LON LOOKS LTC MASK MINA NEO NYM OMG PERP QTUM SNX SOL SRM SUSHI SWRV UNI WAVES WNCG XTZ YGG ZEN",
    "10": "ALGO ASTR BAT BNT CFX CHZ CONV CRO EOS ETC FITFI FLM FTM GALA GRT IOTA LAT LRC MANA MATIC NEAR ONT "
    "REN RSS3 RVN SAND SLP STORJ THETA UMEE XEM ZRX",
    "100": "ADA BTM CVC DOME JST PEOPLE RSR SC XLM XRP ZIL",
    "1000": "DOGE IOST TRX",
    "100000": "STARL",
    "1000000": "BTT ELON NFT SHIB SOS",
    "1000000000": "BABYDOGE KISHU",
}
# Coins per USDC perpetual of Deribit: `contract_size` of public/get_instruments, mid-2022, the smallest order as well.
_DERIBIT_LINEAR_COINS = {
    "0.001": "BTC",
    "0.01": "ETH",
    "0.02": "BCH",
    "0.1": "AVAX LTC SOL",
    "1": "DOT LINK NEAR UNI",
    "10": "ADA ALGO MATIC XRP",
    "100": "DOGE TRX",
}
# Coins per USDC option of Deribit: insights.deribit.com, "USDC-settled altcoin options", March 2024.
_DERIBIT_OPTION_COINS = {"1": "BTC ETH", "10": "SOL", "1000": "MATIC XRP"}
# Bitcoin per USD of a quanto perpetual or future of BitMEX: `multiplier` (satoshi) of /instrument/active, 22 July 2021.
_BITMEX_QUANTO_BTC = {"0.000001": "BCH ETH", "0.000002": "LTC", "0.0002": "XRP"}


def _by_coin(
    sizes: dict[str, str], venue: str, kinds: tuple[str, ...], payoff: Payoff, lot: Decimal | None = None
) -> dict[tuple[str, str, Payoff, str], Terms]:
    return {
        (venue, kind, payoff, coin): Terms(contract_size=_D(size), lot_size=lot)
        for size, coins in sizes.items()
        for coin in coins.split()
        for kind in kinds
    }


def _inverse(
    venue: str, coin: str, size: str, tick: str | None = None, kinds: tuple[str, ...] = _DATED
) -> dict[tuple[str, str, Payoff, str], Terms]:
    lot = None if coin == "*" and venue == "bybit" else _D(1)
    terms = Terms(contract_size=_D(size), tick_size=None if tick is None else _D(tick), lot_size=lot)
    return {(venue, kind, Payoff.INVERSE, coin): terms for kind in kinds}


def _option(venue: str, coin: str, size: str, lot: str, tick: str | None) -> dict[tuple[str, str, Payoff, str], Terms]:
    terms = Terms(contract_size=_D(size), tick_size=None if tick is None else _D(tick), lot_size=_D(lot))
    return {(venue, "option", Payoff.INVERSE, coin): terms}


_TERMS: dict[tuple[str, str, Payoff, str], Terms] = {
    # Deribit public/get_instruments: July 2021, mid-2022 (SOL), December 2025 (BTC). Lots are `min_trade_amount`
    # divided by `contract_size`. Ticks of options: 0.0001 BTC for cheap ones, in steps above (2026).
    **_inverse("deribit", "BTC", "10", "0.5"),
    **_inverse("deribit", "ETH", "1", "0.05"),
    **_inverse("deribit", "SOL", "10", "0.01"),
    **_option("deribit", "BTC", "1", "0.1", "0.0001"),
    **_option("deribit", "ETH", "1", "1", "0.0001"),
    **_option("deribit", "SOL", "1", "1", None),
    **_by_coin(_DERIBIT_LINEAR_COINS, "deribit", _DATED, Payoff.LINEAR, _D(1)),
    **_by_coin(_DERIBIT_OPTION_COINS, "deribit", ("option",), Payoff.LINEAR),
    # OKX: coin-margined contracts are 100 USD of BTC and 10 USD of all others (May 2022, December 2024). An option's
    # size is ctVal * ctMult: 0.01 BTC (0.1 before 2023), 0.1 ETH (1 in May 2022).
    **_inverse("okx", "BTC", "100", "0.1"),
    **_inverse("okx", "*", "10"),
    **_option("okx", "BTC", "0.01", "1", "0.0001"),
    **_option("okx", "ETH", "0.1", "1", None),
    **_by_coin(_OKX_LINEAR_COINS, "okx", _DATED, Payoff.LINEAR),
    # Binance COIN-M: `contractSize` of dapi/v1/exchangeInfo, July 2021. USDT-M futures and options count coins.
    **_inverse("binance", "BTC", "100", "0.1"),
    **_inverse("binance", "*", "10"),
    # Bybit inverse contracts are 1 USD: instruments-info, April 2021 and November 2023. Linear ones count coins.
    **_inverse("bybit", "BTC", "1", "0.5"),
    **_inverse("bybit", "ETH", "1", "0.05"),
    **_inverse("bybit", "*", "1"),
    # Hyperliquid counts coins: lots are 10 ** -szDecimals of `meta`.
    ("hyperliquid", "perpetual", Payoff.LINEAR, "BTC"): Terms(lot_size=_D("0.00001")),
    ("hyperliquid", "perpetual", Payoff.LINEAR, "ETH"): Terms(lot_size=_D("0.0001")),
    ("hyperliquid", "perpetual", Payoff.LINEAR, "ATOM"): Terms(lot_size=_D("0.01")),
    # Derive counts coins: `amount_step` and `tick_size` of public/get_instruments.
    ("derive", "perpetual", Payoff.LINEAR, "ETH"): Terms(tick_size=_D("0.01"), lot_size=_D("0.001")),
    ("derive", "option", Payoff.LINEAR, "ETH"): Terms(lot_size=_D("0.01")),
    # BitMEX /instrument: `multiplier` -1e8 satoshi, which is 1 USD. Kraken /derivatives/api/v3/instruments: PI_ and FI_ are
    # 1 USD (`contractSize`), PF_ and FF_ count coins.
    **_inverse("bitmex", "BTC", "1"),
    **_inverse("kraken", "*", "1"),
    **_by_coin(_BITMEX_QUANTO_BTC, "bitmex", _DATED, Payoff.QUANTO, _D(1)),
}
