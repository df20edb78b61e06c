"""State what a book may lose under several laws of joint moves, and which holdings that loss comes from."""

from pathlib import Path

import msgspec

from crossmargin.cli.app import console, errors, followed, write_json
from crossmargin.cli.inputs import Given, Observed, portfolios
from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.comparison import Refusal
from crossmargin.margin.component_risk import ComponentRisk, component_risks
from crossmargin.margin.tail_risk import METHOD, TailRiskParameters, coins_with_history
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.report.component_risk import component_risk_record, component_risk_table, contribution_table
from crossmargin.scenarios.laws import LAWS, law_scenarios, sticky_vol_betas, with_vol_betas
from crossmargin.scenarios.scenario_set import ScenarioSet

DEFAULT = Observed()


def risk(
    book: Path | None = None,
    *,
    law: list[str] | None = None,
    account: str | None = None,
    confidence: float | None = None,
    days: int | None = None,
    draws: int = 16_384,
    degrees: float = 4.0,
    stickiness: float | None = None,
    seed: int = 0,
    given: Given = DEFAULT,
    json: bool = False,
) -> None:
    """State value at risk, expected shortfall and worst loss of every account of BOOK, and what adds to them.

    Parameters
    ----------
    book
        Accounts, balances and positions; the embedded sample where not given.
    law
        historical, filtered or monte_carlo; may be given several times. All three where not given.
    account
        One account alone, with what each holding contributes.
    confidence
        0.99 averages the worst 1 %; that of the parameters of tail_risk where not given.
    days
        Horizon in steps of the market's history; that of tail_risk where not given.
    draws
        Scenarios of the laws that draw.
    degrees
        Of freedom of the t copula of monte_carlo.
    stickiness
        How vols follow spot, as a skew-stickiness ratio: 0 sticky delta, 1 sticky strike; by the vol beta of tail_risk
        where not given.
    seed
        The same seed draws the same scenarios.
    json
        Print records instead of tables.
    """
    if not 100 <= draws <= 200_000:
        raise InputError(f"draws must be between 100 and 200,000, were {draws}")
    held, market = portfolios(book), given.snapshot()
    chosen = [each for each in held if account is None or each.account == account]
    if not chosen:
        raise InputError(f"an account must be in the book, {account!r} is not")
    parameters = _parameters(given.as_of, confidence, days)
    found: list[ComponentRisk | Refusal] = []
    for name in law or LAWS:
        scenarios = _scenarios(name, market, parameters, draws=draws, degrees=degrees, seed=seed, ratio=stickiness)
        steps = component_risks(chosen, market, scenarios, parameters)
        found += followed(steps, name, total=len(chosen), quiet=json)
    stated = [each for each in found if isinstance(each, ComponentRisk)]
    refused = [each for each in found if isinstance(each, Refusal)]
    if json:
        refusals = [{"account": each.account, "law": each.method, "refused": each.reason} for each in refused]
        write_json([*map(component_risk_record, stated), *refusals])
        return
    console.print(component_risk_table(stated, console.width))
    if account is not None:
        for each in stated:
            console.print(contribution_table(each, console.width))
    for refusal in refused:
        errors.print(f"cannot: {refusal.reason}", soft_wrap=True)


def _parameters(as_of: str | None, confidence: float | None, days: int | None) -> TailRiskParameters:
    parameters = read_parameters(METHOD, as_of)
    if days is not None and not 1 <= days <= 60:
        raise InputError(f"a horizon must lie between 1 and 60 days, was {days}")
    chosen = {"confidence": confidence, "horizon": days}
    return msgspec.structs.replace(parameters, **{name: value for name, value in chosen.items() if value is not None})


def _scenarios(
    law: str,
    market: MarketSnapshot,
    parameters: TailRiskParameters,
    *,
    draws: int,
    degrees: float,
    seed: int,
    ratio: float | None,
) -> ScenarioSet:
    history = market.history_for("risk")
    coins = coins_with_history(market, history, parameters.horizon, parameters.minimum_dates)
    moves = law_scenarios(
        law,
        history,
        coins,
        horizon=parameters.horizon,
        lookback=parameters.lookback,
        count=draws,
        degrees=degrees,
        seed=seed,
    )
    betas = dict.fromkeys(coins, parameters.vol_beta)
    if ratio is not None:
        betas |= sticky_vol_betas(market, coins, ratio)
    return with_vol_betas(moves, betas)
