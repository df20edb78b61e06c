"""How each venue spells its instruments: from its name to the unified symbol, None where the name fits no form.

Dated contracts of all six venues settle at 08:00 UTC (expiration_timestamp, expTime, deliveryDate, deliveryTime and
expiry of their instrument end points).
"""

import datetime as dt
import re

from crossmargin.errors import InputError
from crossmargin.units import NANOSECONDS_PER_SECOND

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MONTH_CODES = "FGHJKMNQUVXZ"
"""The futures trade's letters for January to December."""

HYPERLIQUID_THOUSANDS = frozenset(("KPEPE", "KSHIB", "KBONK", "KFLOKI", "KLUNC", "KNEIRO", "KDOGS"))
"""Perpetuals on a thousand coins, named with a small k there (info end point, meta)."""
HYPERLIQUID_DEX_COLLATERAL = {"xyz": "USDC", "flx": "USDH", "vntl": "USDH", "km": "USDH", "hyna": "USDE"}
"""Builder-deployed exchanges and the coin they settle in (info end point, allPerpMetas)."""
HYPERLIQUID_SPOT_INDEX = {"HYPE/USDC": "@107", "BTC/USDC": "@142", "ETH/USDC": "@151", "SOL/USDC": "@156"}
"""Spot pairs known there by number only (info end point, spotMeta); UBTC, UETH and USOL are unified as ccxt does."""

_COIN = r"[A-Z0-9][A-Z0-9.$]*?"
_DAY = r"(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d{2})"
_DATE = r"(?P<date>\d{6})"
_OPTION = r"(?P<type>[CP])"
_DERIVATIVE_QUOTES = ("USDT", "USDC", "USD")
_BYBIT_QUOTES = ("USDT", "USDC", "USD", "USDE", "USD1", "RLUSD", "BTC", "ETH", "SOL", "DAI", "EUR", "BRL", "TRY", "PLN")
# no plain USD: Binance has no such pairs, and BNBUSD would be read as BN against BUSD
_BINANCE_QUOTES = (
    *("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDP", "USD1", "USDE", "USDS", "DAI", "VAI", "PAX", "EURI", "IDRT"),
    *("BTC", "ETH", "BNB", "SOL", "XRP", "DOGE", "TRX", "DOT", "EUR", "GBP", "TRY", "BRL", "JPY", "AUD", "RUB", "UAH"),
    *("NGN", "ZAR", "PLN", "RON", "ARS", "MXN", "CZK", "COP", "IDR", "BIDR", "BVND"),
)


def deribit(name: str) -> str | None:
    """``BTC-PERPETUAL``, ``BTC-25DEC26``, ``XRP_USDC-25DEC26-0d625-C``, ``BTC_USDC``; combinations are refused."""
    if re.fullmatch(r"[A-Z0-9_]+-(?!PERPETUAL$)[A-Z]{2,}-.+", name):
        raise InputError("a combination of contracts must be booked leg by leg")
    pair = rf"(?P<base>{_COIN})(?:_(?P<quote>{_COIN}))?"
    match = re.fullmatch(rf"{pair}(?:-(?:(?P<perp>PERPETUAL)|{_DAY}(?:-(?P<strike>\d+(?:d\d+)?)-{_OPTION})?))?", name)
    if match is None:
        return None
    part = match.groupdict()
    base, quote = part["base"], part["quote"]
    derivative = f"{base}/{quote}:{quote}" if quote else f"{base}/USD:{base}"
    if part["perp"]:
        return derivative
    if part["day"] is None:
        return f"{base}/{quote}" if quote else None
    return derivative + _dated(part, _written_day(part), (part["strike"] or "").replace("d", "."))


def okx(name: str) -> str | None:
    """``BTC-USDT-SWAP``, ``BTC-USD-261225``, ``BTC-USD-261225-100000-C``, ``BTC-USDT``; a USD quote settles in coin."""
    match = re.fullmatch(
        rf"(?P<base>{_COIN})-(?P<quote>{_COIN})(?:-(?:(?P<perp>SWAP)|{_DATE}(?:-(?P<strike>\d+(?:\.\d+)?)-{_OPTION})?))?",
        name,
    )
    if match is None:
        return None
    part = match.groupdict()
    base, quote = part["base"], part["quote"]
    if part["perp"] is None and part["date"] is None:
        return f"{base}/{quote}"
    derivative = f"{base}/{quote}:{base if quote == 'USD' else quote}"
    return derivative if part["perp"] else derivative + _dated(part, part["date"], part["strike"])


def binance(name: str, spot: bool | None) -> str | None:  # noqa: FBT001  (three-valued: unsaid is a case of its own)
    """``BTCUSDT`` (spot or linear), ``BTCUSD_PERP``, ``BTCUSD_261225``, ``BTCUSDT_261225``, ``BTC-261225-100000-C``."""
    option = re.fullmatch(rf"(?P<base>{_COIN})-{_DATE}-(?P<strike>\d+(?:\.\d+)?)-{_OPTION}", name)
    if option is not None:
        part = option.groupdict()
        return f"{part['base']}/USDT:USDT" + _dated(part, part["date"], part["strike"])
    joined, _, ending = name.partition("_")
    pair = _split(joined, _DERIVATIVE_QUOTES if ending else _BINANCE_QUOTES)
    if pair is None or (ending and re.fullmatch(r"PERP|\d{6}", ending) is None):
        return None
    base, quote = pair
    if ending:
        derivative = f"{base}/{quote}:{base if quote == 'USD' else quote}"
        return derivative if ending == "PERP" else f"{derivative}-{ending}"
    if spot is None:
        raise InputError("spot and perpetual share this name, say binance.spot: or binance.derivative:")
    return f"{base}/{quote}" if spot else f"{base}/{quote}:{quote}"


def bybit(name: str, spot: bool | None) -> str | None:  # noqa: FBT001  (three-valued: unsaid is a case of its own)
    """``BTCUSDT`` (spot or linear), ``BTCPERP``, ``BTCUSD``, ``BTCUSDZ26``, ``BTC-25DEC26-1-C-USDT``."""
    dated = re.fullmatch(
        rf"(?P<base>{_COIN})-{_DAY}(?:-(?P<strike>\d+(?:\.\d+)?)-{_OPTION}(?:-(?P<settle>USDT))?)?", name
    )
    if dated is not None:
        part = dated.groupdict()
        base, quote = part["base"], part["settle"] or "USDC"
        if part["strike"] is None and base.endswith("USDT"):
            base, quote = base.removesuffix("USDT"), "USDT"
        return f"{base}/{quote}:{quote}" + _dated(part, _written_day(part), part["strike"])
    quarterly = re.fullmatch(rf"(?P<base>{_COIN})USD(?P<code>[{MONTH_CODES}])(?P<year>\d\d)", name)
    if quarterly is not None and not spot:
        base = quarterly["base"]
        day = _last_friday(2000 + int(quarterly["year"]), MONTH_CODES.index(quarterly["code"]) + 1)
        return f"{base}/USD:{base}-{day:%y%m%d}"
    if name.endswith("PERP") and name != "PERP" and not spot:
        base = name.removesuffix("PERP")
        return f"{base}/USDC:USDC"
    pair = _split(name, _BYBIT_QUOTES)
    return None if pair is None else _bybit_pair(*pair, spot)


def _bybit_pair(base: str, quote: str, spot: bool | None) -> str:  # noqa: FBT001
    if quote == "USDT" and spot is None:
        raise InputError("spot and perpetual share this name, say bybit.spot: or bybit.derivative:")
    if quote == "USD" and not spot:
        return f"{base}/USD:{base}"
    return f"{base}/USDT:USDT" if quote == "USDT" and not spot else f"{base}/{quote}"


def derive(name: str) -> str | None:
    """``ETH-PERP``, ``ETH-20240927-3500-C`` (decimal strikes ``0_5``), ``ETH-USDC``; all settle in USDC."""
    match = re.fullmatch(
        rf"(?P<base>{_COIN})-(?:(?P<perp>PERP)|20(?P<date>\d{{6}})-(?P<strike>\d+(?:_\d+)?)-{_OPTION}|(?P<quote>{_COIN}))",
        name,
    )
    if match is None:
        return None
    part = match.groupdict()
    if part["perp"]:
        return f"{part['base']}/USD:USDC"
    if part["quote"]:
        return f"{part['base']}/{part['quote']}"
    return f"{part['base']}/USD:USDC" + _dated(part, part["date"], part["strike"].replace("_", "."))


def hyperliquid(name: str) -> str | None:
    """``BTC``, ``kPEPE``, ``xyz:TSLA``, ``PURR/USDC``, ``@107``."""
    numbered = {number: pair for pair, number in HYPERLIQUID_SPOT_INDEX.items()}
    if name in numbered:
        return numbered[name]
    if re.fullmatch(rf"{_COIN}/{_COIN}", name):
        return name
    dex, colon, coin = name.rpartition(":")
    if colon:
        if dex not in HYPERLIQUID_DEX_COLLATERAL or re.fullmatch(_COIN, coin) is None:
            return None
        collateral = HYPERLIQUID_DEX_COLLATERAL[dex]
        return f"{dex.upper()}-{coin}/{collateral}:{collateral}"
    base = f"K{name[1:]}" if name.startswith("k") else name
    return f"{base}/USDC:USDC" if re.fullmatch(_COIN, base) else None


def bitmex(name: str) -> str | None:
    """``XBTUSD``, ``ETHUSD`` (quanto, in bitcoin), ``XBTM26``; not the contracts in USDT, whose sizes differ one by one."""
    dated = re.fullmatch(rf"(?P<base>{_COIN})(?P<code>[{MONTH_CODES}])(?P<year>\d\d)", name)
    if dated is not None and dated["base"] == "XBT":
        day = _last_friday(2000 + int(dated["year"]), MONTH_CODES.index(dated["code"]) + 1)
        return f"BTC/USD:BTC-{day:%y%m%d}"
    pair = _split(name, ("USD",))
    return None if pair is None else f"{_BITCOIN.get(pair[0], pair[0])}/USD:BTC"


def kraken(name: str) -> str | None:
    """Futures: ``PI_XBTUSD`` and ``FI_XBTUSD_240628`` pay in the coin, ``PF_ETHUSD`` and ``FF_XBTUSD_240628`` in dollars."""
    match = re.fullmatch(rf"(?P<kind>P|F)(?P<payoff>I|F)_(?P<base>{_COIN})USD(?:_(?P<date>\d{{6}}))?", name)
    if match is None or (match["kind"] == "F") is not (match["date"] is not None):
        return None
    base = _BITCOIN.get(match["base"], match["base"])
    settle = base if match["payoff"] == "I" else "USD"
    return f"{base}/USD:{settle}" + (f"-{match['date']}" if match["date"] else "")


def dydx(name: str) -> str | None:
    """``BTC-USD``: a perpetual in USDC."""
    base, _, quote = name.rpartition("-")
    return f"{base}/USDC:USDC" if quote == "USD" and re.fullmatch(_COIN, base) else None


def lighter(name: str) -> str | None:
    """``ETH`` the perpetual, ``ETH/USDC`` the pair."""
    if re.fullmatch(rf"{_COIN}/{_COIN}", name):
        return name
    return f"{name}/USDC:USDC" if re.fullmatch(_COIN, name) else None


_BITCOIN = {"XBT": "BTC"}


def expiry_day(expiry_ns: int) -> dt.date:
    """Return the UTC day of an expiry."""
    return dt.datetime.fromtimestamp(expiry_ns // NANOSECONDS_PER_SECOND, tz=dt.UTC).date()


def _dated(part: dict[str, str | None], yymmdd: str | None, strike: str | None) -> str:
    return f"-{yymmdd}-{strike}-{part['type']}" if part["type"] else f"-{yymmdd}"


def _written_day(part: dict[str, str | None]) -> str:
    if part["month"] not in MONTHS:
        raise InputError(f"a month must be one of {', '.join(MONTHS)}, was {part['month']}")
    return f"{part['year']}{MONTHS.index(part['month']) + 1:02d}{int(part['day'] or 0):02d}"


def _split(joined: str, quotes: tuple[str, ...]) -> tuple[str, str] | None:
    found = [quote for quote in quotes if joined.endswith(quote) and len(joined) > len(quote)]
    if not found or re.fullmatch(_COIN, joined) is None:
        return None
    quote = max(found, key=len)
    return joined.removesuffix(quote), quote


def _last_friday(year: int, month: int) -> dt.date:
    following = dt.date(year + month // 12, month % 12 + 1, 1)
    last = following - dt.timedelta(days=1)
    return last - dt.timedelta(days=(last.weekday() - 4) % 7)
