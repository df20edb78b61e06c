# The same with the market's open interest bounded, and initial margin that grows with it: more wallets make no more room.
fund deposits 20_000
list YFI-PERP lot_size=0.01 position_limit=3 open_interest_limit=5 open_interest_rate=0.3
YFI-PERP marks 9_000
w1 deposits 8_200
w2 deposits 8_200
b1 deposits 900_000
b2 deposits 900_000
w1 buys 3 YFI-PERP at 9_000 from b1
expect refused INSUFFICIENT_MARGIN
w1 buys 2 YFI-PERP at 9_000 from b1
w2 buys 3 YFI-PERP at 9_000 from b2
expect refused INSUFFICIENT_MARGIN
w2 buys 4 YFI-PERP at 9_000 from b2
expect refused POSITION_LIMIT
w2 deposits 50_000
w2 buys 3 YFI-PERP at 9_000 from b2
w2 deposits 1
w3 deposits 50_000
w3 buys 0.01 YFI-PERP at 9_000 from b1
expect refused OPEN_INTEREST_LIMIT
YFI-PERP marks 5_130
expect fund balance 20_000
