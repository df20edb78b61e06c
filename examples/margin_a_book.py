"""Margin every account of a book, and say why the tightest one needs what it needs."""

import crossmargin as cm

book, market = cm.sample_book(), cm.sample_market()  # or cm.read_book("book.xlsx"), cm.read_market("market.json")
result = cm.requirements(book, market, method="scenario_grid")

frame = result.to_polars().sort("excess")
print(frame.select("account", "equity", "initial", "excess").head(5))

tightest = frame["account"][0]
print(cm.explain(book, market, tightest).to_polars().filter(part="initial"))
