# Maker, 12 March 2020 (F24): congestion keeps bidders away, and one keeper wins collateral auctions for nothing. Off: the
# auction has no reserve, so whoever comes alone and late takes nearly all of the equity.
set auction_duration_ns 60000000000
set takeover_ratio 0.6
vault deposits 10_000
short deposits 90_000
keeper deposits 500_000
BTC-PERP marks 7_900
vault buys 6 BTC-PERP at 7_900 from short
BTC-PERP marks 6_700
expect event AuctionStarted
54s pass
keeper bids on vault
# nine tenths of 2,800
expect keeper balance 502_520
expect vault equity 280
