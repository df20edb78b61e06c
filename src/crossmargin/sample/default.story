# A crowded long meets a crash, and every layer of the waterfall pays in its turn.
set      house_cap 20_000
set      insurance_cap_per_market 30_000
house    deposits 250_000
fund     deposits 100_000
dora     deposits 400_000
dora     contributes 10_000
emil     deposits 300_000
emil     contributes 5_000
# alice: half of her collateral is coin
alice    deposits 100_000
alice    deposits 40 ETH
ETH      index 3_000
alice    contributes 10_000
# bob: short where alice is long, and long in another coin
bob      deposits 170_000
carol    deposits 900_000
frank    deposits 900_000
BTC-PERP marks 60_000, ETH-PERP marks 3_000
alice    buys 15 BTC-PERP at 60_000 from bob
bob      buys 200 ETH-PERP at 3_000 from carol
alice    orders o1 buy 0.5 BTC-PERP at 59_000
# the call, and a minute later the first slice
BTC-PERP marks 55_000
expect   alice state MARGIN_CALL
1m       passes
BTC-PERP marks 53_900
expect   alice state LIQUIDATING
frank    fills alice 0.5 at 53_700
# the gap: no slice is quick enough
BTC-PERP marks 33_000, ETH-PERP marks 1_200
expect   event Defaulted
expect   event Deleveraged
expect   alice equity 0
expect   alice state BANKRUPT
audit
