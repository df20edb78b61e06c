"""The page's worked example, the law it breaks, and what it refuses."""

import msgspec
import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import derive_pmrm2
from crossmargin.margin.method import Requirement
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency

NOW = 1_768_467_600 * 10**9
BTC, ETH, USDC = (Currency(name) for name in ("BTC", "ETH", "USDC"))
PERPETUAL = parse_contract("derive:BTC/USDC:USDC")
CALL = parse_contract("derive:BTC/USDC:USDC-260327-100000-C")
PUT = parse_contract("derive:BTC/USDC:USDC-260327-80000-P")
SMILE = Smile(
    expiry_ns=CALL.expiry_ns,  # type: ignore[union-attr]
    forward=101_000.0,
    strikes=(80_000.0, 100_000.0, 120_000.0),
    vols=(0.6, 0.5, 0.55),
)
MARKET = MarketSnapshot(
    time_ns=NOW,
    index={BTC: Price(100_000.0), ETH: Price(4_000.0), USDC: Price(1.0), Currency("DOGE"): Price(0.1)},
    surfaces={BTC: VolSurface(time_ns=NOW, smiles=(SMILE,))},
)
PARAMETERS = read_parameters(derive_pmrm2.METHOD)


def _margin(*held: tuple[str, float], parameters: derive_pmrm2.Pmrm2Parameters = PARAMETERS) -> Requirement:
    portfolio = Portfolio(
        account=AccountId("a"),
        balances=(Balance(currency=USDC, amount=50_000.0),),
        positions=tuple(Position(instrument=parse_contract(name), quantity=quantity) for name, quantity in held),
    )
    return derive_pmrm2.requirement(portfolio, MARKET, None, parameters)


def test_the_worked_example_of_the_page() -> None:
    answer = _margin((PERPETUAL.id, 2.0))
    assert answer.maintenance == pytest.approx(34_800.0)
    assert answer.initial == pytest.approx(44_000.0)
    assert answer.worst_scenario == "spot -18.0%, vol up"
    assert answer.measures["net_initial_margin"] == pytest.approx(answer.excess)
    assert answer.measures["net_maintenance_margin"] == pytest.approx(15_200.0)


def test_closing_everything_releases_everything() -> None:
    answer = _margin((PERPETUAL.id, 2.0), (PERPETUAL.id, -2.0), (CALL.id, 1.0), (CALL.id, -1.0))
    assert (answer.initial, answer.maintenance, answer.equity) == (0.0, 0.0, 50_000.0)


def test_lots_and_order_do_not_matter() -> None:
    one = _margin((CALL.id, -3.0), (PERPETUAL.id, 1.0), (PUT.id, 2.0))
    other = _margin((PUT.id, 2.0), (CALL.id, -1.0), (PERPETUAL.id, 1.0), (CALL.id, -2.0))
    assert (one.initial, one.maintenance, one.equity) == (other.initial, other.maintenance, other.equity)


def test_an_extra_long_option_can_cost() -> None:
    right_way_round = {
        name: msgspec.structs.replace(terms, long_discount=0.98, short_discount=1.02)
        for name, terms in PARAMETERS.markets.items()
    }
    parameters = msgspec.structs.replace(PARAMETERS, markets=right_way_round)
    alone = _margin((PERPETUAL.id, 2.0), parameters=parameters)
    hedged = _margin((PERPETUAL.id, 2.0), (CALL.id, 1.0), parameters=parameters)
    assert hedged.initial > alone.initial


@pytest.mark.parametrize("name", ["deribit:BTC/USD:BTC", "deribit:BTC/USD:BTC-260327-100000-C"])
def test_what_it_cannot_margin_is_named(name: str) -> None:
    with pytest.raises(InputError, match=name):
        _margin((name, 1.0))


def test_two_underlyings_and_unlisted_collateral_are_refused() -> None:
    with pytest.raises(InputError, match="one underlying per account"):
        _margin((PERPETUAL.id, 1.0), ("derive:ETH/USDC:USDC", 1.0))
    doge = Portfolio(account=AccountId("a"), balances=(Balance(currency=Currency("DOGE"), amount=1.0),))
    with pytest.raises(InputError, match="DOGE"):
        derive_pmrm2.requirement(doge, MARKET, None, PARAMETERS)
