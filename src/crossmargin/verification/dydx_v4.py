"""Closing prices, insurance and margins of dYdX v4, in exact integers and fractions."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from crossmargin.clearing import fillable_price as closing
from crossmargin.errors import InputError
from crossmargin.margin import dydx
from crossmargin.verification.cases import read_cases
from crossmargin.verification.tally import Tally

UINT32_MAX = 2**32 - 1
"""What a parameter written as text ("MaxUint32") stands for."""


def verify(folder: Path) -> Tally:
    """Check every case; one whose positions its source could not express is reported as disabled."""
    tally = Tally("dydx_v4")
    cases = read_cases(folder / "vectors.json")
    meta = cases["meta"]
    answers: dict[str, Callable[[dict[str, Any], dict[str, Any]], tuple[object, object]]] = {
        "bankruptcy_price": _bankruptcy,
        "fillable_price": _fillable,
        "insurance_fund_delta": _insurance,
        "initial_margin_quote_quantums": _initial,
        "oimf_adjusted_initial_margin_ppm": _open_interest,
    }
    for kind, answer in answers.items():
        for case in cases[kind]:
            if case.get("unparsed") or case.get("unparsed_positions"):
                tally.disable(f"{kind}: {case['name']}", "positions are not given in numbers")
                continue
            ours, theirs = answer(case, meta)
            tally.check(f"{kind}: {case['name']}", [(0.0 if ours == theirs else 1.0, 0.0)], tolerance=0.0)
    return tally


def _account(case: dict[str, Any], meta: dict[str, Any]) -> tuple[closing.QuantaAccount, dict[int, Any]]:
    perpetuals = {
        given["id"]: dydx.PerpetualTerms(
            price=meta["oracle_prices_usd"][str(given["id"])]
            * 10**6
            * Fraction(10) ** meta["atomic_resolution"][str(given["id"])],
            initial_ppm=given["initial_margin_ppm"],
            maintenance_of_initial_ppm=given["maintenance_fraction_of_initial_ppm"],
        )
        for given in case["perpetuals"]
    }
    positions: dict[int, int] = {}
    for given in case["positions"]:
        positions[given["perpetual_id"]] = positions.get(given["perpetual_id"], 0) + given["quantums"]
    return closing.QuantaAccount(cash=case["usdc_quantums"], positions=positions), perpetuals


def _terms(case: dict[str, Any], meta: dict[str, Any]) -> closing.ClosingTerms:
    defaults = meta["defaults"]

    def given(name: str) -> int:
        value = case.get(name, defaults[name])
        return UINT32_MAX if isinstance(value, str) else int(value)

    return closing.ClosingTerms(
        max_fee_ppm=given("max_liquidation_fee_ppm"),
        bankruptcy_adjustment_ppm=given("bankruptcy_adjustment_ppm"),
        spread_to_maintenance_ppm=given("spread_to_mmr_ppm"),
    )


def _or_refused(answer: Callable[[], object]) -> object:
    try:
        return answer()
    except InputError:
        return "refused"


def _expected(case: dict[str, Any], value: Callable[[], object]) -> object:
    return "refused" if "expected_error" in case else value()


def _bankruptcy(case: dict[str, Any], meta: dict[str, Any]) -> tuple[object, object]:
    account, perpetuals = _account(case, meta)
    ours = _or_refused(
        lambda: closing.bankruptcy_price(account, perpetuals, case["perpetual_id"], case["delta_quantums"])
    )
    return ours, _expected(case, lambda: case["expected_quote_quantums"])


def _fillable(case: dict[str, Any], meta: dict[str, Any]) -> tuple[object, object]:
    account, perpetuals = _account(case, meta)
    terms = _terms(case, meta)
    ours = _or_refused(
        lambda: closing.fillable_price(account, perpetuals, case["perpetual_id"], case["delta_quantums"], terms)
    )
    return ours, _expected(case, lambda: Fraction(*case["expected_fillable_price_rat"]))


def _insurance(case: dict[str, Any], meta: dict[str, Any]) -> tuple[object, object]:
    account, perpetuals = _account(case, meta)
    perpetual, filled = case["perpetual_id"], case.get("fill_amount_quantums", 0)
    side = 1 if case["is_buy"] else -1
    exponent = meta["quantum_conversion_exponent"][str(perpetual)]
    paid = int(Fraction(filled * case.get("subticks", 0)) * Fraction(10) ** exponent // 1)

    def ours() -> int:
        price = closing.bankruptcy_price(account, perpetuals, perpetual, side * filled)
        return closing.insurance_delta(-side * paid, price, _terms(case, meta))

    return _or_refused(ours), _expected(case, lambda: case["expected_quote_quantums"])


def _initial(case: dict[str, Any], _meta: dict[str, Any]) -> tuple[object, object]:
    return dydx.initial_margin(case["bigQuoteQuantums"], _initial_ppm(case)), case["expectedInitialMarginQuoteQuantums"]


def _open_interest(case: dict[str, Any], _meta: dict[str, Any]) -> tuple[object, object]:
    return _initial_ppm(case), case["expectedPpm"]


def _initial_ppm(case: dict[str, Any]) -> int:
    return dydx.open_interest_initial_ppm(
        case["initialMarginPpm"],
        case.get("openInterestNotional", 0),
        case.get("openInterestLowerCap", 0),
        case.get("openInterestUpperCap", 0),
    )
