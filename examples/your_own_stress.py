"""Your own stresses on a book: name the moves, build the risk array once, add up every account."""

import crossmargin as cm
from crossmargin.margin.requirements import held_instruments
from crossmargin.risk.risk_array import risk_array
from crossmargin.scenarios.stress import Stress, stress_scenarios

book, market = cm.sample_book(), cm.sample_market()
stresses = [
    Stress(name="coins halve, vols double", prices={"BTC": -0.5, "ETH": -0.5}, vols={"BTC": 1.0, "ETH": 1.0}),
    Stress(name="ether breaks away", prices={"BTC": 0.05, "ETH": 0.4}, vols={"ETH": 0.6}),
]
held = [portfolio for portfolio in book if portfolio.account in {"hedger", "straddle-seller", "covered-call"}]
risk = risk_array(held_instruments(held), market, stress_scenarios(stresses))
for portfolio in held:
    profit = sum(position.quantity * risk.row(position.instrument.id) for position in portfolio.positions)
    for stress, amount in zip(stresses, profit.tolist(), strict=True):
        print(f"{portfolio.account:16} {stress.name:26} {amount:>14,.0f} USD")
