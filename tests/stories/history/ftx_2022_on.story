# The same with the one limit that holds for everybody.
fund deposits 1_000
others deposits 90_000
alameda deposits 500
alameda gets credit 65_000
expect refused CREDIT_LIMIT
BTC-PERP marks 60_000
alameda buys 1 BTC-PERP at 60_000 from others
expect refused INSUFFICIENT_MARGIN
BTC-PERP marks 16_000
expect alameda equity 500
expect fund balance 1_000
