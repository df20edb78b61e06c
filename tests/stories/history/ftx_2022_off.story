# FTX (F30): one account may owe without limit. There is no exempt account here; what comes nearest is a credit line
# without limit. Off: nothing bounds credit lines. Scale 1:1,000,000.
set max_credit_line null
fund deposits 1_000
others deposits 90_000
alameda deposits 500
alameda gets credit 65_000
BTC-PERP marks 60_000
alameda buys 1 BTC-PERP at 60_000 from others
BTC-PERP marks 16_000
# the line keeps it from liquidation while it owes 43,500 that it does not have
expect no event LiquidationStarted
expect alameda equity -43_500
