"""What a sell-off would do to a straddle seller, and what half the position would change about it."""

import crossmargin as cm

book, market = cm.sample_book(), cm.sample_market()

crash = cm.what_if(book, market, "straddle-seller", price=-0.2, vol=0.5)
halved = cm.what_if(book, market, "straddle-seller", scale=0.5, price=-0.2, vol=0.5)
for name, found in (("as it is", crash), ("halved", halved)):
    print(f"{name:10} excess {found.before.excess:>12,.0f} -> {found.after.excess:>12,.0f} USD")

hedged = cm.what_if(book, market, "straddle-seller", add={"deribit:BTC-PERPETUAL": -500.0})
print(hedged.to_polars())
