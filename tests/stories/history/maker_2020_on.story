# The same with a reserve of 13 % (Maker's liquidation penalty): the rest stays with the vault, however few come. Where
# nobody comes at all the position is closed at the mark, and nothing is sold below it.
set auction_duration_ns 60000000000
set auction_largest_share "0.13"
set takeover_ratio 0.6
vault deposits 10_000
other deposits 10_000
short deposits 90_000
keeper deposits 500_000
BTC-PERP marks 7_900
vault buys 6 BTC-PERP at 7_900 from short
other buys 6 BTC-PERP at 7_900 from short
BTC-PERP marks 6_700
expect event AuctionStarted
54s pass
keeper bids on vault
expect keeper balance 500_364
expect vault equity 2_436
6s pass
expect other equity 2_800
expect other position BTC-PERP 0
audit
