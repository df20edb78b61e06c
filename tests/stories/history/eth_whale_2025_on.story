# The same with withdrawals checked at initial margin, and profit that nobody has paid not counted.
borrowing DAI up to 1_000_000
DAI index 1
lender deposits 200_000 DAI
hlp deposits 900_000
hlp backstops 5_000_000
maker deposits 900_000
whale deposits 60_000
list ETH-PERP lot_size=0.1
ETH-PERP marks 1_870
whale buys 175 ETH-PERP at 1_870 from maker
ETH-PERP marks 2_057
whale withdraws 40_000 DAI
expect refused INSUFFICIENT_MARGIN
ETH-PERP marks 1_860
expect no event TakenOver
expect hlp equity 900_000
