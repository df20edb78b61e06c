"""Worked examples of the pages of PMRM v1 and standard margin, and the law that the latter breaks."""

import pytest

from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import derive_pmrm
from crossmargin.margin.derive_book import expiry_of
from crossmargin.margin.derive_srm import OptionTerms, expiry_margin
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Portfolio, Position
from crossmargin.units import AccountId, Currency


def test_the_worked_example_of_pmrm() -> None:
    market = MarketSnapshot(time_ns=0, index={Currency("BTC"): Price(100_000.0), Currency("USDC"): Price(1.0)})
    contract = parse_contract("derive:BTC/USDC:USDC")
    book = Portfolio(account=AccountId("a"), positions=(Position(instrument=contract, quantity=1.0),))
    answer = derive_pmrm.requirement(book, market, None, read_parameters(derive_pmrm.METHOD))
    assert answer.maintenance == pytest.approx(21_000.0)
    assert answer.initial == pytest.approx(26_250.0)
    assert answer.worst_scenario == "spot -18.0%, vol up"


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
