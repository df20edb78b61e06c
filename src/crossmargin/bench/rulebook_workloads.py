"""How many accounts a second each rulebook margins: one account of up to 50 contracts that it can hold."""

import re
from collections.abc import Callable, Iterator

import numpy as np

from crossmargin.bench.workload import Workload, call_seconds
from crossmargin.errors import InputError, MarketDataError
from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_market
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import derive_pmrm2
from crossmargin.margin.derive_book import expiry_of
from crossmargin.margin.methods import METHODS
from crossmargin.margin.requirements import risk_for
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency

HELD = 50
SEED = 20260115
VENUES = ("binance", "bybit", "deribit", "derive", "drift", "dydx", "hyperliquid", "mango", "okx", "paradex", "vega")
DOLLARS = ("USDC", "USDT")
UNDERLYING = "BTC"


def rulebook(name: str) -> Callable[[], Workload]:
    """Return the workload of the method called `name`."""

    def measure() -> Workload:
        method, market = METHODS[name], sample_market()
        parameters = read_parameters(method)
        account = _account(name, market)
        risk = risk_for([account], market, method, parameters)
        (taken,) = call_seconds(
            lambda: account_requirement(account, market, risk, method, parameters), calls=20, rounds=3
        )
        return Workload(
            name=f"rulebook_{name}",
            title=f"one account of {len(account.positions)} contracts under {name}, from its portfolio",
            unit="accounts/s",
            ours=1.0 / taken,
            peers={},
            floor={},
            notes={"contracts": len(account.positions), "us an account": 1e6 * taken},
        )

    return measure


def _account(name: str, market: MarketSnapshot) -> Portfolio:
    rng = np.random.default_rng(SEED)
    held: list[Position] = []
    for contract in _candidates(market):
        if len(held) == HELD:
            break
        position = Position(instrument=contract, quantity=float(rng.choice([-2.0, -1.0, 1.0, 2.0])))
        if _holds(name, market, _portfolio([*held, position])):
            held.append(position)
    return _portfolio(held)


def _portfolio(positions: list[Position]) -> Portfolio:
    cash = tuple(Balance(currency=Currency(coin), amount=1e6) for coin in ("USDC",))
    return Portfolio(account=AccountId("bench"), balances=cash, positions=tuple(positions))


def _holds(name: str, market: MarketSnapshot, portfolio: Portfolio) -> bool:
    method = METHODS[name]
    parameters = read_parameters(method)
    try:
        risk = risk_for([portfolio], market, method, parameters)
        account_requirement(portfolio, market, risk, method, parameters)
    except (InputError, MarketDataError):
        return False
    return True


def _candidates(market: MarketSnapshot) -> Iterator[Contract]:
    """Yield contracts of every venue's form: options as listed in the market first, then perpetuals."""
    options = [name for name in market.marks if re.search(r"-\d+-[CP]$", name) and f":{UNDERLYING}/" in name]
    forms = [name.split("-", 1)[1] for name in options[:: max(len(options) // HELD, 1)]]
    coins = sorted(currency for currency in market.index if currency not in DOLLARS)
    for venue in VENUES:
        if venue == "deribit":
            yield from (parse_contract(f"deribit:{UNDERLYING}/USD:{UNDERLYING}-{form}") for form in forms)
            yield parse_contract(f"deribit:{UNDERLYING}/USD:{UNDERLYING}")
        for dollar in DOLLARS:
            yield from _known(f"{venue}:{UNDERLYING}/{dollar}:{dollar}-{form}" for form in forms)
            yield from _known(f"{venue}:{coin}/{dollar}:{dollar}" for coin in coins)


def _known(names: Iterator[str]) -> Iterator[Contract]:
    for name in names:
        try:
            yield parse_contract(name)
        except InputError:
            continue


def derive_pmrm2_options() -> Workload:
    """Derive's PMRM_2 for 40 options over 4 expiries and a perpetual, from what the rule reads."""
    rng = np.random.default_rng(SEED)
    strikes = np.linspace(70_000.0, 140_000.0, 10).round(-3).tolist()
    expiries = [
        expiry_of(
            86_400.0 * days, 100_000.0, [(k, k > 100_000.0, float(rng.normal()), 0.5) for k in strikes], rate=0.05
        )
        for days in (2, 20, 60, 180)
    ]
    account = derive_pmrm2.Pmrm2Account(
        spot=100_000.0,
        spot_confidence=1.0,
        stable_price=1.0,
        cash=50_000.0,
        perpetuals=2.0,
        perpetual_price=100_000.0,
        perpetual_confidence=1.0,
        perpetual_profit=0.0,
        expiries=expiries,
        collateral=(),
    )
    market = read_parameters(derive_pmrm2.METHOD).markets["BTC"]
    (taken,) = call_seconds(lambda: derive_pmrm2.margin(account, market), calls=500)
    return Workload(
        name="derive_pmrm2_options",
        title="PMRM_2 of 40 options and a perpetual: values, scenarios, contingencies, margins",
        unit="us",
        ours=1e6 * taken,
        peers={},
        floor={"ours": 100.0},
        higher_is_better=False,
    )


RULEBOOKS: dict[str, Callable[[], Workload]] = {
    "derive_pmrm2_options": derive_pmrm2_options,
    **{f"rulebook_{name}": rulebook(name) for name in METHODS},
}
"""A workload per method, by name."""
