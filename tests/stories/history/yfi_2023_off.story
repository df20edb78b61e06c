# dYdX YFI, November 2023 (F03): many wallets, each inside its own limit, hold one large position together. Off: limits
# bind each owner alone. Scale 1:1000.
fund deposits 20_000
maker deposits 900_000
list YFI-PERP lot_size=0.01 position_limit=3
YFI-PERP marks 9_000
w1 deposits 8_200
w2 deposits 8_200
w3 deposits 8_200
w4 deposits 8_200
b1 deposits 900_000
b2 deposits 900_000
b3 deposits 900_000
b4 deposits 900_000
w1 buys 3 YFI-PERP at 9_000 from b1
w2 buys 3 YFI-PERP at 9_000 from b2
w3 buys 3 YFI-PERP at 9_000 from b3
w4 buys 3 YFI-PERP at 9_000 from b4
# -43 % in an hour
YFI-PERP marks 5_130
# each owes 3 * 3,870 - 8,200 = 3,410
expect fund balance 6_360
