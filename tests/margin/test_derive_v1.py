"""Worked examples of the pages of PMRM v1 and standard margin, and the law that the latter breaks."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import derive_pmrm, derive_srm
from crossmargin.margin.derive_book import expiry_of
from crossmargin.margin.derive_srm import OptionTerms, expiry_margin
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency


def test_the_worked_example_of_pmrm() -> None:
    market = MarketSnapshot(time_ns=0, index={Currency("BTC"): Price(100_000.0), Currency("USDC"): Price(1.0)})
    contract = parse_contract("derive:BTC/USDC:USDC")
    book = Portfolio(account=AccountId("a"), positions=(Position(instrument=contract, quantity=1.0),))
    answer = derive_pmrm.requirement(book, market, None, read_parameters(derive_pmrm.METHOD))
    assert answer.maintenance == pytest.approx(21_000.0)
    assert answer.initial == pytest.approx(26_250.0)
    assert answer.worst_scenario == "spot -18.0%, vol up"


SRM = read_parameters(derive_srm.METHOD)
MARKET = MarketSnapshot(
    time_ns=0,
    index={
        Currency("BTC"): Price(100_000.0),
        Currency("SOL"): Price(200.0),
        Currency("USDC"): Price(1.0),
        Currency("DOGE"): Price(0.1),
    },
)


def _standard(*positions: Position, **balances: float) -> derive_srm.Requirement:
    book = Portfolio(
        account=AccountId("a"),
        positions=positions,
        balances=tuple(Balance(currency=Currency(name), amount=amount) for name, amount in balances.items()),
    )
    return derive_srm.requirement(book, MARKET, None, SRM)


def test_the_worked_example_of_standard_margin() -> None:
    short = Position(instrument=parse_contract("derive:BTC/USDC:USDC"), quantity=-2.0)
    bare, secured = _standard(short), _standard(short, BTC=1.0)
    assert (bare.maintenance, bare.initial, bare.equity) == pytest.approx((10_000.0, 13_200.0, 0.0))
    assert (secured.maintenance, secured.initial, secured.equity) == pytest.approx((35_000.0, 43_450.0, 100_000.0))
    assert secured.measures["net_initial_margin"] == pytest.approx(secured.excess)


def test_options_of_a_standard_account_by_hand() -> None:
    call = parse_contract("derive:BTC/USDC:USDC-260327-110000-C")
    smile = Smile(expiry_ns=call.expiry_ns, forward=100_000.0, strikes=(5e4, 2e5), vols=(0.5, 0.5))  # type: ignore[union-attr]
    market = replace(MARKET, surfaces={Currency("BTC"): VolSurface(time_ns=0, smiles=(smile,))})

    def needed(quantity: float) -> derive_srm.Requirement:
        book = Portfolio(account=AccountId("a"), positions=(Position(instrument=call, quantity=quantity),))
        return derive_srm.requirement(book, market, None, SRM)

    # 10 % out of the money: max(15 % - 10 %, 13 %) of spot, maintenance 9 %; the mark is owed besides, in equity
    short = needed(-2.0)
    assert (short.initial, short.maintenance) == pytest.approx((26_000.0, 18_000.0))
    long = needed(2.0)
    assert long.initial == long.maintenance == pytest.approx(-short.equity)
    assert long.excess == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("positions", "balances", "name"),
    [
        ((), {"DOGE": 1.0}, "DOGE"),
        ((), {"SOL": 1.0}, "SOL as collateral"),
        ((), {"BTC": -1.0}, "BTC must not be negative"),
        ((("deribit:BTC/USD:BTC", 1.0),), {}, "deribit:BTC/USD:BTC"),
        ((("derive:DOGE/USDC:USDC", 1.0),), {}, "DOGE"),
    ],
)
def test_what_standard_margin_does_not_hold_is_refused_by_name(
    positions: tuple[tuple[str, float], ...], balances: dict[str, float], name: str
) -> None:
    held = [Position(instrument=parse_contract(contract), quantity=quantity) for contract, quantity in positions]
    with pytest.raises(InputError, match=name):
        _standard(*held, **balances)


def test_the_production_parameters_are_the_venue_s(
    shared: Path, record_property: Callable[[str, object], None]
) -> None:
    text = (shared / "vectors" / "derive_mainnet_params" / "srmParams.json").read_text(encoding="utf-8")
    markets = {market["marketName"]: market["params"]["marginParams"] for market in json.loads(text)["marketParams"]}
    record_property("outside_cases", len(SRM.markets))
    names = {
        "perpetual": ("perpMarginRequirements", {"maintenance": "mmPerpReq", "initial": "imPerpReq"}),
        "base": ("baseMarginParams", {"factor": "marginFactor", "initial_scale": "imScale"}),
        "option": (
            "optionMarginParams",
            {
                "max_spot": "maxSpotReq",
                "min_spot": "minSpotReq",
                "call_maintenance": "mmCallSpotReq",
                "put_maintenance": "mmPutSpotReq",
                "put_value_maintenance": "mmPutMtMReq",
                "unpaired_initial": "unpairedIMScale",
                "unpaired_maintenance": "unpairedMMScale",
                "offset_scale": "mmOffsetScale",
            },
        ),
    }
    for name, ours in SRM.markets.items():
        for field, (their, keys) in names.items():
            terms = getattr(ours, field)
            assert (terms is None) == (their not in markets[name]), (name, field)
            for own, key in keys.items() if terms is not None else ():
                assert getattr(terms, own) == float(markets[name][their][key]), (name, own)


def test_netting_can_cost_under_standard_margin() -> None:
    terms = OptionTerms(
        max_spot=0.15,
        min_spot=0.1,
        call_maintenance=0.075,
        put_maintenance=0.075,
        put_value_maintenance=0.075,
        unpaired_initial=1.2,
        unpaired_maintenance=1.1,
        offset_scale=1.05,
    )

    def needed(*options: tuple[float, float]) -> float:
        # an expired forward far above the strikes: all marks are zero
        held = [(strike, False, quantity, 0.5) for strike, quantity in options]
        return -expiry_margin(expiry_of(0.0, 100.0, held, fixed=0.0), 100.0, terms, initial=True)

    assert needed((60.0, -1.0)) == pytest.approx(10.0)
    assert needed((100.0, -1.0), (97.0, 1.0)) == pytest.approx(3.0)
    assert needed((60.0, -1.0), (100.0, -1.0), (97.0, 1.0)) == pytest.approx(25.0)
