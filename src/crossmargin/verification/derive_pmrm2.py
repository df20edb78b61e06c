"""Derive's PMRM_2 cases: margins and every scenario's profit."""

from pathlib import Path
from typing import Any

from crossmargin.margin import derive_pmrm2 as rule
from crossmargin.margin.derive_book import Expiry, expiry_of
from crossmargin.verification.cases import read_cases
from crossmargin.verification.tally import Tally

SKEW_NAMES = ("LINEAR", "ABS")


def verify(folder: Path) -> Tally:
    """Check every case to 1e-9; one that shocks skew and spot together is switched off by its source."""
    tally = Tally("derive_pmrm2")
    for path in sorted((folder / "portfolio_cases").glob("*.json")):
        case = read_cases(path)
        moves = case["Parameters"]["Scenarios"]
        if any(move["VolShockDirection"].upper() in SKEW_NAMES and move["SpotShock"] != 1 for move in moves):
            tally.disable(path.stem, "its source says 'Invalid param setup': a skew scenario that also moves spot")
            continue
        answer = rule.margin(_account(case["Scenario"]), _market(case["Parameters"]))
        result = case["Result"]
        rows = result["reg_losses"] + result["tail_losses"] + result["skew_losses"]
        pairs = [(answer.net_maintenance, result["MM"]), (answer.net_initial, result["IM"])]
        pairs += [(float(ours), float(row[-1])) for ours, row in zip(answer.pnl, rows, strict=True)]
        tally.check(path.stem, pairs, tolerance=1e-9, scale=1.0)
    return tally


def _account(given: dict[str, Any]) -> rule.Pmrm2Account:
    feeds = {feed["FeedExpiry"]: feed for feed in given["OptionFeeds"]}
    by_expiry: dict[float, list[tuple[float, bool, float, float]]] = {}
    for option in given["Options"]:
        by_expiry.setdefault(option["Expiry"], []).append(
            (option["Strike"], bool(option["IsCall"]), option["Amount"], option["MarkVol"])
        )
    perpetual = given["NumPerps"]
    return rule.Pmrm2Account(
        spot=given["SpotPrice"],
        spot_confidence=given["SpotConfidence"],
        stable_price=given["StablePrice"],
        cash=given["Cash"],
        perpetuals=perpetual,
        perpetual_price=given["PerpPrice"],
        perpetual_confidence=given["PerpConfidence"],
        perpetual_profit=given["UnrealisedPerpPNL"] + given["UnrealisedFunding"] if perpetual else 0.0,
        expiries=[_expiry(seconds, feeds[seconds], options) for seconds, options in by_expiry.items()],
        collateral=[
            rule.CollateralHeld(
                amount=item["Amount"],
                price=item["Price"],
                confidence=item["Confidence"],
                terms=rule.CollateralTerms(
                    maintenance_haircut=item["MMHaircut"],
                    initial_haircut=item["IMHaircut"],
                    cancels_risk=item["IsRiskCancelling"],
                ),
            )
            for item in given["Collaterals"]
        ],
    )


def _expiry(seconds: float, feed: dict[str, Any], options: list[tuple[float, bool, float, float]]) -> Expiry:
    confidence = min(feed["ForwardConfidence"], feed["RateConfidence"], feed["OptionVolConfidences"])
    return expiry_of(seconds, feed["Forward"], options, rate=feed["Rate"], confidence=confidence)


def _market(given: dict[str, Any]) -> rule.Pmrm2Market:
    skew, vol, margin = given["SkewShock"], given["VolShock"], given["Margin"]
    basis, other = given["BasisContingency"], given["OtherContingency"]
    return rule.Pmrm2Market(
        scenarios=tuple(
            rule.Move(
                spot=move["SpotShock"],
                vol=rule.VolMove(move["VolShockDirection"].lower()),
                damping=move["DampeningFactor"],
            )
            for move in given["Scenarios"]
        ),
        skew=rule.Skew(
            linear_cap=skew["LINEAR_SCALE_CAP"],
            linear_slope=skew["LINEAR_CBASE"],
            abs_cap=skew["ABS_SCALE_CAP"],
            abs_slope=skew["ABS_CBASE"],
            min_width=skew["MIN_K_STAR"],
            width_scale=skew["MIN_WIDTH_SCALE"],
            width_static=skew["VOL_PARAM_STATIC"],
            width_slope=skew["VOL_PARAM_SCALE"],
        ),
        vol_up=vol["VOLRANGEUP"],
        vol_down=vol["VOLRANGEDOWN"],
        vol_short_power=vol["SHORTTERMPOWER"],
        vol_long_power=vol["LONGTERMPOWER"],
        vol_floor_seconds=vol["DTE_FLOOR"] * 86_400,
        min_vol_up=vol["MIN_VOL_EVAL_SHOCKED"],
        initial_factor=margin["IM_LOSS_FACTOR"],
        maintenance_factor=margin["MM_LOSS_FACTOR"],
        long_rate_multiple=margin["LONG_RATE_MULTSCALE"],
        long_rate_add=margin["LONG_RATE_ADDSCALE"],
        short_rate_multiple=margin["SHORT_RATE_MULTSCALE"],
        short_rate_add=margin["SHORT_RATE_ADDSCALE"],
        long_discount=margin["BASE_STATIC_DISCOUNT"],
        short_discount=margin["BASE_STATIC_DISCOUNT_NEG"],
        basis_up=basis["SCENARIO_SPOT_UP"],
        basis_down=basis["SCENARIO_SPOT_DOWN"],
        basis_add=basis["BASIS_CONT_ADD_FACTOR"],
        basis_multiple=basis["BASIS_CONT_MULT_FACTOR"],
        peg_threshold=other["PEG_LOSS_THRESHOLD"],
        peg_factor=other["PEG_LOSS_FACTOR"],
        confidence_threshold=other["CONF_THRESHOLD"],
        confidence_factor=other["CONF_MARGIN"],
        perpetual_maintenance=other["MM_PERP_PERCENT"],
        perpetual_initial=other["IM_PERP_PERCENT"],
        option_maintenance=other["MM_OPTION_PERCENT"],
        option_initial=other["IM_OPTION_PERCENT"],
    )
